//! Seven bits at a time in octets (TS 23.038 §6.1.2.1.1).

/// Packs septets, the first in the lowest bits, after `skip` septets of zeros:
/// room for a header, whose fill bits are among these zeros.
pub(super) fn pack(septets: &[u8], skip: usize) -> Vec<u8> {
    let mut out = vec![0; ((skip + septets.len()) * 7).div_ceil(8)];
    for (at, septet) in (skip..).zip(septets) {
        let bits = u16::from(septet & 0x7f) << (at * 7 % 8);
        let octet = at * 7 / 8;
        out[octet] |= bits as u8;
        if bits > 0xff {
            out[octet + 1] |= (bits >> 8) as u8;
        }
    }
    out
}

/// The text of packed septets that fill their octets as USSD has them: seven bits
/// that are left over are a carriage return (TS 23.038 §6.1.2.3.1).
#[must_use]
pub fn from_packed(octets: &[u8]) -> String {
    let count = octets.len() * 8 / 7;
    let mut text = super::from_septets(&unpack(octets, 0, count));
    if count % 8 == 0 && text.ends_with('\r') {
        text.pop();
    }
    text
}

/// Takes septets out, from number `skip` to before number `end`. Octets that
/// are not there count as zero.
pub(super) fn unpack(octets: &[u8], skip: usize, end: usize) -> Vec<u8> {
    let octet = |at: usize| u16::from(octets.get(at).copied().unwrap_or(0));
    let septet = |at: usize| {
        let (first, shift) = (at * 7 / 8, at * 7 % 8);
        ((octet(first) | octet(first + 1) << 8) >> shift) as u8 & 0x7f
    };
    (skip..end).map(septet).collect()
}
