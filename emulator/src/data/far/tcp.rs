//! The far end's TCP, by smoltcp: connections, and the servers behind them.
//!
//! A listening socket is made for each SYN that a server is there for, so that
//! one connection costs one socket and nothing waits in vain. Anything else
//! smoltcp refuses with a reset.

use std::collections::VecDeque;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration as Span, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::{DNS, HOST, PUBLIC, RESOLVER, Talk, dns, http};
use crate::data::packet::{self, Header};

/// The packets' size on the carrier's line, in bytes: Ethernet's (RFC 894), so
/// that the MSS is 1460.
const MTU: usize = 1500;
/// Connections at most; more are refused.
pub const CONNECTIONS: usize = 64;
/// Packets that wait in each direction. Few: data that waits in a socket has not
/// been sent, and its time does not count as the network's.
pub const QUEUE: usize = 16;
/// Bytes under way on one connection in each direction: 80 ms at 25 Mbit/s,
/// more than twice what LTE Cat-1 has.
const BUFFER: usize = 256 << 10;
/// A peer that does not acknowledge for so long is gone.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A connection on which nothing happens for so long is aborted.
const IDLE: Duration = Duration::from_secs(60);
const HTTP: u16 = 80;
const ECHO: u16 = 7;

/// The line to the modem.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) came: VecDeque<Vec<u8>>,
    pub(super) goes: VecDeque<Vec<u8>>,
}

impl phy::Device for Wire {
    type RxToken<'a> = Came;
    type TxToken<'a> = Goes<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Came, Goes<'_>)> {
        // Each packet may have an answer.
        if self.goes.len() >= QUEUE {
            return None;
        }
        Some((Came(self.came.pop_front()?), Goes(&mut self.goes)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Goes<'_>> {
        (self.goes.len() < QUEUE).then_some(Goes(&mut self.goes))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

pub(super) struct Came(Vec<u8>);

impl phy::RxToken for Came {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

pub(super) struct Goes<'a>(&'a mut VecDeque<Vec<u8>>);

impl phy::TxToken for Goes<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut packet = vec![0; length];
        let result = fill(&mut packet);
        self.0.push_back(packet);
        result
    }
}

/// A connection and who speaks on it.
#[derive(Debug)]
struct Connection {
    handle: SocketHandle,
    /// The peer's address and port, and ours.
    ends: [(Ipv4Addr, u16); 2],
    server: Box<dyn Talk + Send>,
    /// When something happened last.
    active: Duration,
    /// Bytes that waited to be sent or acknowledged then.
    unsent: usize,
}

/// All connections.
pub struct Tcp {
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    connections: Vec<Connection>,
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp").field("connections", &self.connections).finish_non_exhaustive()
    }
}

impl Tcp {
    /// No connection yet.
    pub fn new(seed: u64) -> Self {
        let mut wire = Wire::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|all| {
            // One address has room in the list.
            let _ = all.push(IpCidr::new(IpAddress::Ipv4(HOST), 32));
        });
        // Every address is ours, by way of our own.
        interface.set_any_ip(true);
        let _ = interface.routes_mut().add_default_ipv4_route(HOST);
        Self { wire, interface, sockets: SocketSet::new(Vec::new()), connections: Vec::new() }
    }

    /// A packet comes.
    pub fn take_in(&mut self, now: Duration, packet: Vec<u8>, portal: bool) {
        if self.wire.came.len() >= QUEUE {
            self.advance(now);
            if self.wire.came.len() >= QUEUE {
                return;
            }
        }
        if let Some(ends) = opening(&packet) {
            self.listen(now, ends, portal);
        }
        self.wire.came.push_back(packet);
    }

    /// Makes a socket for the connection that is about to open.
    fn listen(&mut self, now: Duration, ends: [(Ipv4Addr, u16); 2], portal: bool) {
        if let Some(at) = self.connections.iter().position(|it| it.ends == ends) {
            let handle = self.connections[at].handle;
            if self.sockets.get::<Socket<'_>>(handle).state() != State::TimeWait {
                // The same SYN once more.
                return;
            }
            self.connections.swap_remove(at);
            self.sockets.remove(handle);
        }
        let [_, (address, port)] = ends;
        let Some(server) = server(address, port, portal) else { return };
        if self.connections.len() >= CONNECTIONS && !self.make_room() {
            return;
        }
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_timeout(Some(span(TIMEOUT)));
        socket.set_nagle_enabled(false);
        if socket.listen((IpAddress::Ipv4(address), port)).is_ok() {
            let handle = self.sockets.add(socket);
            self.connections.push(Connection { handle, ends, server, active: now, unsent: 0 });
        }
    }

    /// Forgets a connection that only waits for its time to pass.
    fn make_room(&mut self) -> bool {
        let over =
            |it: &Connection| self.sockets.get::<Socket<'_>>(it.handle).state() == State::TimeWait;
        let Some(at) = self.connections.iter().position(over) else { return false };
        let handle = self.connections.swap_remove(at).handle;
        self.sockets.remove(handle);
        true
    }

    /// Lets smoltcp and the servers work until neither has more to do.
    pub fn advance(&mut self, now: Duration) {
        for connection in self.connections.iter().filter(|it| now >= it.active + IDLE) {
            self.sockets.get_mut::<Socket<'_>>(connection.handle).abort();
        }
        loop {
            let polled = self.interface.poll(instant(now), &mut self.wire, &mut self.sockets);
            let mut moved = false;
            for connection in &mut self.connections {
                let socket = self.sockets.get_mut::<Socket<'_>>(connection.handle);
                moved |= serve(now, socket, connection);
            }
            let sockets = &mut self.sockets;
            let all_read = self.wire.came.is_empty();
            self.connections.retain(|connection| {
                let over = match sockets.get::<Socket<'_>>(connection.handle).state() {
                    State::Closed => true,
                    // Its SYN was not taken for one.
                    State::Listen => all_read,
                    _ => false,
                };
                if over {
                    sockets.remove(connection.handle);
                }
                !over
            });
            if !moved && polled == PollResult::None {
                return;
            }
        }
    }

    /// The next packet to the modem.
    pub fn give_out(&mut self) -> Option<Vec<u8>> {
        self.wire.goes.pop_front()
    }

    /// When [`Self::advance`] is due; `None` also while packets wait for
    /// [`Self::give_out`].
    pub fn next_event(&mut self, now: Duration) -> Option<Duration> {
        if self.wire.goes.len() >= QUEUE {
            return None;
        }
        let timer = self.interface.poll_at(instant(now), &self.sockets);
        let timer = timer.map(|at| Duration::from_micros(at.total_micros().unsigned_abs()));
        let idle = self.connections.iter().map(|it| it.active + IDLE).min();
        [timer, idle].into_iter().flatten().min()
    }
}

/// Moves bytes between a socket and its server; whether any moved.
fn serve(now: Duration, socket: &mut Socket<'_>, connection: &mut Connection) -> bool {
    let server = &mut connection.server;
    let mut moved = 0;
    loop {
        let mut count = 0;
        if socket.can_recv() {
            let take = |bytes: &mut [u8]| (server.take(bytes), ());
            let before = socket.recv_queue();
            // A socket that can be received from does not fail to.
            let _ = socket.recv(take);
            count += before - socket.recv_queue();
        } else if is_half_closed(socket) {
            server.end();
        }
        if socket.can_send() {
            let before = socket.send_queue();
            let _ = socket.send(|room| (server.give(room), ()));
            count += socket.send_queue() - before;
        }
        moved += count;
        if count == 0 {
            break;
        }
    }
    if server.has_ended() && socket.may_send() {
        socket.close();
        moved += 1;
    }
    if moved > 0 || connection.unsent != socket.send_queue() {
        connection.active = now;
        connection.unsent = socket.send_queue();
    }
    moved > 0
}

/// Whether the peer has said that it will say no more.
fn is_half_closed(socket: &Socket<'_>) -> bool {
    matches!(socket.state(), State::CloseWait | State::Closing | State::LastAck | State::TimeWait)
}

/// The two ends of the connection that this packet wants to open: the peer's
/// and ours.
fn opening(packet: &[u8]) -> Option<[(Ipv4Addr, u16); 2]> {
    /// Flags of TCP (RFC 9293 section 3.1), the lower three and ACK.
    const FLAGS: u8 = 0b1_0111;
    const SYN: u8 = 0b10;
    let header = Header::of(packet)?;
    let (from, to) = packet::ports(packet)?;
    let flags = packet.get(header.length + 13)?;
    (flags & FLAGS == SYN).then_some([(header.source, from), (header.destination, to)])
}

/// Who answers at this address and port.
fn server(address: Ipv4Addr, port: u16, portal: bool) -> Option<Box<dyn Talk + Send>> {
    match port {
        DNS if address == RESOLVER => Some(Box::new(dns::Stream::new(portal))),
        HTTP if portal || [HOST, PUBLIC].contains(&address) => {
            Some(Box::new(http::Exchange::new(portal)))
        }
        ECHO if address == HOST && !portal => Some(Box::new(Echo::default())),
        _ => None,
    }
}

/// Says what it is told (RFC 862).
#[derive(Debug, Default)]
struct Echo {
    heard: VecDeque<u8>,
    ended: bool,
}

impl Talk for Echo {
    fn take(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(BUFFER.saturating_sub(self.heard.len()));
        self.heard.extend(&bytes[..count]);
        count
    }

    fn give(&mut self, room: &mut [u8]) -> usize {
        let count = room.len().min(self.heard.len());
        for (to, from) in room.iter_mut().zip(self.heard.drain(..count)) {
            *to = from;
        }
        count
    }

    fn end(&mut self) {
        self.ended = true;
    }

    fn has_ended(&self) -> bool {
        self.ended && self.heard.is_empty()
    }
}

fn instant(now: Duration) -> Instant {
    Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

fn span(length: Duration) -> Span {
    Span::from_micros(u64::try_from(length.as_micros()).unwrap_or(u64::MAX))
}
