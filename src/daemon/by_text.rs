//! What text messages set in motion at one modem, and what all modems share of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::{Mutex, broadcast};
use tokio::time::{Instant, sleep_until};

use super::adopt::Owner;
use super::obey::Commands;
use super::program::Program;
use super::task::{Pending, finish};
use super::ussd::Asking;
use crate::modem::usb_path::UsbPath;
use crate::session::Settings;
use crate::sms::desk::Ended;

/// Answers by USSD that a listener may be behind.
const ANSWERS: usize = 16;

/// What all tasks share.
pub struct ByText {
    /// What is run for each message.
    pub program: Option<Program>,
    /// Who judges commands.
    pub commands: Option<Commands>,
    /// What follows `+CUSD:`, and where it came.
    pub ussd: broadcast::Sender<(UsbPath, String)>,
    /// Held by who asks by USSD.
    pub asking: Mutex<Asking>,
    /// Places whose messages are in use.
    in_use: std::sync::Mutex<BTreeSet<String>>,
}

impl ByText {
    /// With a program and commands, or without, and what is kept below `folder`.
    pub fn new(program: Option<Program>, commands: Option<Commands>, folder: &Path) -> ByText {
        let ussd = broadcast::channel(ANSWERS).0;
        let asking = Mutex::new(Asking::new(folder));
        ByText { program, commands, ussd, asking, in_use: Default::default() }
    }
}

impl ByText {
    /// Places whose messages are in use.
    pub fn in_use(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // A set that somebody panicked with is whole all the same.
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is under way at one modem.
pub struct UnderWay {
    /// The wishes of the configuration.
    pub settings: Settings,
    /// The program, and the message that it is run for.
    pub program: Pending<(u64, Ended)>,
    /// A reboot that waits for its answer to be sent: the command's message, the
    /// answer's, and until when.
    pub reboot: Option<(u64, Option<u64>, Duration)>,
    /// A reboot, and its command's message.
    pub rebooting: Pending<(u64, Result<()>)>,
    /// Until when an access point is on trial.
    pub trial: Option<Duration>,
    /// Another session is to begin, once no message is under way; until when that is
    /// waited for.
    pub anew: Option<Duration>,
    /// Whether the messages are free for another modem.
    pub parked: bool,
    /// Whose they are, as was noted.
    pub owner: Option<Owner>,
}

/// What has come to its end.
pub enum Came {
    /// The program for a message.
    Ran(u64, Ended),
    /// A reboot by a message.
    Rebooted(u64, Result<()>),
    /// A time is over.
    Due,
}

impl UnderWay {
    /// Nothing yet.
    pub fn new(settings: Settings) -> UnderWay {
        UnderWay {
            settings,
            program: None,
            reboot: None,
            rebooting: None,
            trial: None,
            anew: None,
            parked: false,
            owner: None,
        }
    }

    /// Waits for the next thing.
    pub async fn next(&mut self, start: Instant) -> Came {
        let reboot = self.reboot.map(|reboot| reboot.2);
        let due = [reboot, self.trial, self.anew].into_iter().flatten().min();
        let due = async {
            match due {
                Some(due) => sleep_until(start + due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            (id, ended) = finish(&mut self.program) => Came::Ran(id, ended),
            (id, done) = finish(&mut self.rebooting) => Came::Rebooted(id, done),
            () = due => Came::Due,
        }
    }
}
