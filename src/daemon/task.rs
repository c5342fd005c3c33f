//! The task of one modem: hears of the world for its session, and does what the
//! session says.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use tokio::sync::{OnceCell, broadcast, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::climb::{Tools, climb};
use super::kept::Files;
use super::network;
use super::port::{self, Port};
use super::recording::Recording;
use super::rival::Rival;
use crate::at::{AtError, Command, Reply};
use crate::modem::transcript::Side;
use crate::modem::usb_path::UsbPath;
use crate::net::dhcp::socket::Socket;
use crate::net::dns::Dns;
use crate::net::plan::Plan;
use crate::net::probe::{self, Target};
use crate::net::solicit::solicit;
use crate::policy::ladder::Rung;
use crate::protocol::{MessagesCall, SmsList};
use crate::session::{Action, Clock, Device, Event, Report, Session, Settings};
use crate::sms::desk::{News, NotDone};

/// Wait after the kernel gave no list of the network.
const AGAIN: Duration = Duration::from_secs(1);

/// What all tasks share.
pub struct Shared {
    /// What rungs beyond the modem's own commands need.
    pub tools: Tools,
    /// Whose name servers; `None`: nobody's.
    pub dns: Option<Dns>,
    /// The system's bus, once it was needed.
    pub bus: OnceCell<zbus::Connection>,
    /// Where the clock of all sessions starts.
    pub start: Instant,
    /// What becomes of text messages, for whoever listens.
    pub news: broadcast::Sender<(UsbPath, News)>,
}

impl Shared {
    /// The system's bus.
    ///
    /// # Errors
    /// There is none.
    pub async fn bus(&self) -> zbus::Result<&zbus::Connection> {
        self.bus.get_or_try_init(zbus::Connection::system).await
    }

    pub(super) fn clock(&self) -> Clock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { now: self.start.elapsed(), wall: wall.as_secs() }
    }
}

/// What a task is told.
pub enum Order {
    /// This is plugged in now; `None`: nothing is.
    Device(Option<Device>),
    /// Something about the network changed.
    Hint,
    /// Send a person's command.
    Request(Command, oneshot::Sender<Result<Reply, AtError>>),
    /// Tell the state.
    Report(oneshot::Sender<Report>),
    /// Tell what was said on the port since the last time, shortened; the first
    /// time begins the recording.
    Transcript(oneshot::Sender<io::Result<String>>),
    /// Something about text messages.
    Messages(MessagesCall, oneshot::Sender<Result<SmsList, NotDone>>),
    /// Take down what was set up, and end.
    Stop,
}

/// Something that is on its way.
pub type Pending<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// The task. Dropped, it leaves the network as it is.
pub struct Task {
    pub(super) path: UsbPath,
    pub(super) shared: Arc<Shared>,
    pub(super) session: Session,
    pub(super) files: Files,
    port: Option<Port>,
    opening: Pending<io::Result<OwnedFd>>,
    dhcp: Option<Socket>,
    dhcp_link: Option<u32>,
    network: Pending<Vec<Event>>,
    probe: Pending<io::Result<probe::Outcome>>,
    climb: Pending<Result<()>>,
    /// What the ladder tried is on the card.
    tried_is_kept: bool,
    answers: HashMap<u64, oneshot::Sender<Result<Reply, AtError>>>,
    requests: u64,
    recording: Option<Recording>,
    device: Option<Device>,
    rival: Rival,
    probe_id: u16,
}

impl Task {
    /// A task for the modem at `path`, with what is kept below `folder`.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn new(
        path: UsbPath,
        shared: Arc<Shared>,
        settings: Settings,
        folder: &Path,
    ) -> Result<Task> {
        let mut files = Files::new(folder, &path)?;
        let session = Session::new(settings, files.load()?);
        Ok(Task {
            path,
            shared,
            session,
            files,
            port: None,
            opening: None,
            dhcp: None,
            dhcp_link: None,
            network: None,
            probe: None,
            climb: None,
            tried_is_kept: true,
            answers: HashMap::new(),
            requests: 0,
            recording: None,
            device: None,
            rival: Rival::new(),
            probe_id: std::process::id() as u16,
        })
    }

    /// Works until it is told to stop or nobody is left to tell it.
    ///
    /// # Errors
    /// What the session asks for cannot be kept.
    pub async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) -> Result<()> {
        loop {
            _ = self.carry_out();
            let due = self.shared.start + self.session.next_event();
            let mut event = None;
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Stop) | None => break,
                    Some(order) => event = self.order(order),
                },
                heard = work(&mut self.port) => event = Some(self.heard(heard)),
                opened = finish(&mut self.opening) => event = Some(self.opened(opened)),
                message = receive(&self.dhcp) => match message {
                    Ok(bytes) => event = Some(Event::Dhcp(bytes)),
                    // Switched off or gone: opened again with the next query.
                    Err(_) => self.dhcp = None,
                },
                events = finish(&mut self.network) => {
                    for event in events {
                        self.session.event(self.shared.clock(), event);
                    }
                }
                outcome = finish(&mut self.probe) => event = self.probed(outcome),
                done = finish(&mut self.climb) => {
                    if let Err(error) = done {
                        tracing::warn!("modem at {}: {error:#}", self.path);
                    }
                }
                () = self.rival.settle(&self.shared, &self.path), if self.device.is_some() => {
                    event = Some(Event::Device(self.presented()));
                }
                () = sleep_until(due) => {}
            }
            let clock = self.shared.clock();
            match event {
                Some(event) => self.session.event(clock, event),
                None => self.session.advance(clock),
            }
        }
        self.leave().await;
        Ok(())
    }

    fn order(&mut self, order: Order) -> Option<Event> {
        match order {
            Order::Device(device) => {
                if self.device.is_none() && device.is_some() {
                    self.rival.plugged();
                }
                self.device = device;
                Some(Event::Device(self.presented()))
            }
            Order::Hint => Some(Event::Hint),
            Order::Request(command, answer) => {
                self.requests += 1;
                self.answers.insert(self.requests, answer);
                Some(Event::Request { id: self.requests, command })
            }
            Order::Report(answer) => {
                // Who asked may have left.
                _ = answer.send(self.session.report(self.shared.clock()));
                None
            }
            Order::Transcript(answer) => {
                let now = self.shared.start.elapsed();
                // Who asked may have left.
                _ = answer.send(self.transcript(now));
                None
            }
            Order::Messages(call, answer) => {
                // Who asked may have left.
                _ = answer.send(self.messages(call));
                None
            }
            Order::Stop => None,
        }
    }

    /// The device, without its port while ModemManager may have it.
    fn presented(&self) -> Option<Device> {
        let device = self.device.clone()?;
        Some(match self.rival.is_settled() {
            true => device,
            false => Device { port: None, held: true, ..device },
        })
    }

    fn heard(&mut self, heard: io::Result<Vec<u8>>) -> Event {
        match heard {
            Ok(bytes) => {
                self.record(Side::Modem, &bytes);
                Event::Bytes(bytes)
            }
            Err(error) => {
                tracing::info!("modem at {}: the AT port: {error}", self.path);
                self.port = None;
                Event::PortClosed
            }
        }
    }

    fn opened(&mut self, opened: io::Result<OwnedFd>) -> Event {
        match opened.and_then(Port::new) {
            Ok(port) => {
                self.port = Some(port);
                Event::PortOpened
            }
            Err(error) => Event::PortFailed(error.to_string()),
        }
    }

    fn probed(&mut self, outcome: io::Result<probe::Outcome>) -> Option<Event> {
        let outcome = outcome.unwrap_or_else(|error| {
            tracing::warn!("modem at {}: cannot probe: {error}", self.path);
            probe::Outcome::Nothing
        });
        Some(Event::Probed(outcome))
    }

    fn transcript(&mut self, now: Duration) -> io::Result<String> {
        let recording = match &mut self.recording {
            Some(recording) => recording,
            none => none.insert(Recording::new(now)?),
        };
        Ok(recording.take(now))
    }

    fn record(&mut self, side: Side, bytes: &[u8]) {
        let now = self.shared.start.elapsed();
        if self.recording.as_ref().is_some_and(|recording| recording.is_forgotten(now)) {
            self.recording = None;
        }
        if let Some(recording) = &mut self.recording {
            recording.add(now, side, bytes);
        }
    }

    /// Does what the session says, in order; whether all messages were kept.
    pub(super) fn carry_out(&mut self) -> bool {
        let mut kept = true;
        loop {
            let actions = self.session.take();
            if actions.is_empty() {
                return kept;
            }
            let mut silenced = false;
            for action in actions {
                if silenced && matches!(action, Action::Write(_) | Action::Tell(_)) {
                    continue;
                }
                match action {
                    // After one that was not kept the rest waits, too.
                    Action::KeepMessage(_) | Action::ForgetMessage(_) if !kept => {}
                    Action::KeepMessage(_) | Action::ForgetMessage(_) => {
                        kept = self.store(&action);
                        silenced |= !kept;
                    }
                    Action::Remember(memory) => {
                        if let Err(error) = self.files.remember(&memory) {
                            // What must not be forgotten must not be done.
                            tracing::error!("modem at {}: {error:#}", self.path);
                            silenced = true;
                        }
                    }
                    other => self.act(other),
                }
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::OpenPort(path) => {
                let opening = tokio::task::spawn_blocking(move || port::open(Path::new(&path)));
                self.opening = Some(Box::pin(async { opening.await.map_err(io::Error::other)? }));
            }
            Action::ClosePort => {
                self.port = None;
                self.opening = None;
            }
            Action::Write(bytes) => {
                self.record(Side::Host, &bytes);
                let pushed = self.port.as_mut().map(|port| port.push(&bytes));
                if let Some(Err(error)) = pushed {
                    tracing::warn!("modem at {}: {error}", self.path);
                }
            }
            Action::Observe => self.observe(None),
            Action::Apply(plan) => self.observe(Some(plan)),
            Action::Listen(index) => {
                self.dhcp_link = Some(index);
                self.listen();
            }
            Action::Deafen => (self.dhcp, self.dhcp_link) = (None, None),
            Action::Send { from, to, bytes } => {
                self.listen();
                // Refused while the link is not up; the client asks again.
                _ = self.dhcp.as_ref().map(|socket| socket.send(from, to, &bytes));
            }
            // Refused while the link has no address; the session asks again.
            Action::Solicit(index) => {
                if let Err(error) = solicit(index) {
                    tracing::debug!("modem at {}: cannot ask for routers: {error}", self.path);
                }
            }
            Action::Probe { link, servers, target } => self.ask(link, &servers, target),
            // Handled before.
            Action::Remember(_) | Action::KeepMessage(_) | Action::ForgetMessage(_) => {}
            Action::LoadMessages => self.load_messages(),
            // Nobody listens: as well.
            Action::Tell(news) => _ = self.shared.news.send((self.path.clone(), *news)),
            Action::Keep(history) => {
                let kept = self.files.keep(&history);
                self.tried_is_kept = kept.is_ok();
                kept.unwrap_or_else(|error| tracing::error!("modem at {}: {error:#}", self.path));
            }
            Action::Count(usage) => self.files.count(&usage),
            // One that is forgotten would be followed by another, and another.
            Action::Climb(Rung::Reboot) if !self.tried_is_kept => {
                tracing::error!("modem at {}: no reboot that cannot be noted", self.path);
            }
            // Dropped half-way, it would leave the modem without power.
            Action::Climb(_) if self.climb.is_some() => {}
            Action::Climb(rung) => {
                let (tools, path) = (self.shared.tools.clone(), self.path.clone());
                self.climb = Some(Box::pin(async move { climb(&tools, &path, rung).await }));
            }
            Action::Answer { id, result } => {
                if let Some(answer) = self.answers.remove(&id) {
                    // Who asked may have left.
                    _ = answer.send(result);
                }
            }
            Action::Say(text) => tracing::info!("modem at {}: {text}", self.path),
            Action::Changed => {}
        }
    }

    fn listen(&mut self) {
        if let (None, Some(index)) = (&self.dhcp, self.dhcp_link) {
            match Socket::open(index) {
                Ok(socket) => self.dhcp = Some(socket),
                Err(error) => tracing::warn!("modem at {}: no DHCP: {error}", self.path),
            }
        }
    }

    /// Carries a plan out, if there is one, and looks.
    fn observe(&mut self, plan: Option<Plan>) {
        let shared = Arc::clone(&self.shared);
        let link = self.device.as_ref().and_then(|device| device.link.clone()).unwrap_or_default();
        self.network = Some(Box::pin(async move {
            let dns = shared.dns.as_ref();
            let mut events = Vec::new();
            if let Some(plan) = plan {
                tracing::debug!("{plan}");
                events.push(Event::Applied(network::apply(dns, &plan).await));
            }
            loop {
                match network::observe(dns, &link).await {
                    Ok(observed) => {
                        events.push(Event::Observed(observed));
                        return events;
                    }
                    Err(error) => {
                        tracing::warn!("{error}");
                        sleep(AGAIN).await;
                    }
                }
            }
        }));
    }

    fn ask(&mut self, link: String, servers: &[std::net::Ipv4Addr], target: Target) {
        let servers: Vec<IpAddr> = servers.iter().copied().map(IpAddr::from).collect();
        self.probe_id = self.probe_id.wrapping_add(1);
        let id = self.probe_id;
        self.probe =
            Some(Box::pin(async move { probe::io::probe(&link, &servers, &target, id).await }));
    }

    /// Takes down what was set up: the end of the service, or of the modem.
    async fn leave(mut self) {
        self.files.count(self.session.usage());
        // What is taken from the modem is given back.
        if let Some(Err(error)) = match self.climb.take() {
            Some(climb) => Some(climb.await),
            None => None,
        } {
            tracing::warn!("modem at {}: {error:#}", self.path);
        }
        // A plan on its way would put things up again behind this one.
        if let Some(network) = self.network.take() {
            network.await;
        }
        let link = self.device.as_ref().and_then(|device| device.link.clone());
        if let Some(link) = link {
            let dns = self.shared.dns.as_ref();
            match network::observe(dns, &link).await {
                Ok(observed) => {
                    self.session.event(self.shared.clock(), Event::Observed(observed));
                    if let Some(plan) = self.session.farewell() {
                        for failure in network::apply(dns, &plan).await {
                            tracing::warn!("{}", failure.reason);
                        }
                    }
                }
                Err(error) => tracing::warn!("{error}"),
            }
        }
        self.rival.give_back(&self.shared, &self.path).await;
    }
}

async fn work(port: &mut Option<Port>) -> io::Result<Vec<u8>> {
    match port {
        Some(port) => port.work().await,
        None => std::future::pending().await,
    }
}

async fn receive(socket: &Option<Socket>) -> io::Result<Vec<u8>> {
    match socket {
        Some(socket) => socket.receive().await,
        None => std::future::pending().await,
    }
}

/// Waits for what is on its way; it is gone then.
pub async fn finish<T>(pending: &mut Pending<T>) -> T {
    match pending {
        Some(future) => {
            let value = future.await;
            *pending = None;
            value
        }
        None => std::future::pending().await,
    }
}
