//! Our messages against another's: the `sms-pdu` crate reads what we write and
//! writes what we read. It shares no code with ours.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::time::Duration;

use a7670e::sms::pdu::{
    Address, Coding, Date, Deliver, Header, Message, Stamp, Status, StatusReport, Submit, Validity,
    split, to_hex, to_septets, with_centre,
};
use proptest::prelude::*;
use sms_pdu::gsm_encoding::GsmMessageData;
use sms_pdu::pdu::{DeliverPdu, PduAddress, StatusReportPdu, SubmitPdu};

/// Its decoder does not know that of an escape and an unknown code the latter is
/// shown; no text that we write has one.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -_a-~€ÄÖÜäöüß£Δ\n]{1,400}", "[a-zж中]{1,200}"]
}

fn stamp() -> Stamp {
    Stamp::of(Date { year: 26, month: 2, day: 3, hour: 4, minute: 5, second: 6, quarters: 12 })
}

fn delivers(from: &Address, message: &Message) -> Vec<Vec<u8>> {
    let deliver = |data: &a7670e::sms::pdu::UserData| Deliver {
        more: false,
        report: false,
        reply_path: false,
        from: from.clone(),
        protocol: 0,
        coding: message.coding,
        stamp: stamp(),
        data: data.clone(),
    };
    message.parts.iter().map(|part| with_centre(None, &deliver(part).encode().unwrap())).collect()
}

proptest! {
    #[test]
    fn it_reads_what_we_deliver(
        text in any_text(),
        from in "[+]?[0-9]{2,15}",
        reference: u16,
        wide: bool,
    ) {
        // After a header of seven octets, which are eight septets, it takes
        // seven bits for fill where there are none (TS 23.040 §9.2.3.24).
        let wide = wide && to_septets(&text).is_none();
        let message = split(&text, None, reference, wide).unwrap();
        let mut read = String::new();
        let pdus = delivers(&Address::number(&from).unwrap(), &message);
        for (number, pdu) in (1..).zip(&pdus) {
            let theirs = DeliverPdu::try_from(&pdu[..]).unwrap();
            prop_assert_eq!(theirs.originating_address.to_string(), from.clone());
            let scts = &theirs.scts;
            prop_assert_eq!((scts.year, scts.month, scts.day), (26, 2, 3));
            prop_assert_eq!((scts.hour, scts.minute, scts.second), (4, 5, 6));
            let decoded = theirs.get_message_data().decode_message().unwrap();
            if pdus.len() > 1 {
                let part = decoded.udh.unwrap().get_concatenated_sms_data().unwrap();
                let sent = if wide { reference } else { reference & 0xff };
                prop_assert_eq!(part.reference, sent);
                prop_assert_eq!((usize::from(part.parts), part.sequence), (pdus.len(), number));
            }
            read.push_str(&decoded.text);
        }
        // It may take the bits that fill the last octet for one more `@`.
        let extra = read.strip_prefix(text.as_str());
        prop_assert!(matches!(extra, Some("" | "@")) || pdus.len() > 1, "{read:?}");
        prop_assert_eq!(read.replace('@', ""), text.replace('@', ""));
    }

    #[test]
    fn it_submits_what_we_submit(text in any_text(), to in "[+]?[0-9]{2,15}") {
        let theirs = GsmMessageData::encode_message(&text);
        let header = |part: &GsmMessageData| part.decode_message().unwrap().udh;
        let reference = header(&theirs[0])
            .map_or(0, |header| header.get_concatenated_sms_data().unwrap().reference);
        // Class 1 is what it always sets. It halves characters where a part
        // ends, so that only its first part can be held against ours then.
        let ours = split(&text, Some(1), reference, false).unwrap();
        let same_cuts = ours.parts.len() == theirs.len();
        for (ours_data, theirs) in ours.parts.into_iter().zip(theirs) {
            let address: PduAddress = to.parse().unwrap();
            let (pdu, length) = SubmitPdu::make_simple_message(address, theirs).as_bytes();
            let read = Submit::decode(&pdu[1..]).unwrap();
            prop_assert_eq!(length, pdu.len() - 1);
            prop_assert_eq!(read.to.to_string(), to.clone());
            let submit = Submit::new(Address::number(&to).unwrap(), ours.coding, ours_data);
            let ours = with_centre(None, &submit.encode().unwrap());
            let cut_alike = read.data.body == submit.data.body && same_cuts;
            if cut_alike {
                prop_assert_eq!(&ours, &pdu);
            } else {
                // Only a character of two septets at the end of a part may
                // make a difference.
                prop_assert!(text.contains(|c| "€^{}\\[~]|".contains(c)), "{submit:?} {read:?}");
            }
        }
    }

    #[test]
    fn it_reads_our_reports(reference: u8, to in "[+][0-9]{5,15}", index in 0..6_usize) {
        let status = [0x00, 0x01, 0x21, 0x46, 0x49, 0x60][index];
        let to = Address::number(&to).unwrap();
        let report = StatusReport {
            more: false, reference, to: to.clone(), stamp: stamp(), discharge: stamp(),
            status: Status(status),
        };
        let theirs = StatusReportPdu::try_from(&with_centre(None, &report.encode())[..]).unwrap();
        prop_assert_eq!(theirs.message_reference, reference);
        prop_assert_eq!(theirs.recipient_address.to_string(), to.to_string());
        prop_assert_eq!(theirs.status as u8, status);
        prop_assert_eq!(theirs.discharge_time.hour, 4);
    }
}

/// Both ends of a name with all that can be beside it.
#[test]
fn it_reads_a_name() {
    for name in ["Safaricom", "MPESA", "A", "Vodafone", "12345678901"] {
        let message = split("ok", None, 0, false).unwrap();
        let pdu = &delivers(&Address::name(name).unwrap(), &message)[0];
        let theirs = DeliverPdu::try_from(&pdu[..]).unwrap();
        let shown = theirs.originating_address.to_string();
        assert_eq!(shown.trim_end_matches('@'), name);
        assert_eq!(
            theirs.get_message_data().decode_message().unwrap().text.trim_end_matches('@'),
            "ok"
        );
    }
}

/// A header that is no header of parts is read alike.
#[test]
fn it_reads_other_header_elements() {
    let element = a7670e::sms::pdu::Element { id: 4, data: vec![0x23, 0xf0] };
    let mut message = split("ping", None, 0, false).unwrap();
    message.parts[0].header = Some(Header(vec![element]));
    message.coding = Coding(0);
    let pdu = &delivers(&Address::number("20123").unwrap(), &message)[0];
    let theirs = DeliverPdu::try_from(&pdu[..]).unwrap();
    let decoded = theirs.get_message_data().decode_message().unwrap();
    let component = &decoded.udh.unwrap().components[0];
    assert_eq!((component.id, &component.data[..]), (4, &[0x23, 0xf0][..]));
    assert_eq!(decoded.text.trim_end_matches('@'), "ping");
}

/// What ModemManager reads in the emulator's tests is what we submit.
#[test]
fn the_judged_messages_are_what_we_submit() {
    let mut ours = String::new();
    let vectors = include_str!("vectors/submits.txt");
    for (reference, line) in (1..).zip(vectors.lines()) {
        let (to, rest) = line.split_once(' ').unwrap();
        let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let text = texts.next().unwrap().unwrap();
        let end = texts.byte_offset();
        let message = split(&text, None, reference, false).unwrap();
        let parts = message.parts.iter().map(|part| {
            let to = Address::number(to).unwrap();
            let mut submit = Submit::new(to, message.coding, part.clone());
            submit.validity = Some(Validity::at_least(Duration::from_secs(86_400)));
            to_hex(&submit.encode().unwrap())
        });
        let parts: Vec<String> = parts.collect();
        ours.push_str(&format!("{to} {} {}\n", &rest[..end], parts.join(" ")));
    }
    assert_eq!(ours, vectors, "ours is:\n{ours}");
}
