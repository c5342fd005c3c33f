//! PDUs (TS 23.040 section 9.2): SUBMIT is read, DELIVER and STATUS-REPORT are
//! made, and all of them can be shown.

use super::alphabet;

/// A SUBMIT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submit {
    pub to: String,
    pub text: String,
    pub part: Option<(u16, u8, u8)>,
    pub report: bool,
}

/// Reads bytes one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() % 2 != 0 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Length in digits, type, digits with swapped nibbles.
pub(crate) fn address(number: &str) -> Vec<u8> {
    let (kind, digits) = match number.strip_prefix('+') {
        Some(digits) => (0x91, digits),
        None => (0x81, number),
    };
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        // A name: packed letters, the length in semi-octets.
        let letters = alphabet::septets(number).unwrap_or_default();
        let letters = &letters[..letters.len().min(11)];
        let mut out = vec![(letters.len() * 7).div_ceil(4) as u8, 0xd0];
        out.extend(alphabet::pack(letters, 0));
        return out;
    }
    let digits: Vec<u8> = digits.bytes().take(20).map(|it| it - b'0').collect();
    let mut out = vec![digits.len() as u8, kind];
    out.extend(digits.chunks(2).map(|pair| pair.get(1).unwrap_or(&0xf) << 4 | pair[0]));
    out
}

fn read_address(reader: &mut Reader<'_>) -> Option<String> {
    let length = usize::from(reader.byte()?);
    let kind = reader.byte()?;
    let bytes = reader.bytes(length.div_ceil(2))?;
    if kind & 0x70 == 0x50 {
        return Some(alphabet::text(&alphabet::unpack(bytes, 0, length * 4 / 7)));
    }
    let digits = bytes.iter().flat_map(|byte| [byte & 0xf, byte >> 4]).take(length);
    let digits: String = digits.map(|it| char::from_digit(it.into(), 16).unwrap_or('?')).collect();
    Some(if kind & 0x70 == 0x10 { format!("+{digits}") } else { digits })
}

/// What text mode shows of a received message: sender, time stamp, text.
pub(crate) fn read_deliver(tpdu: &[u8]) -> Option<(String, [u8; 7], String)> {
    let mut reader = Reader(tpdu);
    let first = reader.byte()?;
    let from = read_address(&mut reader)?;
    reader.byte()?;
    let coding = reader.byte()?;
    let stamp = reader.bytes(7)?.try_into().ok()?;
    let (text, _) = read_text(&mut reader, first, coding)?;
    Some((from, stamp, text))
}

type Text = (String, Option<(u16, u8, u8)>);

fn read_text(reader: &mut Reader<'_>, first: u8, coding: u8) -> Option<Text> {
    let length = usize::from(reader.byte()?);
    let data = reader.0;
    let header = if first & 0x40 != 0 { 1 + usize::from(*data.first()?) } else { 0 };
    let part = match data.get(1..header) {
        Some([0x00, 0x03, reference, total, number]) => {
            Some((u16::from(*reference), *total, *number))
        }
        Some([0x08, 0x04, high, low, total, number]) => {
            Some((u16::from_be_bytes([*high, *low]), *total, *number))
        }
        _ => None,
    };
    let text = match coding & 0x0c {
        0x08 => {
            let units = data.get(header..length)?.chunks(2);
            let units = units.map(|pair| u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            String::from_utf16_lossy(&units.collect::<Vec<_>>())
        }
        0x04 => hex(data.get(header..length)?),
        _ if data.len() < (length * 7).div_ceil(8) => return None,
        _ => alphabet::text(&alphabet::unpack(data, (header * 8).div_ceil(7), length)),
    };
    Some((text, part))
}

/// Reads a SUBMIT; `None` when it is none or broken.
pub(crate) fn read_submit(tpdu: &[u8]) -> Option<Submit> {
    let mut reader = Reader(tpdu);
    let first = reader.byte()?;
    if first & 0x03 != 1 {
        return None;
    }
    reader.byte()?;
    let to = read_address(&mut reader)?;
    reader.byte()?;
    let coding = reader.byte()?;
    let validity = match first & 0x18 {
        0x00 => 0,
        0x10 => 1,
        _ => 7,
    };
    reader.bytes(validity)?;
    let (text, part) = read_text(&mut reader, first, coding)?;
    Some(Submit { to, text, part, report: first & 0x20 != 0 })
}

/// The DELIVERs that carry a text: one, or parts with a header.
pub(crate) fn deliver(from: &str, text: &str, stamp: [u8; 7], reference: u8) -> Vec<Vec<u8>> {
    let (coding, one, parts) = match alphabet::septets(text) {
        Some(septets) => (0, septets.len() <= 160, cut(&septets, 153, |last| last == 0x1b)),
        None => {
            let units: Vec<u16> = text.encode_utf16().collect();
            let parts = cut(&units, 67, |last| (0xd800..0xdc00).contains(&last));
            let bytes = |part: Vec<u16>| part.into_iter().flat_map(u16::to_be_bytes).collect();
            (8, units.len() <= 70, parts.into_iter().map(bytes).collect())
        }
    };
    let parts = if one { vec![parts.concat()] } else { parts };
    let total = u8::try_from(parts.len()).unwrap_or(u8::MAX);
    let parts = (1..=total).zip(&parts).map(|(number, data)| {
        let header = [5, 0, 3, reference, total, number];
        let header: &[u8] = if one { &[] } else { &header };
        let mut out = vec![if one { 0x04 } else { 0x44 }];
        out.extend(address(from));
        out.extend([0, coding]);
        out.extend(stamp);
        if coding == 0 {
            let skip = (header.len() * 8).div_ceil(7);
            let mut packed = alphabet::pack(data, skip);
            packed[..header.len()].copy_from_slice(header);
            out.push((skip + data.len()) as u8);
            out.extend(packed);
        } else {
            out.push((header.len() + data.len()) as u8);
            out.extend(header);
            out.extend(data);
        }
        out
    });
    parts.collect()
}

/// Pieces of at most `size`, none of which ends in what `joins` the next.
fn cut<T: Copy>(all: &[T], size: usize, joins: impl Fn(T) -> bool) -> Vec<Vec<T>> {
    let mut pieces = Vec::new();
    let mut rest = all;
    while rest.len() > size {
        let at = if joins(rest[size - 1]) { size - 1 } else { size };
        pieces.push(rest[..at].to_vec());
        rest = &rest[at..];
    }
    pieces.push(rest.to_vec());
    pieces
}

/// A STATUS-REPORT: received by the recipient (status 0).
pub(crate) fn status_report(reference: u8, to: &str, stamp: [u8; 7]) -> Vec<u8> {
    let mut out = vec![0x06, reference];
    out.extend(address(to));
    out.extend(stamp);
    out.extend(stamp);
    out.push(0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_well_known_submit_is_read() {
        // To +46708251358, "hellohello", validity 4 days (the example that
        // every description of the PDU mode has).
        let tpdu = unhex("11000B916407281553F80000AA0AE8329BFD4697D9EC37").unwrap();
        let submit = read_submit(&tpdu).unwrap();
        assert_eq!((submit.to.as_str(), submit.text.as_str()), ("+46708251358", "hellohello"));
        assert_eq!((submit.part, submit.report), (None, false));
    }

    proptest! {
        #[test]
        fn what_is_delivered_can_be_read(text in "[a-zA-Z0-9 €{}äß]{0,400}|[a-zж😀]{0,200}") {
            let parts = deliver("+254700000001", &text, [0; 7], 7);
            let read: Option<String> =
                parts.iter().map(|part| Some(read_deliver(part)?.2)).collect();
            prop_assert_eq!(read, Some(text));
            prop_assert!(parts.iter().all(|part| part.len() <= 160));
        }

        #[test]
        fn no_submit_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..180)) {
            read_submit(&bytes);
            read_deliver(&bytes);
        }
    }
}
