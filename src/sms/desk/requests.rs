//! What people and programs ask of the desk.

use super::view::Message;
use super::{Action, Desk, Time};
use crate::sms::spool::{PartState, SendRequest};

/// Whether a modem has short messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// It was not asked yet.
    Unknown,
    /// It has.
    Yes,
    /// It has none, and why.
    No(String),
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// The modem cannot.
    #[error("{0}")]
    Unsupported(String),
    /// It must not be, or cannot be.
    #[error("{0}")]
    Refused(String),
    /// There is no such message.
    #[error("there is no message {0}")]
    NoMessage(u64),
}

impl Desk {
    /// Accepts messages, all or none. They are accepted once the actions that
    /// this leaves are carried out.
    ///
    /// # Errors
    /// One of them cannot be, and why.
    pub fn send(
        &mut self,
        time: Time,
        requests: Vec<SendRequest>,
    ) -> Result<Vec<Message>, NotDone> {
        if let Support::No(why) = &self.support {
            return Err(NotDone::Unsupported(why.clone()));
        }
        let mut parts = Vec::new();
        for request in &requests {
            parts.push(self.outbox.check(request)?);
        }
        let mut accepted = Vec::new();
        for (request, parts) in requests.into_iter().zip(parts) {
            let id = self.number();
            let message = self.outbox.accept(time.wall, id, parts, request);
            accepted.push(Message::out(message));
            self.keep_out(id);
        }
        // Nobody is told of one before all are kept.
        for message in &accepted {
            self.tell_out(message.id);
        }
        self.advance(time);
        Ok(accepted)
    }

    /// Forgets a message; one that was accepted and not sent is not sent.
    ///
    /// # Errors
    /// There is none, or the modem has it at this moment.
    pub fn delete(&mut self, id: u64) -> Result<(), NotDone> {
        if let Some(message) = self.outbox.get(id) {
            if message.parts.iter().any(|part| matches!(part, PartState::Sending { .. })) {
                let why = format!("message {id} is being sent at this moment; try again");
                return Err(NotDone::Refused(why));
            }
            self.outbox.remove(id);
        } else if self.inbox.remove(id).is_none() {
            return Err(NotDone::NoMessage(id));
        }
        self.actions.push(Action::Forget(id));
        Ok(())
    }

    /// Whether the modem has a message of which it has not said what became of it,
    /// or is to get the rest of one now.
    #[must_use]
    pub fn is_sending(&self, wall: u64) -> bool {
        self.outbox.messages().any(|message| {
            let sending = |part: &PartState| matches!(part, PartState::Sending { .. });
            let begun = message.parts.iter().any(|part| part.given().is_some());
            message.parts.iter().any(sending)
                || begun && message.is_waiting() && message.next_try <= wall
        })
    }

    /// All messages that are kept, the oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        let mut all: Vec<Message> = self.outbox.messages().map(Message::out).collect();
        all.extend(self.inbox.messages().map(Message::into));
        all.sort_by_key(|message| message.id);
        all
    }

    /// One message.
    ///
    /// # Errors
    /// There is none.
    pub fn message(&self, id: u64) -> Result<Message, NotDone> {
        let out = self.outbox.get(id).map(Message::out);
        out.or_else(|| self.inbox.get(id).map(Message::into)).ok_or(NotDone::NoMessage(id))
    }
}
