//! A modem that ModemManager has: what is known of it by ModemManager's word, and
//! what ModemManager is asked for. Pure: events and a `now` come in, actions go
//! out.

mod call;
mod missed;
#[cfg(test)]
mod tests;
mod view;

use std::time::Duration;

pub use call::{Call, Kind};
pub use view::{Sim, Stage, View};

use crate::at::reply::{SimState, Stat};
use crate::modem::machine::{Memory, Phase, Secret, State, TRIES_TO_KEEP};
pub use crate::sms::managed::Fault;
use crate::sms::managed::Stored;

/// The first version with `InhibitDevice`, without which there is no taking back.
const OLDEST: (u32, u32) = (1, 10);

/// The first that knows A76XX (its plugin `simtech`, commits of December 2023).
const KNOWS: (u32, u32) = (1, 24);

/// Wait before something that was refused is asked for again.
const AGAIN: Duration = Duration::from_secs(15);

/// How long what was done may take to be shown.
const SETTLE: Duration = Duration::from_secs(5);

/// How long ModemManager may take to do what it is asked for: enabling talks to
/// the modem at length.
const PATIENCE: Duration = Duration::from_secs(200);

/// How long it may take from being given the modem to showing it. It probes each
/// port for up to 30 s; then it is told to look at the bus again, so often.
const DISCOVERY: Duration = Duration::from_secs(40);

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// ModemManager does not run and cannot be started, and why.
    Absent(String),
    /// It runs, in this version.
    Here(String),
    /// This is how it shows the modem; `None`: it does not.
    Shown(Option<Box<View>>),
    /// The end of a [`Call`].
    Answered(Kind, Result<(), Fault>),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask this; answered by [`Event::Answered`].
    Call(Call),
    /// Keep this before anything that follows is done.
    Remember(Memory),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Presence {
    Unknown,
    Absent(String),
    Here(String),
}

/// What is known of ModemManager and, while it has it, of the modem.
#[derive(Debug)]
pub struct Manager {
    pin: Option<Secret>,
    roaming: bool,
    memory: Memory,
    /// The card's number as it was read before ModemManager got the modem: a PIN is
    /// named with it, and ModemManager may tell it otherwise or, of a locked card,
    /// not at all.
    card: Option<String>,
    presence: Presence,
    /// Since when it has the modem.
    given: Option<Duration>,
    view: Option<Box<View>>,
    state: State,
    asked: Option<(Kind, Duration)>,
    again: Duration,
    /// The object whose signal is measured.
    measured: Option<String>,
    /// It was shown anew.
    news: bool,
    missed: missed::Missed,
    actions: Vec<Action>,
}

impl Manager {
    /// Nothing is known. `roaming`: whether data may flow in foreign networks.
    #[must_use]
    pub fn new(pin: Option<Secret>, roaming: bool) -> Manager {
        Manager {
            pin,
            roaming,
            memory: Memory::default(),
            card: None,
            presence: Presence::Unknown,
            given: None,
            view: None,
            state: State::default(),
            asked: None,
            again: Duration::ZERO,
            measured: None,
            news: false,
            missed: missed::Missed::default(),
            actions: Vec::new(),
        }
    }

    /// It is given the modem now, of which this much is known.
    pub fn given(&mut self, now: Duration, memory: Memory, known: &State) {
        self.given = Some(now);
        self.memory = memory;
        self.card.clone_from(&known.identity.iccid);
        self.view = None;
        self.asked = None;
        self.again = now;
        self.measured = None;
        self.state = State {
            identity: known.identity.clone(),
            apn: known.apn.clone(),
            apn_source: known.apn_source,
            ..State::default()
        };
        self.judge(now);
    }

    /// The modem is taken from it.
    pub fn taken(&mut self) {
        (self.given, self.view, self.asked) = (None, None, None);
    }

    /// Takes an event in.
    pub fn event(&mut self, now: Duration, event: Event) {
        match event {
            Event::Absent(why) => {
                self.presence = Presence::Absent(why);
                (self.view, self.asked) = (None, None);
            }
            Event::Here(version) => {
                // A new one has all before it.
                self.presence = Presence::Here(version);
                (self.view, self.asked, self.measured) = (None, None, None);
                self.given = self.given.map(|_| now);
                self.again = now;
            }
            Event::Shown(view) => {
                let messages = view.as_ref().and_then(|view| view.messages.as_deref());
                self.missed.shown(now, messages.unwrap_or_default());
                let stage = |view: &Option<Box<View>>| view.as_ref().map(|view| view.stage());
                if stage(&view) != stage(&self.view) {
                    self.again = self.again.min(now);
                }
                self.view = view;
                self.news = true;
            }
            Event::Answered(kind, result) => self.answered(now, kind, result),
        }
        self.judge(now);
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Duration) {
        self.judge(now);
    }

    /// When [`Manager::advance`] is due; `None` while only news brings anything.
    #[must_use]
    pub fn next_event(&self) -> Option<Duration> {
        let given = self.given.filter(|_| self.is_here())?;
        match (self.asked, &self.view) {
            (Some((_, at)), _) => Some(at.saturating_add(PATIENCE)),
            (None, None) => Some(self.again.max(given.saturating_add(DISCOVERY))),
            (None, Some(view)) => match self.wish(view) {
                Some(_) => Some(self.again),
                None => {
                    let due = self.missed.due().filter(|_| view.may_pause());
                    due.map(|due| due.max(self.again))
                }
            },
        }
    }

    /// What to do, in order.
    pub fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// What is known of the modem.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether it runs and can be worked with.
    #[must_use]
    pub fn is_here(&self) -> bool {
        matches!(&self.presence, Presence::Here(text) if version(text) >= OLDEST)
    }

    /// Why it cannot be worked with; `None` when it can, or while that is not
    /// known.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        match &self.presence {
            Presence::Absent(why) => Some(why.clone()),
            Presence::Here(text) => too_old(text),
            Presence::Unknown => None,
        }
    }

    /// What the owner should know of one that runs.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let Presence::Here(text) = &self.presence else { return None };
        (!knows(text)).then(|| {
            let first = first_that_knows();
            format!(
                "ModemManager {text} does not know A76XX yet ({first} does): it may find reading \
                 messages too slow"
            )
        })
    }

    /// The modem's object, once it can send and receive messages.
    #[must_use]
    pub fn messaging(&self) -> Option<&str> {
        self.given?;
        let view = self.view.as_ref().filter(|view| view.messages.is_some())?;
        matches!(view.stage(), Stage::Enabled | Stage::Registered).then_some(&view.path)
    }

    /// The modem's object, while it shows it.
    #[must_use]
    pub fn modem(&self) -> Option<&str> {
        self.given?;
        self.view.as_ref().map(|view| view.path.as_str())
    }

    /// The messages that it shows, once for each time.
    pub fn messages(&mut self) -> Option<Vec<Stored>> {
        let view = self.view.as_ref().filter(|_| std::mem::take(&mut self.news))?;
        view.messages.clone()
    }

    /// Its version, while it runs.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        match &self.presence {
            Presence::Here(version) => Some(version),
            _ => None,
        }
    }

    /// Whether it says that data can flow; `None` while it says nothing.
    #[must_use]
    pub fn data(&self) -> Option<bool> {
        self.view.as_ref()?;
        match self.state.phase {
            Phase::Connected => Some(true),
            // While it looks at the modem what is up stays up.
            Phase::Preparing | Phase::Probing => None,
            _ => Some(false),
        }
    }

    fn answered(&mut self, now: Duration, kind: Kind, result: Result<(), Fault>) {
        if self.asked.take_if(|asked| asked.0 == kind).is_none() {
            return;
        }
        let Err(fault) = result else {
            // What is shown is from before.
            self.again = self.again.max(now.saturating_add(SETTLE));
            return;
        };
        match kind {
            // Without it there is still the percentage.
            Kind::Signal | Kind::Disable => return,
            Kind::SendPin => {
                let wrong = fault.name.ends_with(".IncorrectPassword");
                let what = if wrong { "the PIN is wrong" } else { "the PIN was not taken" };
                self.state.last_error = Some(format!("ModemManager: {what}: {}", fault.text));
            }
            Kind::Enable => {
                let text = format!("ModemManager does not enable the modem: {}", fault.text);
                self.state.last_error = Some(text);
            }
            Kind::Scan => {
                let text = format!("ModemManager does not look for modems: {}", fault.text);
                self.state.last_error = Some(text);
            }
        }
        self.again = now.saturating_add(AGAIN);
    }

    /// What to ask for next.
    fn wish(&self, view: &View) -> Option<Call> {
        let modem = view.path.clone();
        match view.stage() {
            Stage::Disabled => Some(Call::Enable { modem }),
            Stage::Locked => {
                let (pin, sim) = (self.pin.clone()?, view.sim.as_ref()?);
                self.refusal(view).is_none().then(|| Call::SendPin { sim: sim.path.clone(), pin })
            }
            Stage::Enabled | Stage::Registered if self.measured.as_ref() != Some(&modem) => {
                Some(Call::Signal { modem })
            }
            _ => None,
        }
    }

    /// Why the PIN is not tried; `None` when it may be.
    fn refusal(&self, view: &View) -> Option<String> {
        let doubtful = |pin| {
            let doubt = self.memory.doubtful_pin.as_ref();
            doubt.is_some_and(|doubt| self.name(view, pin).is_none_or(|name| name == *doubt))
        };
        match (&self.pin, view.pin_tries()) {
            _ if view.sim_state() != Some(SimState::Pin) => {
                Some("the SIM wants another code than its PIN; enter it with a telephone".into())
            }
            (None, _) => Some("the SIM wants its PIN; set it in the configuration".into()),
            (Some(_), None) => Some(
                "ModemManager does not tell how many tries are left, so the PIN is not tried"
                    .into(),
            ),
            (Some(_), Some(left)) if left <= TRIES_TO_KEEP => {
                Some(format!("{left} tries are left for the PIN; the last is not spent"))
            }
            (Some(pin), Some(_)) if doubtful(pin) => Some(
                "the configured PIN was refused or its outcome is not known; correct it in the \
                 configuration"
                    .into(),
            ),
            _ => None,
        }
    }

    fn judge(&mut self, now: Duration) {
        if self.given.is_none() {
            return;
        }
        self.show();
        if let Some(view) = self.view.as_deref() {
            let open = matches!(view.sim_state(), Some(SimState::Ready | SimState::Pin2));
            if open && self.memory.doubtful_pin.take().is_some() {
                self.actions.push(Action::Remember(self.memory.clone()));
            }
        }
        if !self.is_here() {
            return;
        }
        if let Some((_, at)) = self.asked {
            if now.saturating_sub(at) < PATIENCE {
                return;
            }
            self.asked = None;
        }
        if now < self.again {
            return;
        }
        let call = match (self.view.as_deref(), self.given) {
            (Some(view), _) => self.wish(view).or_else(|| {
                let due = self.missed.due().filter(|_| view.may_pause());
                let modem = view.path.clone();
                due.filter(|due| *due <= now).map(|_| Call::Disable { modem })
            }),
            (None, Some(given)) if now.saturating_sub(given) >= DISCOVERY => {
                self.again = now.saturating_add(DISCOVERY);
                Some(Call::Scan)
            }
            _ => None,
        };
        let Some(call) = call else { return };
        match (&call, &self.view, &self.pin) {
            (Call::SendPin { .. }, Some(view), Some(pin)) => {
                // On the disk before it is sent: a crash in between must not lead
                // to a second attempt.
                let card = || Memory::name("", pin);
                self.memory.doubtful_pin = Some(self.name(view, pin).unwrap_or_else(card));
                self.actions.push(Action::Remember(self.memory.clone()));
            }
            (Call::Signal { modem }, ..) => self.measured = Some(modem.clone()),
            (Call::Disable { .. }, ..) => {
                self.missed.looked();
                self.measured = None;
            }
            _ => {}
        }
        self.asked = Some((call.kind(), now));
        self.actions.push(Action::Call(call));
    }

    /// Names a PIN on the card; `None` while nobody tells which it is.
    fn name(&self, view: &View, pin: &Secret) -> Option<String> {
        let shown = || view.sim.as_ref().and_then(|sim| sim.iccid.as_deref());
        let card = self.card.as_deref().or_else(shown);
        card.map(|card| Memory::name(card, pin))
    }

    /// Puts the view into the words of a modem that we drive ourselves.
    fn show(&mut self) {
        let entered = self.asked.is_some_and(|(kind, _)| kind == Kind::SendPin);
        let state = &mut self.state;
        let Some(view) = self.view.as_deref() else {
            state.registration = None;
            state.phase = Phase::Probing;
            state.reason = Some(match &self.presence {
                Presence::Absent(why) => why.clone(),
                _ => "ModemManager has yet to show the modem".to_owned(),
            });
            return;
        };
        let identity = view.identity();
        state.identity.model = identity.model.or(state.identity.model.take());
        state.identity.revision = identity.revision.or(state.identity.revision.take());
        state.identity.imei = identity.imei.or(state.identity.imei.take());
        (state.identity.iccid, state.identity.imsi) = (identity.iccid, identity.imsi);
        state.sim = view.sim_state();
        state.pin_tries = view.pin_tries();
        state.registration = view.registration();
        state.technology = view.technology();
        state.operator.clone_from(&view.operator);
        state.signal = view.heard();
        let foreign = state.registration == Some(Stat::Roaming) && !self.roaming;
        let (phase, reason) = match (view.stage(), state.registration) {
            (Stage::Failed, _) if view.is_without_sim() => {
                (Phase::NoSim, Some("there is no SIM in the modem".to_owned()))
            }
            (Stage::Failed, _) => {
                let text = format!("ModemManager gives the modem up (reason {})", view.failed);
                (Phase::Preparing, Some(text))
            }
            (Stage::Starting | Stage::Disabled | Stage::Changing, _) => {
                (Phase::Preparing, Some("ModemManager sets the modem up".to_owned()))
            }
            (Stage::Locked, _) if state.sim == Some(SimState::Pin) => {
                (Phase::PinNeeded, self.refusal(view).filter(|_| !entered))
            }
            (Stage::Locked, _) => (Phase::PukNeeded, self.refusal(view)),
            (_, Some(Stat::Denied)) => {
                (Phase::Denied, Some("the network refuses the modem (APN or SIM)".to_owned()))
            }
            (_, Some(Stat::EmergencyOnly)) => {
                (Phase::Denied, Some("the network allows emergency calls only".to_owned()))
            }
            (Stage::Registered, _) if foreign => {
                let text = "in a foreign network, and roaming is not allowed";
                (Phase::RoamingForbidden, Some(text.to_owned()))
            }
            (Stage::Registered, _) => (Phase::Connected, None),
            (Stage::Enabled, _) => (Phase::Searching, Some("no network found yet".to_owned())),
        };
        (self.state.phase, self.state.reason) = (phase, reason);
    }
}

/// Why a ModemManager of this version cannot be asked to let go of a modem; `None`
/// when it can.
#[must_use]
pub fn too_old(text: &str) -> Option<String> {
    let (major, minor) = OLDEST;
    (version(text) < OLDEST)
        .then(|| format!("ModemManager {text} is too old: {major}.{minor} can give a modem back"))
}

/// Whether a ModemManager of this version knows A76XX.
#[must_use]
pub fn knows(text: &str) -> bool {
    version(text) >= KNOWS
}

/// The first version that does.
#[must_use]
pub fn first_that_knows() -> String {
    format!("{}.{}", KNOWS.0, KNOWS.1)
}

/// The first two numbers of a version; 0.0 of what is none.
fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
