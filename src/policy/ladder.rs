//! The recovery ladder: what to try next, and when. A table of rungs with waits
//! and limits, and a pure function of the time, the verdict and the history.
//!
//! The history is plain data that the caller keeps across reboots; limits count
//! in wall-clock time, as the monotonic clock starts anew with each boot. A
//! clock that jumps while we look on takes the entries along, so that their age
//! stays; one that was found to be back makes entries from the future, which
//! count as now: the ladder then waits longer, never shorter.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::budget::CLOCK_IS_SET;
use super::verdict::Verdict;

/// What can be tried, from the cheapest to the dearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// Prove connectivity once more.
    Reprobe,
    /// Take the data connection down and up.
    Redial,
    /// Radio off and on: `AT+CFUN=0`, `AT+CFUN=1`.
    CfunCycle,
    /// Restart the modem: `AT+CRESET`.
    Creset,
    /// Have the kernel let go of the USB device and take it again.
    UsbReauthorise,
    /// Cut the modem's power.
    PowerCycle,
    /// Restart the whole device.
    Reboot,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rung::Reprobe => "another look",
            Rung::Redial => "dialling again",
            Rung::CfunCycle => "the radio off and on",
            Rung::Creset => "a restart of the modem",
            Rung::UsbReauthorise => "taking the USB device anew",
            Rung::PowerCycle => "the modem's power off and on",
            Rung::Reboot => "a reboot",
        })
    }
}

/// How often a rung may be used, and how long its effect takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Which rung.
    pub rung: Rung,
    /// Whether this machine has it (power needs a line, reboot needs leave).
    pub enabled: bool,
    /// Seconds to wait after it before the next is tried.
    pub wait_s: u64,
    /// Times it is tried in one outage before the next rung.
    pub tries: u32,
    /// Times in any hour.
    pub per_hour: u32,
    /// Times in any day.
    pub per_day: u32,
    /// Seconds that an outage must have lasted before it is tried at all.
    pub after_s: u64,
    /// Seconds of an outage during which it is held back while data is proven to
    /// flow all the same.
    pub spare_s: u64,
}

/// The ladder as shipped. Waits: an A76XX is back about 10 s after a restart and
/// registers within a minute; a radio cycle takes a third of that.
pub const DEFAULT: [Limit; 7] = [
    limit(Rung::Reprobe, 10, 2, 60, 500),
    limit(Rung::Redial, 30, 2, 8, 60),
    limit(Rung::CfunCycle, 60, 2, 6, 40),
    limit(Rung::Creset, 120, 2, 4, 20),
    limit(Rung::UsbReauthorise, 120, 1, 2, 10),
    // A modem that somebody pulls out is often put in again within a minute.
    Limit { enabled: false, after_s: 60, ..limit(Rung::PowerCycle, 180, 2, 2, 10) },
    // Everything else on the device ends, too: not before all else had its time,
    // and not because somebody took the modem away for a while.
    Limit { enabled: false, after_s: HOUR / 2, ..limit(Rung::Reboot, 1800, 1, 1, 2) },
];

const fn limit(rung: Rung, wait_s: u64, tries: u32, per_hour: u32, per_day: u32) -> Limit {
    // All but another look end the data path.
    let spare_s = if matches!(rung, Rung::Reprobe) { 0 } else { SPARE_S };
    Limit { rung, enabled: true, wait_s, tries, per_hour, per_day, after_s: GRACE_S, spare_s }
}

/// Data that flows is worth more than an AT port that answers, but not for ever:
/// without the port nobody hears of text messages, of roaming, of the SIM. Four
/// times a day it may cost the two minutes of a restart.
const SPARE_S: u64 = 6 * HOUR;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// How long an outage must last before the first rung: most end by themselves.
const GRACE_S: u64 = 20;

/// How long it must be online before the next outage starts at the bottom again;
/// a network that flaps faster goes on where it was.
const STABLE_S: u64 = 300;

/// Something that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Which rung.
    pub rung: Rung,
    /// When, in seconds of the Unix epoch.
    pub at: u64,
}

/// What must survive a reboot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// What was tried in the last day, oldest first.
    pub tried: Vec<Tried>,
    /// Rungs tried in this outage.
    pub outage: Vec<Rung>,
    /// When the outage began, in seconds of the Unix epoch.
    pub since: Option<u64>,
    /// Since when it has been online, in seconds of the Unix epoch.
    pub online_since: Option<u64>,
}

/// A rung, and when it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which.
    pub rung: Rung,
    /// When, in seconds of the Unix epoch; now or earlier means now.
    pub at: u64,
    /// It would be due earlier, were it not that data flows.
    pub held: bool,
}

/// The ladder of one modem.
#[derive(Debug, Clone)]
pub struct Ladder {
    limits: Vec<Limit>,
    history: History,
    /// The wall clock less the monotonic one, in seconds, when last compared.
    offset: Option<i64>,
    /// Data is proven to flow, whatever the verdict.
    flows: bool,
}

/// Clocks that differ by no more have not jumped: seconds are rounded.
const JUMP_S: u64 = 2;

impl Ladder {
    /// A ladder with its limits, lowest rung first, and what is remembered.
    #[must_use]
    pub fn new(limits: Vec<Limit>, history: History) -> Ladder {
        Ladder { limits, history, offset: None, flows: false }
    }

    /// Compares the clocks: `now` since some moment, never going back, and
    /// `wall` in seconds of the Unix epoch. A machine without a battery starts
    /// in the past and learns the date later; what was tried a minute before is
    /// not years ago then.
    pub fn clock(&mut self, now: Duration, wall: u64) {
        let signed = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        let offset = signed(wall).saturating_sub(signed(now.as_secs()));
        match self.offset {
            None => {
                self.offset = Some(offset);
                // What is from the future is from before this start.
                self.forget(wall);
            }
            Some(before) if offset.abs_diff(before) > JUMP_S => {
                self.offset = Some(offset);
                let jump = offset.saturating_sub(before);
                let moved = |at: u64| at.saturating_add_signed(jump);
                self.history.tried.iter_mut().for_each(|tried| tried.at = moved(tried.at));
                self.history.since = self.history.since.map(moved);
                self.history.online_since = self.history.online_since.map(moved);
            }
            Some(_) => {}
        }
    }

    /// Takes note whether data is proven to flow, although something else is
    /// amiss: rungs that would end it are held back then, see [`Limit::spare_s`].
    pub fn spare(&mut self, flows: bool) {
        self.flows = flows;
    }

    /// What to remember; to be kept whenever it changed, and before a rung that
    /// may end this program.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Takes note of the verdict at `wall` (seconds of the Unix epoch) and says
    /// what is next and when. `None`: nothing that helps, or nothing is needed.
    pub fn assess(&mut self, wall: u64, verdict: Verdict) -> Option<Step> {
        self.forget(wall);
        if verdict == Verdict::Online {
            self.history.since = None;
            let since = *self.history.online_since.get_or_insert(wall);
            if wall.saturating_sub(since) >= STABLE_S {
                self.history.outage.clear();
            }
            return None;
        }
        self.history.online_since = None;
        if !self.limits.iter().any(|limit| limit.enabled && helps(limit.rung, verdict)) {
            self.history.since = None;
            return None;
        }
        self.history.since.get_or_insert(wall);
        self.next(wall, verdict)
    }

    /// What is next and when, for who wants to know; changes nothing.
    #[must_use]
    pub fn next(&self, wall: u64, verdict: Verdict) -> Option<Step> {
        let since = self.history.since?.min(wall);
        let settled = self.history.tried.last().map_or(0, |last| {
            last.at.min(wall) + self.limit(last.rung).map_or(0, |limit| limit.wait_s)
        });
        let usable = |limit: &&Limit| limit.enabled && helps(limit.rung, verdict);
        // The lowest rung with tries left; when all are used up, the cheapest to
        // come free again, so that it goes on for ever, as often as limits allow.
        let fresh =
            self.limits.iter().filter(usable).find(|limit| self.used(limit.rung) < limit.tries);
        // Flowing data is spared anew after each rung that ended it.
        let ended = self.history.tried.iter().rev().find(|tried| self.spares(tried.rung));
        let flowing = since.max(ended.map_or(0, |tried| tried.at.min(wall)));
        let grace = if had_its_time(verdict) { GRACE_S } else { 0 };
        let choice = |limit: &Limit| {
            let due = since + limit.after_s.saturating_sub(grace);
            let at = settled.max(due).max(self.free_at(wall, limit));
            let spared = if self.flows { flowing.saturating_add(limit.spare_s) } else { 0 };
            Step { rung: limit.rung, at: at.max(spared), held: spared > at.max(wall) }
        };
        match fresh {
            Some(limit) => Some(choice(limit)),
            None => self
                .limits
                .iter()
                .filter(usable)
                .filter(|limit| limit.rung != Rung::Reprobe)
                .map(choice)
                .min_by_key(|step| step.at),
        }
    }

    /// Takes note that a rung was used. Keep the history before acting on it.
    pub fn record(&mut self, wall: u64, rung: Rung) {
        self.forget(wall);
        self.history.tried.push(Tried { rung, at: wall });
        self.history.outage.push(rung);
        // Enough to know that all tries are used up; bounded for ever.
        let excess = self.history.outage.len().saturating_sub(64);
        self.history.outage.drain(..excess);
    }

    fn limit(&self, rung: Rung) -> Option<&Limit> {
        self.limits.iter().find(|limit| limit.rung == rung)
    }

    /// Whether a rung is held back while data flows.
    fn spares(&self, rung: Rung) -> bool {
        self.limit(rung).is_some_and(|limit| limit.spare_s > 0)
    }

    fn used(&self, rung: Rung) -> u32 {
        let used = self.history.outage.iter().filter(|other| **other == rung).count();
        u32::try_from(used).unwrap_or(u32::MAX)
    }

    /// When the limits per hour and day allow the rung again.
    fn free_at(&self, wall: u64, limit: &Limit) -> u64 {
        let times: Vec<u64> = self
            .history
            .tried
            .iter()
            .filter(|tried| tried.rung == limit.rung)
            .map(|tried| tried.at.min(wall))
            .collect();
        // The n-th last use must be further back than the window.
        let after = |count: u32, window| match count {
            0 => u64::MAX,
            count => times
                .len()
                .checked_sub(count as usize)
                .and_then(|index| times.get(index))
                .map_or(0, |at| at.saturating_add(window)),
        };
        after(limit.per_hour, HOUR).max(after(limit.per_day, DAY))
    }

    fn forget(&mut self, wall: u64) {
        for tried in &mut self.history.tried {
            tried.at = tried.at.min(wall);
            // By a clock that was not set then and was set while nobody looked:
            // when that was, nobody knows. Now is the safe guess.
            if tried.at < CLOCK_IS_SET && wall >= CLOCK_IS_SET {
                tried.at = wall;
            }
        }
        // Else a beginning in the future would begin anew at each moment.
        self.history.since = self.history.since.map(|since| since.min(wall));
        self.history.online_since = self.history.online_since.map(|since| since.min(wall));
        self.history.tried.retain(|tried| tried.at + DAY > wall);
        // An outage goes on as long as something is tried.
        if self.history.tried.is_empty() {
            self.history.outage.clear();
        }
    }
}

/// Whether what is missing has had the time that it usually takes to come, before
/// the verdict said that it is missing (src/session/evidence.rs): it gets no more.
fn had_its_time(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::NoDataPath | Verdict::NoLease)
}

/// Whether a rung can mend what the verdict says. A SIM that is not there, wants
/// a PIN or is refused is not mended by restarts, which would only spend tries
/// or annoy the network; a used-up cap least of all.
#[must_use]
pub fn helps(rung: Rung, verdict: Verdict) -> bool {
    match verdict {
        Verdict::Online
        | Verdict::ComingUp
        | Verdict::CapReached
        | Verdict::NoSim
        | Verdict::PinNeeded
        | Verdict::PukNeeded
        | Verdict::Denied
        | Verdict::Clash
        // Another program's, which no restart of the modem mends.
        | Verdict::NetworkManager => false,
        // The network may have been out of sorts: ask again, no more.
        Verdict::NoApn => matches!(rung, Rung::Redial | Rung::CfunCycle),
        // Nothing to talk to: only what works without the modem's help.
        Verdict::NoModem => matches!(rung, Rung::PowerCycle | Rung::Reboot),
        Verdict::PortSilent => rung >= Rung::UsbReauthorise,
        Verdict::NoCoverage => matches!(rung, Rung::CfunCycle | Rung::Creset | Rung::PowerCycle),
        Verdict::NoDataPath | Verdict::NoLease => rung >= Rung::Redial,
        Verdict::Route | Verdict::Dns | Verdict::NoInternet => true,
    }
}

#[cfg(test)]
mod tests;
