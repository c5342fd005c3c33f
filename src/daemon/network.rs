//! Looks at the network and carries out plans: the kernel's part by netlink,
//! the name servers by whoever keeps them. The kernel's part never waits for the
//! other.

use std::time::Duration;

use tokio::time::timeout;

use crate::net::dns::{Dns, DnsError};
use crate::net::model::{NameServers, Observed};
use crate::net::netlink::{NetError, Netlink};
use crate::net::plan::{Plan, Step};
use crate::session::Failure;

/// How long whoever keeps the name servers may take for an answer; the bus
/// starts systemd-resolved when it does not run.
const PATIENCE: Duration = Duration::from_secs(5);

/// The state of the network as it concerns `link`.
///
/// # Errors
/// The kernel gave no complete answer. That nobody tells of name servers is
/// none: then there are none of ours.
pub async fn observe(dns: Option<&Dns>, link: &str) -> Result<Observed, NetError> {
    let mut observed = Netlink::open()?.observe(link)?;
    if let (Some(dns), Some(link)) = (dns, observed.link_named(link)) {
        match timeout(PATIENCE, dns.current(link.index)).await {
            Ok(Ok(servers)) => observed.dns = servers,
            Ok(Err(error)) => tracing::warn!("{}: {error}", link.name),
            Err(_) => tracing::warn!("{}: nobody tells of its name servers", link.name),
        }
    }
    Ok(observed)
}

/// Carries out a plan as far as it goes. A step that is refused does not keep
/// the next from being tried: the next plan shows what is missing.
pub async fn apply(dns: Option<&Dns>, plan: &Plan) -> Vec<Failure> {
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
        let refused = match (step, dns) {
            (Step::SetDns(servers), Some(dns)) => set(dns, plan.index, Some(servers)).await,
            (Step::ClearDns, Some(dns)) => set(dns, plan.index, None).await,
            _ => netlink.apply(plan, step).map_err(|error| (error.to_string(), false)),
        };
        if let Err((reason, foreign)) = refused {
            failures.push(Failure { step: step.clone(), reason, foreign });
        }
    }
    failures
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
