//! Text messages of one modem: what clients ask for, and what to do when the
//! disk fails.

use super::task::Task;
use crate::protocol::{MessagesCall, SmsList};
use crate::session::Action;
use crate::sms::desk::{Desk, Message, NotDone};

impl Task {
    /// Does what a client asks. What it is told is on the disk.
    pub(super) fn messages(&mut self, call: MessagesCall) -> Result<SmsList, NotDone> {
        let clock = self.shared.clock();
        let Some(desk) = self.session.messages() else {
            // The same words as for sending.
            return self.session.send_messages(clock, Vec::new()).map(SmsList::page);
        };
        let show = |id| desk.message(id).map(|message| vec![message]);
        match call {
            MessagesCall::List(after) => Ok(SmsList::page(later(desk, after))),
            MessagesCall::Outbox(after) => {
                Ok(SmsList::page(later(desk, after).filter(|one| one.direction == "out")))
            }
            MessagesCall::Show(id) => show(id).map(SmsList::page),
            MessagesCall::Delete(id) => {
                let message = show(id)?;
                self.session.delete_message(clock, id)?;
                _ = self.carry_out();
                Ok(SmsList::page(message))
            }
            MessagesCall::Send(requests) => {
                // What is still to be done is not part of this.
                _ = self.carry_out();
                let accepted = self.session.send_messages(clock, requests)?;
                if self.carry_out() {
                    Ok(SmsList::page(accepted))
                } else {
                    let why = "the message store cannot be written: see the service's log";
                    Err(NotDone::Refused(why.to_owned()))
                }
            }
        }
    }

    /// Keeps or forgets a message; whether it was done. If not, what is on the disk
    /// counts from now on.
    pub(super) fn store(&mut self, action: &Action) -> bool {
        let done = match action {
            Action::KeepMessage(record) => self.files.keep_message(record),
            Action::ForgetMessage(id) => self.files.forget_message(*id),
            _ => return true,
        };
        let Err(error) = done else { return true };
        tracing::error!("modem at {}: {error:#}; text messages wait", self.path);
        self.load_messages();
        false
    }

    /// Goes on from what is on the disk, or not at all while it cannot be read.
    pub(super) fn load_messages(&mut self) {
        let clock = self.shared.clock();
        match self.files.load_messages() {
            Ok(kept) => self.session.restore_messages(clock, kept),
            Err(error) => {
                tracing::error!("modem at {}: {error:#}; text messages wait", self.path);
                self.session.stop_messages(clock, format!("{error:#}"));
            }
        }
    }
}

fn later(desk: &Desk, after: u64) -> impl Iterator<Item = Message> {
    desk.messages().into_iter().filter(move |message| message.id > after)
}
