//! The modems that the service looks after, a task each, and how clients reach
//! them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Error, Result, anyhow};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::Options;
use super::by_text::ByText;
use super::climb::Tools;
use super::control::encode;
use super::network;
use super::obey::Commands;
use super::power::Supply;
use super::program::Program;
use super::task::{Order, Shared, Task};
use crate::config::{self, Config, ProviderFile};
use crate::dbus::Bus;
use crate::modem::catalogue::Role;
use crate::modem::inventory::{Inventory, Modem};
use crate::modem::usb_path::UsbPath;
use crate::net::dns::Dns;
use crate::net::dns::file::ResolvFile;
use crate::protocol::{
    self, Call, DaemonStatus, FailureCode, MessagesCall, ModemStatus, Reply, SmsList, Status,
    Transcript, Watching,
};
use crate::session::{Device, DnsScope, Settings};
use crate::sms::desk::{News, NotDone};

/// News of messages that a slow listener may be behind before it misses some.
const NEWS: usize = 256;

/// What is known, for the tasks of clients.
#[derive(Clone, Default)]
struct Known {
    inventory: Arc<Inventory>,
    tasks: BTreeMap<UsbPath, mpsc::UnboundedSender<Order>>,
}

/// The modems and their tasks.
pub struct Registry {
    dev: PathBuf,
    state: PathBuf,
    settings: Settings,
    shared: Arc<Shared>,
    known: watch::Sender<Known>,
    running: JoinSet<Result<()>>,
}

/// A client's view.
#[derive(Clone)]
pub struct Reader {
    known: watch::Receiver<Known>,
    pub(super) shared: Arc<Shared>,
}

/// A client that wants to be told of messages.
pub struct Watch {
    /// The number of its request.
    pub id: u64,
    /// Of which modem; none for all.
    pub modem: Option<UsbPath>,
    /// Of those that are kept, too, of higher numbers.
    pub after: Option<u64>,
    /// What happens.
    pub news: broadcast::Receiver<(UsbPath, News)>,
}

impl Registry {
    /// No modems yet.
    ///
    /// # Errors
    /// A secret of the configuration cannot be read.
    pub fn new(options: &Options, config: &Config) -> Result<Registry> {
        let manages = config.network.by == config::NetworkBy::NetworkManager;
        let dns = match config.network.dns {
            // Whose they are is for NetworkManager to say.
            _ if manages => None,
            config::Dns::Auto => Some(Dns::keeper_of(ResolvFile::system())),
            config::Dns::Resolved => Some(Dns::resolved()),
            config::Dns::ResolvConf => Some(Dns::File(ResolvFile::system())),
            config::Dns::None => None,
        };
        let scope = match &dns {
            None => DnsScope::None,
            Some(dns) if dns.is_shared() => DnsScope::Machine,
            Some(_) => DnsScope::Link,
        };
        let settings = Settings::of(config, Arc::new(ProviderFile::default()), scope)?;
        let program = config.sms.program().map(|(line, limit)| Program { line, limit });
        let key = config.command_key()?;
        let commands = key.map(|key| Commands::new(key, &options.state));
        let shared = Shared {
            tools: Tools {
                sysfs: options.sysfs.clone(),
                dev: options.dev.clone(),
                state: options.state.clone(),
                supply: Supply::of(&config.recovery),
                reboot: options.reboot.clone(),
            },
            dns,
            manages,
            bus: Bus::default(),
            start: Instant::now(),
            news: broadcast::channel(NEWS).0,
            by_text: ByText::new(program, commands, &options.state),
        };
        let shared = Arc::new(shared);
        if !manages {
            // Of a run with another configuration that was killed. Nobody waits
            // for it: there may be no bus.
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { network::forget(&shared).await });
        }
        Ok(Registry {
            dev: options.dev.clone(),
            state: options.state.clone(),
            settings,
            shared,
            known: watch::Sender::default(),
            running: JoinSet::new(),
        })
    }

    /// Puts right what a dialogue that was cut off left, for as long as the service
    /// runs.
    pub fn mend(&self) {
        tokio::spawn(self.reader().mend());
    }

    /// What is plugged in.
    pub fn inventory(&self) -> Arc<Inventory> {
        Arc::clone(&self.known.borrow().inventory)
    }

    /// Takes over what was found; tells whether that is news.
    ///
    /// # Errors
    /// What is kept of a new modem cannot be read.
    pub fn update(&mut self, found: Inventory) -> Result<bool> {
        let known = self.inventory();
        if *known == found {
            return Ok(false);
        }
        super::report(&known, &found);
        let mut tasks = self.known.borrow().tasks.clone();
        for modem in &found.modems {
            if !tasks.contains_key(&modem.usb_path) {
                tasks.insert(modem.usb_path.clone(), self.start(&modem.usb_path)?);
            }
        }
        for (path, task) in &tasks {
            let modem = found.modems.iter().find(|modem| modem.usb_path == *path);
            let device = modem.map(|modem| device(modem, &self.dev));
            // A task that has ended is told of by `ended`.
            _ = task.send(Order::Device(device));
        }
        self.known.send_replace(Known { inventory: Arc::new(found), tasks });
        Ok(true)
    }

    fn start(&mut self, path: &UsbPath) -> Result<mpsc::UnboundedSender<Order>> {
        let shared = Arc::clone(&self.shared);
        let task = Task::new(path.clone(), shared, self.settings.clone(), &self.state)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        self.running.spawn(task.run(receiver));
        Ok(sender)
    }

    /// Something about the network changed.
    pub fn hint(&self) {
        for task in self.known.borrow().tasks.values() {
            _ = task.send(Order::Hint);
        }
    }

    /// Waits for a task that ended though nobody told it to.
    pub async fn ended(&mut self) -> Error {
        match self.running.join_next().await {
            Some(ended) => why(ended),
            None => std::future::pending().await,
        }
    }

    /// Ends all tasks, each after it has taken down what it set up.
    pub async fn stop(mut self) {
        for task in self.known.borrow().tasks.values() {
            _ = task.send(Order::Stop);
        }
        while let Some(ended) = self.running.join_next().await {
            if !matches!(ended, Ok(Ok(()))) {
                tracing::warn!("{:#}", why(ended));
            }
        }
        if self.shared.manages {
            // Also of modems that are unplugged.
            network::forget(&self.shared).await;
        }
    }

    /// For a client.
    pub fn reader(&self) -> Reader {
        Reader { known: self.known.subscribe(), shared: Arc::clone(&self.shared) }
    }
}

fn why(ended: Result<Result<()>, JoinError>) -> Error {
    match ended {
        Ok(Ok(())) => anyhow!("without a reason"),
        Ok(Err(error)) => error,
        Err(error) => error.into(),
    }
}

/// What a session is told of a modem. Ports are below `dev`.
fn device(modem: &Modem, dev: &Path) -> Device {
    let port = modem.ports.iter().find(|port| port.role == Role::At);
    let port = port.map(|port| {
        let name = port.device.strip_prefix("/dev/").unwrap_or(&port.device);
        dev.join(name).display().to_string()
    });
    Device {
        model: modem.model.clone(),
        kind: modem.network.kind,
        port,
        held: false,
        link: modem.network.device.clone(),
    }
}

impl Reader {
    /// Answers one request line with one line.
    pub async fn answer(&self, line: &[u8]) -> Vec<u8> {
        let (id, call) = match protocol::parse(line) {
            Ok(request) => request,
            Err(reply) => return encode(&reply),
        };
        match call {
            Call::Status => encode(&protocol::done(id, self.status().await)),
            Call::At { modem, command } => {
                let (answer, result) = oneshot::channel();
                let sent = self.send(id, modem.as_ref(), Order::Request(command, answer));
                let result = match sent {
                    Ok(()) => result.await.map_err(|_| no_modem(id)),
                    Err(reply) => Err(reply),
                };
                match result.and_then(|result| protocol::at_answer(id, result)) {
                    Ok(reply) => encode(&reply),
                    Err(reply) => encode(&reply),
                }
            }
            Call::Messages { modem, call } => {
                let (answer, result) = oneshot::channel();
                let sent = self.send(id, modem.as_ref(), Order::Messages(call, answer));
                let result = match sent {
                    Ok(()) => result.await.map_err(|_| no_modem(id)),
                    Err(reply) => Err(reply),
                };
                match result {
                    Ok(Ok(page)) => encode(&protocol::done(id, page)),
                    Ok(Err(why)) => encode(&not_done(id, &why)),
                    Err(reply) => encode(&reply),
                }
            }
            Call::Ussd { modem, text } => {
                match self.ussd(id, modem.as_ref(), text.as_deref()).await {
                    Ok(told) => encode(&protocol::done(id, told)),
                    Err(reply) => encode(&reply),
                }
            }
            Call::Control { modem, wanted } => {
                let (answer, report) = oneshot::channel();
                let sent = self.send(id, modem.as_ref(), Order::Control(wanted, answer));
                let report = match sent {
                    Ok(()) => report.await.map_err(|_| no_modem(id)),
                    Err(reply) => Err(reply),
                };
                match report {
                    Ok(Ok(report)) => encode(&protocol::done(id, report)),
                    Ok(Err(why)) => {
                        encode(&protocol::failed(id, FailureCode::Refused, why.to_owned()))
                    }
                    Err(reply) => encode(&reply),
                }
            }
            // Before: it is answered by more than a line.
            Call::Watch { modem, after } => match self.watched(id, modem.as_ref(), after) {
                Ok(_) => encode(&protocol::done(id, Watching { watching: true })),
                Err(reply) => encode(&reply),
            },
            Call::Transcript { modem } => {
                let (answer, text) = oneshot::channel();
                let sent = self.send(id, modem.as_ref(), Order::Transcript(answer));
                let text = match sent {
                    Ok(()) => text.await.map_err(|_| no_modem(id)),
                    Err(reply) => Err(reply),
                };
                let failed = |error: io::Error| {
                    protocol::failed(id, FailureCode::Failed, format!("no recording: {error}"))
                };
                match text.and_then(|text| text.map_err(failed)) {
                    Ok(text) => encode(&protocol::done(id, Transcript { text })),
                    Err(reply) => encode(&reply),
                }
            }
        }
    }

    /// The news of messages from now on, if the line asks for them.
    pub fn watch(&self, line: &[u8]) -> Option<Watch> {
        let Ok((id, Call::Watch { modem, after })) = protocol::parse(line) else { return None };
        let modem = self.watched(id, modem.as_ref(), after).ok()?;
        Some(Watch { id, modem, after, news: self.shared.news.subscribe() })
    }

    /// Whose news are meant: all modems', unless one is named or numbers are, which
    /// each modem has of its own.
    fn watched(
        &self,
        id: u64,
        modem: Option<&UsbPath>,
        after: Option<u64>,
    ) -> Result<Option<UsbPath>, Reply<()>> {
        match (modem, after) {
            (None, None) => Ok(None),
            _ => self.place(id, modem).map(Some),
        }
    }

    /// The next page of the messages that a modem keeps; none when it cannot tell.
    pub async fn page(&self, modem: &UsbPath, after: u64) -> Option<SmsList> {
        let (answer, page) = oneshot::channel();
        let order = Order::Messages(MessagesCall::List(after), answer);
        self.send(0, Some(modem), order).ok()?;
        page.await.ok()?.ok()
    }

    /// Gives an order to a modem's task.
    pub(super) fn send(
        &self,
        id: u64,
        modem: Option<&UsbPath>,
        order: Order,
    ) -> Result<(), Reply<()>> {
        let path = self.place(id, modem)?;
        match self.known.borrow().tasks.get(&path).map(|task| task.send(order)) {
            Some(Ok(())) => Ok(()),
            _ => Err(no_modem(id)),
        }
    }

    /// Which modem is meant.
    pub(super) fn place(&self, id: u64, modem: Option<&UsbPath>) -> Result<UsbPath, Reply<()>> {
        let known = self.known.borrow();
        let present =
            |path: &UsbPath| known.inventory.modems.iter().any(|modem| modem.usb_path == *path);
        let refuse = |message: String| Err(protocol::failed(id, FailureCode::NoModem, message));
        match (modem, &known.inventory.modems[..]) {
            (Some(path), _) if present(path) => Ok(path.clone()),
            (Some(path), _) => refuse(format!("there is no modem at {path}")),
            (None, [only]) => Ok(only.usb_path.clone()),
            (None, []) => refuse("no modem is plugged in".into()),
            (None, all) => {
                let places: Vec<String> =
                    all.iter().map(|modem| modem.usb_path.to_string()).collect();
                refuse(format!("which modem? There are {}", places.join(", ")))
            }
        }
    }

    async fn status(&self) -> Status {
        let known = self.known.borrow().clone();
        let mut modems = Vec::new();
        for modem in &known.inventory.modems {
            let (answer, report) = oneshot::channel();
            let task = known.tasks.get(&modem.usb_path);
            let asked = task.is_some_and(|task| task.send(Order::Report(answer)).is_ok());
            let session = if asked { report.await.ok() } else { None };
            modems.push(ModemStatus { modem: modem.clone(), session });
        }
        Status {
            daemon: DaemonStatus {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                uptime_s: self.shared.start.elapsed().as_secs(),
            },
            modems,
            unrecognised: known.inventory.unrecognised.clone(),
        }
    }
}

fn not_done(id: u64, why: &NotDone) -> Reply<()> {
    let code = match why {
        NotDone::Unsupported(_) => FailureCode::Unsupported,
        NotDone::Refused(_) => FailureCode::Refused,
        NotDone::NoMessage(_) => FailureCode::NoMessage,
    };
    protocol::failed(id, code, why.to_string())
}

fn no_modem(id: u64) -> Reply<()> {
    protocol::failed(id, FailureCode::NoModem, "the modem is gone")
}

#[cfg(test)]
impl Reader {
    /// Of one modem, whose task hears of orders there.
    pub(super) fn of_one(
        shared: Arc<Shared>,
        modem: Modem,
    ) -> (Reader, mpsc::UnboundedReceiver<Order>) {
        let (sender, orders) = mpsc::unbounded_channel();
        let tasks = BTreeMap::from([(modem.usb_path.clone(), sender)]);
        let inventory = Inventory { modems: vec![modem], unrecognised: Vec::new() };
        let known = Known { inventory: Arc::new(inventory), tasks };
        (Reader { known: watch::channel(known).1, shared }, orders)
    }
}
