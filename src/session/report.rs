//! What a session shows of itself: for `status`, `why`, `plan`, `usage` and
//! metrics. Numbers that tell who the owner is are shortened.

use serde::{Deserialize, Serialize};

use super::{Clock, ControlReport, ManagerReport, Path, Session};
use crate::modem::machine::State;
use crate::net::clash::Clash;
use crate::net::dhcp::Lease;
use crate::net::model::{Ipv6, NameServers};
use crate::policy::ladder::{Rung, Step, Tried};
use crate::policy::verdict::{Evidence, Verdict, verdict};
use crate::sms::desk::Desk;

/// What is told of a port that somebody else has.
const HELD: &str = "ModemManager has yet to let go of it";
const HUSHED: &str = "left to a new ModemManager for a moment";

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The first obstacle on the way to the internet, or that there is none.
    pub verdict: Verdict,
    /// The verdict in words.
    pub summary: String,
    /// What the owner can do; `null` where the service does it alone.
    pub advice: Option<String>,
    /// The facts behind the verdict.
    pub evidence: Evidence,
    /// What the recovery ladder does next; `null` for nothing.
    pub next: Option<Next>,
    /// What it tried in the last day, oldest first, at most ten.
    pub tried: Vec<Tried>,
    /// The cellular side.
    pub cellular: CellularReport,
    /// The Pi's side.
    pub network: Option<NetworkReport>,
    /// Data used.
    pub usage: UsageReport,
    /// Why text messages wait, the store of them being unreadable, or the modem not
    /// showing what the SIM has; `null` when they do not.
    pub messages_wait: Option<String>,
}

/// A rung, and when it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Which.
    pub rung: Rung,
    /// Seconds from now.
    pub in_s: u64,
    /// It waits for so long only because data flows all the same; when that ends,
    /// it comes at once.
    pub held: bool,
}

/// The modem's side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CellularReport {
    /// Whether the AT port is open.
    pub port_open: bool,
    /// Why it is not.
    pub port_error: Option<String>,
    /// Who has it.
    pub control: Option<ControlReport>,
    /// What the modem says.
    #[serde(flatten)]
    pub state: State,
}

/// The network device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkReport {
    /// Name.
    pub link: String,
    /// Whether the modem's side is there.
    pub carrier: bool,
    /// Whether packets of others may go through it.
    pub open: bool,
    /// The lease.
    pub lease: Option<Lease>,
    /// Metric of the default route; `null` while there is none.
    pub metric: Option<u32>,
    /// Name servers that this machine is given.
    pub dns: Option<NameServers>,
    /// Who keeps the name servers instead.
    pub dns_left_to: Option<String>,
    /// Another interface's network in the way.
    pub clash: Option<Clash>,
    /// What NetworkManager says, where it configures the device.
    #[serde(default)]
    pub manager: Option<ManagerReport>,
    /// What is to be like, a line each.
    pub wanted: Vec<String>,
    /// What is still to be done, a line each; empty when all is as wanted.
    pub plan: Vec<String>,
    /// What went wrong at the last try.
    pub problems: Vec<String>,
}

/// Data used in this period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageReport {
    /// Bytes received.
    pub rx: u64,
    /// Bytes sent.
    pub tx: u64,
    /// Bytes of the period before, both ways.
    pub before: u64,
    /// The cap; `null` without one.
    pub cap: Option<u64>,
    /// Bytes that may still flow; `null` without a cap.
    pub left: Option<u64>,
    /// Bytes by the end of the period at this rate; `null` while unknown.
    pub forecast: Option<u64>,
}

impl Session {
    /// The state of the moment.
    #[must_use]
    pub fn report(&self, clock: Clock) -> Report {
        let evidence = self.evidence(clock.now);
        let verdict = verdict(&evidence);
        let next = self.ladder.next(clock.wall, verdict).map(|Step { rung, at, held }| Next {
            rung,
            in_s: at.saturating_sub(clock.wall),
            held,
        });
        let tried = &self.ladder.history().tried;
        let usage = self.budget.usage();
        Report {
            verdict,
            summary: verdict.to_string(),
            advice: verdict.advice().map(str::to_owned),
            evidence,
            next,
            tried: tried[tried.len().saturating_sub(10)..].to_vec(),
            cellular: CellularReport {
                port_open: self.port_is_open(),
                port_error: match &self.device {
                    Some(device) if device.held => Some(HELD.to_owned()),
                    Some(_) if self.is_hushed() => Some(HUSHED.to_owned()),
                    _ => self.port_error.clone(),
                },
                control: Some(self.control_report()),
                state: self.cellular().map(redacted).unwrap_or_default(),
            },
            network: self.network_report(),
            usage: UsageReport {
                rx: usage.rx,
                tx: usage.tx,
                before: usage.before,
                cap: self.settings.rules.cap,
                left: self.budget.left(),
                forecast: self.budget.forecast(clock.wall),
            },
            messages_wait: {
                let trouble = || self.messages().and_then(Desk::trouble);
                self.messages_wait().or_else(trouble).map(str::to_owned)
            },
        }
    }

    fn network_report(&self) -> Option<NetworkReport> {
        if self.is_ppp() && self.link.is_none() {
            return self.call_report();
        }
        let (link, desired) = (self.link.as_ref()?, self.desired()?);
        let plan = self.pending().filter(|plan| !plan.steps.is_empty());
        let mut wanted = self.managed_wanted();
        if let Some(ipv4) = desired.ipv4 {
            wanted.push(format!("address {}/{}", ipv4.address, ipv4.prefix));
            if let Some(metric) = desired.default_route {
                let via = ipv4.gateway.map_or(String::new(), |gateway| format!(" via {gateway}"));
                wanted.push(format!("default route{via} metric {metric}"));
            }
        } else {
            wanted.push("no address".to_owned());
        }
        // Of IPv6 the profile tells, too.
        let ipv6 = match desired.ipv6 {
            _ if self.is_managed() => None,
            Ipv6::Accept => {
                Some(format!("IPv6 as routers offer it, default route metric {}", desired.metric))
            }
            Ipv6::Refuse => Some("no IPv6".to_owned()),
            Ipv6::Leave => Some("IPv6 as it is".to_owned()),
        };
        wanted.extend(ipv6);
        if let Some(dns) = &desired.dns {
            let servers: Vec<String> = dns.servers.iter().map(ToString::to_string).collect();
            wanted.push(format!("name servers {}", servers.join(" ")));
        }
        Some(NetworkReport {
            link: link.name.clone(),
            carrier: link.carrier,
            open: self.path == Path::Up || desired.ipv4.is_some(),
            lease: self.lease().cloned(),
            metric: desired.default_route,
            dns: desired.dns,
            dns_left_to: self.foreign_dns.clone(),
            clash: self.clash.clone(),
            manager: self.managed_report(),
            wanted,
            plan: plan
                .map_or_else(Vec::new, |plan| plan.steps.iter().map(ToString::to_string).collect()),
            problems: self.failures.iter().map(|failure| failure.reason.clone()).collect(),
        })
    }
}

fn redacted(state: &State) -> State {
    State { identity: state.identity.redacted(), ..state.clone() }
}
