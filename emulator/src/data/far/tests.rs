//! A client stack of smoltcp talks to the far end over two shaped lines, in
//! virtual time.

use proptest::prelude::*;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::*;
use crate::data::shaper::{Shape, Shaper};

const ME: Ipv4Addr = Ipv4Addr::new(10, 158, 7, 9);

/// A host, the line, and the far end.
struct World {
    now: Duration,
    far: FarEnd,
    up: Shaper,
    down: Shaper,
    /// Reverses pairs of packets on the way down now and then.
    swaps: bool,
    held: Option<Vec<u8>>,
    wire: tcp::Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    longest: usize,
}

impl World {
    fn new(shape: Shape) -> Self {
        let mut wire = tcp::Wire::default();
        let mut interface =
            Interface::new(Config::new(HardwareAddress::Ip), &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|all| {
            all.push(IpCidr::new(IpAddress::Ipv4(ME), 0)).unwrap();
        });
        let line = |seed| {
            let mut line = Shaper::new(seed);
            line.shape = shape;
            line
        };
        Self {
            now: Duration::ZERO,
            far: FarEnd::new(7),
            up: line(1),
            down: line(2),
            swaps: false,
            held: None,
            wire,
            interface,
            sockets: SocketSet::new(Vec::new()),
            longest: 0,
        }
    }

    fn connect(&mut self, to: (Ipv4Addr, u16), from: u16) -> SocketHandle {
        let buffer = || SocketBuffer::new(vec![0; 200_000]);
        let mut socket = Socket::new(buffer(), buffer());
        let to = (IpAddress::Ipv4(to.0), to.1);
        socket.connect(self.interface.context(), to, from).unwrap();
        self.sockets.add(socket)
    }

    fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    fn send(&mut self) {
        while let Some(packet) = self.wire.goes.pop_front() {
            self.up.push(self.now, packet);
        }
    }

    /// All that can happen now, then on to when the next thing does.
    fn step(&mut self) {
        let now = Instant::from_micros(self.now.as_micros() as i64);
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
        self.send();
        while let Some(packet) = self.up.pop(self.now) {
            self.far.take_in(self.now, packet);
        }
        self.far.advance(self.now);
        while self.down.takes(self.now) {
            let Some(packet) = self.far.give_out() else { break };
            self.longest = self.longest.max(packet.len());
            match self.held.take() {
                Some(held) => {
                    self.down.push(self.now, packet);
                    self.down.push(self.now, held);
                }
                None if self.swaps && packet.len() % 3 == 2 => self.held = Some(packet),
                None => self.down.push(self.now, packet),
            }
        }
        while let Some(packet) = self.down.pop(self.now) {
            self.wire.came.push_back(packet);
        }
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
        self.send();
        let timer = self.interface.poll_at(now, &self.sockets);
        let timer = timer.map(|at| Duration::from_micros(at.total_micros() as u64));
        let events = [timer, self.up.next_event(), self.down.next_event()];
        let far = if self.down.takes(self.now) { self.far.next_event(self.now) } else { None };
        let next = events.into_iter().chain([far]).flatten().min();
        self.now = next.unwrap_or(self.now).max(self.now + Duration::from_micros(50));
        if self.held.is_some() && next.is_none() {
            self.down.push(self.now, self.held.take().unwrap());
        }
    }

    /// Says `bytes` and gives all that comes back until the far end closes, or
    /// `enough` bytes came.
    fn talk(&mut self, handle: SocketHandle, mut bytes: &[u8], enough: usize) -> Vec<u8> {
        let mut got = Vec::new();
        let end = self.now + Duration::from_secs(600);
        while self.now < end {
            let socket = self.socket(handle);
            if socket.can_send() {
                bytes = &bytes[socket.send_slice(bytes).unwrap()..];
            }
            if socket.can_recv() {
                socket.recv(|some| (got.extend_from_slice(some), some.len()).swap()).unwrap();
            }
            let open = matches!(
                socket.state(),
                State::SynSent | State::Established | State::FinWait1 | State::FinWait2
            );
            if got.len() >= enough || (!open && !socket.can_recv()) {
                return got;
            }
            self.step();
        }
        panic!("{} bytes after ten minutes", got.len());
    }
}

/// `(a, b)` as `(b, a)`.
trait Swap<A, B> {
    fn swap(self) -> (B, A);
}

impl<A, B> Swap<A, B> for (A, B) {
    fn swap(self) -> (B, A) {
        (self.1, self.0)
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: www.example.test\r\nConnection: close\r\n\r\n")
}

/// A download of `count` bytes; its speed in Mbit/s.
fn download(world: &mut World, from: u16, count: usize) -> f64 {
    let handle = world.connect((HOST, 80), from);
    let start = world.now;
    let got = world.talk(handle, get(&format!("/bytes/{count}")).as_bytes(), usize::MAX);
    let body = got.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    assert!(got.starts_with(b"HTTP/1.1 200 OK\r\n"));
    world.socket(handle).close();
    world.step();
    world.step();
    assert_eq!(got.len() - body, count);
    assert!(got[body..].iter().zip(0..).all(|(it, at)| *it == http::byte(at)));
    count as f64 * 8.0 / 1e6 / (world.now - start).as_secs_f64()
}

#[test]
fn a_download_fills_an_lte_line() {
    let shape = Shape { latency_ms: 30, kbit: Some(10_000), ..Shape::default() };
    let mut world = World::new(shape);
    let speed = download(&mut world, 4000, 3_000_000);
    assert!((8.0..10.0).contains(&speed), "{speed} Mbit/s");
    assert_eq!(world.longest, 1500);
}

#[test]
fn downloads_survive_loss_and_reordering() {
    let shape = Shape { latency_ms: 20, jitter_ms: 10, loss_permille: 30, ..Shape::default() };
    let mut world = World { swaps: true, ..World::new(shape) };
    download(&mut world, 4000, 300_000);
}

#[test]
fn an_upload_is_counted_in_spite_of_loss() {
    let shape = Shape { latency_ms: 20, loss_permille: 20, ..Shape::default() };
    let mut world = World::new(shape);
    let handle = world.connect((HOST, 80), 4000);
    let mut post = format!("POST /count HTTP/1.0\r\nContent-Length: {}\r\n\r\n", 200_000);
    post.push_str(&"x".repeat(200_000));
    let got = world.talk(handle, post.as_bytes(), usize::MAX);
    assert!(got.ends_with(b"\r\n\r\n200000\n"), "{}", String::from_utf8_lossy(&got));
}

#[test]
fn echo_and_dns_are_served_and_the_rest_is_refused() {
    let mut world = World::new(Shape::default());
    let echo = world.connect((HOST, 7), 4000);
    assert_eq!(world.talk(echo, b"hello", 5), b"hello");
    world.socket(echo).close();
    let dns = world.connect((RESOLVER, 53), 4001);
    let question = b"\x00\x1e\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\
        \x07example\x04test\x00\x00\x01\x00\x01";
    let answer = world.talk(dns, question, 48);
    assert!(answer.ends_with(&HOST.octets()));
    for (number, to) in [(0, (HOST, 81)), (1, (RESOLVER, 80))] {
        let refused = world.connect(to, 5000 + number);
        assert!(world.talk(refused, b"", usize::MAX).is_empty());
        assert_eq!(world.socket(refused).state(), State::Closed);
    }
}

#[test]
fn only_so_many_connections_and_idle_ones_end() {
    let mut world = World::new(Shape::default());
    let all: Vec<_> = (0..66).map(|it| world.connect((HOST, 80), 4000 + it)).collect();
    while world.now < Duration::from_secs(1) {
        world.step();
    }
    let count = |world: &mut World, wanted: State| {
        all.iter().filter(|it| world.socket(**it).state() == wanted).count()
    };
    assert_eq!(count(&mut world, State::Established), tcp::CONNECTIONS);
    assert_eq!(count(&mut world, State::Closed), 2);
    // They end of themselves, and then there is room again.
    while world.now < Duration::from_secs(70) {
        world.step();
    }
    assert_eq!(count(&mut world, State::Closed), 66);
    download(&mut world, 4000, 1000);
    for number in 0..100 {
        download(&mut world, 5000 + number, 1000);
    }
}

#[test]
fn a_portal_takes_every_address_and_every_name() {
    let mut world = World::new(Shape::default());
    world.far.set_portal(true);
    let handle = world.connect((Ipv4Addr::new(203, 0, 113, 9), 80), 4000);
    let got = world.talk(handle, get("/").as_bytes(), usize::MAX);
    assert!(got.starts_with(b"HTTP/1.1 302 Found\r\n"), "{}", String::from_utf8_lossy(&got));
    let ping = |to| packet::icmp(ME, to, [8, 0], b"\0\x01\0\x02data");
    world.far.take_in(world.now, ping(RESOLVER));
    assert_eq!(world.far.give_out(), None);
    world.far.take_in(world.now, ping(HOST));
    assert!(world.far.give_out().is_some());
}

#[test]
fn closed_ports_are_said_to_be_closed() {
    let reply = answer(&packet::udp((ME, 4000), (HOST, 9), b"x"), false).unwrap();
    assert_eq!((reply[20], reply[21]), (3, 3));
}

proptest! {
    #[test]
    fn no_bytes_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
        flags: u8,
        sum: bool,
    ) {
        let mut far = FarEnd::new(1);
        let now = Duration::ZERO;
        far.take_in(now, bytes.clone());
        far.take_in(now, packet::udp((ME, 1), (HOST, 53), &bytes));
        far.take_in(now, packet::make(protocol::TCP, ME, HOST, &bytes));
        // A segment to the web server, with a right checksum or not.
        let mut segment = vec![1, 2, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0x20, 0, 0, 0, 0, 0];
        segment.extend(tail);
        if sum {
            let mut pseudo = [ME.octets(), HOST.octets()].concat();
            pseudo.extend([0, protocol::TCP]);
            pseudo.extend((segment.len() as u16).to_be_bytes());
            let start = u32::from(!packet::checksum(0, &pseudo));
            let sum = packet::checksum(start, &segment);
            segment[16..18].copy_from_slice(&sum.to_be_bytes());
        }
        far.take_in(now, packet::make(protocol::TCP, ME, HOST, &segment));
        far.advance(now);
        while far.give_out().is_some() {}
        far.advance(Duration::from_secs(100));
    }
}
