//! Puts received parts together. Pure.
//!
//! A message and the parts of it that are there are one value, which is kept on
//! the disk as it is: so half a message survives a restart. Parts may come in
//! any order and more than once. A text whose parts do not all come is handed
//! on with gaps after a time; a part that comes later still finds its place.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::pdu::{Address, Body, Coding, Concat, Deliver, Stamp, to_hex};
use super::spool::CLOCK_SET;

/// What stands where a part is missing.
const GAP: &str = "[...]";

/// So much longer than it is waited for a part may come late and still find its
/// place: as long as centres commonly keep a message for somebody who is away.
/// After that the same reference, of which there may be as few as 256, is taken
/// for another text.
const LATE: u64 = 7 * 86_400;

/// What names a text among those of its sender (TS 23.040 §9.2.3.24.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The sender's reference.
    pub reference: u16,
    /// Whether it has 16 bits.
    pub wide: bool,
    /// How many parts there are.
    pub total: u8,
}

/// How much of a text is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completeness {
    /// Parts are missing and may still come.
    Partial,
    /// All of it.
    Whole,
    /// Parts are missing, and were waited for long enough.
    Incomplete,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The message as it came, in hexadecimal, without the service centre.
    pub pdu: String,
    /// Its text.
    pub body: Body,
}

/// A message that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// Our number for it.
    pub id: u64,
    /// From whom.
    pub from: Address,
    /// When we kept its first part, seconds of the Unix epoch.
    pub kept: u64,
    /// When the service centre got the part that came first.
    pub stamp: Stamp,
    /// Alphabet and class.
    pub coding: Coding,
    /// `None` for a text in one message.
    pub key: Option<Key>,
    /// By number, from 1.
    pub parts: BTreeMap<u8, Part>,
    /// How much of it is there.
    pub state: Completeness,
    /// From someone who is not listened to: kept, and not told of.
    pub blocked: bool,
    /// What is still to be done with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    /// How often the program was begun for it without having ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub begun: u8,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// What is to be done with a message besides telling of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Due {
    /// The owner's program is to be run.
    Program,
    /// It may be a command to this device.
    Command,
}

impl Incoming {
    /// The text, with gaps where parts are missing; `None` when it is no text.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let total = self.key.map_or(1, |key| key.total);
        let present: Vec<&Body> = self.parts.values().map(|part| &part.body).collect();
        if present.len() == usize::from(total) {
            return Body::join(&present).text();
        }
        let part = |number: u8| match self.parts.get(&number) {
            Some(part) => part.body.text(),
            None => Some(GAP.to_owned()),
        };
        (1..=total).map(part).collect()
    }

    /// How many parts it has, and how many are there.
    #[must_use]
    pub fn count(&self) -> (u8, u8) {
        let total = self.key.map_or(1, |key| key.total);
        // There are no more than 255.
        (self.parts.len() as u8, total)
    }
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It began this message.
    New(u64),
    /// It went into this one.
    Joined(u64),
    /// It is there already.
    Duplicate(u64),
}

/// All messages that came and are kept.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    messages: BTreeMap<u64, Incoming>,
}

impl Assembly {
    /// With what was kept.
    #[must_use]
    pub fn new(kept: impl IntoIterator<Item = Incoming>) -> Assembly {
        Assembly { messages: kept.into_iter().map(|message| (message.id, message)).collect() }
    }

    /// The messages, the oldest first.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Incoming> {
        self.messages.values()
    }

    /// One message.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Incoming> {
        self.messages.get(&id)
    }

    /// Forgets a message.
    pub fn remove(&mut self, id: u64) -> Option<Incoming> {
        self.messages.remove(&id)
    }

    /// Puts a part where it belongs; `id` names a message that it begins.
    /// `octets` are what `deliver` was read from, `patience` is as of
    /// [`Assembly::expire`].
    pub fn take(
        &mut self,
        wall: u64,
        patience: u64,
        id: u64,
        deliver: Deliver,
        octets: &[u8],
    ) -> Taken {
        let pdu = named(octets);
        let same = |one: &&Incoming| one.parts.values().any(|part| part.pdu == pdu);
        if let Some(known) = self.messages.values().find(same) {
            return Taken::Duplicate(known.id);
        }
        let concat = deliver.data.header.as_ref().and_then(|header| header.concat());
        let concat = concat.filter(|concat| concat.total > 1);
        let key =
            concat.map(|Concat { reference, wide, total, .. }| Key { reference, wide, total });
        let number = concat.map_or(1, |concat| concat.number);
        let part = Part { pdu, body: deliver.data.body };
        // The last one: an older one with the same reference stays incomplete.
        let open = self.messages.values_mut().rev().find(|one| {
            key.is_some()
                && one.key == key
                && one.from == deliver.from
                && one.state != Completeness::Whole
                && wall.saturating_sub(one.kept) <= patience.saturating_add(LATE)
                && !one.parts.contains_key(&number)
        });
        if let Some(open) = open {
            open.parts.insert(number, part);
            if open.count().0 == open.count().1 {
                open.state = Completeness::Whole;
            }
            return Taken::Joined(open.id);
        }
        let whole = key.is_none();
        let message = Incoming {
            id,
            from: deliver.from,
            kept: wall,
            stamp: deliver.stamp,
            coding: deliver.coding,
            key,
            parts: BTreeMap::from([(number, part)]),
            state: if whole { Completeness::Whole } else { Completeness::Partial },
            blocked: false,
            due: None,
            begun: 0,
        };
        self.messages.insert(id, message);
        Taken::New(id)
    }

    /// Changes a message.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut Incoming> {
        self.messages.get_mut(&id)
    }

    /// Gives up waiting for what has been missing for `patience` seconds; the
    /// messages that are incomplete from now on.
    pub fn expire(&mut self, wall: u64, patience: u64) -> Vec<u64> {
        // What came before the clock was set is as old as the clock.
        let before = |one: &&mut Incoming| {
            one.state == Completeness::Partial && one.kept < CLOCK_SET && wall >= CLOCK_SET
        };
        for one in self.messages.values_mut().filter(before) {
            one.kept = wall;
        }
        let late = |one: &&mut Incoming| {
            one.state == Completeness::Partial && wall.saturating_sub(one.kept) >= patience
        };
        let late = self.messages.values_mut().filter(late);
        late.map(|one| {
            one.state = Completeness::Incomplete;
            one.id
        })
        .collect()
    }

    /// When [`Assembly::expire`] has something to do, seconds of the epoch.
    #[must_use]
    pub fn next_expiry(&self, patience: u64) -> Option<u64> {
        let partial = self.messages.values().filter(|one| one.state == Completeness::Partial);
        partial.map(|one| one.kept.saturating_add(patience)).min()
    }
}

/// What tells a message from all others. A centre that sends one again may by
/// then have more to send, so that bit (TS 23.040 §9.2.3.2) does not count.
fn named(octets: &[u8]) -> String {
    let mut octets = octets.to_vec();
    if let Some(first) = octets.first_mut() {
        *first &= !0x04;
    }
    to_hex(&octets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pdu::split;
    use super::*;

    fn delivers(text: &str, reference: u16, second: u8) -> Vec<(Deliver, Vec<u8>)> {
        let message = split(text, None, reference, false).unwrap();
        let deliver = |data| {
            let from = Address::number("+254700000001").unwrap();
            let stamp = Stamp([0x62, 0x11, 0x12, 0x02, 0x50, second, 0x21]);
            let coding = message.coding;
            let deliver = Deliver {
                more: false,
                report: false,
                reply_path: false,
                from,
                protocol: 0,
                coding,
                stamp,
                data,
            };
            let octets = deliver.encode().unwrap();
            (deliver, octets)
        };
        message.parts.into_iter().map(deliver).collect()
    }

    fn saved(assembly: &Assembly) -> Assembly {
        let text = serde_json::to_string(&assembly.messages().collect::<Vec<_>>()).unwrap();
        Assembly::new(serde_json::from_str::<Vec<Incoming>>(&text).unwrap())
    }

    proptest! {
        /// Two long texts, their parts mixed, some twice, with a restart before
        /// each.
        #[test]
        fn parts_find_their_place(
            one in "[a-z€]{200,600}", two in "[a-zж😀]{100,300}", seed: u64,
        ) {
            let mut parts = [delivers(&one, 7, 0), delivers(&two, 8, 1)].concat();
            parts.extend(parts.clone().into_iter().step_by(2));
            let mut random = seed | 1;
            for at in (1..parts.len()).rev() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                parts.swap(at, (random >> 33) as usize % (at + 1));
            }
            let mut assembly = Assembly::default();
            for (id, (deliver, octets)) in (1..).zip(parts) {
                assembly = saved(&assembly);
                assembly.take(100, 60, id, deliver, &octets);
            }
            let mut texts: Vec<String> =
                assembly.messages().map(|message| message.text().unwrap()).collect();
            let mut expected = vec![one, two];
            texts.sort();
            expected.sort();
            prop_assert_eq!(texts, expected);
            prop_assert!(assembly.messages().all(|one| one.state == Completeness::Whole));
        }
    }

    #[test]
    fn what_is_missing_is_waited_for_and_then_marked() {
        let mut parts = delivers(&"x".repeat(400), 7, 0);
        let (late, octets) = parts.remove(1);
        let mut assembly = Assembly::default();
        for (id, (deliver, octets)) in (1..).zip(parts) {
            assembly.take(1000, 60, id, deliver, &octets);
        }
        assert_eq!(assembly.next_expiry(60), Some(1060));
        assert!(assembly.expire(1059, 60).is_empty());
        assert_eq!(assembly.expire(1060, 60), [1]);
        let message = assembly.get(1).unwrap();
        assert_eq!((message.state, message.count()), (Completeness::Incomplete, (2, 3)));
        let text = message.text().unwrap();
        assert_eq!(text, format!("{}[...]{}", "x".repeat(153), "x".repeat(94)));
        assert_eq!(assembly.take(2000, 60, 9, late, &octets), Taken::Joined(1));
        assert_eq!(assembly.get(1).unwrap().text().unwrap(), "x".repeat(400));
    }

    #[test]
    fn months_later_the_same_reference_is_another_text() {
        let old = delivers(&"x".repeat(400), 7, 0);
        let new = delivers(&"y".repeat(400), 7, 1);
        let mut assembly = Assembly::default();
        let mut wall = CLOCK_SET;
        for (id, (deliver, octets)) in (1..).zip(old.into_iter().skip(1)) {
            assembly.take(wall, 60, id, deliver, &octets);
        }
        wall += 60 * 86_400;
        assert_eq!(assembly.expire(wall, 60), [1]);
        for (id, (deliver, octets)) in (9..).zip(new) {
            assembly.take(wall, 60, id, deliver, &octets);
        }
        let texts: Vec<_> = assembly.messages().map(|one| (one.id, one.text().unwrap())).collect();
        let first = format!("[...]{}", "x".repeat(247));
        assert_eq!(texts, [(1, first), (9, "y".repeat(400))]);
    }

    /// The Pi starts at 1970 and gets the date from the network.
    #[test]
    fn the_clock_may_be_set_between_two_parts() {
        let mut parts = delivers(&"x".repeat(200), 7, 0).into_iter();
        let mut assembly = Assembly::default();
        let (first, octets) = parts.next().unwrap();
        assembly.take(100, 60, 1, first, &octets);
        assert!(assembly.expire(CLOCK_SET + 5, 60).is_empty());
        let (second, octets) = parts.next().unwrap();
        assert_eq!(assembly.take(CLOCK_SET + 30, 60, 2, second, &octets), Taken::Joined(1));
        assert_eq!(assembly.get(1).unwrap().state, Completeness::Whole);
    }

    #[test]
    fn a_reference_may_come_again_and_a_message_too() {
        let first = delivers(&"a".repeat(200), 7, 0);
        let second = delivers(&"b".repeat(200), 7, 1);
        let mut assembly = Assembly::default();
        let mut take = |id, (deliver, octets): &(Deliver, Vec<u8>)| {
            assembly.take(0, 60, id, deliver.clone(), octets)
        };
        assert_eq!(take(1, &first[0]), Taken::New(1));
        assert_eq!(take(2, &second[0]), Taken::New(2));
        // The centre sends one again, now with more waiting.
        let mut again = first[0].clone();
        again.1[0] ^= 0x04;
        assert_eq!(take(3, &again), Taken::Duplicate(1));
        assert_eq!(take(3, &second[1]), Taken::Joined(2));
        let short = delivers("short", 0, 0);
        assert_eq!(take(4, &short[0]), Taken::New(4));
        assert_eq!(take(5, &short[0]), Taken::Duplicate(4));
        assert_eq!(take(6, &delivers("short", 0, 1)[0]), Taken::New(6));
    }
}
