//! Proof of connectivity: first by looking (bytes that come in anyway), then by
//! asking, through sockets bound to the link, within a budget of bytes.
//!
//! The decisions are here and pure; [`io`] asks.

pub mod io;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::verdict::Proof;

/// Bytes that arrive between two looks without our asking and count as proof. A
/// modem's own chatter (ARP, its lease's renewal, neighbour discovery) is some
/// hundred bytes a minute.
const PASSIVE_BYTES: u64 = 2_000;

/// What a probe costs at most, both ways, measured in tests/probe.rs: 923 bytes
/// as a rule (a name, a request and its answer over TCP), 1,982 when a portal
/// answers with a long page, of which a window comes.
pub const PROBE_BYTES: u64 = 2_000;

/// A day in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// How and how often to prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// While all is well, time between two proofs.
    pub interval: Duration,
    /// While it is not, or not yet.
    pub retry: Duration,
    /// Probes that must fail in a row before it counts.
    pub failures: u32,
    /// Bytes that probes may use in a day.
    pub bytes_per_day: u64,
}

impl Default for Settings {
    /// Ten minutes; one failure is a lost packet, three are an outage.
    fn default() -> Settings {
        Settings {
            interval: Duration::from_secs(600),
            retry: Duration::from_secs(5),
            failures: 3,
            bytes_per_day: 432_000,
        }
    }
}

/// What one probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The name was found and the page was what it should be.
    Online,
    /// An address was reached, but names are not found.
    NoDns,
    /// A page came, but another.
    Captive,
    /// Nothing came.
    Nothing,
}

/// Where to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Host of the page; its name is what is looked up.
    pub host: String,
    /// Port of the page.
    pub port: u16,
    /// Path of the page.
    pub path: String,
    /// The status that it answers with; 204 has no text to pay for.
    pub status: u16,
    /// Addresses to connect to when names are not found: what is reached there
    /// tells a dead name server from a dead line.
    pub fallback: Vec<SocketAddrV4>,
}

/// What is known of connectivity, and when to ask next.
#[derive(Debug, Clone)]
pub struct Prover {
    settings: Settings,
    proof: Proof,
    /// When it last passed, or enough came to be as good.
    passed: Option<Duration>,
    failed: u32,
    next: Duration,
    received: Option<u64>,
    /// What may be spent now, in bytes times [`DAY_MS`], and as of when. A quarter
    /// of the day's budget can be saved up, the rest comes evenly: so an hour of
    /// failures does not leave the rest of the day in the dark, and no 24 hours
    /// ever have more than the budget.
    credit: (u64, Duration),
}

impl Prover {
    /// Nothing is known; due at once.
    #[must_use]
    pub fn new(settings: Settings) -> Prover {
        Prover {
            credit: (most_saved(&settings), Duration::ZERO),
            settings,
            proof: Proof::Pending,
            passed: None,
            failed: 0,
            next: Duration::ZERO,
            received: None,
        }
    }

    /// What is known.
    #[must_use]
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// Whether it is known at `now` that packets come through: the proof is no
    /// older than two intervals, of which one may have been spent without a probe
    /// for want of bytes.
    #[must_use]
    pub fn is_fresh(&self, now: Duration) -> bool {
        let young = |passed| now.saturating_sub(passed) <= self.settings.interval.saturating_mul(2);
        self.proof == Proof::Passed && self.passed.is_some_and(young)
    }

    /// Forgets it all: there is a new lease or data connection. What was spent
    /// stays spent.
    pub fn restart(&mut self, now: Duration) {
        self.proof = Proof::Pending;
        self.failed = 0;
        self.received = None;
        self.next = now;
    }

    /// Asks for a probe now, if the budget allows (rung `Reprobe`).
    pub fn hurry(&mut self, now: Duration) {
        self.next = now;
    }

    /// When a probe is due.
    #[must_use]
    pub fn next_event(&self) -> Duration {
        self.next
    }

    /// Looks at the link's counter of received bytes; true when a probe is to be
    /// made now. Enough new bytes are proof without one, once one has passed:
    /// what comes before that may be the modem's alone.
    pub fn due(&mut self, now: Duration, received: u64) -> bool {
        if now < self.next {
            return false;
        }
        let known = self.received.replace(received);
        let grown = known.is_some_and(|known| received.saturating_sub(known) >= PASSIVE_BYTES);
        if grown && self.proof == Proof::Passed && self.failed == 0 {
            self.passed = Some(now);
            self.next = now + self.settings.interval;
            return false;
        }
        let cost = PROBE_BYTES.saturating_mul(DAY_MS);
        let most = most_saved(&self.settings);
        // Bytes times DAY_MS that come in a millisecond are bytes in a day.
        let rate = self.settings.bytes_per_day - most / DAY_MS;
        let millis = u64::try_from(now.saturating_sub(self.credit.1).as_millis());
        let earned = rate.saturating_mul(millis.unwrap_or(u64::MAX));
        let credit = self.credit.0.saturating_add(earned).min(most);
        self.credit = (credit, now);
        if let Some(credit) = credit.checked_sub(cost) {
            self.credit.0 = credit;
            return true;
        }
        let wait = if most < cost { DAY_MS } else { (cost - credit).div_ceil(rate.max(1)) };
        self.next = now.saturating_add(Duration::from_millis(wait.min(DAY_MS)));
        false
    }

    /// Takes note of a probe's outcome.
    pub fn record(&mut self, now: Duration, outcome: Outcome) {
        let proof = match outcome {
            Outcome::Online => Proof::Passed,
            Outcome::NoDns => Proof::NoDns,
            Outcome::Captive => Proof::Captive,
            Outcome::Nothing => Proof::Nothing,
        };
        if proof == Proof::Passed {
            (self.proof, self.failed, self.passed) = (proof, 0, Some(now));
            self.next = now + self.settings.interval;
            return;
        }
        self.failed = self.failed.saturating_add(1);
        if self.failed >= self.settings.failures {
            self.proof = proof;
        }
        // 5, 10, 20... seconds, up to the usual interval.
        let doubled = self.settings.retry.saturating_mul(1 << (self.failed - 1).min(10));
        self.next = now + doubled.min(self.settings.interval);
    }
}

/// Most that is saved up, in bytes times [`DAY_MS`]; enough for one probe if the
/// budget is.
fn most_saved(settings: &Settings) -> u64 {
    let day = settings.bytes_per_day;
    (day / 4).max(PROBE_BYTES.min(day)).saturating_mul(DAY_MS)
}

/// A DNS query (RFC 1035 section 4) for the IPv4 address of `host`; `None` when
/// that is no host name.
#[must_use]
pub fn dns_query(id: u16, host: &str) -> Option<Vec<u8>> {
    let mut bytes = id.to_be_bytes().to_vec();
    // Recursion desired, one question.
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in host.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        bytes.push(length);
        bytes.extend(label.as_bytes());
    }
    // The root, type A, class IN.
    bytes.extend([0, 0, 1, 0, 1]);
    (bytes.len() <= 255 + 17).then_some(bytes)
}

/// The first IPv4 address in an answer to `query`; `None` when it is no answer
/// to it, is malformed, or has none.
#[must_use]
pub fn dns_answer(query: &[u8], answer: &[u8]) -> Option<Ipv4Addr> {
    let question = query.get(12..)?;
    // The same id, an answer without error, the same question.
    let right = answer.get(..2)? == query.get(..2)?
        && answer.get(2)? & 0x80 != 0
        && answer.get(3)? & 0x0f == 0
        && answer.get(12..12 + question.len())? == question;
    if !right {
        return None;
    }
    let count = u16::from_be_bytes([*answer.get(6)?, *answer.get(7)?]);
    let mut at = 12 + question.len();
    for _ in 0..count {
        // A name: labels, or a pointer to them.
        loop {
            match *answer.get(at)? {
                0 => {
                    at += 1;
                    break;
                }
                length if length >= 0xc0 => {
                    at += 2;
                    break;
                }
                length => at += 1 + usize::from(length),
            }
        }
        let record = answer.get(at..at + 10)?;
        let length = usize::from(u16::from_be_bytes([record[8], record[9]]));
        let data = answer.get(at + 10..at + 10 + length)?;
        if record[..4] == [0, 1, 0, 1] {
            return <[u8; 4]>::try_from(data).ok().map(Ipv4Addr::from);
        }
        at += 10 + length;
    }
    None
}

/// The status of an HTTP/1 answer.
#[must_use]
pub fn http_status(answer: &[u8]) -> Option<u16> {
    let line = answer.strip_prefix(b"HTTP/1.")?;
    let digits = line.get(2..5)?;
    if line.get(1) != Some(&b' ') {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn three_failures_count_and_one_success_mends() {
        let mut prover = Prover::new(Settings::default());
        assert!(prover.due(secs(0), 0));
        prover.record(secs(0), Outcome::Online);
        assert_eq!((prover.proof(), prover.due(secs(599), 0)), (Proof::Passed, false));
        let mut now = secs(600);
        for expected in [Proof::Passed, Proof::Passed, Proof::NoDns] {
            assert!(prover.due(now, 10));
            prover.record(now, Outcome::NoDns);
            assert_eq!(prover.proof(), expected);
            now = prover.next_event();
        }
        assert_eq!(now, secs(600 + 5 + 10 + 20));
        prover.record(now, Outcome::Online);
        assert_eq!(prover.proof(), Proof::Passed);
    }

    #[test]
    fn traffic_is_proof_but_only_after_a_first_one() {
        let mut prover = Prover::new(Settings::default());
        assert!(prover.due(secs(0), 0));
        assert!(prover.due(secs(1), 1_000_000), "nothing is proven yet");
        prover.record(secs(1), Outcome::Online);
        for round in 1..100 {
            assert!(!prover.due(secs(1 + 600 * round), 1_000_000 + round * PASSIVE_BYTES));
            assert!(prover.is_fresh(secs(1 + 600 * round)));
        }
        assert!(!prover.is_fresh(secs(1 + 600 * 102)), "nobody looked for two intervals");
        assert!(prover.due(secs(1 + 600 * 100), 1_000_000 + 99 * PASSIVE_BYTES + 500));
    }

    #[test]
    fn a_day_of_failures_stays_within_the_budget() {
        let mut prover = Prover::new(Settings { bytes_per_day: 40_000, ..Settings::default() });
        let (mut probes, mut now) = (Vec::new(), secs(0));
        while now < secs(3 * 86_400) {
            if prover.due(now, 0) {
                probes.push(now);
                prover.record(now, Outcome::Nothing);
            }
            assert!(prover.next_event() > now);
            now = prover.next_event();
        }
        let days = probes.windows(21).map(|run| run[20] - run[0]);
        assert!(days.clone().all(|span| span >= secs(86_400)), "{days:?}");
        let pauses = probes.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(pauses.clone().all(|pause| pause < secs(7200)), "{pauses:?}");
        assert!(probes.len() >= 45, "{}", probes.len());
        let mut poor = Prover::new(Settings { bytes_per_day: 100, ..Settings::default() });
        assert!(!poor.due(secs(0), 0) && poor.next_event() == secs(86_400));
    }

    #[test]
    fn a_name_is_asked_for_and_found() {
        let query = dns_query(7, "example.org").unwrap();
        assert_eq!(&query[12..], b"\x07example\x03org\0\0\x01\0\x01");
        assert_eq!(dns_query(7, "a..b"), None);
        let mut answer = query.clone();
        (answer[2], answer[3], answer[7]) = (0x81, 0x80, 2);
        // An alias first, then its address.
        answer.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x02\xc0\x0c");
        answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x09");
        assert_eq!(dns_answer(&query, &answer), Some(Ipv4Addr::new(10, 0, 0, 9)));
        answer[3] = 0x83;
        assert_eq!(dns_answer(&query, &answer), None, "no such name");
        assert_eq!(http_status(b"HTTP/1.1 204 No Content\r\n"), Some(204));
        assert_eq!(http_status(b"HTTP/1.1 2"), None);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let query = dns_query(7, "a.b").unwrap();
            let mut answer = query.clone();
            (answer[2], answer[7]) = (0x80, 3);
            answer.extend(&bytes);
            let _ = dns_answer(&query, &answer);
            let _ = dns_answer(&query, &bytes);
            let _ = http_status(&bytes);
        }
    }
}
