//! What the service's journal tells of a row.

use anyhow::{Result, ensure};

/// Fails until something other than "online" was said of the modem.
pub fn is_told(journal: &str) -> Result<()> {
    ensure!(!verdicts(journal).is_empty(), "nothing was told in {journal:?}");
    Ok(())
}

/// The verdicts that were told, but for "online", each once, in order.
pub fn verdicts(journal: &str) -> Vec<&str> {
    let mut verdicts = Vec::new();
    for text in told(journal) {
        // Behind the colon is the reason, or what is tried.
        let verdict = text.split(": ").next().unwrap_or(text);
        if verdict != "online" && VERDICTS.contains(&verdict) && !verdicts.contains(&verdict) {
            verdicts.push(verdict);
        }
    }
    verdicts
}

/// The rungs that were tried, in order.
pub fn rungs(journal: &str) -> Vec<&str> {
    told(journal).filter_map(|text| text.split_once(": trying ")).map(|(_, rung)| rung).collect()
}

/// What the service says as its verdict (src/policy/verdict.rs).
const VERDICTS: [&str; 18] = [
    "no modem",
    "the modem does not answer",
    "no SIM",
    "the SIM needs its PIN",
    "the SIM needs its PUK",
    "the network refuses this SIM",
    "no coverage",
    "no APN that works",
    "no data connection",
    "NetworkManager does not do its part",
    "the modem gives no address",
    "the modem's network is that of another interface",
    "the route is not as it should be",
    "names are not resolved",
    "nothing beyond the modem is reached",
    "the month's data is used up",
    "coming up",
    "online",
];

/// The lines about a modem, without what stands before the text.
fn told(journal: &str) -> impl Iterator<Item = &str> {
    journal
        .lines()
        .filter_map(|line| line.split_once(": modem at "))
        .filter_map(|(_, rest)| rest.split_once(": "))
        .map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: &str = "\
1700000000.1 pi a7670e[300]: modem at 1-1: online
1700000001.2 pi a7670e[300]: modem at 1-1: the AT port: Input/output error (os error 5)
1700000001.3 pi a7670e[300]: modem at 1-1: no modem
1700000002.3 pi a7670e[300]: modem at 1-1: ModemManager lets go of it
1700000002.4 pi a7670e[300]: modem at 1-1: coming up
1700000009.0 pi a7670e[300]: modem at 1-1: no coverage: EMM cause 15
1700000009.1 pi a7670e[300]: modem at 1-1: no coverage: trying the radio off and on
1700000011.0 pi a7670e[300]: modem at 1-1: coming up
1700000012.0 pi a7670e[300]: modem at 1-1: online
";

    /// A verdict with other words would be taken for no verdict.
    #[test]
    fn the_service_speaks_so() {
        let service = include_str!("../../../../../src/policy/verdict.rs");
        let words = service.split_once("impl fmt::Display for Verdict").unwrap().1;
        let said: Vec<_> = words
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Verdict::")?.split('"').nth(1))
            .collect();
        assert_eq!(said, VERDICTS);
    }

    #[test]
    fn verdicts_and_rungs_are_found() {
        assert_eq!(verdicts(JOURNAL), ["no modem", "coming up", "no coverage"]);
        assert_eq!(rungs(JOURNAL), ["the radio off and on"]);
        assert!(is_told(JOURNAL).is_ok());
        assert!(is_told(JOURNAL.lines().next().unwrap()).is_err());
    }
}
