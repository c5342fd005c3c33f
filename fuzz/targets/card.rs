//! The boot partition's files: any text is read or refused at a place that is
//! there, and no secret is shown. The first byte says which file it is.
#![no_main]

use a7670e::firstboot::mistake::Text;
use a7670e::firstboot::wanted::{NAMES, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let name = NAMES[usize::from(*which) % NAMES.len()];
    match read(&[Text { name, text: text.to_owned() }]) {
        Ok(wanted) => _ = format!("{wanted:?}"),
        Err(mistake) => {
            assert!((1..=text.matches('\n').count() + 1).contains(&mistake.line), "{mistake}");
            assert!(mistake.column >= 1 && !mistake.message.is_empty());
        }
    }
});
