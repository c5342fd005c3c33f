//! `a7670e plan`: what the network is to be like, and the steps to there.

use std::fmt::Write as _;

use serde::Serialize;

use crate::modem::usb_path::UsbPath;
use crate::protocol::Status;

/// One modem's, for programs.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    modem: &'a UsbPath,
    link: Option<&'a str>,
    wanted: &'a [String],
    plan: &'a [String],
    problems: &'a [String],
}

/// All modems'.
pub fn answers(status: &Status) -> Vec<Answer<'_>> {
    let modems = status.modems.iter();
    modems
        .map(|modem| {
            let network = modem.session.as_ref().and_then(|report| report.network.as_ref());
            Answer {
                modem: &modem.modem.usb_path,
                link: network.map(|network| network.link.as_str()),
                wanted: network.map_or(&[], |network| &network.wanted),
                plan: network.map_or(&[], |network| &network.plan),
                problems: network.map_or(&[], |network| &network.problems),
            }
        })
        .collect()
}

/// For people.
pub fn render(status: &Status) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for answer in answers(status) {
        let Some(link) = answer.link else {
            _ = writeln!(out, "modem {}: no network device yet", answer.modem);
            continue;
        };
        _ = writeln!(out, "{link} is to have:");
        for line in answer.wanted {
            _ = writeln!(out, "  {line}");
        }
        if answer.plan.is_empty() {
            _ = writeln!(out, "and has it: nothing is to be done.");
        } else {
            _ = writeln!(out, "still to be done:");
            for line in answer.plan {
                _ = writeln!(out, "  {line}");
            }
        }
        for problem in answer.problems {
            _ = writeln!(out, "problem: {problem}");
        }
    }
    if status.modems.is_empty() {
        out.push_str("no modem, nothing to be done\n");
    }
    out
}
