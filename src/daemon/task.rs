//! The task of one modem: hears of the world for its session, and does what the
//! session says.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::by_text::{ByText, UnderWay};
use super::climb::Tools;
use super::kept::Files;
use super::modemmanager::watch::{self, Watch};
use super::network;
use super::obey;
use super::port::Port;
use super::recording::Recording;
use super::rival::{self, Rival};
use crate::at::{AtError, Command, Reply};
use crate::config::Control;
use crate::dbus::Bus;
use crate::modem::transcript::Side;
use crate::modem::usb_path::UsbPath;
use crate::net::dhcp::socket::Socket;
use crate::net::dns::Dns;
use crate::net::probe;
use crate::protocol::{MessagesCall, SmsList};
use crate::session::{Clock, ControlReport, Device, Event, Report, Session, Settings};
use crate::sms::desk::{Desk, News, NotDone};

/// How long the end of the service waits to hear what became of a text message that
/// is being sent: else nobody would know. A network that is well takes a few seconds.
const LAST_WORD: Duration = Duration::from_secs(10);

/// What all tasks share.
pub struct Shared {
    /// What rungs beyond the modem's own commands need.
    pub tools: Tools,
    /// Whose name servers; `None`: nobody's.
    pub dns: Option<Dns>,
    /// NetworkManager configures the links.
    pub manages: bool,
    /// The system's bus.
    pub bus: Bus,
    /// Where the clock of all sessions starts.
    pub start: Instant,
    /// What becomes of text messages, for whoever listens.
    pub news: broadcast::Sender<(UsbPath, News)>,
    /// What text messages set in motion.
    pub by_text: ByText,
}

impl Shared {
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
    /// Who shall have the AT port from now on.
    Control(Option<Control>, oneshot::Sender<Result<ControlReport, &'static str>>),
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
    pub(super) port: Option<Port>,
    pub(super) opening: Pending<io::Result<OwnedFd>>,
    pub(super) dhcp: Option<Socket>,
    pub(super) dhcp_link: Option<u32>,
    pub(super) network: Pending<Vec<Event>>,
    pub(super) probe: Pending<io::Result<probe::Outcome>>,
    pub(super) climb: Pending<Result<()>>,
    /// What the ladder tried is on the card.
    pub(super) tried_is_kept: bool,
    pub(super) answers: HashMap<u64, oneshot::Sender<Result<Reply, AtError>>>,
    requests: u64,
    recording: Option<Recording>,
    pub(super) device: Option<Device>,
    pub(super) rival: Rival,
    pub(super) manager: Option<Watch>,
    pub(super) probe_id: u16,
    pub(super) by_text: UnderWay,
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
        let kept = files.load()?;
        // What was on trial is so again.
        let chosen = files.chosen();
        let session = Session::new(obey::with(&settings, &chosen), kept);
        let mut by_text = UnderWay::new(settings);
        shared.by_text.in_use().insert(path.to_string());
        let now = shared.clock().now;
        by_text.trial = chosen.trial.map(|_| now.saturating_add(obey::TRIAL));
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
            manager: None,
            probe_id: std::process::id() as u16,
            by_text,
        })
    }

    /// Works until it is told to stop or nobody is left to tell it.
    ///
    /// # Errors
    /// What the session asks for cannot be kept.
    pub async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) -> Result<()> {
        let mut end = None;
        loop {
            _ = self.carry_out();
            self.command_turn();
            self.follow_modem();
            _ = self.carry_out();
            let idle = self.session.messages().is_none_or(Desk::is_idle);
            if end.is_some_and(|end| idle || self.shared.clock().now >= end) {
                break;
            }
            let next = self.session.next_event();
            let due = self.shared.start + end.map_or(next, |end| next.min(end));
            let mut event = None;
            tokio::select! {
                order = orders.recv() => match order {
                    None => break,
                    Some(Order::Stop) => {
                        let clock = self.shared.clock();
                        let until = clock.now.saturating_add(LAST_WORD);
                        self.session.hold_messages(clock, until);
                        end = Some(until);
                    }
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
                came = self.by_text.next(self.shared.start) => self.came(came),
                news = watched(&mut self.manager) => event = Some(match news {
                    watch::News::Modem(news) => Event::Manager(news),
                    watch::News::Message(news) => Event::ManagerMessage(news),
                }),
                news = self.rival.settle(&self.shared, &self.path), if self.device.is_some() => {
                    event = Some(match news {
                        rival::News::Settled => Event::Device(self.presented()),
                        rival::News::Heard(news) => Event::Rival(news),
                    });
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
            Order::Control(wanted, answer) => {
                let may = wanted.map_or(Ok(()), |wanted| self.session.may_control(wanted));
                if let (Some(wanted), Ok(())) = (wanted, may) {
                    self.session.control(self.shared.clock(), wanted);
                }
                // Who asked may have left.
                _ = answer.send(may.map(|()| self.session.control_report()));
                None
            }
            Order::Stop => None,
        }
    }

    /// The device, without its port while ModemManager may have it.
    pub(super) fn presented(&self) -> Option<Device> {
        let device = self.device.clone()?;
        Some(match self.rival.is_settled() {
            true => device,
            false => Device { port: None, held: !self.rival.is_yielded(), ..device },
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

    pub(super) fn record(&mut self, side: Side, bytes: &[u8]) {
        let now = self.shared.start.elapsed();
        if self.recording.as_ref().is_some_and(|recording| recording.is_forgotten(now)) {
            self.recording = None;
        }
        if let Some(recording) = &mut self.recording {
            recording.add(now, side, bytes);
        }
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
        let modem = self.session.dialled_modem();
        let link = self.device.as_ref().map(|device| device.link.clone().unwrap_or_default());
        // Where data goes by PPP there is a profile to take away also without a link.
        if let Some(link) = link.filter(|link| !link.is_empty() || modem.is_some()) {
            match network::observe(&self.shared, &link, modem.as_deref()).await {
                Ok(observed) => {
                    self.session.event(self.shared.clock(), Event::Observed(observed));
                    if let Some(plan) = self.session.farewell() {
                        for failure in network::apply(&self.shared, &plan).await {
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

async fn watched(watch: &mut Option<Watch>) -> watch::News {
    match watch {
        Some(watch) => watch.next().await,
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
