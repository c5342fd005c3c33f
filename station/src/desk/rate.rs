//! How fast a card is just now: a function of what was done when.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::progress::Phase;

/// A speed is that of the last so many seconds: cards stall for a second or two
/// while they tidy up, and a figure that jumps tells nothing.
const SPAN: Duration = Duration::from_secs(5);

/// What one card has done lately.
#[derive(Debug, Default)]
pub struct Rate {
    phase: Option<Phase>,
    samples: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// Takes in that `done` bytes of the phase are done at `now`; gives bytes in
    /// a second, once there is anything to tell it by.
    pub fn sample(&mut self, now: Instant, phase: Phase, done: u64) -> Option<u64> {
        if self.phase != Some(phase) {
            self.phase = Some(phase);
            self.samples.clear();
        }
        self.samples.push_back((now, done));
        while self.samples.len() > 2 && now.duration_since(self.samples[1].0) >= SPAN {
            self.samples.pop_front();
        }
        let (since, before) = *self.samples.front()?;
        let took = now.duration_since(since).as_millis();
        let bytes = u128::from(done.saturating_sub(before));
        u64::try_from((bytes * 1000).checked_div(took)?).ok()
    }
}

/// Seconds until `total` bytes are done; `None` when unknown.
#[must_use]
pub fn remaining(done: u64, total: u64, speed: Option<u64>) -> Option<u64> {
    let speed = speed.filter(|&speed| speed > 0)?;
    (total > 0).then(|| total.saturating_sub(done).div_ceil(speed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_of_the_last_seconds_and_of_one_phase() {
        let mut rate = Rate::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(rate.sample(at(0), Phase::Writing, 0), None);
        assert_eq!(rate.sample(at(1), Phase::Writing, 100), Some(100));
        for second in 2..10 {
            rate.sample(at(second), Phase::Writing, 100);
        }
        // It stalls for longer than the span.
        assert_eq!(rate.sample(at(10), Phase::Writing, 100), Some(0));
        assert_eq!(rate.sample(at(11), Phase::Verifying, 0), None);
        assert_eq!(rate.sample(at(12), Phase::Verifying, 50), Some(50));
        assert_eq!(remaining(50, 101, Some(50)), Some(2));
        assert_eq!(remaining(50, 100, Some(0)), None);
        assert_eq!(remaining(50, 0, Some(50)), None);
    }
}
