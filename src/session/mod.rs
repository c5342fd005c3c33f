//! One modem from plug to proof, and back whenever something breaks: joins the
//! modem's machine, the lease, the plan for the network, the proof, the data
//! budget and the recovery ladder. Pure: events and a clock come in, actions go
//! out.
//!
//! Three rules hold whatever happens:
//! - Packets of others go through the modem only while its own word, or the
//!   session that was found running, says that they may (roaming, PIN, cap).
//! - A silent AT port is no reason to take a working connection down.
//! - What was done is seen again: every plan is followed by a look.

mod control;
mod evidence;
mod judge;
mod managed;
mod messages;
mod network;
mod ppp;
mod report;
mod rival;
mod routers;
mod settings;
mod words;

use std::net::Ipv4Addr;
use std::time::Duration;

pub use control::{ControlReport, Holder};
pub use managed::ManagerReport;
pub use report::{CellularReport, NetworkReport, Next, Report, UsageReport};
pub use rival::{Rival, YOUNG};
pub use settings::{DnsScope, Settings};
pub use words::{Action, Clock, Device, Event, Failure, Kept};

use crate::at::AtError;
use crate::config::Control;
use crate::modem::machine::{self, Machine, Memory, ModelTraits, Phase};
use crate::modem::manager::Manager;
use crate::net::clash::Clash;
use crate::net::dhcp::{self, Lease};
use crate::net::model::{Link, Observed};
use crate::net::plan::Plan;
use crate::net::probe::{Outcome, Prover};
use crate::policy::budget::{Budget, Usage};
use crate::policy::ladder::Ladder;
use crate::policy::verdict::Verdict;

/// First wait before a port that could not be opened is tried again; it doubles
/// up to [`REOPEN_MOST`]. ModemManager lets go of a port within a second.
const REOPEN: Duration = Duration::from_millis(250);
const REOPEN_MOST: Duration = Duration::from_secs(5);

/// How often to look at the clock for what takes too long, while not online.
const TICK: Duration = Duration::from_secs(1);

/// How often the network is looked at although nothing was heard of it: for the
/// counters, and for what others changed without a message.
const LOOK: Duration = Duration::from_secs(10);

/// How long a modem must say that it has no data connection before a session
/// that was found running is ended: it may just be coming back.
const DOUBT: Duration = Duration::from_secs(3);

/// Whether packets may go through the modem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    /// Not known: the service has just started, or the AT port is gone. What
    /// runs goes on.
    Unknown,
    /// The modem says that a data connection is up.
    Up,
    /// It says that there is none.
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Closed { next: Option<Duration> },
    Opening,
    Open,
}

/// The session of one modem.
pub struct Session {
    settings: Settings,
    kept_memory: Memory,
    boot: u64,
    device: Option<Device>,
    machine: Option<Machine>,
    port: Port,
    port_tries: u32,
    port_error: Option<String>,
    path: Path,
    /// The address that was found on the link when it was first seen.
    adopted: Option<Ipv4Addr>,
    observed: Option<Observed>,
    link: Option<Link>,
    dhcp: Option<dhcp::Client>,
    listening: bool,
    clash: Option<Clash>,
    /// How often the modem's network was moved, and when it last was.
    moves: u32,
    moved: Option<Duration>,
    /// A look or a plan is on its way.
    busy: bool,
    look_again: bool,
    next_look: Duration,
    /// The last plan, and how often it was tried.
    last_plan: Option<Plan>,
    attempts: u32,
    /// Different plans since the last that came true.
    others: u32,
    retry: Option<Duration>,
    failures: Vec<Failure>,
    managed: managed::Managed,
    call: ppp::Dialled,
    /// Another program keeps the name servers.
    foreign_dns: Option<String>,
    prover: Prover,
    /// The connection that is asked about, by [`Session::proofs`].
    probing: Option<u32>,
    /// Connections so far that a proof was, or is, to be about.
    proofs: u32,
    ladder: Ladder,
    climb: Option<Duration>,
    routers: routers::Routers,
    budget: Budget,
    counted: (Duration, u64),
    flow: network::Flow,
    timers: evidence::Timers,
    verdict: Verdict,
    next_tick: Duration,
    desk: messages::Messages,
    hands: control::Hands,
    rivalry: rival::Rivalry,
    actions: Vec<Action>,
}

impl Session {
    /// A session without a modem yet.
    #[must_use]
    pub fn new(settings: Settings, kept: Kept) -> Session {
        let cellular = &settings.cellular;
        let manager = Manager::new(cellular.pin.clone(), cellular.roaming);
        let watch = settings.control == Control::ModemManager;
        Session {
            prover: Prover::new(settings.probe.clone()),
            ladder: Ladder::new(settings.limits.clone(), kept.history),
            budget: Budget::new(settings.rules, kept.usage),
            desk: messages::Messages::new(
                settings.messages.clone(),
                kept.messages,
                kept.unreadable,
            ),
            hands: control::Hands::new(settings.control, manager),
            rivalry: rival::Rivalry::default(),
            kept_memory: kept.memory,
            boot: kept.boot,
            settings,
            device: None,
            machine: None,
            port: Port::Closed { next: None },
            port_tries: 0,
            port_error: None,
            path: Path::Unknown,
            adopted: None,
            observed: None,
            link: None,
            dhcp: None,
            listening: false,
            clash: None,
            moves: 0,
            moved: None,
            busy: false,
            look_again: false,
            next_look: Duration::ZERO,
            last_plan: None,
            attempts: 0,
            others: 0,
            retry: None,
            failures: Vec::new(),
            managed: managed::Managed::default(),
            call: ppp::Dialled::default(),
            foreign_dns: None,
            probing: None,
            proofs: 0,
            climb: None,
            routers: routers::Routers::default(),
            counted: (Duration::ZERO, 0),
            flow: network::Flow::default(),
            timers: evidence::Timers::default(),
            verdict: Verdict::ComingUp,
            next_tick: Duration::ZERO,
            actions: watch.then_some(Action::WatchManager(true)).into_iter().collect(),
        }
    }

    /// Takes an event in.
    pub fn event(&mut self, clock: Clock, event: Event) {
        let now = clock.now;
        match event {
            Event::Device(device) => self.plugged(now, device),
            Event::PortOpened => {
                self.port = Port::Open;
                self.port_error = None;
                self.hands.opened(now);
                self.tell(now, machine::Event::PortOpened);
            }
            Event::PortFailed(reason) => {
                let wait = REOPEN.saturating_mul(1 << self.port_tries.min(6)).min(REOPEN_MOST);
                self.port_tries = self.port_tries.saturating_add(1);
                self.port = Port::Closed { next: Some(now.saturating_add(wait)) };
                self.port_error = Some(reason);
            }
            Event::PortClosed => {
                self.port = Port::Closed { next: Some(now.saturating_add(REOPEN)) };
                self.tell(now, machine::Event::PortClosed);
            }
            Event::Bytes(bytes) => {
                self.port_tries = 0;
                self.tell(now, machine::Event::Bytes(bytes));
            }
            Event::Request { id, command } if self.port == Port::Open => {
                self.tell(now, machine::Event::Request { id, command });
            }
            Event::Request { id, .. } => {
                self.actions.push(Action::Answer { id, result: Err(AtError::PortClosed) });
            }
            Event::Hint => self.look(),
            Event::Manager(event) => self.hands.manager.event(now, event),
            Event::Rival(rival) => self.rival(now, rival),
            Event::ManagerMessage(event) => self.desk.managed(clock, event),
            Event::Applied(failures) => self.applied(now, failures),
            Event::Observed(observed) => self.seen(clock, observed),
            Event::Dhcp(bytes) => {
                if let Some(dhcp) = &mut self.dhcp {
                    dhcp.receive(now, &bytes);
                }
            }
            Event::Probed(outcome) => {
                // What was found out about an earlier connection is of no use.
                if self.probing.take() == Some(self.proofs) {
                    self.prover.record(now, outcome);
                    self.tell(now, machine::Event::Proof(outcome == Outcome::Online));
                }
            }
        }
        self.settle(clock);
    }

    /// Lets time pass.
    pub fn advance(&mut self, clock: Clock) {
        let now = clock.now;
        if let Some(machine) = &mut self.machine {
            machine.advance(now);
        }
        if let Some(dhcp) = &mut self.dhcp {
            dhcp.advance(now);
        }
        self.hands.manager.advance(now);
        if self.desk.advance(clock) {
            self.actions.push(Action::LoadMessages);
        }
        if now >= self.next_look {
            self.look();
        }
        self.settle(clock);
    }

    /// When [`Session::advance`] is due.
    #[must_use]
    pub fn next_event(&self) -> Duration {
        let machine = self.machine.as_ref().and_then(Machine::next_event);
        let dhcp = self.dhcp.as_ref().and_then(dhcp::Client::next_event);
        let port = match self.port {
            Port::Closed { next } => next,
            _ => None,
        };
        let look = (self.may_look() && !self.busy).then_some(self.next_look);
        let probe = self.may_probe().then(|| self.prover.next_event());
        let retry = self.retry.filter(|_| !self.busy);
        let routers = self.next_solicitation();
        let desk = self.desk.next_event();
        let manager = self.hands.manager.next_event();
        let quiet = self.rivalry.until();
        let due =
            [machine, dhcp, port, look, probe, retry, routers, self.climb, desk, manager, quiet];
        due.into_iter().flatten().fold(self.next_tick, Duration::min)
    }

    /// What to do, in order.
    pub fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// The lease, to be asked for first after a restart.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        if self.is_managed() {
            return self.given();
        }
        self.dhcp.as_ref().and_then(dhcp::Client::lease)
    }

    /// The verdict of the last moment.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What the modem says; `None` while there is none.
    #[must_use]
    pub fn modem_state(&self) -> Option<&machine::State> {
        self.cellular()
    }

    /// The steps that leave nothing of ours behind; for the end of the service.
    #[must_use]
    pub fn farewell(&self) -> Option<Plan> {
        if self.is_managed() {
            return self.managed_farewell();
        }
        let (link, observed) = (self.link.as_ref()?, self.observed.as_ref()?);
        Some(crate::net::plan::teardown(&link.name, link.index, observed))
    }

    /// The count of data, to keep at the end of the service.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        self.budget.usage()
    }

    fn tell(&mut self, now: Duration, event: machine::Event) {
        if let Some(machine) = &mut self.machine {
            machine.event(now, event);
        }
    }

    fn phase(&self) -> Phase {
        self.cellular().map_or(Phase::NoPort, |state| state.phase)
    }

    fn plugged(&mut self, now: Duration, device: Option<Device>) {
        if self.device == device {
            return;
        }
        let same =
            |one: &Device, other: &Device| (&one.model, one.kind) == (&other.model, other.kind);
        let known = self.device.as_ref().zip(device.as_ref()).is_some_and(|(a, b)| same(a, b));
        let freed = self.device.as_ref().is_some_and(|device| device.held);
        if !known || freed {
            self.timers.device = now;
        }
        if device.is_none() {
            self.rivalry.unplugged();
        }
        if !known {
            self.machine = None;
            self.hands.plugged(now);
            self.watch();
        }
        let port = |device: &Option<Device>| device.as_ref().and_then(|device| device.port.clone());
        if port(&self.device) != port(&device) || !known {
            if self.port != (Port::Closed { next: None }) {
                self.actions.push(Action::ClosePort);
                self.tell(now, machine::Event::PortClosed);
            }
            self.port_tries = 0;
            self.port = Port::Closed { next: port(&device).map(|_| now) };
        }
        if let (None, Some(device)) = (&self.machine, &device) {
            let traits = ModelTraits::of(&device.model, device.kind);
            let machine = Machine::new(
                self.settings.cellular.clone(),
                traits,
                self.settings.providers.clone(),
            );
            self.machine = Some(machine.with_memory(self.kept_memory.clone()));
            self.path = Path::Unknown;
        }
        self.device = device;
        if self.link_name().is_none() {
            self.unlinked(now);
        }
        self.look();
    }

    /// Hears the parts, and does what follows, until nothing does.
    fn settle(&mut self, clock: Clock) {
        let now = clock.now;
        self.hush(clock);
        if self.port == (Port::Closed { next: Some(now) })
            || matches!(self.port, Port::Closed { next: Some(next) } if next <= now)
        {
            let path = self.device.as_ref().and_then(|device| device.port.clone());
            self.port = match path {
                Some(path) => {
                    self.actions.push(Action::OpenPort(path));
                    Port::Opening
                }
                None => Port::Closed { next: None },
            };
        }
        let mut changed = self.converse(clock);
        if self.hush(clock) {
            changed |= self.converse(clock);
        }
        if self.change_hands(clock) {
            changed |= self.converse(clock);
        }
        if matches!(
            self.phase(),
            Phase::NoSim
                | Phase::PinNeeded
                | Phase::PukNeeded
                | Phase::Denied
                | Phase::RoamingForbidden
        ) {
            self.path = Path::Down;
        }
        self.timers.note(now, self.phase());
        self.note_call(now);
        self.doubt(now);
        self.ask_for_lease(now);
        self.leases(now);
        self.converge(now);
        self.ask_for_routers(now);
        if !self.busy && std::mem::take(&mut self.look_again) {
            self.look();
        }
        self.prove(now);
        self.timers.note_lease(now, self.lease().is_some());
        changed |= self.judge(clock);
        if changed {
            self.actions.push(Action::Changed);
        }
    }

    /// A session that was found running does not outlive a modem that answers
    /// and has no data connection.
    fn doubt(&mut self, now: Duration) {
        let Some(state) = self.cellular() else { return };
        let none = match state.phase {
            Phase::SimWait => true,
            Phase::Searching => state.registration.is_some_and(|stat| !stat.is_registered()),
            // It was asked for its address and had none.
            Phase::Connecting => state.reason.is_some(),
            _ => false,
        };
        if self.path == Path::Unknown && none && self.timers.in_phase(now) >= DOUBT {
            self.path = Path::Down;
        }
    }
}
