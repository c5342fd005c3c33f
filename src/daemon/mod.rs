//! `a7670e run`: the service. Wires the kernel's device events, sysfs, systemd
//! and the control socket together; all decisions are made in pure modules.
//!
//! One thread, one loop (ADR 0003): the loop also feeds systemd's watchdog, so
//! that a loop that hangs is a service that gets restarted.

mod control;
pub mod log;
mod sysfs;
mod systemd;
mod uevent;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::modem::inventory::{self, Inventory, Modem};
use crate::protocol::{self, DaemonStatus, Status};
use control::Control;
use uevent::Uevents;

/// From the first event to the look at sysfs. Plugging a stick makes some 30
/// events within milliseconds; one look at their end does for all.
const SETTLE: Duration = Duration::from_millis(50);

/// What `a7670e run` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where sysfs is: `/sys`, or a tree of the same shape.
    pub sysfs: PathBuf,
    /// Where to make the control socket.
    pub socket: PathBuf,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// It could not start (no sysfs, the socket is taken or cannot be made), or
/// what it stands on broke: sysfs unreadable, the event socket gone.
pub fn run(options: &Options) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot set up the event loop")?
        .block_on(serve(options))
}

async fn serve(options: &Options) -> Result<()> {
    // The listeners first, so that nothing between them and the first scan is
    // missed.
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let uevents = Uevents::open().context("cannot listen to the kernel's device events")?;
    let control = Control::bind(&options.socket)?;
    let state = State::new(scan(options)?);

    let mut watchdog = systemd::watchdog_period().map(|period| {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    });
    let mut clients = JoinSet::new();
    let mut look_at: Option<Instant> = None;
    systemd::ready(&summary(&state.inventory()));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            hint = uevents.hint() => {
                hint.context("lost the kernel's device events")?;
                look_at.get_or_insert_with(|| Instant::now() + SETTLE);
            }
            () = at(look_at) => {
                look_at = None;
                if state.update(scan(options)?) {
                    systemd::status(&summary(&state.inventory()));
                }
            }
            client = control.accept() => {
                let client = client.context("cannot accept control connections")?;
                admit(&mut clients, client, &state);
            }
            Some(_) = clients.join_next() => {}
            () = tick(&mut watchdog) => systemd::alive(),
        }
    }
    systemd::stopping();
    tracing::info!("stopping");
    Ok(())
}

fn scan(options: &Options) -> Result<Inventory> {
    Ok(inventory::inventory(&sysfs::scan(&options.sysfs)?))
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

async fn tick(ticks: &mut Option<tokio::time::Interval>) {
    match ticks {
        Some(ticks) => _ = ticks.tick().await,
        None => std::future::pending().await,
    }
}

fn admit(clients: &mut JoinSet<()>, client: UnixStream, state: &State) {
    let full = clients.len() >= control::MAX_CLIENTS;
    let reader = state.reader();
    clients.spawn(async move {
        let served = if full {
            control::refuse(client).await
        } else {
            control::serve(client, |line| {
                control::encode(&protocol::answer(line, || reader.status()))
            })
            .await
        };
        if let Err(error) = served {
            tracing::warn!("control connection: {error:#}");
        }
    });
}

/// What the daemon knows; clients hold readers of it.
struct State {
    inventory: watch::Sender<Arc<Inventory>>,
    started: Instant,
}

/// A client's view of the state.
struct Reader {
    inventory: watch::Receiver<Arc<Inventory>>,
    started: Instant,
}

impl State {
    fn new(inventory: Inventory) -> State {
        report(&Inventory::default(), &inventory);
        State { inventory: watch::Sender::new(Arc::new(inventory)), started: Instant::now() }
    }

    fn inventory(&self) -> Arc<Inventory> {
        Arc::clone(&self.inventory.borrow())
    }

    /// Takes over what was found; tells whether that is news.
    fn update(&self, found: Inventory) -> bool {
        let known = self.inventory();
        if *known == found {
            return false;
        }
        report(&known, &found);
        self.inventory.send_replace(Arc::new(found));
        true
    }

    fn reader(&self) -> Reader {
        Reader { inventory: self.inventory.subscribe(), started: self.started }
    }
}

impl Reader {
    fn status(&self) -> Status {
        Status {
            daemon: DaemonStatus {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                uptime_s: self.started.elapsed().as_secs(),
            },
            inventory: Inventory::clone(&self.inventory.borrow()),
        }
    }
}

/// Logs the difference between two states of the bus.
fn report(old: &Inventory, new: &Inventory) {
    for modem in &old.modems {
        if !new.modems.iter().any(|other| other.usb_path == modem.usb_path) {
            tracing::info!("modem at {} is gone", modem.usb_path);
        }
    }
    for modem in &new.modems {
        if old.modems.iter().find(|other| other.usb_path == modem.usb_path) != Some(modem) {
            tracing::info!("{}", describe(modem));
        }
    }
    for device in new.unrecognised.iter().filter(|device| !old.unrecognised.contains(device)) {
        tracing::warn!(
            "{} at {} has interfaces of no known modem: {}",
            device.usb_id,
            device.usb_path,
            device.interfaces.join(" ")
        );
    }
}

fn describe(modem: &Modem) -> String {
    let network = modem.network.device.as_deref().unwrap_or("no network device yet");
    let ports: Vec<_> =
        modem.ports.iter().map(|port| format!("{} {}", port.role.name(), port.device)).collect();
    format!("{} at {}: {network}; {}", modem.model, modem.usb_path, ports.join(", "))
}

/// One line for `systemctl status`.
fn summary(inventory: &Inventory) -> String {
    let modems: Vec<_> = inventory
        .modems
        .iter()
        .map(|modem| {
            let state = if modem.problems.is_empty() { "" } else { ", incomplete" };
            format!("{} at {}{state}", modem.model, modem.usb_path)
        })
        .collect();
    if modems.is_empty() { "no modem".to_owned() } else { modems.join("; ") }
}
