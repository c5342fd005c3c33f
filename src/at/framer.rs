//! From bytes to lines.
//!
//! The modem frames what it says as `<CR><LF>text<CR><LF>` (V.250 §5.7.1) and
//! an echo as `text<CR>`. USB cuts that anywhere, also between CR and LF. So
//! each of the two ends a line and empty lines do not count: byte by byte, no
//! cut can make a difference.

/// Longest line kept, in bytes. The longest the device is known to say are an
/// SMS PDU (352 digits) and a SIM record (510 digits, TS 27.007 §8.18).
pub const MAX_LINE: usize = 4096;

/// What the bytes amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line that is not empty, without its end. Bytes that are not UTF-8
    /// are replaced by U+FFFD.
    Text(String),
    /// `> ` at the start of a line: the modem waits for text (TS 27.005 §3.5.1).
    Prompt,
    /// A line over [`MAX_LINE`], dropped: line noise.
    TooLong {
        /// How many bytes it had.
        bytes: usize,
    },
}

/// Collects bytes until they are a line.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    dropped: usize,
}

impl Framer {
    /// Takes one byte in; tells whether it completed something.
    pub fn push(&mut self, byte: u8) -> Option<Line> {
        match byte {
            b'\r' | b'\n' => self.end(),
            // A UART that wakes up or a port that is opened yields these.
            0 => None,
            b' ' if self.dropped == 0 && self.buffer == b">" => {
                self.buffer.clear();
                Some(Line::Prompt)
            }
            _ if self.buffer.len() < MAX_LINE => {
                self.buffer.push(byte);
                None
            }
            _ => {
                self.dropped = self.dropped.saturating_add(1);
                None
            }
        }
    }

    /// Forgets a line begun.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.dropped = 0;
    }

    fn end(&mut self) -> Option<Line> {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            let bytes = self.buffer.len().saturating_add(dropped);
            self.buffer.clear();
            return Some(Line::TooLong { bytes });
        }
        let text = String::from_utf8_lossy(&self.buffer).trim_end().to_owned();
        self.buffer.clear();
        (!text.is_empty()).then_some(Line::Text(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Line> {
        let mut framer = Framer::default();
        bytes.iter().filter_map(|byte| framer.push(*byte)).collect()
    }

    fn text(text: &str) -> Line {
        Line::Text(text.into())
    }

    #[test]
    fn echo_reply_and_result() {
        assert_eq!(
            lines(b"AT+CSQ\r\r\n+CSQ: 20,99\r\n\r\nOK\r\n"),
            [text("AT+CSQ"), text("+CSQ: 20,99"), text("OK")]
        );
    }

    #[test]
    fn a_prompt_has_no_end_of_line() {
        assert_eq!(
            lines(b"AT+CMGS=20\r\r\n> \r\n+CMGS: 4\r\n\r\nOK\r\n"),
            [text("AT+CMGS=20"), Line::Prompt, text("+CMGS: 4"), text("OK")]
        );
        assert_eq!(lines(b"a > b\r\n"), [text("a > b")]);
    }

    #[test]
    fn noise_is_dropped_up_to_the_next_line() {
        let mut bytes = vec![b'x'; MAX_LINE + 7];
        bytes.extend(b"\r\nOK\r\n");
        assert_eq!(lines(&bytes), [Line::TooLong { bytes: MAX_LINE + 7 }, text("OK")]);
        assert_eq!(lines(b"\0\0\r\nOK\xff\r\n"), [text("OK\u{fffd}")]);
    }

    proptest! {
        #[test]
        fn any_bytes_make_bounded_lines(bytes: Vec<u8>) {
            for line in lines(&bytes) {
                if let Line::Text(text) = line {
                    prop_assert!(!text.is_empty() && !text.contains(['\r', '\n']));
                }
            }
        }
    }
}
