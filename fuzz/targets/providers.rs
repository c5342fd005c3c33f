//! The provider database: any text is looked through, and what comes out can
//! stand in a command.
#![no_main]

use a7670e::modem::apn::lookup;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|xml: &str| {
    for access in lookup(xml, "639", "02") {
        for text in [access.apn.as_str(), access.user.as_str(), access.password.reveal()] {
            assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"'));
        }
    }
});
