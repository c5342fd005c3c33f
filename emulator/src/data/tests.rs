//! A host on the modem's network, in virtual time.

use super::*;
use crate::link::LinkFaults;

const HOST: [u8; 6] = [0xae, 0x0c, 0x29, 0xa3, 0x9b, 0x6d];
const ME: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 100);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const CARRIER: Ipv4Addr = Ipv4Addr::new(10, 158, 7, 9);
const FAR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
const NOW: Duration = Duration::ZERO;

fn link() -> Link {
    Link {
        framing: Framing::Ecm,
        carrier: true,
        forwarding: true,
        call: false,
        lan: Lan::Private { third: 0, first_host: 100, last_host: 200 },
        address: CARRIER,
        faults: LinkFaults::default(),
    }
}

fn path(link: &Link) -> DataPath {
    let mut path = DataPath::new(1);
    path.attach(NOW, link);
    path
}

fn ethernet(packet: &[u8]) -> Vec<u8> {
    [&GATEWAY_MAC[..], &HOST, &IPV4, packet].concat()
}

/// Sends an IP packet; gives what reaches the far end.
fn send(path: &mut DataPath, packet: &[u8]) -> Vec<Vec<u8>> {
    path.from_host(NOW, &ethernet(packet));
    path.advance(NOW)
}

/// The IP packet that the host gets.
fn got(path: &mut DataPath) -> Option<Vec<u8>> {
    let frame = path.to_host()?;
    assert_eq!((&frame[..6], &frame[6..12]), (&HOST[..], &GATEWAY_MAC[..]));
    Some(frame[ETHERNET..].to_vec())
}

#[test]
fn arp_is_answered_for_the_gateway_alone() {
    let mut path = path(&link());
    let request = |wanted: Ipv4Addr| {
        let mut frame = [&BROADCAST[..], &HOST, &ARP, &[0, 1, 8, 0, 6, 4, 0, 1], &HOST].concat();
        frame.extend(ME.octets());
        frame.extend([0; 6]);
        frame.extend(wanted.octets());
        frame
    };
    path.from_host(NOW, &request(ME));
    assert_eq!(path.to_host(), None);
    path.from_host(NOW, &request(GATEWAY));
    let reply = path.to_host().unwrap();
    assert_eq!(reply[..14], [&HOST[..], &GATEWAY_MAC, &ARP].concat());
    assert_eq!(reply[20..32], [&[0, 2][..], &GATEWAY_MAC, &GATEWAY.octets()].concat());
}

#[test]
fn packets_cross_the_nat_both_ways() {
    let mut path = path(&link());
    assert_eq!(
        send(&mut path, &packet::udp((ME, 4000), (FAR, 9), b"hello")),
        [packet::udp((CARRIER, 4000), (FAR, 9), b"hello")]
    );
    path.from_far(NOW, packet::udp((FAR, 9), (CARRIER, 4000), b"back"));
    path.advance(NOW);
    assert_eq!(got(&mut path), Some(packet::udp((FAR, 9), (ME, 4000), b"back")));
    assert_eq!(path.carried(), (33, 32));
    // Not for us, and not from us.
    path.from_far(NOW, packet::udp((FAR, 9), (FAR, 4000), b"x"));
    assert!(send(&mut path, &packet::udp((FAR, 1), (FAR, 2), b"x")).is_empty());
    assert_eq!(got(&mut path), None);
}

#[test]
fn questions_to_the_gateway_reach_the_resolver_and_others_keep_their_way() {
    let mut path = path(&link());
    assert_eq!(
        send(&mut path, &packet::udp((ME, 5000), (GATEWAY, 53), b"q")),
        [packet::udp((CARRIER, 5000), (far::RESOLVER, 53), b"q")]
    );
    let answer = packet::udp((far::RESOLVER, 53), (CARRIER, 5000), b"a");
    path.from_far(NOW, answer.clone());
    path.advance(NOW);
    assert_eq!(got(&mut path), Some(packet::udp((GATEWAY, 53), (ME, 5000), b"a")));
    // Asked directly, the resolver answers under its own address.
    send(&mut path, &packet::udp((ME, 5000), (far::RESOLVER, 53), b"q"));
    path.from_far(NOW, answer);
    path.advance(NOW);
    assert_eq!(got(&mut path), Some(packet::udp((far::RESOLVER, 53), (ME, 5000), b"a")));
}

#[test]
fn the_gateway_answers_pings_even_without_a_call() {
    let mut path = path(&Link { forwarding: false, ..link() });
    let echo = |from, to, kind| packet::icmp(from, to, [kind, 0], b"\0\x01\0\x02data");
    assert!(send(&mut path, &echo(ME, GATEWAY, 8)).is_empty());
    assert_eq!(got(&mut path), Some(echo(GATEWAY, ME, 0)));
    assert!(send(&mut path, &echo(ME, FAR, 8)).is_empty(), "no call, no way out");
}

#[test]
fn faults_do_what_they_say() {
    let with = |faults| path(&Link { faults, ..link() });
    let question = packet::udp((ME, 5000), (GATEWAY, 53), b"q");
    let ping = packet::icmp(ME, FAR, [8, 0], b"\0\x01\0\x02data");
    let mut dead = with(LinkFaults { dns_dead: true, ..LinkFaults::default() });
    assert_eq!((send(&mut dead, &question).len(), send(&mut dead, &ping).len()), (0, 1));
    let mut cut = with(LinkFaults { no_internet: true, ..LinkFaults::default() });
    assert_eq!((send(&mut cut, &question).len(), send(&mut cut, &ping).len()), (0, 0));
    let mut hole = with(LinkFaults { mtu: Some(40), ..LinkFaults::default() });
    assert_eq!((send(&mut hole, &question).len(), send(&mut hole, &ping).len()), (1, 1));
    let long = packet::icmp(ME, FAR, [8, 0], &[0; 80]);
    assert!(send(&mut hole, &long).is_empty());
    hole.from_far(NOW, packet::icmp(FAR, CARRIER, [0, 0], &[0; 80]));
    hole.advance(NOW);
    assert_eq!(got(&mut hole), None);
    let mut slow = with(LinkFaults { latency_ms: 40, ..LinkFaults::default() });
    assert!(send(&mut slow, &ping).is_empty());
    assert_eq!(slow.next_event(), Some(Duration::from_millis(40)));
    assert_eq!(slow.advance(Duration::from_millis(40)).len(), 1);
}

#[test]
fn leases_follow_the_link() {
    let mut discover = vec![1, 1, 6, 0, 1, 2, 3, 4];
    discover.resize(236, 0);
    discover.extend([99, 130, 83, 99, 53, 1, 1, 255]);
    let discover =
        packet::udp((Ipv4Addr::UNSPECIFIED, BOOTPC), (Ipv4Addr::BROADCAST, BOOTPS), &discover);
    let given = |link: &Link| {
        let mut path = path(link);
        match link.framing {
            Framing::RawIp => path.from_host(NOW, &discover),
            _ => path.from_host(NOW, &ethernet(&discover)),
        }
        let start = if link.framing == Framing::RawIp { 28 } else { ETHERNET + 28 };
        path.to_host().map(|frame| frame[start + 16..start + 20].to_vec())
    };
    assert_eq!(given(&link()), Some(ME.octets().to_vec()));
    assert_eq!(given(&Link { forwarding: false, ..link() }), Some(ME.octets().to_vec()));
    let public = Link { lan: Lan::Public, framing: Framing::RawIp, ..link() };
    assert_eq!(given(&public), Some(CARRIER.octets().to_vec()));
    let faults = LinkFaults { no_lease: true, ..LinkFaults::default() };
    assert_eq!(given(&Link { faults, ..link() }), None);
}

#[test]
fn a_neighbour_is_another_host_of_the_same_network() {
    for last in 0..=255 {
        let address = Ipv4Addr::new(10, 158, 7, last);
        let (prefix, gateway) = neighbour(address);
        let hosts = u32::MAX >> prefix;
        let (a, b) = (address.to_bits(), gateway.to_bits());
        assert_eq!(a & !hosts, b & !hosts, "{address} {gateway}/{prefix}");
        for it in [a, b] {
            assert!(it & hosts != 0 && it & hosts != hosts, "{address} {gateway}/{prefix}");
        }
        assert_ne!(a, b);
    }
}

#[test]
fn a_call_has_the_carriers_address_and_no_nat() {
    let mut path = path(&Link { call: true, forwarding: false, ..link() });
    let ping = packet::udp((CARRIER, 5000), (FAR, 7), b"hi");
    path.from_call(NOW, &ping);
    // Nobody but the host of the call may send.
    path.from_call(NOW, &packet::udp((ME, 5000), (FAR, 7), b"hi"));
    assert_eq!(path.advance(NOW), [ping]);
    let reply = packet::udp((FAR, 7), (CARRIER, 5000), b"ho");
    path.from_far(NOW, reply.clone());
    path.advance(NOW);
    assert_eq!((path.to_call(), path.to_call()), (Some(reply), None));
    assert_eq!(path.to_host(), None);
}

#[test]
fn faults_of_the_line_are_a_calls_too() {
    let faults = LinkFaults { no_internet: true, ..LinkFaults::default() };
    let mut path = path(&Link { call: true, forwarding: false, faults, ..link() });
    path.from_call(NOW, &packet::udp((CARRIER, 5000), (FAR, 7), b"hi"));
    assert_eq!(path.advance(NOW), Vec::<Vec<u8>>::new());
}

#[test]
fn what_a_call_left_does_not_hold_up_the_network_function() {
    let called = Link { call: true, carrier: false, forwarding: false, ..link() };
    let mut path = path(&called);
    let down = || packet::udp((FAR, 7), (CARRIER, 7), b"down");
    while path.takes(NOW) {
        path.from_far(NOW, down());
        path.advance(NOW);
    }
    assert!(path.to_call().is_some());
    // pppd is killed while nobody reads the port any more.
    path.set_link(NOW, &link());
    assert_eq!(path.to_call(), None);
    assert!(path.takes(NOW));
    // The other way round: a link that is down takes no frames.
    while path.takes(NOW) {
        path.from_far(NOW, down());
        path.advance(NOW);
    }
    path.set_link(NOW, &called);
    assert!(path.takes(NOW));
    path.from_far(NOW, down());
    path.advance(NOW);
    assert!(path.to_call().is_some());
}
