//! The verdict of the moment, and what is done about it.

use std::time::Duration;

use super::{Action, Clock, LOOK, Session, TICK};
use crate::modem::machine::Order;
use crate::policy::ladder::Rung;
use crate::policy::verdict::{Verdict, verdict};

impl Session {
    /// Verdict, and what the ladder makes of it.
    pub(super) fn judge(&mut self, clock: Clock) -> bool {
        let evidence = self.evidence(clock.now);
        let verdict = verdict(&evidence);
        let news = verdict != self.verdict;
        if news {
            self.verdict = verdict;
            let reason = self.cellular().and_then(|state| state.reason.clone());
            let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
            self.actions.push(Action::Say(format!("{verdict}{reason}")));
        }
        let pause = if verdict == Verdict::Online { LOOK } else { TICK };
        self.next_tick = clock.now.saturating_add(pause);
        self.climb = None;
        self.ladder.clock(clock.now, clock.wall);
        self.ladder.spare(self.prover.is_fresh(clock.now) && self.route() == Some(true));
        let tried = self.ladder.history().outage.len();
        let step = self.ladder.assess(clock.wall, verdict);
        if self.ladder.history().outage.len() < tried {
            // Else the next run would go on where this outage ended.
            self.actions.push(Action::Keep(self.ladder.history().clone()));
        }
        let Some(step) = step else { return news };
        if self.is_hushed() {
            // Nothing can be said to the modem, and what is missing may be known then.
            self.climb = self.rivalry.until();
            return news;
        }
        if step.at > clock.wall {
            let wait = Duration::from_secs(step.at - clock.wall);
            self.climb = Some(clock.now.saturating_add(wait));
            return news;
        }
        self.ladder.record(clock.wall, step.rung);
        self.actions.push(Action::Keep(self.ladder.history().clone()));
        self.actions.push(Action::Say(format!("{verdict}: trying {}", step.rung)));
        self.climb_to(clock, step.rung);
        true
    }

    fn climb_to(&mut self, clock: Clock, rung: Rung) {
        let now = clock.now;
        let order = match rung {
            Rung::Reprobe => {
                self.prover.hurry(now);
                self.look();
                Order::Reprobe
            }
            Rung::Redial => {
                self.renew(now);
                Order::Redial
            }
            Rung::CfunCycle => Order::CfunCycle,
            Rung::Creset => Order::Creset,
            Rung::UsbReauthorise | Rung::PowerCycle | Rung::Reboot => {
                self.actions.push(Action::Climb(rung));
                return;
            }
        };
        self.order(now, order);
        // What the machine wants is heard at the next turn.
        self.next_tick = now;
    }
}
