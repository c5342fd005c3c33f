//! PPP in HDLC-like framing on an asynchronous line (RFC 1662).

/// Flag sequence, and the escape octet with what it turns over.
const FLAG: u8 = 0x7e;
const ESCAPE: u8 = 0x7d;
const TURN: u8 = 0x20;
/// Address and control field: all stations, unnumbered information.
const HEADER: [u8; 2] = [0xff, 0x03];
/// FCS over a frame with its FCS (appendix C.2).
const GOOD: u16 = 0xf0b8;
/// Longest frame that is taken: the longest information field, and what is
/// around it, twice for good measure.
const LONGEST: usize = 2 * 1508;

/// The 16-bit frame check sequence (appendix C), bit by bit.
fn fcs(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |fcs, byte| {
        (0..8).fold(
            fcs ^ u16::from(*byte),
            |fcs, _| {
                if fcs & 1 == 1 { fcs >> 1 ^ 0x8408 } else { fcs >> 1 }
            },
        )
    })
}

/// A frame for the line: protocol and information field `frame`, with those
/// control characters escaped that the bits of `map` name.
pub fn encode(frame: &[u8], map: u32) -> Vec<u8> {
    let mut whole = [&HEADER[..], frame].concat();
    whole.extend((!fcs(&whole)).to_le_bytes());
    let mut line = vec![FLAG];
    for byte in whole {
        let control = byte < 0x20 && map >> byte & 1 == 1;
        if control || byte == FLAG || byte == ESCAPE {
            line.extend([ESCAPE, byte ^ TURN]);
        } else {
            line.push(byte);
        }
    }
    line.push(FLAG);
    line
}

/// Finds frames in bytes.
#[derive(Debug, Default)]
pub struct Deframer {
    frame: Vec<u8>,
    escaped: bool,
    /// The frame is no good, for it is too long.
    spoilt: bool,
}

impl Deframer {
    /// Takes a byte; gives what is between the flags once it is whole and its
    /// check sequence is right, without that.
    pub fn push(&mut self, byte: u8) -> Option<Vec<u8>> {
        if byte == FLAG {
            // An escape just before the flag aborts the frame (section 4.3).
            let whole = !std::mem::take(&mut self.escaped) & !std::mem::take(&mut self.spoilt);
            let mut frame = std::mem::take(&mut self.frame);
            if !whole || frame.len() < 4 || fcs(&frame) != GOOD {
                return None;
            }
            frame.truncate(frame.len() - 2);
            return Some(frame);
        }
        if byte == ESCAPE {
            self.escaped = true;
        } else if self.frame.len() < LONGEST {
            let turn = if std::mem::take(&mut self.escaped) { TURN } else { 0 };
            self.frame.push(byte ^ turn);
        } else {
            self.spoilt = true;
        }
        None
    }
}

/// Protocol and information field of a frame; its address and control field
/// may be left out, and its protocol field be of one byte (sections 3.1, 3.2;
/// RFC 1661 section 6.5).
pub fn protocol(frame: &[u8]) -> Option<(u16, &[u8])> {
    let rest = frame.strip_prefix(&HEADER).unwrap_or(frame);
    let (first, rest) = rest.split_first()?;
    if first & 1 == 1 {
        return Some((u16::from(*first), rest));
    }
    let (second, rest) = rest.split_first()?;
    Some((u16::from_be_bytes([*first, *second]), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut deframer = Deframer::default();
        bytes.iter().filter_map(|byte| deframer.push(*byte)).collect()
    }

    #[test]
    fn a_frame_of_pppd_is_read() {
        // pppd 2.5's first Configure-Request on a line where all is escaped:
        // identifier 1, asyncmap 0, magic 0x12345678, pcomp, accomp.
        let body = [
            0xff, 0x03, 0xc0, 0x21, 1, 1, 0, 20, 2, 6, 0, 0, 0, 0, 5, 6, 0x12, 0x34, 0x56, 0x78, 7,
            2, 8, 2,
        ];
        let line = encode(&body[2..], u32::MAX);
        assert!(line[1..line.len() - 1].iter().all(|byte| *byte >= 0x20));
        assert_eq!(frames(&line), [body.to_vec()]);
        assert_eq!(protocol(&body).unwrap().0, 0xc021);
    }

    #[test]
    fn the_check_value_of_the_catalogue_holds() {
        // CRC-16/IBM-SDLC over "123456789" is 906e.
        assert_eq!(!fcs(b"123456789"), 0x906e);
    }

    #[test]
    fn compressed_fields_are_understood() {
        assert_eq!(protocol(&[0x21, 0x45]), Some((0x21, &[0x45][..])));
        assert_eq!(protocol(&[0xff, 0x03, 0x00, 0x21, 0x45]), Some((0x21, &[0x45][..])));
        assert_eq!(protocol(&[0xff, 0x03]), None);
    }

    #[test]
    fn an_endless_frame_is_dropped_and_the_next_taken() {
        let mut line = vec![0x55; 10_000];
        line.push(FLAG);
        line.extend(encode(&[0, 0x21, 1], 0));
        assert_eq!(frames(&line).len(), 1);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_found_again(
            frame in proptest::collection::vec(any::<u8>(), 1..1500), map: u32
        ) {
            let whole = [&HEADER[..], &frame].concat();
            prop_assert_eq!(frames(&encode(&frame, map)), [whole]);
        }

        #[test]
        fn a_turned_bit_is_noticed(
            frame in proptest::collection::vec(any::<u8>(), 1..200), at: usize, bit in 0..8_u8
        ) {
            let mut line = encode(&frame, 0);
            let at = 1 + at % (line.len() - 2);
            line[at] ^= 1 << bit;
            let whole = [&HEADER[..], &frame].concat();
            prop_assert!(!frames(&line).contains(&whole));
        }
    }
}
