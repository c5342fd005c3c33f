//! A ModemManager that does not know yet that the service has the modem: one that was
//! started, or restarted, beside it.
//!
//! It cannot be asked to let go of a modem before it has shown it on the bus, and it
//! shows it when it has probed it, which takes tens of seconds of its own commands on
//! the AT port. Two programs on one port read each other's answers. So the service
//! closes the port for that time, while all else goes on.

use std::time::Duration;

use super::{Action, Clock, Port, Session};
use crate::config::Control;
use crate::modem::machine::{self, Phase};
use crate::modem::manager;

/// How long a modem, or ModemManager, is so new that ModemManager may yet come to
/// know the modem: it looks at the bus once it has its name there, which takes tens
/// of seconds while a system starts. What it is not asked for before it knows the
/// modem well, it does: it would speak on the AT port beside us. So long the port is
/// left to a new one, at most.
pub const YOUNG: Duration = Duration::from_secs(60);

/// One that dies of what it finds is started again and again: so often the port is
/// left to it in [`WHILE`], and no more.
const TIMES: usize = 3;
const WHILE: Duration = Duration::from_secs(600);

/// From opening a port to knowing again how the modem is.
const LOOK: Duration = Duration::from_secs(60);

/// What the bus tells of ModemManager while the service has the modem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rival {
    /// None runs.
    Absent,
    /// One that has not let go of the modem is there, or begins to look at it.
    Came,
    /// It has let go.
    Released {
        /// Its version, where it tells.
        version: Option<String>,
    },
    /// It does not know the modem, so it leaves it alone.
    Unknown {
        /// Its version, where it tells.
        version: Option<String>,
    },
    /// It does not let go.
    Refused {
        /// Its version, where it tells.
        version: Option<String>,
        /// What it says.
        why: String,
    },
}

/// The port is left to it.
#[derive(Debug, Clone, Copy)]
struct Quiet {
    until: Duration,
    /// The port is closed; until then what was begun comes to its end.
    closed: bool,
}

/// What is known of the other program.
#[derive(Debug, Default)]
pub(super) struct Rivalry {
    last: Option<Rival>,
    quiet: Option<Quiet>,
    /// When the port was left to one.
    left: Vec<Duration>,
}

impl Rivalry {
    /// Whether nothing new is to be said on the port.
    pub fn is_quiet(&self) -> bool {
        self.quiet.is_some()
    }

    /// When the port is spoken on again at the latest.
    pub fn until(&self) -> Option<Duration> {
        self.quiet.map(|quiet| quiet.until)
    }

    /// The modem is gone.
    pub fn unplugged(&mut self) {
        self.quiet = None;
    }

    /// The version of one that there is something to say about.
    pub fn version(&self) -> Option<&str> {
        match self.last.as_ref()? {
            Rival::Absent | Rival::Came => None,
            Rival::Released { version }
            | Rival::Unknown { version }
            | Rival::Refused { version, .. } => version.as_deref().filter(|_| !self.is_fine()),
        }
    }

    /// Whether there is nothing to say about it.
    fn is_fine(&self) -> bool {
        match &self.last {
            None | Some(Rival::Absent | Rival::Came) => true,
            Some(Rival::Released { version } | Rival::Unknown { version }) => {
                version.as_ref().is_none_or(|version| manager::knows(version))
            }
            Some(Rival::Refused { .. }) => false,
        }
    }

    /// What the owner should know.
    pub fn note(&self) -> Option<String> {
        if self.is_quiet() {
            return Some(format!(
                "it is left to a ModemManager that has just been started and looks at the modem, \
                 for {} s at most",
                YOUNG.as_secs()
            ));
        }
        if self.is_fine() {
            return None;
        }
        let name = |version: &Option<String>| match version {
            Some(version) => format!("ModemManager {version}"),
            None => "ModemManager".to_owned(),
        };
        match self.last.as_ref()? {
            Rival::Absent | Rival::Came => None,
            Rival::Released { version } => Some(format!(
                "{}, which does not know A76XX ({} does), has let go of it",
                name(version),
                manager::first_that_knows()
            )),
            Rival::Unknown { version } => Some(format!(
                "{}, which does not know A76XX ({} does), does not see the modem",
                name(version),
                manager::first_that_knows()
            )),
            Rival::Refused { version, why } => {
                let old = version.as_deref().and_then(manager::too_old);
                Some(match old {
                    Some(old) => format!("both may speak on it: {old}"),
                    None => format!(
                        "both may speak on it: {} does not let go of the modem: {why}",
                        name(version)
                    ),
                })
            }
        }
    }
}

impl Session {
    /// The bus has news of a ModemManager that is to keep away.
    pub(super) fn rival(&mut self, now: Duration, rival: Rival) {
        match &rival {
            Rival::Came if self.may_be_quiet(now) => {
                self.rivalry.left.push(now);
                let until = now.saturating_add(YOUNG);
                self.rivalry.quiet = Some(Quiet { until, closed: false });
                let text = "a new ModemManager looks at the modem: the AT port is left to it";
                self.actions.push(Action::Say(text.to_owned()));
            }
            Rival::Came => {}
            // It may yet be looking at the modem: that ends by itself.
            Rival::Unknown { .. } | Rival::Refused { .. } => {}
            Rival::Absent | Rival::Released { .. } => self.speak_again(now),
        }
        self.rivalry.last = Some(rival);
    }

    fn may_be_quiet(&mut self, now: Duration) -> bool {
        self.rivalry.left.retain(|at| now.saturating_sub(*at) < WHILE);
        let port = self.device.as_ref().is_some_and(|device| device.port.is_some());
        port && !self.rivalry.is_quiet()
            && self.rivalry.left.len() < TIMES
            && self.hands.is_ours_to_keep()
    }

    /// Closes the port once what is under way has ended, and opens it again in time;
    /// whether the modem's machine has something to say now.
    pub(super) fn hush(&mut self, clock: Clock) -> bool {
        let now = clock.now;
        let Some(quiet) = self.rivalry.quiet else { return false };
        if now >= quiet.until || !self.hands.is_ours_to_keep() {
            self.speak_again(now);
            return false;
        }
        if !quiet.closed {
            // Its answer would be lost.
            if self.messages().is_some_and(|desk| desk.is_sending(clock.wall)) {
                return false;
            }
            self.rivalry.quiet = Some(Quiet { closed: true, ..quiet });
            let known = self.told().filter(|state| state.phase == Phase::Connected).cloned();
            if let Some(state) = known {
                self.hands.keep_known(quiet.until.saturating_add(LOOK), state);
            }
            if !matches!(self.port, Port::Closed { .. }) {
                self.actions.push(Action::ClosePort);
                self.tell(now, machine::Event::PortClosed);
            }
        }
        self.port = Port::Closed { next: Some(quiet.until) };
        !quiet.closed
    }

    fn speak_again(&mut self, now: Duration) {
        let Some(quiet) = self.rivalry.quiet.take() else { return };
        if !quiet.closed {
            return;
        }
        self.hands.know_until(now.saturating_add(LOOK));
        // The modem's silence was ours.
        self.timers.device = now;
        self.port_tries = 0;
        self.port = Port::Closed { next: Some(now) };
        self.actions.push(Action::Say("the AT port is spoken on again".to_owned()));
    }

    /// Whether it was for the modem to say how it is, and nobody let it.
    pub(super) fn is_hushed(&self) -> bool {
        self.rivalry.quiet.is_some_and(|quiet| quiet.closed)
    }

    /// What is known of a ModemManager that is to keep away, in direct control.
    pub(super) fn rival_note(&self) -> Option<String> {
        (self.hands.wanted() == Control::Direct).then(|| self.rivalry.note())?
    }
}
