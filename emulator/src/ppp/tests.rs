//! A host's end that does what pppd does, in virtual time.

use proptest::prelude::*;

use super::*;

const ADDRESSES: Addresses = Addresses {
    host: Ipv4Addr::new(10, 158, 12, 34),
    peer: Ipv4Addr::new(10, 158, 12, 33),
    dns: Ipv4Addr::new(192, 0, 2, 53),
};
const NOW: Duration = Duration::ZERO;

fn call() -> Call {
    Call::new(NOW, ADDRESSES)
}

/// The frames that the call sends: protocol and packet.
fn heard(call: &mut Call) -> Vec<(u16, Vec<u8>)> {
    let mut deframer = Deframer::default();
    let mut all = Vec::new();
    for step in call.take() {
        let Step::Serial(bytes) = step else { continue };
        for frame in bytes.into_iter().filter_map(|byte| deframer.push(byte)) {
            let (protocol, packet) = hdlc::protocol(&frame).unwrap();
            all.push((protocol, packet.to_vec()));
        }
    }
    all
}

fn say(call: &mut Call, protocol: u16, packet: &[u8]) {
    let frame = [&protocol.to_be_bytes()[..], packet].concat();
    call.receive(NOW, &hdlc::encode(&frame, u32::MAX));
}

/// Agrees to the last Configure-Request of `protocol` among `heard`.
fn agree(call: &mut Call, protocol: u16, heard: &[(u16, Vec<u8>)]) {
    let mut requests = heard.iter().filter(|(of, packet)| *of == protocol && packet[0] == 1);
    let mut packet = requests.next_back().unwrap().1.clone();
    packet[0] = code::CONFIGURE_ACK;
    say(call, protocol, &packet);
}

/// The link phase as pppd goes through it: its request first.
fn establish(call: &mut Call) {
    let first = heard(call);
    say(call, protocol::LCP, &negotiation::packet(1, 1, &[2, 6, 0, 0, 0, 0, 7, 2, 8, 2]));
    let answer = heard(call);
    assert_eq!(answer[0].1[..2], [code::CONFIGURE_ACK, 1]);
    agree(call, protocol::LCP, &first);
}

fn online(call: &mut Call) {
    establish(call);
    say(call, protocol::PAP, &negotiation::packet(1, 9, b"\x04user\x04pass"));
    let told = heard(call);
    assert_eq!(told[0], (protocol::PAP, vec![2, 9, 0, 5, 0]));
    agree(call, protocol::IPCP, &told);
    // pppd asks for an address and name servers, all of them 0.0.0.0, and for
    // Van Jacobson's compression.
    let asks = |options: &[(u8, Ipv4Addr)]| -> Vec<u8> {
        options.iter().flat_map(|(k, a)| [&[*k, 6][..], &a.octets()].concat()).collect()
    };
    let none = Ipv4Addr::UNSPECIFIED;
    let wishes = asks(&[(3, none), (129, none), (131, none)]);
    let compressed = [&[2, 6, 0, 0x2d, 15, 1][..], &wishes].concat();
    say(call, protocol::IPCP, &negotiation::packet(1, 1, &compressed));
    let rejected = negotiation::packet(code::CONFIGURE_REJECT, 1, &[2, 6, 0, 0x2d, 15, 1]);
    assert_eq!(heard(call), [(protocol::IPCP, rejected)]);
    say(call, protocol::IPCP, &negotiation::packet(1, 2, &wishes));
    let right = asks(&[(3, ADDRESSES.host), (129, ADDRESSES.dns), (131, ADDRESSES.dns)]);
    let better = negotiation::packet(code::CONFIGURE_NAK, 2, &right);
    assert_eq!(heard(call), [(protocol::IPCP, better)]);
    say(call, protocol::IPCP, &negotiation::packet(1, 3, &right));
    assert!(call.is_open());
    heard(call);
}

#[test]
fn a_host_comes_online_and_packets_pass() {
    let mut call = call();
    online(&mut call);
    say(&mut call, protocol::IPV4, b"up");
    assert_eq!(call.take(), [Step::Packet(b"up".to_vec())]);
    call.send_packet(b"down");
    assert_eq!(heard(&mut call), [(protocol::IPV4, b"down".to_vec())]);
    assert_eq!(call.next_event(), None);
}

#[test]
fn a_host_that_will_not_say_who_it_is_comes_online_too() {
    let mut call = call();
    let first = heard(&mut call);
    let identifier = first[0].1[1];
    let rejected = [3, 4, 0xc0, 0x23];
    say(&mut call, protocol::LCP, &negotiation::packet(4, identifier, &rejected));
    let again = heard(&mut call);
    assert!(!again[0].1.windows(4).any(|part| part == rejected));
    agree(&mut call, protocol::LCP, &again);
    say(&mut call, protocol::LCP, &negotiation::packet(1, 1, &[]));
    // IPCP begins at once.
    assert!(heard(&mut call).iter().any(|(protocol, _)| *protocol == protocol::IPCP));
}

#[test]
fn no_packet_is_longer_than_the_host_takes() {
    let mut call = call();
    online(&mut call);
    // It begins anew with an MRU of 296, as `pppd mru 296` does.
    say(&mut call, protocol::LCP, &negotiation::packet(1, 1, &[1, 4, 1, 40]));
    let told = heard(&mut call);
    agree(&mut call, protocol::LCP, &told);
    say(&mut call, protocol::PAP, &negotiation::packet(1, 9, &[0, 0]));
    let told = heard(&mut call);
    agree(&mut call, protocol::IPCP, &told);
    say(&mut call, protocol::IPCP, &negotiation::packet(1, 3, &[]));
    assert!(call.is_open());
    heard(&mut call);
    call.send_packet(&[0x45; 297]);
    assert_eq!(heard(&mut call), []);
    call.send_packet(&[0x45; 296]);
    assert_eq!(heard(&mut call).len(), 1);
}

#[test]
fn what_a_later_request_leaves_out_is_as_at_the_beginning() {
    let mut call = call();
    let first = heard(&mut call);
    for options in [&[2, 6, 0, 0, 0, 0][..], &[]] {
        say(&mut call, protocol::LCP, &negotiation::packet(1, 1, options));
    }
    agree(&mut call, protocol::LCP, &first);
    say(&mut call, protocol::PAP, &negotiation::packet(1, 9, &[0, 0]));
    // The identifier 9 is a control character, and must be escaped.
    let steps = call.take();
    let line = steps.iter().map(|step| match step {
        Step::Serial(bytes) => bytes.clone(),
        _ => Vec::new(),
    });
    let line = line.collect::<Vec<_>>().concat();
    assert!(line.iter().all(|byte| *byte >= 0x20), "{line:x?}");
}

#[test]
fn echoes_are_answered_and_unknown_protocols_rejected() {
    let mut call = call();
    online(&mut call);
    say(&mut call, protocol::LCP, &negotiation::packet(9, 5, b"\x12\x34\x56\x78abc"));
    let reply = negotiation::packet(10, 5, b"\0\0\0\0abc");
    assert_eq!(heard(&mut call), [(protocol::LCP, reply)]);
    // IPV6CP.
    say(&mut call, 0x8057, &negotiation::packet(1, 1, &[]));
    let told = heard(&mut call);
    assert_eq!((told[0].0, told[0].1[0]), (protocol::LCP, code::PROTOCOL_REJECT));
    assert_eq!(told[0].1[4..6], [0x80, 0x57]);
}

#[test]
fn either_end_can_end_it() {
    let mut call = call();
    online(&mut call);
    say(&mut call, protocol::LCP, &negotiation::packet(5, 7, b"bye"));
    let steps = call.take();
    assert_eq!((steps.len(), steps.last()), (2, Some(&Step::End)));
    say(&mut call, protocol::IPV4, b"late");
    assert_eq!(call.take(), []);

    let mut call = self::call();
    online(&mut call);
    call.hang_up();
    assert_eq!(call.take().last(), Some(&Step::End));
}

#[test]
fn the_end_of_ipcp_is_not_that_of_the_link() {
    let mut call = call();
    online(&mut call);
    say(&mut call, protocol::IPCP, &negotiation::packet(5, 7, &[]));
    assert_eq!(heard(&mut call), [(protocol::IPCP, negotiation::packet(6, 7, &[]))]);
    call.send_packet(b"down");
    assert_eq!((heard(&mut call), call.next_event()), (Vec::new(), None));
    // The host begins it anew, and is asked again, too.
    say(&mut call, protocol::IPCP, &negotiation::packet(1, 8, &[]));
    let told = heard(&mut call);
    assert_eq!(told[0].1[..2], [code::CONFIGURE_ACK, 8]);
    agree(&mut call, protocol::IPCP, &told);
    assert!(call.is_open());
    assert_eq!(call.next_event(), None);
}

#[test]
fn a_host_that_says_nothing_is_given_up() {
    let mut call = call();
    let mut requests = heard(&mut call).len();
    let mut now = NOW;
    while let Some(next) = call.next_event() {
        now = next;
        call.advance(now);
        let steps = call.take();
        requests += steps.iter().filter(|step| matches!(step, Step::Serial(_))).count();
    }
    assert_eq!((requests, now), (10, RESTART * 10));
}

#[test]
fn a_host_that_does_not_say_who_it_is_is_given_up() {
    let mut call = call();
    establish(&mut call);
    call.advance(WHO - Duration::from_millis(1));
    assert_eq!((heard(&mut call), call.next_event()), (Vec::new(), Some(WHO)));
    call.advance(WHO);
    // It is told that the link ends, and may try again later.
    let mut deframer = Deframer::default();
    let steps = call.take();
    let [Step::Serial(bytes), Step::End] = &steps[..] else { panic!("{steps:?}") };
    let frame = bytes.iter().find_map(|byte| deframer.push(*byte)).unwrap();
    let (protocol, packet) = hdlc::protocol(&frame).unwrap();
    assert_eq!((protocol, packet[0]), (protocol::LCP, code::TERMINATE_REQUEST));
    assert_eq!(call.next_event(), None);

    // One that says so in time has as long for the rest as all have.
    let mut call = self::call();
    online(&mut call);
    call.advance(WHO * 2);
    assert!(call.is_open());
}

#[test]
fn a_host_that_begins_anew_comes_online_again() {
    let mut call = call();
    online(&mut call);
    say(&mut call, protocol::LCP, &negotiation::packet(1, 1, &[]));
    assert!(!call.is_open());
    let told = heard(&mut call);
    agree(&mut call, protocol::LCP, &told);
    say(&mut call, protocol::PAP, &negotiation::packet(1, 9, &[0, 0]));
    assert!(heard(&mut call).iter().any(|(protocol, _)| *protocol == protocol::IPCP));
}

proptest! {
    #[test]
    fn no_bytes_make_it_fall(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut call = call();
        online(&mut call);
        call.receive(NOW, &bytes);
        call.advance(RESTART * 3);
    }

    #[test]
    fn no_packet_makes_it_fall(
        packets in proptest::collection::vec(
            (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..10)
    ) {
        let mut call = call();
        for (which, data) in packets {
            let protocols =
                [protocol::LCP, protocol::IPCP, protocol::PAP, protocol::IPV4];
            let packet = negotiation::packet(which >> 2, which, &data);
            say(&mut call, protocols[usize::from(which) % 4], &packet);
        }
    }
}
