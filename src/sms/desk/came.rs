//! What is done with a message that came: the owner's program is run for it, or
//! it is a command.
//!
//! What is still to be done stands in the message's file from the moment that the
//! message itself does. So the program is run for each message at least once: a
//! second time when the power goes before it is noted that it has ended. One
//! message after the other, in the order in which they came.

use std::time::Duration;

use super::{Action, Desk, Message, News, Time};
use crate::sms::assembly::{Completeness, Due};
use crate::sms::commands;
use crate::sms::spool::{Priority, SendRequest};

/// First wait before a program that asks for it is run again; it doubles up to
/// [`AGAIN_MOST`].
const AGAIN: Duration = Duration::from_secs(60);
const AGAIN_MOST: Duration = Duration::from_secs(3600);

/// So long after a message came its program is not run again, seconds. Once it is
/// run all the same: the date may have jumped in between.
const GIVE_UP: u64 = 86_400;

/// So often the program is begun for a message without having ended, as the service
/// or the power went before it; then no more. One that restarts the service or the
/// device, directly or not, would do so for ever.
const BEGUN_MOST: u8 = 3;

/// How long an answer to a command is worth sending, seconds.
const ANSWER: u64 = 3600;

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It has had the message; how, for the log.
    Done(String),
    /// It is to be run again later, and why.
    Later(String),
}

/// What is under way, so not begun again.
#[derive(Debug, Default)]
pub(super) struct InHand {
    program: Option<u64>,
    command: Option<u64>,
    again_at: Duration,
    tries: u32,
}

impl Desk {
    /// A message came, or as much of it as will come: keeps it, with what is to be
    /// done with it, and tells of it unless its sender is not listened to.
    pub(super) fn came(&mut self, id: u64) {
        let Some(message) = self.inbox.get_mut(id) else { return };
        let told = message.state != Completeness::Partial && !message.blocked;
        if told {
            let commanders = self.settings.commanders.as_deref().unwrap_or_default();
            let may = commanders.iter().any(|pattern| pattern.matches(&message.from));
            let text = message.text().unwrap_or_default();
            let whole = message.state == Completeness::Whole;
            message.due = match () {
                () if whole && may && commands::is_one(&text) => Some(Due::Command),
                () if self.settings.program => Some(Due::Program),
                () => None,
            };
        }
        self.keep_in(id);
        if let Some(message) = self.inbox.get(id).filter(|_| told) {
            self.actions.push(Action::Tell(News::received(message)));
        }
    }

    /// The first message of which this is to be done.
    fn first(&self, due: Due) -> Option<u64> {
        self.inbox.messages().find(|one| one.due == Some(due)).map(|one| one.id)
    }

    /// Begins what is to be done.
    pub(super) fn hand_on(&mut self, time: Time) {
        if let (None, Some(id)) = (self.due.command, self.first(Due::Command)) {
            let text = self.inbox.get(id).and_then(|one| one.text()).unwrap_or_default();
            self.due.command = Some(id);
            self.actions.push(Action::Obey { id, text });
        }
        if self.due.program.is_some() || time.now < self.due.again_at.max(self.paused) {
            return;
        }
        let Some(id) = self.first(Due::Program) else { return };
        let Some(message) = self.inbox.get_mut(id) else { return };
        if !self.settings.program {
            return self.not_again(id, "there is none any more");
        }
        if message.begun >= BEGUN_MOST {
            return self.not_again(id, &format!("{BEGUN_MOST} times the service ended before it"));
        }
        message.begun += 1;
        self.due.program = Some(id);
        self.keep_in(id);
        if let Some(message) = self.inbox.get(id) {
            self.actions.push(Action::Run(Box::new(Message::into(message))));
        }
    }

    fn not_again(&mut self, id: u64, why: &str) {
        let text = format!("the program is not run for message {id} any more ({why})");
        self.actions.push(Action::Say(text));
        self.done_with(id);
    }

    /// When there is a program to run; `None` while none waits.
    pub(super) fn next_program(&self) -> Option<Duration> {
        self.first(Due::Program)
            .filter(|_| self.due.program.is_none())
            .map(|_| self.due.again_at.max(self.paused))
    }

    fn done_with(&mut self, id: u64) {
        if let Some(message) = self.inbox.get_mut(id) {
            (message.due, message.begun) = (None, 0);
            self.keep_in(id);
        }
    }

    /// The program for a message has ended.
    pub fn ran(&mut self, time: Time, id: u64, ended: Ended) {
        self.due.program = None;
        match ended {
            Ended::Done(how) => {
                self.due.tries = 0;
                self.actions.push(Action::Say(format!("the program for message {id} {how}")));
                self.done_with(id);
            }
            Ended::Later(why) if self.is_old(time, id) => self.not_again(id, &why),
            Ended::Later(why) => {
                if let Some(message) = self.inbox.get_mut(id) {
                    message.begun = 0;
                    self.keep_in(id);
                }
                let wait = AGAIN.saturating_mul(1 << self.due.tries.min(16)).min(AGAIN_MOST);
                self.due.tries = self.due.tries.saturating_add(1);
                self.due.again_at = time.now.saturating_add(wait);
                let wait = wait.as_secs();
                let text = format!("the program for message {id} {why}: again in {wait} s");
                self.actions.push(Action::Say(text));
            }
        }
        self.advance(time);
    }

    fn is_old(&self, time: Time, id: u64) -> bool {
        let kept = self.inbox.get(id).map_or(0, |message| message.kept);
        time.wall.saturating_sub(kept) > GIVE_UP
    }

    /// A command was obeyed or refused; what to answer, if anything. The number of
    /// the answer, if it is accepted.
    pub fn obeyed(&mut self, time: Time, id: u64, answer: Option<String>) -> Option<u64> {
        self.due.command.take_if(|judged| *judged == id);
        let sent = answer.and_then(|text| self.answer(time, id, text));
        self.done_with(id);
        self.advance(time);
        sent
    }

    /// Answers a message; the number of the answer, if it is accepted.
    pub fn answer(&mut self, time: Time, id: u64, text: String) -> Option<u64> {
        let to = self.inbox.get(id)?.from.clone();
        let sender = to.to_string();
        let request = SendRequest {
            to,
            text,
            class: None,
            report: false,
            validity: Some(ANSWER),
            priority: Priority::High,
        };
        match self.send(time, vec![request]) {
            Ok(sent) => sent.first().map(|message| message.id),
            Err(why) => {
                // Whose number it is does not belong into a log.
                let why = why.to_string().replace(&sender, "its sender");
                let text = format!("message {id} is not answered: {why}");
                self.actions.push(Action::Say(text));
                None
            }
        }
    }
}
