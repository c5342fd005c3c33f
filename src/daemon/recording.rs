//! A transcript in the making, for `a7670e record`: what goes through the AT
//! port, shortened, kept until it is asked for.

use std::io;
use std::time::Duration;

use crate::modem::transcript::{HEADER, Recorder, Side};
use crate::random;

/// Most that is kept between two times of asking, bytes; a client asks several
/// times a second.
const MOST: usize = 48 * 1024;

/// A recording that nobody has asked for in this time is over.
const FORGOTTEN: Duration = Duration::from_secs(20);

/// The recording.
pub struct Recording {
    recorder: Recorder,
    lines: String,
    asked: Duration,
}

impl Recording {
    /// Begins at `now`.
    ///
    /// # Errors
    /// The kernel has no random bytes, without which the owner's numbers could be
    /// guessed from the transcript.
    pub fn new(now: Duration) -> io::Result<Recording> {
        let recorder = Recorder::new(now, random::salt()?);
        Ok(Recording { recorder, lines: format!("{HEADER}\n"), asked: now })
    }

    /// Takes what went through the port.
    pub fn add(&mut self, now: Duration, side: Side, bytes: &[u8]) {
        let lines = self.recorder.record(now, side, bytes);
        if self.lines.len() + lines.len() <= MOST {
            self.lines.push_str(&lines);
        }
    }

    /// Whether nobody wants it any more.
    pub fn is_forgotten(&self, now: Duration) -> bool {
        now.saturating_sub(self.asked) > FORGOTTEN
    }

    /// The lines since the last time.
    pub fn take(&mut self, now: Duration) -> String {
        self.asked = now;
        std::mem::take(&mut self.lines)
    }
}
