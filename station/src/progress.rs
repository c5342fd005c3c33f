//! How far each card is; written by its thread, read by whoever shows it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// What is being done to a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing yet.
    Waiting,
    /// The image goes onto it.
    Writing,
    /// What was written is read back.
    Verifying,
    /// The boot sector, last of all.
    Closing,
    /// It is right.
    Done,
    /// It is not.
    Failed,
}

const PHASES: [Phase; 6] =
    [Phase::Waiting, Phase::Writing, Phase::Verifying, Phase::Closing, Phase::Done, Phase::Failed];

/// One card's progress.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Begins a phase of `total` bytes; 0 when unknown.
    pub fn begin(&self, phase: Phase, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Counts bytes of the phase as done.
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The phase, bytes done in it, and bytes in all (0 when unknown).
    #[must_use]
    pub fn get(&self) -> (Phase, u64, u64) {
        let phase = usize::from(self.phase.load(Ordering::Relaxed));
        let phase = PHASES.get(phase).copied().unwrap_or(Phase::Waiting);
        (phase, self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_told_as_it_was_set() {
        let progress = Progress::default();
        assert_eq!(progress.get(), (Phase::Waiting, 0, 0));
        for phase in PHASES {
            progress.begin(phase, 9);
            progress.add(4);
            assert_eq!(progress.get(), (phase, 4, 9));
        }
    }
}
