//! Asks for routers of IPv6. The kernel does so only when a link comes up, and
//! ours may take part in IPv6 long after that.

use std::time::Duration;

use super::{Action, Session};
use crate::net::model::Ipv6;

/// RFC 4861 section 10: `MAX_RTR_SOLICITATIONS`, `RTR_SOLICITATION_INTERVAL`.
const TRIES: u32 = 3;
const INTERVAL: Duration = Duration::from_secs(4);

/// How often was asked, and when to ask again.
#[derive(Debug, Default)]
pub(super) struct Routers {
    tries: u32,
    next: Duration,
}

impl Session {
    /// Asks while IPv6 is wanted and no router has answered, three times at most.
    pub(super) fn ask_for_routers(&mut self, now: Duration) {
        match self.silent_link() {
            None => self.routers = Routers::default(),
            Some(index) if self.routers.tries < TRIES && now >= self.routers.next => {
                self.routers.tries += 1;
                self.routers.next = now.saturating_add(INTERVAL);
                self.actions.push(Action::Solicit(index));
            }
            Some(_) => {}
        }
    }

    /// When to ask next.
    pub(super) fn next_solicitation(&self) -> Option<Duration> {
        let waits = self.routers.tries < TRIES && self.silent_link().is_some();
        waits.then_some(self.routers.next)
    }

    /// The index of our link if it accepts advertisements and none has come.
    fn silent_link(&self) -> Option<u32> {
        let link = self.link.as_ref().filter(|link| link.up && link.carrier)?;
        let observed = self.observed.as_ref().filter(|observed| observed.accept_ra == Some(2))?;
        let wanted = self.desired().is_some_and(|desired| desired.ipv6 == Ipv6::Accept);
        let silent = observed.advertised_routes(link.index).next().is_none();
        (wanted && silent).then_some(link.index)
    }
}
