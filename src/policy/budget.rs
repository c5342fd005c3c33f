//! How much data was used this month, how much there may be, and what it comes
//! to at this rate. Counts survive resets of the interface, of the modem and of
//! the whole device: what is kept is the sum, and the counter's last reading.

use serde::{Deserialize, Serialize};

/// A reading of the interface's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Index of the interface: another index is a counter from 0.
    pub index: u32,
    /// Identifies the boot (`/proc/sys/kernel/random/boot_id`, any hash of it):
    /// after another boot counters start from 0.
    pub boot: u64,
    /// Bytes received.
    pub rx: u64,
    /// Bytes sent.
    pub tx: u64,
}

/// What is kept. Times are seconds of the Unix epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The period that the counts are for: its number, see [`Budget::period`].
    pub period: Option<i64>,
    /// When counting began, if that was within the period; `None` when the whole
    /// of it was counted.
    pub since: Option<u64>,
    /// Bytes received in it.
    pub rx: u64,
    /// Bytes sent in it.
    pub tx: u64,
    /// The last reading.
    pub last: Option<Reading>,
    /// Bytes of the period before, both ways.
    pub before: u64,
}

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Most bytes in a period, both ways; `None` without limit.
    pub cap: Option<u64>,
    /// Day of the month on which a period begins, 1 to 28.
    pub first_day: u8,
    /// Bytes below the cap at which to stop: what may still flow between two
    /// readings, and what the provider counts but we do not see.
    pub reserve: u64,
}

/// A count of data under rules.
#[derive(Debug, Clone)]
pub struct Budget {
    rules: Rules,
    usage: Usage,
}

const DAY: i64 = 86_400;

/// 2020-01-01: a clock before that has not been set.
pub(super) const CLOCK_IS_SET: u64 = 1_577_836_800;

impl Budget {
    /// A count that goes on from what was kept.
    #[must_use]
    pub fn new(rules: Rules, usage: Usage) -> Budget {
        Budget { rules, usage }
    }

    /// What to keep.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Takes a reading at `wall`, in seconds of the Unix epoch.
    ///
    /// A new period begins only when a clock that has been set says so, and
    /// never an earlier one: a clock that jumps back must not wipe the count.
    pub fn read(&mut self, wall: u64, reading: Reading) {
        if wall >= CLOCK_IS_SET {
            let period = self.period(wall);
            if self.usage.period.is_none_or(|known| period > known) {
                // What was counted before the clock was first set is this
                // period's, as far as anybody knows.
                if self.usage.period.is_some() {
                    self.usage.before = self.used();
                    (self.usage.rx, self.usage.tx) = (0, 0);
                    self.usage.since = None;
                } else {
                    self.usage.since = Some(wall);
                }
                self.usage.period = Some(period);
            }
        }
        let (rx, tx) = match self.usage.last {
            // The same counter, gone on.
            Some(last)
                if (last.index, last.boot) == (reading.index, reading.boot)
                    && reading.rx >= last.rx
                    && reading.tx >= last.tx =>
            {
                (reading.rx - last.rx, reading.tx - last.tx)
            }
            // Another counter: all that is on it is new.
            _ => (reading.rx, reading.tx),
        };
        self.usage.rx = self.usage.rx.saturating_add(rx);
        self.usage.tx = self.usage.tx.saturating_add(tx);
        self.usage.last = Some(reading);
    }

    /// Takes note of bytes that no counter could be read for.
    pub fn guess(&mut self, bytes: u64) {
        self.usage.rx = self.usage.rx.saturating_add(bytes);
    }

    /// Bytes used in this period, both ways.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.usage.rx.saturating_add(self.usage.tx)
    }

    /// Bytes that may still be used; `None` without limit.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        let cap = self.rules.cap?.saturating_sub(self.rules.reserve);
        Some(cap.saturating_sub(self.used()))
    }

    /// Whether no more may be used.
    #[must_use]
    pub fn reached(&self) -> bool {
        self.left() == Some(0)
    }

    /// Bytes by the end of the period if it goes on as it has since counting
    /// began; `None` in the first six hours, when that says nothing, or while no
    /// clock is set.
    #[must_use]
    pub fn forecast(&self, wall: u64) -> Option<u64> {
        let period = self.usage.period?;
        let now = i64::try_from(wall).ok()?;
        let (start, end) = (self.start(period), self.start(period + 1));
        // Of a device that was set up within the period nothing flowed before.
        let begun = self.usage.since.and_then(|since| i64::try_from(since).ok());
        let begun = begun.map_or(start, |begun| begun.max(start));
        let elapsed = now.saturating_sub(begun);
        if elapsed < DAY / 4 || now >= end {
            return None;
        }
        let whole = u128::from(self.used()) * (end - begun) as u128 / elapsed as u128;
        Some(u64::try_from(whole).unwrap_or(u64::MAX))
    }

    /// The number of the period at `wall`: months since year 0, UTC.
    #[must_use]
    pub fn period(&self, wall: u64) -> i64 {
        let (year, month, day) = date(i64::try_from(wall).unwrap_or(i64::MAX) / DAY);
        let month = year * 12 + (month - 1);
        if day >= self.first_day() { month } else { month - 1 }
    }

    /// When a period starts, in seconds of the Unix epoch.
    #[must_use]
    pub fn start(&self, period: i64) -> i64 {
        day_number(period.div_euclid(12), period.rem_euclid(12) + 1, self.first_day()) * DAY
    }

    fn first_day(&self) -> i64 {
        i64::from(self.rules.first_day.clamp(1, 28))
    }
}

/// Year, month and day of a day since 1970-01-01: Howard Hinnant's
/// `civil_from_days`.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse, `days_from_civil`.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules { cap: Some(1_000_000), first_day: 5, reserve: 10_000 };

    /// 2026-11-21 12:00 UTC.
    const NOW: u64 = 1_795_262_400;

    fn reading(boot: u64, rx: u64) -> Reading {
        Reading { index: 3, boot, rx, tx: 0 }
    }

    #[test]
    fn counts_over_resets_and_reboots() {
        let mut budget = Budget::new(RULES, Usage::default());
        budget.read(NOW, reading(1, 100));
        budget.read(NOW, reading(1, 150));
        // The counter went back (a reset), another interface, another boot.
        budget.read(NOW, reading(1, 30));
        budget.read(NOW, Reading { index: 4, ..reading(1, 40) });
        let kept = serde_json::to_string(budget.usage()).unwrap();
        let mut budget = Budget::new(RULES, serde_json::from_str(&kept).unwrap());
        budget.read(NOW, Reading { index: 4, ..reading(2, 50) });
        assert_eq!(budget.used(), 150 + 30 + 40 + 50);
    }

    #[test]
    fn a_period_begins_on_its_day_and_the_count_with_it() {
        let mut budget = Budget::new(RULES, Usage::default());
        // Before the clock was set, then set.
        budget.read(1000, reading(1, 100));
        budget.read(NOW, reading(1, 200));
        assert_eq!(budget.used(), 200);
        let next = budget.start(budget.period(NOW) + 1) as u64;
        assert_eq!(date(next as i64 / DAY), (2026, 12, 5));
        budget.read(next - 1, reading(1, 300));
        assert_eq!(budget.used(), 300);
        budget.read(next, reading(1, 450));
        assert_eq!((budget.used(), budget.usage().before), (150, 300));
        // The clock jumps back: the count stays.
        budget.read(NOW, reading(1, 500));
        budget.read(1000, reading(1, 500));
        assert_eq!(budget.used(), 200);
    }

    #[test]
    fn the_cap_is_reached_before_it_is_passed() {
        let mut budget = Budget::new(RULES, Usage::default());
        budget.read(NOW, reading(1, 989_999));
        assert_eq!((budget.left(), budget.reached()), (Some(1), false));
        budget.read(NOW, reading(1, 990_000));
        assert!(budget.reached());
        let free = Budget::new(Rules { cap: None, ..RULES }, budget.usage().clone());
        assert_eq!((free.left(), free.reached()), (None, false));
    }

    #[test]
    fn the_forecast_goes_on_at_this_rate() {
        let mut budget = Budget::new(RULES, Usage::default());
        let start = budget.start(budget.period(NOW)) as u64;
        budget.read(start + 1, reading(1, 0));
        assert_eq!(budget.forecast(start + 60), None);
        // A third of the 30 days from 5 November to 5 December.
        budget.read(start + 10 * 86_400, reading(1, 100));
        assert_eq!(budget.forecast(start + 10 * 86_400), Some(300));
    }

    #[test]
    fn a_device_set_up_within_the_month_is_not_taken_for_one_that_was_idle_before() {
        let mut budget = Budget::new(RULES, Usage::default());
        // Set up twelve days before the end of the period; before that, the
        // clock was not set.
        let setup = budget.start(budget.period(NOW) + 1) as u64 - 12 * 86_400;
        budget.read(1000, reading(1, 10));
        budget.read(setup, reading(1, 10));
        assert_eq!(budget.forecast(setup + 3600), None, "an hour says nothing");
        let mut kept = serde_json::to_string(budget.usage()).unwrap();
        for hour in 1..=72 {
            budget = Budget::new(RULES, serde_json::from_str(&kept).unwrap());
            budget.read(setup + hour * 3600, reading(1, 10 + hour * 10));
            kept = serde_json::to_string(budget.usage()).unwrap();
        }
        // 730 bytes in three of twelve days.
        assert_eq!(budget.forecast(setup + 3 * 86_400), Some(2920));

        // From the next period on, all of it counts.
        let next = setup + 12 * 86_400;
        budget.read(next + 10 * 86_400, reading(1, 730 + 100));
        assert_eq!(budget.usage().since, None);
        let days = (budget.start(budget.period(next) + 1) - next as i64) / DAY;
        assert_eq!(budget.forecast(next + 10 * 86_400), Some(10 * days as u64));
        // As does a count that was kept before there was a beginning in it.
        let old = r#"{"period":24322,"rx":30,"tx":0,"last":null,"before":0}"#;
        let old = Budget::new(RULES, serde_json::from_str(old).unwrap());
        assert_eq!(old.forecast(old.start(24_322) as u64 + 15 * 86_400), Some(60));
    }

    proptest! {
        #[test]
        fn dates_and_days_are_inverse(days in -1_000_000_i64..4_000_000) {
            let (year, month, day) = date(days);
            prop_assert!((1..=12).contains(&month) && (1..=31).contains(&day));
            prop_assert_eq!(day_number(year, month, day), days);
        }

        /// 30 days of readings every minute with reboots and resets, traffic
        /// only while the cap is not reached: never more than the cap.
        #[test]
        fn no_cap_is_overrun(
            bursts in prop::collection::vec((0_u64..9_000, 0_u8..40), 100..400),
        ) {
            let mut budget = Budget::new(RULES, Usage::default());
            let (mut boot, mut counter, mut truth) = (0, 0, 0);
            let start = budget.start(budget.period(NOW)) as u64;
            let mut bursts = bursts.into_iter().cycle();
            for minute in 0..30 * 24 * 60 {
                let (bytes, event) = bursts.next().unwrap();
                if !budget.reached() {
                    counter += bytes;
                    truth += bytes;
                }
                budget.read(start + minute * 60, reading(boot, counter));
                if event == 0 {
                    let kept = serde_json::to_string(budget.usage()).unwrap();
                    budget = Budget::new(RULES, serde_json::from_str(&kept).unwrap());
                    (boot, counter) = (boot + 1, 0);
                }
            }
            prop_assert_eq!(budget.used(), truth);
            prop_assert!(truth <= RULES.cap.unwrap(), "{}", truth);
        }
    }
}
