//! Octets as the AT interface writes them (TS 27.005 §3.1, `<pdu>`).

use std::fmt::Write as _;

/// Upper-case hexadecimal digits, two for each octet.
#[must_use]
pub fn to_hex(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len() * 2);
    for octet in octets {
        // Writing to a String cannot fail.
        _ = write!(out, "{octet:02X}");
    }
    out
}

/// The octets of hexadecimal digits in any case; `None` when it is something
/// else or half an octet is left.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if text.len() % 2 != 0 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.chunks_exact(2);
    pairs.map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect()
}
