//! Looks at the network and carries out plans: the kernel's part by netlink,
//! the name servers by whoever keeps them, or all of it by NetworkManager. The
//! kernel's part never waits for the others.

use std::time::Duration;

use tokio::time::timeout;

use super::task::Shared;
use crate::net::dns::{Dns, DnsError};
use crate::net::model::{NameServers, Observed};
use crate::net::netlink::{NetError, Netlink};
use crate::net::networkmanager::{self, Seen, bus};
use crate::net::plan::{Plan, Step};
use crate::session::Failure;

/// How long whoever is asked on the bus may take for an answer; the bus starts
/// systemd-resolved when it does not run.
const PATIENCE: Duration = Duration::from_secs(5);

/// The state of the network as it concerns `link` and, where data goes by PPP, the
/// modem that ModemManager shows as the object `modem`; empty while it shows none.
///
/// # Errors
/// The kernel gave no complete answer. That nobody tells of name servers is
/// none: then there are none of ours.
pub async fn observe(
    shared: &Shared,
    link: &str,
    modem: Option<&str>,
) -> Result<Observed, NetError> {
    let mut observed = Netlink::open()?.observe(link)?;
    if let (Some(dns), Some(link)) = (&shared.dns, observed.link_named(link)) {
        match timeout(PATIENCE, dns.current(link.index)).await {
            Ok(Ok(servers)) => observed.dns = servers,
            Ok(Err(error)) => tracing::warn!("{}: {error}", link.name),
            Err(_) => tracing::warn!("{}: nobody tells of its name servers", link.name),
        }
    }
    if shared.manages && (observed.link_named(link).is_some() || modem.is_some()) {
        let seen = timeout(PATIENCE, look(shared, link, modem)).await;
        // It is far more likely to be slow than not to be there.
        let slow = || Seen::Silent(format!("no answer in {PATIENCE:?}"));
        observed.manager = Some(seen.unwrap_or_else(|_| slow()));
    }
    Ok(observed)
}

/// What NetworkManager says.
async fn look(shared: &Shared, link: &str, modem: Option<&str>) -> Seen {
    let bus = &match shared.bus.get().await {
        Ok(bus) => bus,
        Err(error) => return Seen::NoBus(error.to_string()),
    };
    match bus::is_running(bus).await {
        Ok(true) => {}
        Ok(false) => return Seen::Absent,
        Err(error) => return Seen::NoBus(error.to_string()),
    }
    match bus::look(bus, link, modem.filter(|modem| !modem.is_empty())).await {
        Ok(state) => Seen::Running(Box::new(state)),
        Err(error) => match bus::is_running(bus).await {
            // It left in between.
            Ok(false) => Seen::Absent,
            _ => Seen::Silent(error.to_string()),
        },
    }
}

/// Carries out a plan as far as it goes. A step that is refused does not keep
/// the next from being tried: the next plan shows what is missing.
pub async fn apply(shared: &Shared, plan: &Plan) -> Vec<Failure> {
    let mut netlink = match Netlink::open() {
        Ok(netlink) => netlink,
        Err(error) => {
            let reason = error.to_string();
            let failed = |step: &Step| Failure {
                step: step.clone(),
                reason: reason.clone(),
                foreign: false,
            };
            return plan.steps.iter().map(failed).collect();
        }
    };
    let mut failures = Vec::new();
    for step in &plan.steps {
        let refused = match (step, &shared.dns) {
            (Step::SetDns(servers), Some(dns)) => set(dns, plan.index, Some(servers)).await,
            (Step::ClearDns, Some(dns)) => set(dns, plan.index, None).await,
            (Step::Manager(step), _) => manage(shared, &plan.link, step).await,
            _ => netlink.apply(plan, step).map_err(|error| (error.to_string(), false)),
        };
        if let Err((reason, foreign)) = refused {
            failures.push(Failure { step: step.clone(), reason, foreign });
        }
    }
    failures
}

async fn manage(
    shared: &Shared,
    link: &str,
    step: &networkmanager::Step,
) -> Result<(), (String, bool)> {
    let ask = async {
        let bus = &shared.bus.get().await.map_err(|error| format!("no D-Bus: {error}"))?;
        bus::apply(bus, link, step).await.map_err(|error| error.to_string())
    };
    match timeout(PATIENCE, ask).await {
        Ok(done) => done.map_err(|reason| (reason, false)),
        Err(_) => Err((format!("NetworkManager: no answer in {PATIENCE:?} ({step})"), false)),
    }
}

/// Takes away what is left of us in NetworkManager: of a run that was killed, or
/// of this one. Where there is none, or no bus, nothing is.
pub async fn forget(shared: &Shared) {
    let gone = timeout(PATIENCE, async {
        let Ok(bus) = shared.bus.get().await else { return Ok(Vec::new()) };
        bus::forget(&bus).await
    });
    match gone.await {
        Ok(Ok(gone)) => {
            for name in gone {
                tracing::info!("NetworkManager's profile {name} is taken away");
            }
        }
        Ok(Err(error)) => tracing::warn!("profiles of ours may be left: {error}"),
        Err(_) => tracing::warn!("NetworkManager does not answer: profiles of ours may be left"),
    }
}

async fn set(dns: &Dns, index: u32, servers: Option<&NameServers>) -> Result<(), (String, bool)> {
    let change = async {
        match servers {
            Some(servers) => dns.set(index, servers).await,
            None => dns.clear(index).await,
        }
    };
    match timeout(PATIENCE, change).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err((error.to_string(), matches!(error, DnsError::Foreign { .. }))),
        Err(_) => {
            Err((format!("no answer about name servers within {} s", PATIENCE.as_secs()), false))
        }
    }
}
