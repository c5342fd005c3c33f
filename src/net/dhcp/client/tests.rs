//! The client in virtual time against servers that answer, refuse or are gone.

use super::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 100);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The answer of a server to `query`: a kind, an address and a time in seconds.
fn answer(query: &[u8], kind: u8, address: Ipv4Addr, seconds: u32) -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[0] = 2;
    bytes[4..8].copy_from_slice(&query[4..8]);
    bytes[16..20].copy_from_slice(&address.octets());
    bytes[28..34].copy_from_slice(&query[28..34]);
    bytes[236..].copy_from_slice(&query[236..240]);
    bytes.extend([53, 1, kind, 1, 4, 255, 255, 255, 0, 3, 4, 192, 168, 0, 1, 51, 4]);
    bytes.extend(seconds.to_be_bytes());
    bytes.extend([54, 4, 192, 168, 0, 1, 255]);
    bytes
}

/// The one query among what is to be done.
fn query(client: &mut Client) -> Vec<u8> {
    let mut queries = client.take().into_iter().filter_map(|action| match action {
        Action::Broadcast { bytes, .. } | Action::Unicast { bytes, .. } => Some(bytes),
        _ => None,
    });
    let bytes = queries.next().expect("it asks nothing");
    assert_eq!(queries.next(), None);
    bytes
}

fn kind(query: &[u8]) -> u8 {
    query[242]
}

fn bound(seconds: u32) -> Client {
    let mut client = Client::new(MAC, 1);
    client.start(ms(0), None);
    let discover = query(&mut client);
    assert_eq!(kind(&discover), 1);
    client.receive(ms(10), &answer(&discover, 2, HOST, seconds));
    let request = query(&mut client);
    assert_eq!(kind(&request), 3);
    client.receive(ms(20), &answer(&request, 5, HOST, seconds));
    match &client.take()[..] {
        [Action::Bound(lease)] => {
            assert_eq!((lease.address, lease.prefix, lease.server), (HOST, 24, SERVER));
        }
        other => panic!("{other:?}"),
    }
    client
}

#[test]
fn four_messages_make_a_lease() {
    let client = bound(3600);
    assert_eq!(client.phase(), Phase::Bound);
    assert_eq!(client.next_event(), Some(ms(20) + Duration::from_secs(1800)));
}

#[test]
fn a_silent_server_is_asked_soon_and_then_seldom() {
    let mut client = Client::new(MAC, 1);
    client.start(ms(0), None);
    let mut times = Vec::new();
    for _ in 0..8 {
        query(&mut client);
        let next = client.next_event().unwrap();
        times.push(next.as_millis());
        client.advance(next - ms(1));
        assert_eq!(client.take(), []);
        client.advance(next);
    }
    assert_eq!(times, [250, 750, 1750, 3750, 7750, 15750, 23750, 31750]);
}

#[test]
fn a_remembered_lease_takes_one_round_trip_or_gives_way() {
    let mut client = Client::new(MAC, 1);
    client.start(ms(0), Some(HOST));
    let request = query(&mut client);
    assert_eq!((kind(&request), &request[243..249]), (3, &[50, 4, 192, 168, 0, 100][..]));
    client.receive(ms(5), &answer(&request, 5, HOST, 60));
    assert!(matches!(&client.take()[..], [Action::Bound(lease)] if lease.address == HOST));

    // Refused, and in silence.
    client.start(ms(100), Some(HOST));
    assert_eq!(client.take()[0], Action::Lost);
    client.start(ms(100), Some(HOST));
    let request = query(&mut client);
    client.receive(ms(105), &answer(&request, 6, Ipv4Addr::UNSPECIFIED, 0));
    assert_eq!(kind(&query(&mut client)), 1);
    client.start(ms(200), Some(HOST));
    for _ in 0..TRIES {
        assert_eq!(kind(&query(&mut client)), 3);
        client.advance(client.next_event().unwrap());
    }
    assert_eq!(kind(&query(&mut client)), 1);
}

#[test]
fn a_lease_is_renewed_rebound_and_at_last_lost() {
    let mut client = bound(800);
    client.advance(client.next_event().unwrap());
    let actions = client.take();
    assert!(
        matches!(&actions[..], [Action::Unicast { from: HOST, to: SERVER, .. }]),
        "{actions:?}"
    );
    assert_eq!(client.phase(), Phase::Renewing);

    // A renewed lease counts from then.
    let mut renewed = bound(800);
    let half = renewed.next_event().unwrap();
    renewed.advance(half);
    let request = query(&mut renewed);
    assert_eq!(request[12..16], HOST.octets());
    renewed.receive(half, &answer(&request, 5, HOST, 800));
    assert_eq!(renewed.next_event(), Some(half + Duration::from_secs(400)));

    // The silent server's: the phases come when they are due, whatever the
    // pauses between queries, and the queries are few.
    let mut phases = vec![client.phase()];
    let (mut queries, mut lost) = (1, None);
    while lost.is_none() {
        let next = client.next_event().unwrap();
        client.advance(next);
        for action in client.take() {
            match action {
                Action::Lost => lost = Some(next),
                _ => queries += 1,
            }
        }
        if phases.last() != Some(&client.phase()) {
            phases.push(client.phase());
        }
    }
    assert_eq!(phases, [Phase::Renewing, Phase::Rebinding, Phase::Selecting]);
    assert_eq!(lost, Some(ms(20) + Duration::from_secs(800)));
    assert!(queries < 20, "{queries}");
}

#[test]
fn a_refusal_to_renew_takes_the_address_away() {
    let mut client = bound(800);
    client.advance(client.next_event().unwrap());
    let request = query(&mut client);
    let now = ms(500_000);
    client.receive(now, &answer(&request, 6, Ipv4Addr::UNSPECIFIED, 0));
    assert_eq!(client.take()[0], Action::Lost);
    assert_eq!(client.phase(), Phase::Selecting);
}

#[test]
fn answers_for_others_and_late_ones_are_ignored() {
    let mut client = Client::new(MAC, 1);
    client.start(ms(0), None);
    let discover = query(&mut client);
    let mut other = answer(&discover, 2, HOST, 60);
    other[33] = 9;
    client.receive(ms(1), &other);
    let mut old = answer(&discover, 2, HOST, 60);
    old[4] ^= 1;
    client.receive(ms(1), &old);
    client.receive(ms(1), &answer(&discover, 5, HOST, 60));
    client.receive(ms(1), &answer(&discover, 2, Ipv4Addr::UNSPECIFIED, 60));
    client.receive(ms(1), &[7; 300]);
    assert_eq!((client.phase(), client.take()), (Phase::Selecting, Vec::new()));
}

#[test]
fn a_lease_for_ever_and_one_of_no_time() {
    assert_eq!(bound(u32::MAX).next_event(), None);
    let client = bound(0);
    assert_eq!(client.lease().unwrap().seconds, SHORTEST_LEASE_S);
}
