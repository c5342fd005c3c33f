//! Messages as ModemManager has them, as the octets that the rest of this service
//! works with. Pure.
//!
//! ModemManager puts long texts together and keeps no octets. So a message of its
//! is taken apart again, always in the same way: whatever is found twice is known
//! by its octets, as with messages that are read from the SIM.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::pdu::{
    Address, Alphabet, Body, Coding, Concat, Date, Deliver, EncodeError, Header, Stamp, Status,
    StatusReport, UserData, split,
};

/// Marks messages that were taken apart here: a protocol identifier for the
/// service centre's own use (TS 23.040 §9.2.3.9), of which there is none on the
/// air that a telephone could act on.
pub const MARK: u8 = 0xff;

/// Most octets of data beside a header for parts: 140, less seven.
const ROOM: usize = 133;

/// What a message of ModemManager's is (`MMSmsPduType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It came.
    Deliver,
    /// It tells what became of one of ours.
    Report,
    /// It is from here, or unknown.
    Other,
}

/// A message that ModemManager shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its object on the bus.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Whether all of it is there (`MMSmsState`: received).
    pub whole: bool,
    /// The other end.
    pub number: String,
    /// The text; empty for data.
    pub text: String,
    /// The data; empty for text.
    pub data: Vec<u8>,
    /// When the centre got it, in the form of ISO 8601.
    pub stamp: String,
    /// When it was delivered, or given up (report).
    pub discharge: String,
    /// Class; -1 for none.
    pub class: i32,
    /// Of which message of ours it is (report).
    pub reference: u32,
    /// TP-Status (report); 256 for none.
    pub status: u32,
}

/// What ModemManager answers when it does not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The error's name on the bus, `org.freedesktop.ModemManager1.Error.…`.
    pub name: String,
    /// What it says.
    pub text: String,
}

impl Stored {
    /// Whether it came, and is all there.
    #[must_use]
    pub fn is_to_be_taken(&self) -> bool {
        match self.kind {
            Kind::Deliver => self.whole,
            Kind::Report => true,
            Kind::Other => false,
        }
    }

    /// The messages that it stands for, as octets without a service centre;
    /// nothing for what is none or not all there.
    ///
    /// # Errors
    /// It does not fit into messages.
    pub fn octets(&self) -> Result<Vec<Vec<u8>>, EncodeError> {
        match self.kind {
            Kind::Deliver if self.whole => self.delivers(),
            Kind::Report => {
                let report = StatusReport {
                    more: false,
                    // ModemManager shows the octet as a number.
                    reference: (self.reference & 0xff) as u8,
                    to: address(&self.number),
                    stamp: stamp(&self.stamp),
                    discharge: stamp(&self.discharge),
                    status: Status(u8::try_from(self.status).unwrap_or(0x63)),
                };
                Ok(vec![report.encode()])
            }
            _ => Ok(Vec::new()),
        }
    }

    fn delivers(&self) -> Result<Vec<Vec<u8>>, EncodeError> {
        let mut hasher = DefaultHasher::new();
        (&self.number, &self.stamp, &self.text, &self.data).hash(&mut hasher);
        let reference = hasher.finish() as u16;
        let class = u8::try_from(self.class).ok().filter(|class| *class < 4);
        let (coding, parts) = if self.text.is_empty() && !self.data.is_empty() {
            (Coding::text(Alphabet::Octets, class), data(&self.data, reference)?)
        } else {
            let message = split(&self.text, class, reference, true)
                .map_err(|long| EncodeError::TooLong(long.0 * ROOM))?;
            (message.coding, message.parts)
        };
        let from = address(&self.number);
        let deliver = |data| {
            Deliver {
                more: false,
                report: false,
                reply_path: false,
                from: from.clone(),
                protocol: MARK,
                coding,
                stamp: stamp(&self.stamp),
                data,
            }
            .encode()
        };
        parts.into_iter().map(deliver).collect()
    }
}

fn data(octets: &[u8], reference: u16) -> Result<Vec<UserData>, EncodeError> {
    if octets.len() <= ROOM {
        return Ok(vec![UserData { header: None, body: Body::Octets(octets.to_vec()) }]);
    }
    let total = u8::try_from(octets.chunks(ROOM).len());
    let total = total.map_err(|_| EncodeError::TooLong(octets.len()))?;
    let part = |(number, octets): (u8, &[u8])| UserData {
        header: Some(Header(vec![Concat { reference, wide: true, total, number }.element()])),
        body: Body::Octets(octets.to_vec()),
    };
    Ok((1..=total).zip(octets.chunks(ROOM)).map(part).collect())
}

fn address(text: &str) -> Address {
    let number = Address::number(text).ok();
    number.or_else(|| Address::name(text)).unwrap_or_else(Address::nobody)
}

/// Reads `2026-11-21T12:00:00+03`, with or without minutes of the zone; no time at
/// all of what is none.
fn stamp(text: &str) -> Stamp {
    read_stamp(text).map_or(Stamp([0; 7]), Stamp::of)
}

fn read_stamp(text: &str) -> Option<Date> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u8>().ok();
    let zone = text.get(19..)?;
    let quarters = match zone.split_at_checked(1) {
        None | Some(("Z", _)) => 0,
        Some((sign, digits)) => {
            let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
            let hours = digits.get(..2)?.parse::<i8>().ok()?;
            let minutes = digits.get(2..4).map_or(Some(0), |text| text.parse::<i8>().ok())?;
            let quarters = hours.checked_mul(4)?.checked_add(minutes / 15)?;
            if sign == "-" { -quarters } else { quarters }
        }
    };
    Some(Date {
        year: number(2, 4)?,
        month: number(5, 7)?,
        day: number(8, 10)?,
        hour: number(11, 13)?,
        minute: number(14, 16)?,
        second: number(17, 19)?,
        quarters,
    })
}

/// What a failed sending means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing was given to the modem.
    NotSent,
    /// The network or the modem refused it.
    Refused,
    /// It may have been sent.
    Doubtful,
}

impl Fault {
    /// What it means for a message that was to be sent. Only what is known not to
    /// have been sent counts as such.
    #[must_use]
    pub fn meaning(&self) -> Meaning {
        let name = self.name.as_str();
        let own = name.strip_prefix("org.freedesktop.ModemManager1.Error.");
        match own.and_then(|own| own.split_once('.')) {
            Some(("Message" | "MobileEquipment", "NetworkTimeout")) => Meaning::Doubtful,
            Some(("Message" | "MobileEquipment", _)) => Meaning::Refused,
            // Before anything is said to the modem.
            Some(("Core", "Unauthorized" | "WrongState" | "Unsupported" | "InvalidArgs")) => {
                Meaning::NotSent
            }
            Some(("Serial", "OpenFailed" | "SendFailed")) => Meaning::NotSent,
            Some(_) => Meaning::Doubtful,
            // The object, or all of ModemManager, is gone.
            None => match name.strip_prefix("org.freedesktop.DBus.Error.") {
                Some(
                    "ServiceUnknown" | "NameHasNoOwner" | "UnknownMethod" | "UnknownObject"
                    | "AccessDenied",
                ) => Meaning::NotSent,
                _ => Meaning::Doubtful,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::assembly::{Assembly, Completeness, Taken};
    use super::super::pdu::Tpdu;
    use super::*;

    fn stored(text: &str) -> Stored {
        Stored {
            path: "/SMS/1".into(),
            kind: Kind::Deliver,
            whole: true,
            number: "+254700000001".into(),
            text: text.into(),
            data: Vec::new(),
            stamp: "2026-11-21T15:00:07+03:30".into(),
            discharge: String::new(),
            class: -1,
            reference: 0,
            status: 256,
        }
    }

    fn take(assembly: &mut Assembly, id: u64, stored: &Stored) -> Vec<Taken> {
        let octets = stored.octets().unwrap();
        let take = |octets: &Vec<u8>| match Tpdu::decode(octets).unwrap() {
            Tpdu::Deliver(deliver) => assembly.take(100, 60, id, deliver, octets),
            other => panic!("{other:?}"),
        };
        octets.iter().map(take).collect()
    }

    proptest! {
        #[test]
        fn what_is_taken_apart_is_put_together(text in "[a-zж€😀]{0,400}") {
            let mut assembly = Assembly::default();
            let stored = stored(&text);
            take(&mut assembly, 1, &stored);
            let message = assembly.get(1).unwrap();
            prop_assert_eq!(message.state, Completeness::Whole);
            prop_assert_eq!(message.text().unwrap(), text);
            prop_assert_eq!(message.stamp.to_string(), "2026-11-21T15:00:07+03:30");
            // And it is known again.
            let again = take(&mut assembly, 2, &stored);
            prop_assert!(again.iter().all(|taken| *taken == Taken::Duplicate(1)));
        }

        #[test]
        fn data_too(data in proptest::collection::vec(any::<u8>(), 1..500)) {
            let mut assembly = Assembly::default();
            take(&mut assembly, 1, &Stored { data: data.clone(), ..stored("") });
            let message = assembly.get(1).unwrap();
            prop_assert_eq!((message.state, message.text()), (Completeness::Whole, None));
            let bodies: Vec<&Body> = message.parts.values().map(|part| &part.body).collect();
            prop_assert_eq!(Body::join(&bodies), Body::Octets(data));
        }
    }

    #[test]
    fn the_same_text_a_second_later_is_another() {
        let mut assembly = Assembly::default();
        take(&mut assembly, 1, &stored("yes"));
        let later = Stored { stamp: "2026-11-21T15:00:08+03:30".into(), ..stored("yes") };
        assert_eq!(take(&mut assembly, 2, &later), [Taken::New(2)]);
    }

    #[test]
    fn reports_and_what_is_none() {
        let report = Stored { kind: Kind::Report, reference: 7, status: 0, ..stored("") };
        assert!(report.is_to_be_taken());
        let octets = report.octets().unwrap();
        let Tpdu::StatusReport(report) = Tpdu::decode(&octets[0]).unwrap() else { panic!() };
        assert_eq!((report.reference, report.status), (7, Status(0)));
        assert_eq!(report.to, Address::number("+254700000001").unwrap());
        let part = Stored { whole: false, ..stored("half") };
        assert!(part.octets().unwrap().is_empty() && !part.is_to_be_taken());
        let other = Stored { kind: Kind::Other, ..stored("x") };
        assert!(other.octets().unwrap().is_empty() && !other.is_to_be_taken());
        assert!(stored("x").is_to_be_taken());
    }

    #[test]
    fn times_of_all_forms() {
        for (text, expected) in [
            ("2026-11-21T15:00:07+03", "2026-11-21T15:00:07+03:00"),
            ("2026-11-21T15:00:07-0730", "2026-11-21T15:00:07-07:30"),
            ("2026-11-21T15:00:07Z", "2026-11-21T15:00:07+00:00"),
            ("2026-11-21T15:00:07", "2026-11-21T15:00:07+00:00"),
            ("", "00000000000000"),
            ("yesterday, about noon", "00000000000000"),
        ] {
            assert_eq!(stamp(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_failure_is_doubtful_unless_it_is_known_not_to_be() {
        let meaning = |name: &str| {
            let fault = Fault { name: name.into(), text: String::new() };
            fault.meaning()
        };
        let own = |name: &str| meaning(&format!("org.freedesktop.ModemManager1.Error.{name}"));
        assert_eq!(own("Message.Unknown"), Meaning::Refused);
        assert_eq!(own("MobileEquipment.SimNotInserted"), Meaning::Refused);
        assert_eq!(own("Message.NetworkTimeout"), Meaning::Doubtful);
        assert_eq!(own("Serial.ResponseTimeout"), Meaning::Doubtful);
        assert_eq!(own("Core.Failed"), Meaning::Doubtful);
        assert_eq!(own("Core.Unauthorized"), Meaning::NotSent);
        assert_eq!(meaning("org.freedesktop.DBus.Error.NoReply"), Meaning::Doubtful);
        assert_eq!(meaning("org.freedesktop.DBus.Error.UnknownMethod"), Meaning::NotSent);
        assert_eq!(meaning(""), Meaning::Doubtful);
    }
}
