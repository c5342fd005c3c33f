//! One modem's messages: what to say to the modem, what to keep, what to tell,
//! in which order. Pure: events and the time come in, actions go out.
//!
//! Two rules hold wherever the power is cut:
//! - What is to be kept is kept before what follows it is done. So a part is
//!   `sending` on the disk before the modem hears of it, and a message is on the
//!   disk before it is told of and before it is deleted from the SIM.
//! - One job at a time: the answer that is waited for is known.

mod answers;
mod came;
mod dialogue;
mod managed;
mod requests;
#[cfg(test)]
mod tests;
mod view;

use std::collections::VecDeque;
use std::time::Duration;

use crate::at::{AtError, Command, Reply, Urc};
use crate::sms::assembly::{Assembly, Completeness, Incoming};
use crate::sms::spool::{Kept, Outbox, Record, Refusal, Settings};
use answers::Listed;
use dialogue::{Job, Memory};

pub use came::Ended;
pub use managed::{ManagerCall, ManagerEvent};
pub use requests::{NotDone, Support};
pub use view::{Message, News};

/// How often the SIM is looked through although it told of nothing: codes get
/// lost, and a full SIM tells of nothing.
const SWEEP_EVERY: Duration = Duration::from_secs(1800);

/// After a look that made room: the centre delivers what did not fit before.
const SWEEP_AGAIN: Duration = Duration::from_secs(5);

/// After the disk failed.
const DISK_AGAIN: Duration = Duration::from_secs(60);

/// So many message numbers are reserved by one write to the disk.
const NUMBERS: u64 = 100;

/// Time and date; they may jump apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// Since some moment; never goes back.
    pub now: Duration,
    /// Seconds of the Unix epoch.
    pub wall: u64,
}

/// What the desk is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// The port answers and the SIM is open, perhaps after a restart.
    Ready,
    /// That is no longer so.
    Gone,
    /// Whether the modem is registered.
    Registered(bool),
    /// The modem said this of its own accord.
    Urc(Urc),
    /// What was typed at a prompt is on its way to the modem.
    Prompted,
    /// ModemManager's side, while it has the modem.
    Manager(ManagerEvent),
    /// The end of a command.
    Answer {
        /// Of [`Action::Command`].
        id: u64,
        /// What came of it.
        result: Result<Reply, AtError>,
    },
}

/// What the desk wants done, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Keep this before anything that follows is done. When it cannot be kept,
    /// what follows is not done and [`Desk::restore`] is called.
    Keep(Record),
    /// Forget this message.
    Forget(u64),
    /// Send this command; answered by [`Event::Answer`].
    Command {
        /// The desk's number.
        id: u64,
        /// The command.
        command: Command,
    },
    /// Take that command back, if it is not with the modem yet; its answer is of
    /// no interest.
    Cancel(u64),
    /// Run the owner's program for this message; answered by [`Desk::ran`].
    Run(Box<Message>),
    /// Judge this text and do what it says; answered by [`Desk::obeyed`].
    Obey {
        /// Its message.
        id: u64,
        /// What it says.
        text: String,
    },
    /// Ask ModemManager for this; answered by [`Event::Manager`].
    Manager(ManagerCall),
    /// Tell whoever listens.
    Tell(News),
    /// A line for the log.
    Say(String),
}

/// The messages of one modem.
#[derive(Debug)]
pub struct Desk {
    settings: Settings,
    outbox: Outbox,
    inbox: Assembly,
    /// The next message's number, and how many are reserved on the disk.
    next: u64,
    reserved: u64,
    support: Support,
    ready: bool,
    registered: bool,
    /// What is still to be set up, the next first.
    setup: VecDeque<Job>,
    setup_at: Duration,
    refusals: u32,
    /// How often the modem was set up again because it seemed not to be.
    doubts: u32,
    /// How often in a row the modem refused to show what the SIM has, and what is
    /// said of it.
    shut: u32,
    trouble: Option<String>,
    reads: VecDeque<(Memory, u16)>,
    deletes: VecDeque<(Memory, u16)>,
    /// The memory that the next command is about, as the modem was just told.
    selected: Option<Memory>,
    /// When it was set up last, unless a message was sent since.
    fresh: Option<Duration>,
    /// Whether it has taken its mode since it is there.
    takes_mode: bool,
    /// Whether it refuses to tell of status reports.
    plain: bool,
    sweep_at: Duration,
    /// What is still to be looked through, and what was found.
    sweeping: VecDeque<Memory>,
    swept: Listed,
    paused: Duration,
    /// The command on its way.
    busy: Option<(u64, Job)>,
    prompted: bool,
    commands: u64,
    due: came::InHand,
    managed: managed::Managed,
    actions: Vec<Action>,
}

impl Desk {
    /// A desk with what was kept.
    #[must_use]
    pub fn new(settings: Settings, kept: Kept) -> Desk {
        let mut desk = Desk {
            outbox: Outbox::new(settings.clone(), []),
            inbox: Assembly::default(),
            settings,
            next: 1,
            reserved: 0,
            support: Support::Unknown,
            ready: false,
            registered: false,
            setup: VecDeque::new(),
            setup_at: Duration::ZERO,
            refusals: 0,
            doubts: 0,
            shut: 0,
            trouble: None,
            reads: VecDeque::new(),
            deletes: VecDeque::new(),
            selected: None,
            fresh: None,
            takes_mode: false,
            plain: false,
            sweep_at: Duration::ZERO,
            sweeping: VecDeque::new(),
            swept: Listed::default(),
            paused: Duration::ZERO,
            busy: None,
            prompted: false,
            commands: 0,
            due: came::InHand::default(),
            managed: managed::Managed::default(),
            actions: Vec::new(),
        };
        desk.fill(kept);
        desk
    }

    fn fill(&mut self, kept: Kept) {
        for (file, why) in &kept.damaged {
            let text = format!("a damaged message is now {file} in the message store: {why}");
            self.actions.push(Action::Say(text));
        }
        let before = kept.outgoing.clone();
        self.outbox = Outbox::new(self.settings.clone(), kept.outgoing);
        self.inbox = Assembly::new(kept.incoming);
        self.next = kept.numbers.max(1);
        self.reserved = kept.numbers;
        // What was being sent is unknown from now on, also on the disk.
        for old in before {
            if self.outbox.get(old.id) != Some(&old) {
                self.keep_out(old.id);
            }
        }
    }

    /// After something could not be kept: the disk's word counts, and nothing is
    /// done for a while.
    pub fn restore(&mut self, time: Time, kept: Kept) {
        self.actions.clear();
        self.reads.clear();
        self.deletes.clear();
        self.sweeping.clear();
        // It may wait behind a command of others, and must not be sent after what
        // it rests on was not kept.
        if let Some((id, _)) = self.busy.take() {
            self.actions.push(Action::Cancel(id));
        }
        self.due = came::InHand::default();
        self.managed_restore();
        self.fill(kept);
        self.paused = time.now.saturating_add(DISK_AGAIN);
        self.sweep_at = self.paused;
    }

    /// What was restored is whole: nothing need wait.
    pub fn resume(&mut self, time: Time) {
        self.paused = time.now;
        self.sweep_at = time.now;
        self.advance(time);
    }

    /// Begins nothing more with the modem or ModemManager until then; what is under
    /// way comes to its end.
    pub fn hold(&mut self, until: Duration) {
        self.paused = self.paused.max(until);
    }

    /// Takes an event in.
    pub fn event(&mut self, time: Time, event: Event) {
        match event {
            Event::Ready => self.ready(time),
            Event::Gone => self.gone(time),
            Event::Registered(registered) => self.registered = registered,
            Event::Urc(urc) => self.urc(time, &urc),
            Event::Prompted => self.prompted = true,
            Event::Manager(event) => self.managed_event(time, event),
            Event::Answer { id, result } => {
                if let Some((_, job)) = self.busy.take_if(|busy| busy.0 == id) {
                    self.answered(time, job, result);
                }
            }
        }
        self.advance(time);
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Time) {
        for id in self.outbox.advance(time.wall) {
            self.keep_out(id);
            self.tell_out(id);
        }
        for id in self.inbox.expire(time.wall, self.settings.patience) {
            self.came(id);
        }
        for id in self.outbox.surplus(time.wall) {
            self.outbox.remove(id);
            self.actions.push(Action::Forget(id));
        }
        let done = |one: &&Incoming| one.state != Completeness::Partial && one.due.is_none();
        let whole = self.inbox.messages().filter(done);
        let whole: Vec<u64> = whole.map(|one| one.id).collect();
        for id in &whole[..whole.len().saturating_sub(self.settings.keep)] {
            self.inbox.remove(*id);
            self.actions.push(Action::Forget(*id));
        }
        self.hand_on(time);
        self.work(time);
        self.managed_work(time);
    }

    /// When [`Desk::advance`] is due; `None` while only news brings anything.
    #[must_use]
    pub fn next_event(&self, time: Time) -> Option<Duration> {
        let from_wall = |wall: u64| {
            time.now.saturating_add(Duration::from_secs(wall.saturating_sub(time.wall)))
        };
        let missing = self.inbox.next_expiry(self.settings.patience).map(from_wall);
        let missing = missing.into_iter().chain(self.next_program()).min();
        let outgoing = self.outbox.next_event(time.wall).map(from_wall);
        if !self.ready || self.busy.is_some() {
            // Nothing can be sent, but what waits may grow too old.
            let outgoing = outgoing.map(|at| at.max(time.now.saturating_add(SWEEP_AGAIN)));
            return [missing, outgoing].into_iter().flatten().min();
        }
        if !self.setup.is_empty() {
            let setup = self.setup_at.max(self.paused);
            return missing.into_iter().chain([setup]).min();
        }
        let waits =
            if self.registered { self.paused } else { time.now.saturating_add(SWEEP_AGAIN) };
        let outgoing = outgoing.map(|at| at.max(waits));
        let sweep = Some(self.sweep_at.max(self.paused));
        [missing, outgoing, sweep].into_iter().flatten().min()
    }

    /// What to do, in order.
    pub fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Whether no command of its own is on its way, and nothing to be sent is with
    /// ModemManager.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.busy.is_none() && !self.managed_sends()
    }

    /// Why none can come; `None` when they can, as far as known.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether this modem has short messages.
    #[must_use]
    pub fn support(&self) -> &Support {
        &self.support
    }

    /// A number for a new message; it is not given out again.
    fn number(&mut self) -> u64 {
        if self.next >= self.reserved {
            self.reserved = self.next.saturating_add(NUMBERS);
            self.actions.push(Action::Keep(Record::Numbers(self.reserved)));
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    fn keep_out(&mut self, id: u64) {
        if let Some(message) = self.outbox.get(id) {
            self.actions.push(Action::Keep(Record::Outgoing(message.clone())));
        }
    }

    fn keep_in(&mut self, id: u64) {
        if let Some(message) = self.inbox.get(id) {
            self.actions.push(Action::Keep(Record::Incoming(message.clone())));
        }
    }

    fn tell_out(&mut self, id: u64) {
        if let Some(message) = self.outbox.get(id) {
            self.actions.push(Action::Tell(News::sent(message)));
        }
    }
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> NotDone {
        NotDone::Refused(refusal.to_string())
    }
}
