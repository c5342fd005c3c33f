//! Packets of a host on the modem's network meet a TUN device, in a network
//! namespace of their own: the test program runs itself again there.

// Only tests are in this file, but clippy does not take their helpers for such.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use a7670e_emulator::data::tun::Tun;
use a7670e_emulator::data::{DataPath, packet};
use a7670e_emulator::link::{Framing, Lan, Link, LinkFaults};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const INSIDE: &str = "A7670E_TEST_INSIDE";
const DEADLINE: Duration = Duration::from_secs(20);
const CARRIER: Ipv4Addr = Ipv4Addr::new(10, 158, 7, 9);
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

/// Runs the test `name` again inside. True in the outer run, which is then done.
fn outside(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    if !Path::new("/dev/net/tun").exists() {
        eprintln!("SKIPPED {name}: there is no /dev/net/tun here (modprobe tun)");
        return true;
    }
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("needs unshare(1) of util-linux");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "no test ran inside: {text}");
    true
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("needs iproute2");
    assert!(status.success(), "ip {arguments}");
}

/// The next packet that the device has for the modem, of UDP or ICMP.
fn next(tun: &mut Tun) -> Vec<u8> {
    let end = Instant::now() + DEADLINE;
    loop {
        let packet = tun.give_out().unwrap();
        if let Some(packet) = packet.filter(|it| it[0] >> 4 == 4 && [1, 17].contains(&it[9])) {
            return packet;
        }
        assert!(Instant::now() < end, "nothing came");
        let mut fds = [PollFd::from_borrowed_fd(tun.fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })).unwrap();
    }
}

#[test]
fn a_host_reaches_this_machine_and_is_reached() {
    if outside("a_host_reaches_this_machine_and_is_reached") {
        return;
    }
    let mut tun = Tun::open("far0").unwrap();
    assert!(Tun::open("far0").is_err(), "one modem each");
    assert!(Tun::open("a-name-that-is-too-long").is_err());
    // Down: packets are lost, and nothing comes.
    tun.take_in(&packet::udp((CARRIER, 1), (FAR, 2), b"lost")).unwrap();
    assert_eq!(tun.give_out().unwrap(), None);
    ip("address add 192.0.2.80/32 dev far0");
    ip("link set far0 up");
    ip("route add 10.158.7.9/32 dev far0");

    let link = Link {
        framing: Framing::RawIp,
        carrier: true,
        forwarding: true,
        call: false,
        lan: Lan::Private { third: 0, first_host: 100, last_host: 200 },
        address: CARRIER,
        faults: LinkFaults::default(),
    };
    let me = Ipv4Addr::new(192, 168, 0, 100);
    let mut data = DataPath::new(1);
    data.attach(Duration::ZERO, &link);
    let mut exchange = |tun: &mut Tun, packet: &[u8]| {
        data.from_host(Duration::ZERO, packet);
        for packet in data.advance(Duration::ZERO) {
            tun.take_in(&packet).unwrap();
        }
    };

    // The kernel answers a ping; its answer is the echo of ours.
    exchange(&mut tun, &packet::icmp(me, FAR, [8, 0], b"\0\x01\0\x02data"));
    let reply = next(&mut tun);
    assert_eq!(reply[12..20], [FAR.octets(), CARRIER.octets()].concat());
    assert_eq!(reply[20..22], [0, 0]);
    assert!(reply.ends_with(b"\0\x01\0\x02data"));

    // A program here is reached, sees the carrier's address, and answers.
    let server = UdpSocket::bind((FAR, 4242)).unwrap();
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    exchange(&mut tun, &packet::udp((me, 5000), (FAR, 4242), b"hello"));
    let mut bytes = [0; 100];
    let (length, from) = server.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..length], from), (&b"hello"[..], (CARRIER, 5000).into()));
    server.send_to(b"back", from).unwrap();
    let answer = next(&mut tun);
    data.from_far(Duration::ZERO, answer);
    data.advance(Duration::ZERO);
    let got = data.to_host().unwrap();
    assert_eq!(got[12..20], [FAR.octets(), me.octets()].concat());
    assert!(got.ends_with(b"back"));
}
