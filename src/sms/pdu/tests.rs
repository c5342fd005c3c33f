//! Published examples, and what holds for all messages.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn octets(hex: &str) -> Vec<u8> {
    from_hex(&hex.replace(' ', "")).unwrap()
}

fn stamp() -> Stamp {
    Stamp::of(Date { year: 26, month: 11, day: 21, hour: 20, minute: 5, second: 9, quarters: 12 })
}

fn text_of(data: &UserData) -> String {
    data.body.text().unwrap()
}

/// The examples that most descriptions of PDU mode have: a SUBMIT to
/// +46708251358, a DELIVER from 27838890001 by way of +27381000015.
#[test]
fn well_known_messages() {
    let pdu = octets("0011000B916407281553F80000AA0AE8329BFD4697D9EC37");
    let (centre, tpdu) = split_centre(&pdu).unwrap();
    assert_eq!(centre, None);
    let submit = Submit::decode(tpdu).unwrap();
    assert_eq!(submit.to.to_string(), "+46708251358");
    assert_eq!(submit.validity.unwrap().period(), Some(Duration::from_secs(4 * 86_400)));
    assert_eq!(text_of(&submit.data), "hellohello");
    assert_eq!(with_centre(None, &submit.encode().unwrap()), pdu);

    let pdu = octets("07917283010010F5040BC87238880900F10000993092516195800AE8329BFD4697D9EC37");
    let (centre, tpdu) = split_centre(&pdu).unwrap();
    assert_eq!(centre.as_ref().unwrap().to_string(), "+27381000015");
    let deliver = Deliver::decode(tpdu).unwrap();
    assert_eq!(deliver.from.to_string(), "27838890001");
    assert_eq!(deliver.stamp.to_string(), "2099-03-29T15:16:59+02:00");
    assert!(!deliver.more);
    assert_eq!(text_of(&deliver.data), "hellohello");
    assert_eq!(with_centre(centre.as_ref(), &deliver.encode().unwrap()), pdu);
}

#[test]
fn names_have_their_length_in_half_octets() {
    // "Safaricom" has nine septets: 63 bits, 16 half octets.
    let name = Address::name("Safaricom").unwrap();
    let encoded = name.encode();
    assert_eq!(encoded[..2], [16, 0xd0]);
    let mut read = Octets::new(&encoded, "sender");
    assert_eq!(Address::decode(&mut read).unwrap(), name);
    // Eight letters are 56 bits: 14 half octets, and no ninth letter.
    assert_eq!(Address::name("Vodafone").unwrap().encode()[0], 14);
    assert_eq!(Address::name("twelve chars"), None);
    assert_eq!(Address::name("Ж"), None);
    assert!(name.is_name() && name.to_string() == "Safaricom");
}

#[test]
fn numbers_are_checked_and_compared() {
    for (text, shown) in [
        ("+254 700-000 001", "+254700000001"),
        ("*144#", "*144#"),
        ("20123", "20123"),
        (" +1 (555) 010.0199 ", "+15550100199"),
    ] {
        assert_eq!(Address::number(text).unwrap().to_string(), shown);
    }
    for text in ["", "+", "12a", "+1*2", "anna", "123456789012345678901", "++1"] {
        assert!(Address::number(text).is_err(), "{text}");
    }
    let same = |one: &str, other: &str| {
        Address::number(one).unwrap().same_as(&Address::number(other).unwrap())
    };
    assert!(same("+254700000001", "0700000001") && same("0700000001", "+254700000001"));
    assert!(same("20123", "20123") && !same("20123", "+25420123"));
    assert!(!same("+254700000001", "+254700000002"));
    // Others have the same digits at their end.
    assert!(!same("+1254700000001", "+254700000001") && !same("+254700000001", "+1254700000001"));
    assert!(!same("1700000001", "0700000001") && !same("0254700000001", "0700000001"));
    assert!(same("00254700000001", "+254700000001"));
    let name = Address::name("20123").unwrap();
    assert!(!name.same_as(&Address::number("20123").unwrap()));
}

/// TS 23.038 §4.
#[test]
fn codings() {
    for (value, alphabet, class, waiting) in [
        (0x00, Alphabet::Gsm7, None, None),
        (0x04, Alphabet::Octets, None, None),
        (0x08, Alphabet::Ucs2, None, None),
        (0x0c, Alphabet::Gsm7, None, None),
        (0x10, Alphabet::Gsm7, Some(0), None),
        (0x18, Alphabet::Ucs2, Some(0), None),
        (0x20, Alphabet::Octets, None, None),
        (0x48, Alphabet::Ucs2, None, None),
        (0x80, Alphabet::Gsm7, None, None),
        (0xc8, Alphabet::Gsm7, None, Some((true, 0, false))),
        (0xd1, Alphabet::Gsm7, None, Some((false, 1, true))),
        (0xea, Alphabet::Ucs2, None, Some((true, 2, true))),
        (0xf0, Alphabet::Gsm7, Some(0), None),
        (0xf5, Alphabet::Octets, Some(1), None),
    ] {
        let coding = Coding(value);
        assert_eq!(coding.alphabet(), alphabet, "{value:#x}");
        assert_eq!(coding.class(), class, "{value:#x}");
        let waiting = waiting.map(|(active, what, keep)| Waiting { active, what, keep });
        assert_eq!(coding.waiting(), waiting, "{value:#x}");
    }
    assert!(Coding(0x20).is_compressed() && !Coding(0xa0).is_compressed());
}

#[test]
fn validity_is_never_shorter_than_wanted() {
    for (seconds, value) in [
        (0, 0),
        (300, 0),
        (301, 1),
        (43_200, 143),
        (43_201, 144),
        (86_400, 167),
        (4 * 86_400, 0xaa),
        (30 * 86_400, 196),
        (31 * 86_400, 197),
        (u64::MAX, 255),
    ] {
        let validity = Validity::at_least(Duration::from_secs(seconds));
        assert_eq!(validity, Validity::Relative(value), "{seconds}");
    }
}

#[test]
fn stamps_have_zones_and_moments() {
    // +3 h are 12 quarters: the octet 0x21.
    assert_eq!(stamp().0, [0x62, 0x11, 0x12, 0x02, 0x50, 0x90, 0x21]);
    assert_eq!(stamp().to_string(), "2026-11-21T20:05:09+03:00");
    // date -ud 2026-11-21T17:05:09 +%s
    assert_eq!(stamp().unix(), Some(1_795_280_709));
    let west = Stamp::of(Date { quarters: -14, ..stamp().date().unwrap() });
    assert_eq!(west.0[6], 0x49);
    assert_eq!(west.to_string(), "2026-11-21T20:05:09-03:30");
    assert_eq!(west.unix(), Some(1_795_280_709 + 26 * 900));
    let new_year = Date { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0, quarters: 0 };
    assert_eq!(Stamp::of(new_year).unix(), Some(946_684_800));
    for broken in [[0; 7], [0xff; 7], [0x62, 0x31, 0x12, 0x02, 0x50, 0x90, 0x21]] {
        assert_eq!((Stamp(broken).date(), Stamp(broken).unix()), (None, None));
        assert_eq!(Stamp(broken).to_string(), to_hex(&broken));
    }
}

#[test]
fn texts_are_cut_between_characters() {
    let part = |text: &str, wide| -> Vec<usize> {
        let message = split(text, None, 0x1234, wide).unwrap();
        let count = |data: &UserData| match &data.body {
            Body::Septets(all) => all.len(),
            Body::Units(all) => all.len(),
            Body::Octets(all) => all.len(),
        };
        message.parts.iter().map(count).collect()
    };
    let gsm = |count| "x".repeat(count);
    assert_eq!(part("", false), [0]);
    assert_eq!(part(&gsm(160), false), [160]);
    assert_eq!(part(&gsm(161), false), [153, 8]);
    assert_eq!(part(&gsm(161), true), [152, 9]);
    assert_eq!(part(&"ж".repeat(70), false), [70]);
    assert_eq!(part(&"ж".repeat(71), false), [67, 4]);
    assert_eq!(part(&"ж".repeat(71), true), [66, 5]);
    // The euro has two septets, an emoji two units: neither is halved.
    assert_eq!(part(&format!("{}€{}", gsm(152), gsm(100)), false), [152, 102]);
    assert_eq!(part(&format!("{}😀{}", "ж".repeat(66), "ж".repeat(9)), false), [66, 11]);
    assert_eq!(split(&gsm(255 * 153), None, 0, false).unwrap().parts.len(), 255);
    assert_eq!(split(&gsm(255 * 153 + 1), None, 0, false), Err(TooLong(256)));
    let concat = |wide| split(&gsm(200), None, 0x1234, wide).unwrap().parts[1].header.clone();
    let second = Concat { reference: 0x34, wide: false, total: 2, number: 2 };
    assert_eq!(concat(false).unwrap().concat(), Some(second));
    let second = Concat { reference: 0x1234, wide: true, ..second };
    assert_eq!(concat(true).unwrap().concat(), Some(second));
}

#[test]
fn header_elements_with_impossible_numbers_do_not_count() {
    let header = |id, data: &[u8]| Header(vec![Element { id, data: data.to_vec() }]);
    for data in [[7, 0, 0], [7, 2, 0], [7, 2, 3], [7, 0, 1]] {
        assert_eq!(header(0, &data).concat(), None, "{data:?}");
    }
    assert_eq!(header(5, &[0x0b, 0x84, 0x23, 0xf0]).ports(), Some((2948, 9200)));
    assert_eq!(header(1, &[0x80, 3]).waiting(), Some((0x80, 3)));
}

#[test]
fn what_a_sender_cut_badly_is_healed_by_joining() {
    let text = "€😀";
    let units: Vec<u16> = "😀".encode_utf16().collect();
    let halves = [Body::Units(vec![units[0]]), Body::Units(vec![units[1]])];
    assert_eq!(Body::join(&halves.iter().collect::<Vec<_>>()).text().unwrap(), "😀");
    let escape = [Body::Septets(vec![0x1b]), Body::Septets(vec![0x65])];
    assert_eq!(Body::join(&escape.iter().collect::<Vec<_>>()).text().unwrap(), "€");
    let mixed = [Body::Septets(vec![0x1b, 0x65]), Body::Units(units)];
    assert_eq!(Body::join(&mixed.iter().collect::<Vec<_>>()).text().unwrap(), text);
}

#[test]
fn statuses() {
    for (status, fate) in [
        (0x00, Fate::Delivered),
        (0x01, Fate::Forwarded),
        (0x02, Fate::Delivered),
        (0x20, Fate::Trying),
        (0x46, Fate::Failed),
        (0x65, Fate::Failed),
        (0xff, Fate::Failed),
    ] {
        assert_eq!(Status(status).fate(), fate, "{status:#x}");
        assert!(!Status(status).text().is_empty());
    }
}

#[test]
fn broken_messages_are_named() {
    for (hex, error) in [
        ("", PduError::Short("first octet")),
        ("03", PduError::Kind(3)),
        ("04", PduError::Short("sender")),
        ("040B91", PduError::Short("sender")),
        ("04038121F3", PduError::Short("protocol")),
        ("04038121F30000112233", PduError::Short("time stamp")),
        ("04038121F3000011223344556677", PduError::Short("length")),
        ("04038121F300001122334455667702C8", PduError::Short("user data")),
        ("44038121F3000811223344556677020500", PduError::Header),
        ("0601038121F3", PduError::Short("time stamp")),
    ] {
        assert_eq!(Tpdu::decode(&octets(hex)), Err(error), "{hex}");
    }
    assert_eq!(split_centre(&[3, 0x91]), Err(PduError::Short("service centre")));
    let data = UserData { header: None, body: Body::Units(vec![0x416; 71]) };
    let to = Address::number("1").unwrap();
    let long = Submit::new(to.clone(), Coding(8), data.clone());
    assert_eq!(long.encode(), Err(EncodeError::TooLong(142)));
    assert_eq!(Submit::new(to, Coding(0), data).encode(), Err(EncodeError::Alphabet));
    assert_eq!(from_hex("0"), None);
    assert_eq!(from_hex("0g"), None);
}

#[test]
fn every_character_of_the_alphabet_returns() {
    for code in (0..0x80_u8).filter(|code| *code != 0x1b) {
        let text = from_septets(&[code]);
        assert_eq!(to_septets(&text).unwrap(), [code]);
        let text = from_septets(&[0x1b, code]);
        let back = to_septets(&text).unwrap();
        assert!(back == [0x1b, code] || back == [code], "{code:#x}");
    }
    assert_eq!(from_septets(&[0x1b, 0x1b, 0x41, 0x1b]), " A ");
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -_a-~€ÄÖÜäöüß£Δ\n\r]{0,500}",
        "[a-z€{}]{140,330}",
        any::<String>(),
        "[a-zж😀𝄞]{0,300}",
    ]
}

fn any_number() -> impl Strategy<Value = Address> {
    "[+]?[0-9]{1,20}".prop_map(|text| Address::number(&text).unwrap())
}

fn any_sender() -> impl Strategy<Value = Address> {
    let name = "[A-Za-z0-9 @]{1,11}".prop_map(|text| Address::name(&text).unwrap());
    prop_oneof![any_number(), name]
}

proptest! {
    #[test]
    fn a_text_survives_the_way(
        text in any_text(),
        to in any_number(),
        from in any_sender(),
        class in prop_oneof![Just(None), (0..4_u8).prop_map(Some)],
        reference: u16,
        wide: bool,
        report: bool,
        quarters in -79..=79_i8,
    ) {
        let message = split(&text, class, reference, wide).unwrap();
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        let stamp = Stamp::of(Date { quarters, ..stamp().date().unwrap() });
        for data in message.parts {
            let mut submit = Submit::new(to.clone(), message.coding, data.clone());
            submit.report = report;
            submit.validity = Some(Validity::at_least(Duration::from_secs(86_400)));
            let octets = submit.encode().unwrap();
            // The longest SUBMIT (TS 23.040 §9.2.2.2).
            prop_assert!(octets.len() <= 164);
            let whole = with_centre(Some(&to), &octets);
            let (centre, tpdu) = split_centre(&whole).unwrap();
            prop_assert_eq!(centre, Some(to.clone()));
            let read = Submit::decode(tpdu).unwrap();
            prop_assert_eq!(&read, &submit);
            sent.push(read.data.body);

            let coding = message.coding;
            let deliver = Deliver {
                more: false, report, reply_path: wide, from: from.clone(), protocol: 0,
                coding, stamp, data,
            };
            let read = Deliver::decode(&deliver.encode().unwrap()).unwrap();
            prop_assert_eq!(&read, &deliver);
            prop_assert_eq!(read.stamp.date().unwrap().quarters, quarters);
            // Each part by itself is whole characters.
            let whole = !text_of(&read.data).contains(char::REPLACEMENT_CHARACTER);
            prop_assert!(whole || text.contains(char::REPLACEMENT_CHARACTER));
            received.push(read.data.body);
        }
        for bodies in [sent, received] {
            let joined = Body::join(&bodies.iter().collect::<Vec<_>>());
            prop_assert_eq!(joined.text().unwrap(), text.clone());
        }
    }

    #[test]
    fn octets_survive_too(data in proptest::collection::vec(any::<u8>(), 0..=140)) {
        let data = UserData { header: None, body: Body::Octets(data) };
        let submit = Submit::new(Address::number("1").unwrap(), Coding(0xf5), data);
        prop_assert_eq!(Submit::decode(&submit.encode().unwrap()).unwrap(), submit);
    }

    #[test]
    fn reports_survive(reference: u8, to in any_number(), status: u8, more: bool) {
        let discharge = stamp();
        let status = Status(status);
        let report =
            StatusReport { more, reference, to, stamp: stamp(), discharge, status };
        prop_assert_eq!(StatusReport::decode(&report.encode()).unwrap(), report);
    }

    /// What can be read can be written, and reads the same again.
    #[test]
    fn no_octets_break_it(octets in proptest::collection::vec(any::<u8>(), 0..180)) {
        _ = split_centre(&octets);
        match Tpdu::decode(&octets) {
            Ok(Tpdu::Deliver(one)) => {
                _ = (one.stamp.unix(), one.stamp.to_string(), one.data.body.text());
                if let Ok(again) = one.encode() {
                    prop_assert_eq!(Deliver::decode(&again).map(|it| it.stamp), Ok(one.stamp));
                }
            }
            Ok(Tpdu::Submit(one)) => _ = one.encode(),
            Ok(Tpdu::StatusReport(one)) => {
                let again = StatusReport::decode(&one.encode());
                prop_assert_eq!(again.map(|it| it.status), Ok(one.status));
            }
            Err(_) => {}
        }
    }
}
