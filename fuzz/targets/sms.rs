//! Messages: whatever a network delivers can be read, or is refused; and what
//! was read can be written and says the same again.
#![no_main]

use a7670e::sms::pdu::{
    Address, Deliver, StatusReport, Submit, Tpdu, from_hex, split, split_centre, to_hex,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((centre, tpdu)) = split_centre(bytes) {
        _ = centre.map(|centre| centre.to_string());
        _ = Tpdu::decode(tpdu);
    }
    match Tpdu::decode(bytes) {
        Ok(Tpdu::Deliver(one)) => {
            _ = (one.stamp.unix(), one.stamp.to_string(), one.data.body.text());
            _ = (one.coding.class(), one.coding.waiting(), one.from.is_name());
            if let Ok(again) = one.encode() {
                let again = Deliver::decode(&again).expect("what was written is read");
                assert_eq!((again.stamp, again.coding), (one.stamp, one.coding));
                assert_eq!(again.data.body, one.data.body);
            }
        }
        Ok(Tpdu::Submit(one)) => {
            if let Ok(again) = one.encode() {
                let again = Submit::decode(&again).expect("what was written is read");
                assert_eq!((again.validity, again.data.body), (one.validity, one.data.body));
            }
        }
        Ok(Tpdu::StatusReport(one)) => {
            let again = StatusReport::decode(&one.encode()).expect("what was written is read");
            assert_eq!((again.status, again.reference), (one.status, one.reference));
        }
        Err(_) => {}
    }
    let text = String::from_utf8_lossy(bytes);
    _ = (Address::number(&text), Address::name(&text));
    assert_eq!(from_hex(&to_hex(bytes)).as_deref(), Some(bytes));
    if let Ok(message) = split(&text, None, 7, bytes.len() % 2 == 0) {
        let bodies: Vec<_> = message.parts.iter().map(|part| &part.body).collect();
        let joined = a7670e::sms::pdu::Body::join(&bodies);
        assert_eq!(joined.text().as_deref(), Some(&*text));
    }
});
