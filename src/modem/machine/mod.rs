//! From an AT port to flowing data, and back whenever something breaks. Pure:
//! events and a `now` come in, actions go out.
//!
//! The machine works off a list of steps, one command at a time. What a step
//! finds decides which come next; see `step` for the commands and `handle` for
//! what their replies mean.

mod handle;
mod settings;
mod state;
mod step;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

pub use handle::TRIES_TO_KEEP;
pub use settings::{
    Access, Auth, AuthOrder, CellularSettings, Dial, Memory, ModelTraits, Modes, Providers, Secret,
    Source,
};
pub use state::{Identity, Phase, State};
use step::{DETAILS, POLL, START, Step};

use crate::at::reply::{Stat, sim_state};
use crate::at::{AtError, Channel, Command, Done, Output, Reply, Urc};

/// While nothing changes, how often registration and signal are looked at.
/// Changes come as codes; this is for what codes do not say, and for lost ones.
const POLL_EVERY: Duration = Duration::from_secs(30);

/// How codes about text messages and USSD begin (TS 27.005 §3.4.1, TS 27.007 §7.15;
/// SIMCom's own for the moment from which on the SIM's messages can be read).
const MESSAGES: &[&str] =
    &["+CMTI:", "+CMT:", "+CDSI:", "+CDS:", "+CUSD:", "SMS DONE", "SMS READY"];

/// What the machine is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// The AT port was opened.
    PortOpened,
    /// It is gone.
    PortClosed,
    /// It said this.
    Bytes(Vec<u8>),
    /// A person's command; answered by [`Action::Answer`] with the same id.
    Request {
        /// The caller's number.
        id: u64,
        /// What to send.
        command: Command,
    },
    /// Takes a command of [`Event::Request`] back, which is answered at once. One
    /// that is on its way still ends before the next is sent; at a prompt nothing
    /// is typed any more.
    Cancel {
        /// The caller's number.
        id: u64,
    },
    /// Proof, or proof to the contrary, that packets come through.
    Proof(bool),
    /// Recovery is ordered.
    Order(Order),
    /// Move the modem's own network to 192.168.`third`.0 (`AT+USBNETIP`, manual
    /// V1.09): the present one clashes. The modem restarts.
    MoveNetwork {
        /// Third octet.
        third: u8,
    },
}

/// Recovery, from mild to rough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Look at everything again.
    Reprobe,
    /// Dial again; with the next access point if this one never worked.
    Redial,
    /// Radio off and on.
    CfunCycle,
    /// Restart the modem.
    Creset,
}

/// What the machine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write this to the AT port.
    Write(Vec<u8>),
    /// Close the AT port, open it again.
    ReopenPort,
    /// Packets can flow: bring the network device up.
    DataPathReady {
        /// The context's address at the carrier, where the modem tells.
        address: Option<IpAddr>,
    },
    /// They can not: take it down.
    DataPathLost {
        /// Why, for people.
        reason: String,
    },
    /// The end of a person's command.
    Answer {
        /// The caller's number.
        id: u64,
        /// What came of it.
        result: Result<Reply, AtError>,
    },
    /// The modem told of a text message, or of USSD.
    Message(Urc),
    /// Keep this, before anything that follows is done.
    Remember(Memory),
    /// [`Machine::state`] has news.
    Changed,
}

/// The state machine of one modem.
pub struct Machine {
    settings: CellularSettings,
    traits: ModelTraits,
    providers: Box<dyn Providers + Send>,
    memory: Memory,
    channel: Channel,
    state: State,
    told: State,
    actions: Vec<Action>,
    steps: VecDeque<Step>,
    waiting: Option<(u32, Step)>,
    requests: Vec<(u32, u64)>,
    wake: Option<(Duration, &'static [Step])>,
    /// Steps that ran into their time limit since the port was opened.
    timed_out: Vec<Step>,
    mnc_length: Option<u8>,
    accesses: Vec<Access>,
    access_at: usize,
    /// Since when the network has refused the present access point.
    denied: Option<Duration>,
    /// Whether packets have come through with the present access point.
    proven: bool,
    /// How often the SIM was not ready, one after the other.
    sim_waits: u32,
    /// How often the context was written since the port was opened.
    context_writes: u32,
    operator_picked: bool,
    /// Whether the USB mode was changed by this machine.
    usb_mode_written: bool,
    lte: Option<Stat>,
    gprs: Option<Stat>,
    /// Whether the modem dials; `None` when not known.
    dials: Option<bool>,
    /// Whether [`Action::DataPathReady`] holds.
    path: bool,
}

impl Machine {
    /// A machine whose port is not open yet.
    pub fn new(
        settings: CellularSettings,
        traits: ModelTraits,
        providers: impl Providers + Send + 'static,
    ) -> Machine {
        Machine {
            accesses: settings.access.clone(),
            settings,
            traits,
            providers: Box::new(providers),
            memory: Memory::default(),
            channel: Channel::default(),
            state: State::default(),
            told: State::default(),
            actions: Vec::new(),
            steps: VecDeque::new(),
            waiting: None,
            requests: Vec::new(),
            wake: None,
            timed_out: Vec::new(),
            mnc_length: None,
            access_at: 0,
            denied: None,
            proven: false,
            context_writes: 0,
            sim_waits: 0,
            operator_picked: false,
            usb_mode_written: false,
            lte: None,
            gprs: None,
            dials: None,
            path: false,
        }
    }

    /// With what [`Action::Remember`] gave in an earlier run.
    pub fn with_memory(mut self, memory: Memory) -> Machine {
        self.memory = memory;
        self
    }

    /// What [`Action::Remember`] said elsewhere meanwhile.
    pub fn recall(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// Whether it has nothing to say to the modem for now.
    pub fn is_idle(&self) -> bool {
        let free = self.steps.is_empty() && self.requests.is_empty();
        free && self.waiting.is_none() && self.channel.is_ready()
    }

    /// Takes an event in.
    pub fn event(&mut self, now: Duration, event: Event) {
        match event {
            Event::PortOpened => {
                self.state.phase = Phase::Probing;
                self.timed_out.clear();
                self.context_writes = 0;
                self.channel.opened(now);
            }
            Event::PortClosed => {
                self.forget("the AT port is gone");
                self.state.phase = Phase::NoPort;
                self.channel.closed();
            }
            Event::Bytes(bytes) => self.channel.receive(now, &bytes),
            Event::Request { id, command } => {
                let number = self.channel.submit(now, command);
                self.requests.push((number, id));
            }
            Event::Cancel { id } => {
                if let Some((number, _)) = self.requests.iter().find(|one| one.1 == id) {
                    self.channel.cancel(*number);
                }
            }
            Event::Proof(works) => self.proven |= works,
            Event::Order(order) => self.order(order),
            Event::MoveNetwork { third } => {
                let command = Command::new(format!("AT+USBNETIP=0,{third}"));
                self.channel.submit(now, command);
            }
        }
        self.work(now);
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Duration) {
        self.channel.advance(now);
        if let Some((_, steps)) = self.wake.take_if(|wake| wake.0 <= now) {
            // What a poll looks at depends on what is known by now.
            let steps = if steps == POLL { self.poll() } else { steps };
            self.then(steps);
        }
        self.work(now);
    }

    /// When [`Machine::advance`] is due.
    pub fn next_event(&self) -> Option<Duration> {
        self.wake.map(|wake| wake.0).into_iter().chain(self.channel.next_event()).min()
    }

    /// What to do, in order.
    pub fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// What is known.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Since when an open port has not answered.
    pub fn silent_since(&self) -> Option<Duration> {
        self.channel.silent_since()
    }

    /// Hears what the channel has, and sends the next step, until nothing is
    /// left to do now.
    fn work(&mut self, now: Duration) {
        loop {
            while let Some(output) = self.channel.take() {
                self.output(now, output);
            }
            if self.waiting.is_some() || !self.channel.is_ready() {
                break;
            }
            let Some(step) = self.steps.pop_front() else { break };
            let hopeless = self.timed_out.iter().filter(|late| **late == step).count() >= 2;
            if let Some(command) = self.command(step).filter(|_| !hopeless) {
                self.waiting = Some((self.channel.submit(now, command), step));
            }
        }
        let idle = self.waiting.is_none() && self.steps.is_empty();
        if self.wake.is_none() && idle && self.channel.is_ready() {
            self.wake = Some((now.saturating_add(POLL_EVERY), self.poll()));
        }
        if self.state != self.told {
            self.told = self.state.clone();
            self.actions.push(Action::Changed);
        }
    }

    fn output(&mut self, now: Duration, output: Output) {
        match output {
            Output::Write(bytes) => self.actions.push(Action::Write(bytes)),
            Output::Reopen => self.actions.push(Action::ReopenPort),
            Output::Answering => self.start(),
            Output::Urc(urc) => self.urc(now, &urc),
            Output::Done(Done { id, result }) => {
                if let Some((_, step)) = self.waiting.take_if(|waiting| waiting.0 == id) {
                    if let Err(error) = &result {
                        self.state.last_error = Some(self.describe(step, error));
                    }
                    if matches!(result, Err(AtError::TimedOut(_))) {
                        self.timed_out.push(step);
                    }
                    self.handle(now, step, result);
                } else if let Some(at) = self.requests.iter().position(|one| one.0 == id) {
                    let (_, id) = self.requests.swap_remove(at);
                    self.actions.push(Action::Answer { id, result });
                }
            }
        }
    }

    fn describe(&self, step: Step, error: &AtError) -> String {
        let command = self.command(step);
        format!("{}: {error}", command.as_ref().map_or("AT", Command::shown))
    }

    /// The port answers, perhaps after a restart: all settings may be lost.
    fn start(&mut self) {
        self.state.phase = Phase::Preparing;
        self.state.sim = None;
        self.steps.clear();
        self.wake = None;
        self.then(START);
    }

    fn urc(&mut self, now: Duration, urc: &Urc) {
        if urc.line.starts_with("*ATREADY") {
            self.forget("the modem restarted");
            self.state.phase = Phase::Probing;
        } else if sim_state(&urc.line).is_some() {
            // Whatever it says: ask, and act on the answer.
            self.soon(&[Step::Sim]);
        } else if let Some(name) = ["+CEREG", "+CGREG"].iter().find(|n| urc.after(n).is_some()) {
            self.registered(now, name, &urc.line, false);
        } else if urc.after("+CGEV").is_some() && self.state.sim.is_some() {
            self.soon(&[Step::Address]);
        } else if MESSAGES.iter().any(|start| urc.line.starts_with(start)) {
            self.actions.push(Action::Message(urc.clone()));
        }
    }

    fn order(&mut self, order: Order) {
        let how = self.traits.dial;
        let dial = |on| match how {
            Dial::Autodial => Step::Dial(on),
            Dial::Qcrmcall => Step::Call(on),
        };
        match order {
            Order::Reprobe => self.then(POLL),
            Order::Redial if self.next_access() => {}
            Order::Redial if self.settings.host_dials => self.then(&[dial(false)]),
            Order::Redial => {
                let steps = [dial(false), dial(true), Step::Address];
                self.then(&steps);
            }
            Order::CfunCycle => self.then(&[Step::RadioOff, Step::RadioOn, Step::Sim]),
            Order::Creset => self.then(&[Step::Restart]),
        }
    }

    /// Goes on to the next access point, unless the present one has worked or is
    /// the last.
    fn next_access(&mut self) -> bool {
        let more = self.has_next_access();
        if more {
            self.access_at += 1;
            self.context_writes = 0;
            self.then(&[Step::ReadContext, Step::ReadAuth, Step::Lte, Step::Gprs]);
        }
        more
    }

    fn poll(&self) -> &'static [Step] {
        match self.state.phase {
            Phase::NoSim | Phase::PinNeeded | Phase::PukNeeded | Phase::SimWait => {
                &[Step::Radio, Step::Sim]
            }
            _ => POLL,
        }
    }

    /// Appends steps that are not on the list.
    fn then(&mut self, steps: &[Step]) {
        for step in steps {
            if !self.steps.contains(step) {
                self.steps.push_back(*step);
            }
        }
    }

    /// Puts steps first.
    fn soon(&mut self, steps: &[Step]) {
        for step in steps.iter().rev() {
            self.steps.retain(|waiting| waiting != step);
            self.steps.push_front(*step);
        }
    }

    /// What was known of a modem that restarted or went.
    fn forget(&mut self, reason: &str) {
        self.lose(reason);
        self.steps.clear();
        self.wake = None;
        self.waiting = None;
        self.dials = None;
        (self.lte, self.gprs) = (None, None);
        self.operator_picked = false;
        let identity = self.state.identity.clone();
        let last_error = self.state.last_error.take();
        self.state = State { identity, last_error, ..State::default() };
        // The next card may be another.
        self.state.identity.iccid = None;
        self.state.identity.imsi = None;
        self.mnc_length = None;
        if self.settings.access.is_empty() {
            self.accesses.clear();
            self.access_at = 0;
        }
    }

    fn lose(&mut self, reason: &str) {
        self.state.address = None;
        if std::mem::take(&mut self.path) {
            self.actions.push(Action::DataPathLost { reason: reason.to_owned() });
        }
    }

    /// Whether there is another access point, and the present one has never worked.
    pub fn has_next_access(&self) -> bool {
        !self.proven && self.access_at + 1 < self.accesses.len()
    }

    /// Whether the access point has worked.
    pub fn is_proven(&self) -> bool {
        self.proven
    }

    /// The access point in use, once it is known.
    pub fn access(&self) -> Option<&Access> {
        self.accesses.get(self.access_at)
    }
}
