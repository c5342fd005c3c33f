//! Finding out whether the modem listens.

use std::time::Duration;

/// Between two probes. The modem drops them until it is ready (about 0.1 s to
/// 1 s after its USB device appears), so the time lost is half of this.
const INTERVAL: Duration = Duration::from_millis(300);

/// After several probes their answers may still come one after the other: the
/// port is ready when it has been quiet for so long.
const SETTLE: Duration = Duration::from_millis(100);

/// After a command without answer its answer may yet come.
const DRAIN: Duration = Duration::from_millis(300);

/// A port that never falls silent is probed all the same.
const DRAIN_LIMIT: Duration = Duration::from_secs(3);

/// Without any answer for so long the port is opened anew. USB is ready some
/// 9 s after power and UART 11.1 s (A7670 Series Hardware Design V1.06, power-on
/// timing), so that a modem that is merely booting answers well before.
const GIVE_UP: Duration = Duration::from_secs(20);

/// A program that ended before what it had to type at a prompt (this one, killed
/// while it sent a message) leaves a port that takes probes for text. So each
/// time that so many probes had no answer, a prompt is left.
const PROMPTS: u32 = 4;

/// Doubled with each time, up to this.
const GIVE_UP_LIMIT: Duration = Duration::from_secs(160);

#[derive(Debug)]
pub(super) struct Probe {
    /// Nothing is sent before; moved on by what is heard while `draining`.
    quiet_at: Duration,
    draining: bool,
    drain_ends: Duration,
    /// Answered, but for the settling.
    answered: bool,
    /// Probes sent and not answered.
    open: u32,
    next_send: Duration,
    gives_up: Duration,
}

pub(super) enum Step {
    Wait,
    Send {
        /// Whether to leave a prompt first.
        leave: bool,
    },
    Ready,
    GiveUp,
}

impl Probe {
    /// Of a port just opened, for the `reopened`th time without an answer.
    pub(super) fn fresh(now: Duration, reopened: u32) -> Probe {
        let patience = GIVE_UP.saturating_mul(1 << reopened.min(3)).min(GIVE_UP_LIMIT);
        Probe {
            quiet_at: now,
            draining: false,
            drain_ends: now,
            answered: false,
            open: 0,
            next_send: now,
            gives_up: now.saturating_add(patience),
        }
    }

    /// Of a port whose modem has just said that it is ready.
    pub(super) fn restarted(now: Duration) -> Probe {
        Probe::fresh(now, 0)
    }

    /// Of a port that owes an answer.
    pub(super) fn drain(now: Duration) -> Probe {
        Probe {
            quiet_at: now.saturating_add(DRAIN),
            draining: true,
            drain_ends: now.saturating_add(DRAIN_LIMIT),
            ..Probe::fresh(now, 0)
        }
    }

    pub(super) fn heard(&mut self, now: Duration) {
        if self.draining {
            self.quiet_at = now.saturating_add(DRAIN).min(self.drain_ends);
        } else if self.answered {
            self.quiet_at = now.saturating_add(SETTLE).min(self.drain_ends);
        }
    }

    /// A result code came. Tells whether the port is ready.
    pub(super) fn result(&mut self, now: Duration, ok: bool) -> bool {
        if self.draining || self.answered {
            return false;
        }
        self.open = self.open.saturating_sub(1);
        if !ok {
            // The probe met the remains of something; the next will not.
            self.next_send = now;
            return false;
        }
        self.answered = true;
        self.quiet_at = now.saturating_add(SETTLE);
        self.drain_ends = now.saturating_add(DRAIN_LIMIT);
        self.open == 0
    }

    pub(super) fn advance(&mut self, now: Duration) -> Step {
        if now < self.quiet_at {
            return Step::Wait;
        }
        self.draining = false;
        if self.answered {
            return Step::Ready;
        }
        if now >= self.gives_up {
            return Step::GiveUp;
        }
        if now < self.next_send {
            return Step::Wait;
        }
        self.open = self.open.saturating_add(1);
        self.next_send = now.saturating_add(INTERVAL);
        Step::Send { leave: self.open % PROMPTS == 0 }
    }

    pub(super) fn next_event(&self) -> Duration {
        if self.draining || self.answered {
            self.quiet_at
        } else {
            self.next_send.min(self.gives_up)
        }
    }
}
