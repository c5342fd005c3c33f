//! The DHCP client: no server makes it panic, spin, or hold an address that no
//! host can have.
#![no_main]

use std::time::Duration;

use a7670e::net::dhcp::client::{Action, Client};
use a7670e::net::dhcp::message::Reply;
use libfuzzer_sys::fuzz_target;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

// Where a message has its transaction number, the client's Ethernet address
// and the end of the fixed part (RFC 2131 section 2).
const XID: usize = 4;
const CHADDR: usize = 28;
const FIXED: usize = 240;

/// Makes an answer to `query` of `piece`: the offered address, then options.
fn answer(query: &[u8], piece: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; FIXED];
    bytes[0] = 2;
    bytes[XID..XID + 4].copy_from_slice(&query[XID..XID + 4]);
    let address = piece.len().min(4);
    bytes[16..16 + address].copy_from_slice(&piece[..address]);
    bytes[CHADDR..CHADDR + 6].copy_from_slice(&MAC);
    bytes[FIXED - 4..].copy_from_slice(&query[FIXED - 4..FIXED]);
    bytes.extend(&piece[address..]);
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    _ = Reply::decode(bytes);
    let mut client = Client::new(MAC, 1);
    let mut now = Duration::ZERO;
    client.start(now, None);
    // Each piece answers the latest query; an empty one lets the clock go to
    // what the client waits for.
    for piece in bytes.split(|byte| *byte == b'\n') {
        let mut query = None;
        for action in client.take() {
            match action {
                Action::Broadcast { bytes, .. } | Action::Unicast { bytes, .. } => {
                    query = Some(bytes);
                }
                Action::Bound(lease) => {
                    let address = lease.address;
                    assert!(!address.is_unspecified() && !address.is_loopback());
                    assert!(!address.is_multicast() && !address.is_broadcast());
                }
                Action::Lost => {}
            }
        }
        match query {
            Some(query) if !piece.is_empty() => client.receive(now, &answer(&query, piece)),
            _ => {
                let Some(next) = client.next_event() else { continue };
                now = next.max(now);
                client.advance(now);
                assert!(client.next_event().is_none_or(|next| next > now), "it spins");
            }
        }
    }
});
