//! Replies as values. A line that does not parse is `None`, never a guess.
//!
//! Forms: SIMCom A76XX AT Command Manual V1.09, chapter of each command, and
//! TS 27.007 where it says no more.

mod context;
mod registration;
mod signal;
mod sim;

pub use context::{
    Context, address, auth_type, bands, context, dial_mode, usb_net_mode, usb_net_third,
};
pub use registration::{Operator, RegistrationReport, Stat, Technology, operator, registration};
pub use signal::{Serving, Signal, csq, serving};
pub use sim::{SimState, Tries, iccid, mnc_length, sim_state, tries};

use super::fields::after;

/// The value of a reply that is one word, with or without the command's name
/// before it: `+CGMR: A110B03A7670M7`, `A7670E-LASE`.
pub fn word(lines: &[String], name: &str) -> Option<String> {
    let line = lines.first()?;
    let value = after(line, name).unwrap_or(line).trim().trim_matches('"');
    (!value.is_empty()).then(|| value.to_owned())
}

/// The digits of a reply: IMEI of `+CGSN`, IMSI of `+CIMI`. `None` when it is
/// no number of 6 to 20 digits.
pub fn digits(lines: &[String], name: &str) -> Option<String> {
    let word = word(lines, name)?;
    ((6..=20).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit())).then_some(word)
}

/// The number after `name:`, as in `+CFUN: 1`.
pub fn number(lines: &[String], name: &str) -> Option<u32> {
    lines.iter().find_map(|line| after(line, name)?.split(',').next()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_and_numbers() {
        let lines = |text: &str| vec![text.to_owned()];
        assert_eq!(word(&lines("A7670E-LASE"), "+CGMM").as_deref(), Some("A7670E-LASE"));
        assert_eq!(word(&lines("+CGMR: A110B03"), "+CGMR").as_deref(), Some("A110B03"));
        assert_eq!(digits(&lines("862771071659240"), "+CGSN").as_deref(), Some("862771071659240"));
        assert_eq!(digits(&lines("8627x"), "+CGSN"), None);
        assert_eq!(number(&lines("+CFUN: 1"), "+CFUN"), Some(1));
    }

    proptest! {
        #[test]
        fn no_line_is_too_odd(line in "[+*$A-Z]{0,9}:? ?[ -~]{0,40}|.*") {
            let lines = vec![line.clone()];
            _ = (word(&lines, "+X"), digits(&lines, "+X"), number(&lines, "+X"));
            _ = (sim_state(&line), tries(&line), iccid(&lines), mnc_length(&line));
            _ = (context(&line), address(&line, 1), auth_type(&line, 1), dial_mode(&lines));
            _ = (usb_net_mode(&line), usb_net_third(&line), csq(&line), serving(&line));
            _ = (operator(&line), bands(&line));
            for asked in [true, false] {
                _ = registration(&line, asked);
            }
        }
    }
}
