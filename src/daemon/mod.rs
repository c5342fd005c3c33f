//! `a7670e run`: the service. Wires the kernel's device events, sysfs, systemd
//! and the control socket together; all decisions are made in pure modules.
//!
//! One thread, one loop (ADR 0003): the loop also feeds systemd's watchdog, so
//! that a loop that hangs is a service that gets restarted.

mod act;
mod adopt;
mod anew;
mod by_text;
mod climb;
mod control;
mod cut;
mod gpio;
mod kept;
pub mod log;
mod messages;
mod modemmanager;
mod network;
mod obey;
mod port;
mod power;
mod program;
mod recording;
mod registry;
mod rival;
mod sysfs;
mod systemd;
mod task;
mod uevent;
mod ussd;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::config;
use crate::modem::inventory::{self, Inventory, Modem};
use crate::net::netlink::Netlink;
use crate::net::netlink::monitor::Monitor;
use crate::net::plan::orphans;
use control::Control;
use registry::{Reader, Registry};
use uevent::Uevents;

/// From the first event to the look at sysfs. Plugging a stick makes some 30
/// events within milliseconds; one look at their end does for all.
const SETTLE: Duration = Duration::from_millis(50);

/// From a change of the network to the look at it. An address comes with its
/// routes.
const NETWORK_SETTLE: Duration = Duration::from_millis(20);

/// What `a7670e run` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where sysfs is: `/sys`, or a tree of the same shape.
    pub sysfs: PathBuf,
    /// Where serial ports are: `/dev`, or a folder of links to others.
    pub dev: PathBuf,
    /// Where to make the control socket.
    pub socket: PathBuf,
    /// The configuration.
    pub config: PathBuf,
    /// The provisioning file on the boot partition.
    pub provisioning: PathBuf,
    /// Where to keep what outlives the service.
    pub state: PathBuf,
    /// The program that reboots the device; none to ask systemd-logind.
    pub reboot: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            sysfs: "/sys".into(),
            dev: "/dev".into(),
            socket: crate::protocol::SOCKET.into(),
            config: config::CONFIG.into(),
            provisioning: config::PROVISIONING.into(),
            state: crate::state::FOLDER.into(),
            reboot: None,
        }
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// It could not start (the configuration is wrong, there is no sysfs, the
/// socket is taken or cannot be made), or what it stands on broke: sysfs
/// unreadable, an event socket gone.
pub fn run(options: &Options) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot set up the event loop")?
        .block_on(serve(options))
}

async fn serve(options: &Options) -> Result<()> {
    let config = config::check(&options.config, &options.provisioning)?;
    // The listeners first, so that nothing between them and the first scan is
    // missed.
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let uevents = Uevents::open().context("cannot listen to the kernel's device events")?;
    let monitor = Monitor::open().context("cannot listen to changes of the network")?;
    let control = Control::bind(&options.socket)?;
    cut::settle(&options.state);
    let mut registry = Registry::new(options, &config)?;
    registry.update(scan(options)?)?;
    registry.mend();
    sweep(&registry.inventory());

    let mut watchdog = systemd::watchdog_period().map(|period| {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    });
    let mut clients = JoinSet::new();
    let mut look_at: Option<Instant> = None;
    let mut hint_at: Option<Instant> = None;
    systemd::ready(&summary(&registry.inventory()));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            hint = uevents.hint() => {
                hint.context("lost the kernel's device events")?;
                look_at.get_or_insert_with(|| Instant::now() + SETTLE);
            }
            hint = monitor.hint() => {
                hint.context("lost the kernel's network events")?;
                hint_at.get_or_insert_with(|| Instant::now() + NETWORK_SETTLE);
            }
            () = at(look_at) => {
                look_at = None;
                if registry.update(scan(options)?)? {
                    let inventory = registry.inventory();
                    systemd::status(&summary(&inventory));
                    sweep(&inventory);
                }
            }
            () = at(hint_at) => {
                hint_at = None;
                registry.hint();
            }
            ended = registry.ended() => return Err(ended.context("a modem's task ended")),
            client = control.accept() => {
                let client = client.context("cannot accept control connections")?;
                admit(&mut clients, client, registry.reader());
            }
            Some(_) = clients.join_next() => {}
            () = tick(&mut watchdog) => systemd::alive(),
        }
    }
    systemd::stopping();
    tracing::info!("stopping");
    registry.stop().await;
    Ok(())
}

fn scan(options: &Options) -> Result<Inventory> {
    Ok(inventory::inventory(&sysfs::scan(&options.sysfs)?))
}

/// Removes what is left of links that are no modem's any more: the kernel keeps
/// policy rules of a link that is gone. That it cannot is no reason not to run.
fn sweep(inventory: &Inventory) {
    let sweep = || {
        let mut netlink = Netlink::open()?;
        let observed = netlink.observe("")?;
        let names = inventory.modems.iter().filter_map(|modem| modem.network.device.as_deref());
        let managed: Vec<u32> =
            names.filter_map(|name| observed.link_named(name)).map(|link| link.index).collect();
        for plan in orphans(&managed, &observed) {
            tracing::info!("left of a link that is gone: {plan}");
            for step in &plan.steps {
                netlink.apply(&plan, step)?;
            }
        }
        Ok::<(), crate::net::netlink::NetError>(())
    };
    if let Err(error) = sweep() {
        tracing::warn!("{error}");
    }
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

fn admit(clients: &mut JoinSet<()>, client: UnixStream, reader: Reader) {
    let full = clients.len() >= control::MAX_CLIENTS;
    clients.spawn(async move {
        let served = if full {
            control::refuse(client).await
        } else {
            control::serve(client, &reader).await
        };
        if let Err(error) = served {
            tracing::warn!("control connection: {error:#}");
        }
    });
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
