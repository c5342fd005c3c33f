//! Text messages within a session: the desk talks to the modem between the
//! machine's own commands.

use std::time::Duration;

use super::{Action, Clock, Path, Port, REOPEN, Session};
use crate::at::AtError;
use crate::at::reply::{SimState, Stat};
use crate::modem::machine::{self, Phase};
use crate::sms::desk::{self, Desk, Ended, ManagerEvent, Message, NotDone, Time};
use crate::sms::spool::{Kept, SendRequest, Settings};

/// Marks the desk's commands among those of people.
const OURS: u64 = 1 << 63;

/// Being online comes first: reading a full SIM can take the modem two minutes
/// (ModemManager commit 5056936b). Where there is no data to wait for, so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a store that cannot be read is tried again.
const STORE_AGAIN: Duration = Duration::from_secs(60);

/// Ends what is typed at a prompt (TS 27.005 §3.5.1).
const CTRL_Z: u8 = 0x1a;

/// The desk, if there shall be one, and what it was told last.
pub(super) struct Messages {
    desk: Option<Desk>,
    /// Why nothing is done, as what is kept cannot be read; and when to try again.
    stopped: Option<(Duration, String)>,
    time: Time,
    open: bool,
    managed: bool,
    registered: bool,
}

fn time(clock: Clock) -> Time {
    Time { now: clock.now, wall: clock.wall }
}

impl Messages {
    pub fn new(settings: Option<Settings>, kept: Kept, unreadable: Option<String>) -> Messages {
        let stopped = unreadable.filter(|_| settings.is_some());
        Messages {
            stopped: stopped.map(|why| (STORE_AGAIN, why)),
            desk: settings.map(|settings| Desk::new(settings, kept)),
            time: Time { now: Duration::ZERO, wall: 0 },
            open: false,
            managed: false,
            registered: false,
        }
    }

    pub fn next_event(&self) -> Option<Duration> {
        match &self.stopped {
            Some((again, _)) => Some(*again),
            None => self.desk.as_ref().and_then(|desk| desk.next_event(self.time)),
        }
    }

    /// Lets time pass; whether to try to read again what is kept.
    pub fn advance(&mut self, clock: Clock) -> bool {
        self.time = time(clock);
        if let Some((again, _)) = self.stopped.as_mut() {
            let due = *again <= clock.now;
            if due {
                *again = clock.now.saturating_add(STORE_AGAIN);
            }
            return due;
        }
        if let Some(desk) = &mut self.desk {
            desk.advance(self.time);
        }
        false
    }

    fn tell(&mut self, event: desk::Event) {
        if let Some(desk) = self.desk.as_mut().filter(|_| self.stopped.is_none()) {
            desk.event(self.time, event);
        }
    }

    /// The desk, for what a client asks.
    fn desk(&mut self) -> Result<&mut Desk, NotDone> {
        if let Some((_, why)) = &self.stopped {
            return Err(NotDone::Refused(format!("text messages wait: {why}")));
        }
        self.desk.as_mut().ok_or_else(switched_off)
    }

    /// ModemManager's side has news.
    pub fn managed(&mut self, clock: Clock, event: ManagerEvent) {
        self.time = time(clock);
        self.tell(desk::Event::Manager(event));
    }

    fn know(&mut self, open: bool, managed: bool, registered: bool) {
        if self.registered != registered {
            self.registered = registered;
            self.tell(desk::Event::Registered(registered));
        }
        if self.open != open {
            self.open = open;
            self.tell(if open { desk::Event::Ready } else { desk::Event::Gone });
        }
        if self.managed != managed {
            self.managed = managed;
            let news = if managed { ManagerEvent::Ready } else { ManagerEvent::Gone };
            self.tell(desk::Event::Manager(news));
        }
    }
}

fn switched_off() -> NotDone {
    NotDone::Unsupported(
        "text messages are switched off (`sms.enabled` in the configuration)".into(),
    )
}

impl Session {
    /// The messages; `None` when they are switched off, or wait.
    #[must_use]
    pub fn messages(&self) -> Option<&Desk> {
        self.desk.desk.as_ref().filter(|_| self.desk.stopped.is_none())
    }

    /// Why they wait; `None` when they do not.
    #[must_use]
    pub fn messages_wait(&self) -> Option<&str> {
        self.desk.stopped.as_ref().map(|(_, why)| why.as_str())
    }

    /// Accepts messages, all or none. They are accepted once the actions that
    /// this leaves are carried out.
    ///
    /// # Errors
    /// One of them cannot be, and why.
    pub fn send_messages(
        &mut self,
        clock: Clock,
        requests: Vec<SendRequest>,
    ) -> Result<Vec<Message>, NotDone> {
        let accepted = self.desk.desk()?.send(time(clock), requests)?;
        self.settle(clock);
        Ok(accepted)
    }

    /// Forgets a message.
    ///
    /// # Errors
    /// There is none, or it is being sent.
    pub fn delete_message(&mut self, clock: Clock, id: u64) -> Result<(), NotDone> {
        self.desk.desk()?.delete(id)?;
        self.settle(clock);
        Ok(())
    }

    /// The program for a message has ended.
    pub fn program_ended(&mut self, clock: Clock, id: u64, ended: Ended) {
        if let Ok(desk) = self.desk.desk() {
            desk.ran(time(clock), id, ended);
            self.settle(clock);
        }
    }

    /// A command by text message was obeyed or refused; what to answer, if
    /// anything. The number of the answer, if it is accepted.
    pub fn obeyed(&mut self, clock: Clock, id: u64, answer: Option<String>) -> Option<u64> {
        let sent = self.desk.desk().ok()?.obeyed(time(clock), id, answer);
        self.settle(clock);
        sent
    }

    /// Answers a message that came earlier.
    pub fn answer_message(&mut self, clock: Clock, id: u64, text: String) {
        if let Ok(desk) = self.desk.desk() {
            _ = desk.answer(time(clock), id, text);
            self.settle(clock);
        }
    }

    /// After a message could not be kept: what is on the disk counts.
    pub fn restore_messages(&mut self, clock: Clock, kept: Kept) {
        self.desk.time = time(clock);
        if let Some(desk) = &mut self.desk.desk {
            desk.restore(self.desk.time, kept);
        }
        if let Some((again, _)) = self.desk.stopped.take() {
            self.desk.tell(desk::Event::Registered(self.desk.registered));
            let open = if self.desk.open { desk::Event::Ready } else { desk::Event::Gone };
            self.desk.tell(open);
            let managed = if self.desk.managed { ManagerEvent::Ready } else { ManagerEvent::Gone };
            self.desk.tell(desk::Event::Manager(managed));
            if again != Duration::MAX {
                self.actions.push(Action::Say("text messages go on".to_owned()));
            }
        }
        // What waits in the port's queue is taken back at once: the next byte from
        // the modem may let it go.
        self.settle(clock);
    }

    /// After messages were restored for another reason: nothing need wait.
    pub fn resume_messages(&mut self, clock: Clock) {
        if let Ok(desk) = self.desk.desk() {
            desk.resume(time(clock));
            self.settle(clock);
        }
    }

    /// Nothing more is begun with until then; what is under way comes to its end.
    pub fn hold_messages(&mut self, clock: Clock, until: Duration) {
        if let Ok(desk) = self.desk.desk() {
            desk.hold(until);
            self.settle(clock);
        }
    }

    /// The modem is away, and may turn up elsewhere with its messages: nothing is
    /// done until [`Session::restore_messages`].
    pub fn park_messages(&mut self, clock: Clock) {
        self.stop_messages(clock, "the modem is not plugged in".to_owned());
        if let Some((again, _)) = &mut self.desk.stopped {
            *again = Duration::MAX;
        }
    }

    /// What is on the disk cannot be read, and why: nothing is done until
    /// [`Session::restore_messages`].
    pub fn stop_messages(&mut self, clock: Clock, why: String) {
        let Some(desk) = &mut self.desk.desk else { return };
        // The desk's memory may have what is not on the disk.
        desk.restore(time(clock), Kept::default());
        self.desk.stopped = Some((clock.now.saturating_add(STORE_AGAIN), why));
        self.settle(clock);
    }

    /// Hears the machine and the desk until neither has anything to say; whether
    /// there is news to show.
    pub(super) fn converse(&mut self, clock: Clock) -> bool {
        self.desk.time = time(clock);
        let mut changed = false;
        loop {
            changed |= self.hear(clock);
            let state = self.told();
            let sim = state.and_then(|state| state.sim.as_ref());
            let open = matches!(sim, Some(SimState::Ready | SimState::Pin2));
            let settled =
                self.phase() == Phase::Connected || self.timers.in_phase(clock.now) >= PATIENCE;
            let registered =
                state.and_then(|state| state.registration).is_some_and(Stat::is_registered);
            // What is on its way to the network is seen to its end.
            let sending =
                self.desk.open && self.messages().is_some_and(|desk| desk.is_sending(clock.wall));
            let quiet = self.rivalry.is_quiet();
            let speaks = self.hands.speaks() && !quiet || sending && !self.hands.theirs();
            let open = open && speaks && (self.desk.open || settled);
            let modem = self.hands.manager.messaging().map(str::to_owned);
            self.desk.know(open, modem.is_some(), registered);
            if let Some(shown) = self.hands.manager.messages().filter(|_| modem.is_some()) {
                self.desk.tell(desk::Event::Manager(ManagerEvent::Shown(shown)));
            }
            let wanted = self.desk.desk.as_mut().map(Desk::take).unwrap_or_default();
            if wanted.is_empty() {
                return changed;
            }
            for action in wanted {
                match action {
                    desk::Action::Keep(record) => self.actions.push(Action::KeepMessage(record)),
                    desk::Action::Forget(id) => self.actions.push(Action::ForgetMessage(id)),
                    desk::Action::Tell(news) => self.actions.push(Action::Tell(Box::new(news))),
                    desk::Action::Say(text) => self.actions.push(Action::Say(text)),
                    desk::Action::Run(message) => self.actions.push(Action::RunProgram(message)),
                    desk::Action::Obey { id, text } => {
                        self.actions.push(Action::Obey { id, text });
                    }
                    desk::Action::Manager(call) => {
                        let modem = modem.clone().unwrap_or_default();
                        self.actions.push(Action::ManagerMessage { modem, call });
                    }
                    desk::Action::Cancel(id) => {
                        self.tell(clock.now, machine::Event::Cancel { id: id | OURS });
                    }
                    desk::Action::Command { id, command } => {
                        if self.machine.is_some() {
                            let request = machine::Event::Request { id: id | OURS, command };
                            self.tell(clock.now, request);
                            // Written behind what is kept before it.
                            changed |= self.hear(clock);
                        } else {
                            let result = Err(AtError::PortClosed);
                            self.desk.tell(desk::Event::Answer { id, result });
                        }
                    }
                }
            }
        }
    }

    /// Does what the machine wants; whether there is news to show.
    fn hear(&mut self, clock: Clock) -> bool {
        let mut changed = false;
        for action in self.machine.as_mut().map(machine::Machine::take).unwrap_or_default() {
            match action {
                machine::Action::Write(bytes) => {
                    if bytes.last() == Some(&CTRL_Z) {
                        self.desk.tell(desk::Event::Prompted);
                    }
                    self.actions.push(Action::Write(bytes));
                }
                machine::Action::ReopenPort => {
                    self.actions.push(Action::ClosePort);
                    self.port = Port::Closed { next: Some(clock.now.saturating_add(REOPEN)) };
                }
                machine::Action::DataPathReady { .. } => self.path = Path::Up,
                machine::Action::DataPathLost { .. } => {
                    // That the port is gone says nothing about the data.
                    let phase = self.machine.as_ref().map(|machine| machine.state().phase);
                    let unknown = phase == Some(Phase::NoPort);
                    self.path = if unknown { Path::Unknown } else { Path::Down };
                    self.adopted = self.lease().map(|lease| lease.address);
                }
                machine::Action::Answer { id, result } if id & OURS != 0 => {
                    self.desk.tell(desk::Event::Answer { id: id & !OURS, result });
                }
                machine::Action::Answer { id, result } => {
                    self.actions.push(Action::Answer { id, result });
                }
                machine::Action::Message(urc) => match urc.after("+CUSD") {
                    Some(told) => self.actions.push(Action::Ussd(told.to_owned())),
                    None => self.desk.tell(desk::Event::Urc(urc)),
                },
                machine::Action::Remember(memory) => {
                    self.remember(memory);
                }
                machine::Action::Changed => changed = true,
            }
        }
        changed
    }
}
