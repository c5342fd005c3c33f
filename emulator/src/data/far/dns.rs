//! The far end's resolver (RFC 1035): one zone, one host, UDP and TCP.

use super::{HOST, Talk};
use crate::data::packet;

/// The only zone.
const ZONE: &str = "example.test";
/// Where Android, ChromeOS and `a7670e` ask whether they are online.
const CHECK: &str = "connectivitycheck.gstatic.com";
/// Seconds that an answer may be kept.
const TTL: u32 = 60;
/// Longest question by TCP that is taken, in bytes: one name and its header
/// have 271 (RFC 1035 section 2.3.4), options some more.
const LONGEST: usize = 1024;
/// TYPE A, CLASS IN.
const ADDRESS: (u16, u16) = (1, 1);

/// The answer to a DNS message with one question. Every name of the zone,
/// and that of the connectivity check, is [`HOST`] and has no data but its
/// address; with `portal`, so is every name.
pub fn resolve(message: &[u8], portal: bool) -> Option<Vec<u8>> {
    let flags = packet::word(message, 2)?;
    // A standard query with one question.
    if flags & 0xf800 != 0 || packet::word(message, 4)? != 1 {
        return None;
    }
    let (name, end) = name(message)?;
    let asked = (packet::word(message, end)?, packet::word(message, end + 2)?);
    let ours = portal || name == ZONE || name.ends_with(".example.test") || name == CHECK;
    let answers = u16::from(ours && asked == ADDRESS);
    let code = if ours { 0 } else { 3 };
    let mut reply = message[..2].to_vec();
    // A response, authoritative, recursion available, and as was desired.
    for word in [0x8480 | (flags & 0x0100) | code, 1, answers, 0, 0] {
        reply.extend(word.to_be_bytes());
    }
    reply.extend(message.get(12..end + 4)?);
    if answers == 1 {
        // The name as in the question, at offset 12; A; IN.
        reply.extend([0xc0, 12, 0, 1, 0, 1]);
        reply.extend(if portal { 0 } else { TTL }.to_be_bytes());
        reply.extend([0, 4]);
        reply.extend(HOST.octets());
    }
    Some(reply)
}

/// The question's name in lower case, and where it ends.
fn name(message: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        // A question's name is not compressed.
        let label = message.get(at..at + length).filter(|_| length < 64)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}

/// Questions by TCP, each behind its length (RFC 1035 section 4.2.2).
#[derive(Debug)]
pub struct Stream {
    portal: bool,
    question: Vec<u8>,
    answers: Vec<u8>,
    ended: bool,
}

impl Stream {
    /// A fresh connection.
    pub fn new(portal: bool) -> Self {
        Self { portal, question: Vec::new(), answers: Vec::new(), ended: false }
    }
}

impl Talk for Stream {
    fn take(&mut self, bytes: &[u8]) -> usize {
        if self.ended {
            return bytes.len();
        }
        // One question at a time; the next waits until its answer is away.
        if !self.answers.is_empty() {
            return 0;
        }
        let length = packet::word(&self.question, 0).map(usize::from);
        let wanted = length.map_or(2, |length| length + 2);
        let count = bytes.len().min(wanted - self.question.len());
        self.question.extend(&bytes[..count]);
        let whole = packet::word(&self.question, 0).map(|length| 2 + usize::from(length));
        if whole == Some(self.question.len()) {
            match self.question.get(2..).and_then(|question| resolve(question, self.portal)) {
                // As short as the question and one address more.
                Some(reply) => {
                    self.answers.extend((reply.len() as u16).to_be_bytes());
                    self.answers.extend(reply);
                }
                None => self.ended = true,
            }
            self.question.clear();
        } else if whole.is_some_and(|whole| whole > LONGEST) {
            self.ended = true;
        }
        count
    }

    fn give(&mut self, room: &mut [u8]) -> usize {
        let count = room.len().min(self.answers.len());
        room[..count].copy_from_slice(&self.answers[..count]);
        self.answers.drain(..count);
        count
    }

    fn end(&mut self) {
        self.ended = true;
    }

    fn has_ended(&self) -> bool {
        self.ended && self.answers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn question(name: &str, kind: u8) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(label.len() as u8);
            message.extend(label.bytes());
        }
        message.extend([0, 0, kind, 0, 1]);
        message
    }

    #[test]
    fn names_of_the_zone_resolve_and_others_do_not_exist() {
        let reply = resolve(&question("www.Example.test", 1), false).unwrap();
        assert_eq!(reply[..8], [0xab, 0xcd, 0x85, 0x80, 0, 1, 0, 1]);
        assert!(reply.ends_with(&HOST.octets()));
        let other = question("notexample.test", 1);
        let reply = resolve(&other, false).unwrap();
        assert_eq!(reply[..8], [0xab, 0xcd, 0x85, 0x83, 0, 1, 0, 0]);
        assert!(resolve(&other, true).unwrap().ends_with(&HOST.octets()), "a portal has them all");
    }

    #[test]
    fn the_zone_has_no_ipv6_but_its_names_exist() {
        let reply = resolve(&question("www.example.test", 28), false).unwrap();
        assert_eq!(reply[..8], [0xab, 0xcd, 0x85, 0x80, 0, 1, 0, 0]);
    }

    #[test]
    fn questions_by_tcp_come_in_any_pieces() {
        let one = question("example.test", 1);
        let framed = [&(one.len() as u16).to_be_bytes()[..], &one].concat();
        let answer = resolve(&one, false).unwrap();
        let expected = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
        for piece in 1..framed.len() + 3 {
            let mut stream = Stream::new(false);
            let mut got: Vec<u8> = Vec::new();
            for bytes in [framed.clone(), framed.clone()].concat().chunks(piece) {
                let mut rest = bytes;
                while !rest.is_empty() {
                    rest = &rest[stream.take(rest)..];
                    let mut room = [0; 100];
                    let count = stream.give(&mut room);
                    got.extend(&room[..count]);
                }
            }
            assert_eq!(got, [expected.clone(), expected.clone()].concat());
            assert!(!stream.has_ended());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = resolve(&bytes, false);
            let mut stream = Stream::new(true);
            let mut rest = &bytes[..];
            for _ in 0..200 {
                rest = &rest[stream.take(rest)..];
                stream.give(&mut [0; 7]);
            }
            prop_assert!(rest.is_empty());
        }
    }
}
