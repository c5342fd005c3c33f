//! `a7670e usage`: data used this month.

use std::fmt::Write as _;

use serde::Serialize;

use crate::modem::usb_path::UsbPath;
use crate::protocol::Status;
use crate::session::UsageReport;

/// One modem's, for programs.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    modem: &'a UsbPath,
    #[serde(flatten)]
    usage: UsageReport,
}

/// All modems'.
pub fn answers(status: &Status) -> Vec<Answer<'_>> {
    let modems = status.modems.iter();
    modems
        .filter_map(|modem| {
            let usage = modem.session.as_ref()?.usage;
            Some(Answer { modem: &modem.modem.usb_path, usage })
        })
        .collect()
}

/// For people.
pub fn render(status: &Status) -> String {
    let mut out = String::new();
    for Answer { modem, usage } in answers(status) {
        // Writing to a String cannot fail.
        _ = writeln!(
            out,
            "modem {modem}: {} received, {} sent this month",
            bytes(usage.rx),
            bytes(usage.tx)
        );
        if let (Some(cap), Some(left)) = (usage.cap, usage.left) {
            _ = writeln!(out, "  {} left of {}", bytes(left), bytes(cap));
        }
        if let Some(forecast) = usage.forecast {
            _ = writeln!(out, "  {} by the end of the month, at this rate", bytes(forecast));
        }
        if usage.before > 0 {
            _ = writeln!(out, "  {} in the month before", bytes(usage.before));
        }
    }
    if out.is_empty() { "no modem\n".to_owned() } else { out }
}

/// A number of bytes with three digits or more, and its unit, in powers of 1000.
pub fn bytes(count: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(size, _)| count >= *size) {
        Some((size, unit)) => {
            let (whole, tenth) = (count / size, count % size * 10 / size);
            if whole >= 100 { format!("{whole} {unit}") } else { format!("{whole}.{tenth} {unit}") }
        }
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_are_readable() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (99_999, "99.9 kB"),
            (123_456_789, "123 MB"),
            (2_500_000_000, "2.5 GB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
