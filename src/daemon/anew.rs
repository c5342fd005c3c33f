//! A session with other settings, which takes over from the one before as after a
//! restart of the service.

use std::time::Duration;

use super::obey::{self, Chosen, TRIAL};
use super::task::Task;
use crate::session::{Event, Session};
use crate::sms::desk::Desk;

/// How long a message under way is waited for: the modem says within 40 s what became
/// of it (`AT+CMGS` in SIMCom A76XX AT Command Manual V1.09). The next session could
/// not know.
const UNDER_WAY: Duration = Duration::from_secs(60);

impl Task {
    /// Wants another session by what is chosen, once no message is under way; until
    /// then none is begun with.
    pub(super) fn want_anew(&mut self) {
        let clock = self.shared.clock();
        let until = clock.now.saturating_add(UNDER_WAY);
        self.by_text.anew = Some(until);
        self.session.hold_messages(clock, until);
    }

    /// Begins it when it is time; whether it has yet to come.
    pub(super) fn anew_turn(&mut self) -> bool {
        let Some(until) = self.by_text.anew else { return false };
        _ = self.carry_out();
        let under_way = self.session.messages().is_some_and(|desk| !Desk::is_idle(desk));
        if under_way && self.shared.clock().now < until {
            return true;
        }
        self.by_text.anew = None;
        self.begin_anew(&self.files.chosen());
        false
    }

    fn begin_anew(&mut self, chosen: &Chosen) {
        self.files.count(self.session.usage());
        let kept = match self.files.load() {
            Ok(kept) => kept,
            Err(error) => {
                tracing::error!("modem at {}: {error:#}", self.path);
                return;
            }
        };
        let clock = self.shared.clock();
        let wanted = self.session.control_report().wanted;
        self.session = Session::new(obey::with(&self.by_text.settings, chosen), kept);
        // What `a7670e control` said holds on.
        self.session.control(clock, wanted);
        if self.rival.is_yielded() {
            // The session takes a modem for its own until it gives it away.
            self.rival.plugged();
        }
        if self.by_text.parked {
            self.session.park_messages(clock);
        }
        (self.port, self.opening) = (None, None);
        (self.dhcp, self.dhcp_link, self.network, self.probe) = (None, None, None, None);
        self.answers.clear();
        self.by_text.trial = chosen.trial.as_ref().map(|_| clock.now.saturating_add(TRIAL));
        self.session.event(clock, Event::Device(self.presented()));
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Control;
    use crate::daemon::messages::tests::task;

    /// It would never get its port back: ModemManager has it, and nobody asks.
    #[test]
    fn a_modem_that_modemmanager_has_is_taken_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut task = task(folder.path());
        // For the watch on ModemManager, which nobody polls.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        let clock = task.shared.clock();
        task.session.control(clock, Control::ModemManager);
        task.rival.hand_over(&task.shared, &task.path);
        task.want_anew();
        assert!(!task.anew_turn(), "no message is under way");
        assert!(!task.rival.is_yielded());
        let wanted = task.session.control_report().wanted;
        assert_eq!(wanted, Control::ModemManager, "as somebody said, not as configured");
    }
}
