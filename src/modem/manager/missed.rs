//! Messages that ModemManager may have missed. It reads one that the modem tells of
//! at once, and forgets those of which it is told meanwhile (1.24: "SMS storage
//! currently locked", `cmti_received`). They lie on the SIM until it lists the SIM,
//! which it does when the modem is enabled.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::sms::managed::{Kind, Stored};

/// From a message's arrival to the look for others: they come in bursts, and reading
/// one takes an A76XX seconds.
const AFTER: Duration = Duration::from_secs(20);

/// The longest wait between two looks for the rest of a text; the first is as
/// [`AFTER`], and it doubles.
const MOST: Duration = Duration::from_secs(1800);

/// Most messages that are remembered.
const REMEMBERED: usize = 500;

/// When to have ModemManager look again.
#[derive(Debug, Default)]
pub struct Missed {
    seen: BTreeSet<u64>,
    /// Since when there is reason to look.
    since: Option<Duration>,
    /// Looks in vain.
    looks: u32,
}

impl Missed {
    /// These are shown.
    pub fn shown(&mut self, now: Duration, all: &[Stored]) {
        let mut partial = false;
        for stored in all.iter().filter(|one| one.kind == Kind::Deliver) {
            partial |= !stored.whole;
            let mut hasher = DefaultHasher::new();
            (&stored.number, &stored.stamp, &stored.text, stored.whole).hash(&mut hasher);
            if self.seen.len() >= REMEMBERED {
                self.seen.clear();
            }
            if self.seen.insert(hasher.finish()) {
                (self.since, self.looks) = (Some(now), 0);
            }
        }
        if partial {
            self.since.get_or_insert(now);
        }
    }

    /// When to look; `None` for not at all.
    pub fn due(&self) -> Option<Duration> {
        let wait = AFTER.saturating_mul(1 << self.looks.min(16)).min(MOST);
        Some(self.since?.saturating_add(wait))
    }

    /// It looks.
    pub fn looked(&mut self) {
        self.since = None;
        self.looks = self.looks.saturating_add(1);
    }
}
