//! The probe of connectivity through real links, in a network namespace of its
//! own: servers beyond `wwan0`, and beyond `eth0`, which has the better route,
//! a portal at the same address.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

mod common;

use std::future::Future;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use std::{fs, thread};

use a7670e::net::probe::io::probe;
use a7670e::net::probe::{Outcome, PROBE_BYTES, Target};
use common::namespace::{beyond, ip, outside};

/// Name server and page, beyond either link.
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

/// Beyond the links too, but nothing listens there.
const DEAF: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 81);

/// Name servers to ask.
const GOOD_NAMES: &[Ipv4Addr] = &[SERVER];
const DEAF_NAMES: &[Ipv4Addr] = &[DEAF];
const BOTH_NAMES: &[Ipv4Addr] = &[DEAF, SERVER];
const NO_NAMES: &[Ipv4Addr] = &[];

/// What listens on the ports beyond `wwan0`.
const GOOD: u16 = 80;
const PORTAL: u16 = 81;
const LONG: u16 = 82;
const SILENT: u16 = 83;
const CLOSES: u16 = 84;
const NOBODY: u16 = 85;

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const ELSEWHERE: &str = "HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\n\r\n";

/// What a port says to whoever asks; `None` for nothing, while it listens on.
type Page = (u16, Option<String>);

/// `link` with servers at its other end.
fn uplink(link: &'static str, peer: &'static str, network: u8, pages: Vec<Page>) {
    ip(&format!("link add {link} type veth peer name {peer}"));
    // Neighbour discovery would be counted too.
    ip(&format!("link set {link} addrgenmode none"));
    let open = move || {
        ip(&format!("link set {peer} addrgenmode none"));
        ip("link set lo up");
        ip(&format!("address add 10.0.{network}.1/24 dev {peer}"));
        for address in [SERVER, DEAF] {
            ip(&format!("address add {address}/32 dev lo"));
        }
        ip(&format!("link set {peer} up"));
        let listen = |(port, text): Page| (TcpListener::bind((SERVER, port)).unwrap(), text);
        (UdpSocket::bind((SERVER, 53)).unwrap(), pages.into_iter().map(listen).collect::<Vec<_>>())
    };
    beyond(peer, open, |(names, pages)| {
        for (listener, text) in pages {
            thread::spawn(move || {
                // A silent page keeps its connections, so that none is closed.
                let mut kept = Vec::new();
                for stream in listener.incoming() {
                    kept.extend(answer(stream.unwrap(), text.as_deref()));
                }
            });
        }
        resolve(&names);
    });
    ip(&format!("address add 10.0.{network}.2/24 dev {link}"));
    ip(&format!("link set {link} up"));
    ip(&format!("route add default via 10.0.{network}.1 dev {link} metric {network}00"));
}

/// Reads a request and answers it; gives the stream back when it is to stay.
fn answer(mut stream: TcpStream, text: Option<&str>) -> Option<TcpStream> {
    let Some(text) = text else { return Some(stream) };
    let (mut request, mut buffer) = (Vec::new(), [0; 512]);
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => request.extend(&buffer[..length]),
            _ => return None,
        }
    }
    assert!(request.starts_with(b"GET /generate_204 HTTP/1.1\r\nHost: "), "{request:?}");
    // The probe may have seen enough before the end.
    _ = stream.write_all(text.as_bytes());
    None
}

/// Answers questions for names: `missing.test` is none, `silent.test` gets no
/// answer, all others are the server's.
fn resolve(names: &UdpSocket) {
    let mut buffer = [0; 512];
    loop {
        let (length, from) = names.recv_from(&mut buffer).unwrap();
        let mut reply = buffer[..length].to_vec();
        let asked = |name: &[u8]| reply[13..].starts_with(name);
        if asked(b"silent") {
            continue;
        }
        let missing = asked(b"missing");
        (reply[2], reply[3]) = (0x81, if missing { 0x83 } else { 0x80 });
        if !missing {
            reply[7] = 1;
            // The question's name, A, IN, a minute, four bytes.
            reply.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04");
            reply.extend(SERVER.octets());
        }
        names.send_to(&reply, from).unwrap();
    }
}

/// Both uplinks; `eth0` is the one that packets take by themselves.
fn machine() {
    ip("link set lo up");
    let text = |text: &str| Some(text.to_owned());
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "please log in ".repeat(20_000));
    uplink(
        "wwan0",
        "modem",
        7,
        vec![
            (GOOD, text(NO_CONTENT)),
            (PORTAL, text(ELSEWHERE)),
            (LONG, Some(long)),
            (SILENT, None),
            (CLOSES, text("")),
        ],
    );
    uplink("eth0", "router", 1, vec![(GOOD, text(ELSEWHERE))]);
}

fn target(host: &str, port: u16) -> Target {
    Target {
        host: host.into(),
        port,
        path: "/generate_204".into(),
        status: 204,
        fallback: Vec::new(),
    }
}

fn with_fallback(host: &str, port: u16) -> Target {
    Target { fallback: vec![SocketAddrV4::new(SERVER, port)], ..target(host, GOOD) }
}

/// Probes through `link` with the name servers `servers`.
async fn ask(link: &str, servers: &[Ipv4Addr], target: Target) -> Outcome {
    let servers: Vec<IpAddr> = servers.iter().map(|server| (*server).into()).collect();
    probe(link, &servers, &target, 7).await.unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Bytes that `wwan0` has carried, both ways, once no connection is open.
fn carried() -> u64 {
    let deadline = Instant::now() + Duration::from_secs(20);
    // State 06 is TIME_WAIT: nothing more is sent (include/net/tcp_states.h).
    let open = |table: &str| {
        table.lines().skip(1).any(|line| line.split_whitespace().nth(3) != Some("06"))
    };
    while open(&fs::read_to_string("/proc/thread-self/net/tcp").unwrap()) {
        assert!(Instant::now() < deadline, "a connection stays open");
        thread::sleep(Duration::from_millis(10));
    }
    let count = |name: &str| -> u64 {
        let path = format!("/sys/class/net/wwan0/statistics/{name}");
        fs::read_to_string(path).unwrap().trim().parse().unwrap()
    };
    count("rx_bytes") + count("tx_bytes")
}

#[test]
fn what_is_beyond_the_link_is_told_within_the_budget() {
    if outside("what_is_beyond_the_link_is_told_within_the_budget") {
        return;
    }
    machine();
    // Packets of neither ARP nor a first route are to be counted below.
    assert_eq!(run(ask("wwan0", GOOD_NAMES, target("page.test", GOOD))), Outcome::Online);
    assert_eq!(run(ask("eth0", GOOD_NAMES, target("page.test", GOOD))), Outcome::Captive);

    for (servers, target, expected) in [
        (GOOD_NAMES, target("page.test", GOOD), Outcome::Online),
        (GOOD_NAMES, target("page.test", PORTAL), Outcome::Captive),
        (GOOD_NAMES, target("page.test", LONG), Outcome::Captive),
        (GOOD_NAMES, target("page.test", CLOSES), Outcome::Nothing),
        (GOOD_NAMES, target("page.test", NOBODY), Outcome::Nothing),
        // An address needs no name server.
        (NO_NAMES, target("192.0.2.80", GOOD), Outcome::Online),
        (BOTH_NAMES, target("page.test", GOOD), Outcome::Online),
        (GOOD_NAMES, with_fallback("missing.test", GOOD), Outcome::NoDns),
        (DEAF_NAMES, with_fallback("page.test", GOOD), Outcome::NoDns),
        (NO_NAMES, with_fallback("page.test", GOOD), Outcome::NoDns),
        (GOOD_NAMES, with_fallback("missing.test", NOBODY), Outcome::Nothing),
        (GOOD_NAMES, target("missing.test", GOOD), Outcome::Nothing),
    ] {
        let (before, start) = (carried(), Instant::now());
        let about = format!("{servers:?} {target:?}");
        assert_eq!(run(ask("wwan0", servers, target)), expected, "{about}");
        // No answer is waited for that cannot come.
        assert!(start.elapsed() < Duration::from_secs(4), "{about}: {:?}", start.elapsed());
        let cost = carried() - before;
        println!("{cost} bytes, {expected:?}: {about}");
        assert!((1..=PROBE_BYTES).contains(&cost), "{about}: {cost} bytes");
    }
}

#[test]
fn silence_is_waited_for_but_not_for_ever() {
    if outside("silence_is_waited_for_but_not_for_ever") {
        return;
    }
    machine();
    let start = Instant::now();
    let found = run(async {
        tokio::join!(
            ask("wwan0", GOOD_NAMES, target("page.test", SILENT)),
            ask("wwan0", GOOD_NAMES, with_fallback("silent.test", GOOD)),
            ask("wwan0", GOOD_NAMES, target("silent.test", GOOD)),
        )
    });
    assert_eq!(found, (Outcome::Nothing, Outcome::NoDns, Outcome::Nothing));
    let taken = start.elapsed();
    // A radio that slept needs up to 3 s to wake.
    assert!(taken > Duration::from_secs(3) && taken < Duration::from_secs(20), "{taken:?}");
}

#[test]
fn a_link_that_is_gone_is_an_error_and_a_dead_one_is_not() {
    if outside("a_link_that_is_gone_is_an_error_and_a_dead_one_is_not") {
        return;
    }
    machine();
    let servers = [SERVER.into()];
    assert!(run(probe("wwan9", &servers, &target("page.test", GOOD), 7)).is_err());
    assert!(run(probe("wwan0", &servers, &target("a..b", GOOD), 7)).is_err());
    // eth0 would do, but is not asked.
    ip("link set wwan0 down");
    assert_eq!(run(ask("wwan0", GOOD_NAMES, target("page.test", GOOD))), Outcome::Nothing);
}
