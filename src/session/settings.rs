//! What a session is told once, made from the configuration.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use crate::config::{self, Config, ConfigError, Control, DataPath, NetworkBy, UsbPower};
use crate::modem::machine::{Access, CellularSettings, Providers};
use crate::net::networkmanager::profile::Gsm;
use crate::net::probe;
use crate::policy::budget::Rules;
use crate::policy::ladder::{DEFAULT, Limit, Rung};

/// Bytes below the cap at which to stop: what can flow between two looks at the
/// counters (10 s at 1 Mbit/s), and what the provider counts but we do not see.
const RESERVE: u64 = 1_500_000;

/// Public resolvers, which have web servers too: who reaches one of them without
/// finding names has a dead name server, not a dead line. Cloudflare's, Quad9's.
const FALLBACK: [SocketAddrV4; 2] = [
    SocketAddrV4::new(Ipv4Addr::new(1, 1, 1, 1), 80),
    SocketAddrV4::new(Ipv4Addr::new(9, 9, 9, 9), 443),
];

/// The wishes of the owner.
#[derive(Clone)]
pub struct Settings {
    /// Who has the AT port.
    pub control: Control,
    /// SIM, access point, networks.
    pub cellular: CellularSettings,
    /// Where access points are looked up.
    pub providers: Arc<dyn Providers + Send + Sync>,
    /// Who configures the link.
    pub by: NetworkBy,
    /// Whether data goes by PPP, and not by the link on USB.
    pub ppp: bool,
    /// The profile for PPP that NetworkManager is given.
    pub gsm: Option<Gsm>,
    /// Whether NetworkManager is to use the link's name servers.
    pub take_dns: bool,
    /// Metric of the default route.
    pub metric: u32,
    /// Who gets the name servers.
    pub dns: DnsScope,
    /// Whether IPv6 is taken where it is offered.
    pub ipv6: bool,
    /// How often to prove connectivity.
    pub probe: probe::Settings,
    /// By asking for what.
    pub target: probe::Target,
    /// The recovery ladder.
    pub limits: Vec<Limit>,
    /// The data budget.
    pub rules: Rules,
    /// Text messages; `None` for none.
    pub messages: Option<crate::sms::spool::Settings>,
}

/// Who gets the name servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsScope {
    /// Nobody.
    None,
    /// Each link has its own (systemd-resolved).
    Link,
    /// The machine has one list: only the uplink in use sets it.
    Machine,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("control", &self.control)
            .field("cellular", &self.cellular)
            .field("metric", &self.metric)
            .field("dns", &self.dns)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// What a valid configuration says; `dns` as was found on this system.
    ///
    /// # Errors
    /// A secret cannot be read, or is none.
    pub fn of(
        config: &Config,
        providers: Arc<dyn Providers + Send + Sync>,
        dns: DnsScope,
    ) -> Result<Settings, ConfigError> {
        let policy = &config.policy;
        let recovery = &config.recovery;
        let powered = recovery.power_gpio.is_some() || recovery.usb_power != UsbPower::Off;
        let limits = DEFAULT.iter().map(|limit| match limit.rung {
            Rung::Creset => Limit {
                enabled: policy.modem_resets_per_hour > 0,
                per_hour: policy.modem_resets_per_hour,
                ..*limit
            },
            Rung::PowerCycle => Limit { enabled: powered, ..*limit },
            Rung::Reboot => Limit {
                enabled: policy.reboots_per_day > 0,
                per_day: policy.reboots_per_day,
                ..*limit
            },
            _ => *limit,
        });
        let probe = &config.network.probe;
        let cellular = config.cellular_settings()?;
        let ppp = config.modem.data == DataPath::Ppp;
        // Asked for both kinds ModemManager would set up another context than ours.
        let ipv6 = config.network.ipv6 && !(ppp && cellular.pdp_type == "IP");
        let gsm = || Gsm { auto: ppp, ..gsm(&cellular, config.network.metric) };
        Ok(Settings {
            control: config.modem.control,
            ppp,
            gsm: (config.network.gsm_profile || ppp).then(gsm),
            cellular,
            providers,
            by: config.network.by,
            take_dns: config.network.dns != config::Dns::None,
            metric: config.network.metric,
            dns,
            ipv6,
            probe: probe::Settings {
                interval: std::time::Duration::from_secs(u64::from(probe.interval)),
                bytes_per_day: probe.budget.0,
                ..probe::Settings::default()
            },
            target: probe::Target {
                host: probe.target.host.clone(),
                port: probe.target.port,
                path: probe.target.path.clone(),
                status: probe.status,
                fallback: FALLBACK.to_vec(),
            },
            limits: limits.collect(),
            rules: Rules {
                cap: config.data.cap.map(|cap| cap.0),
                first_day: config.data.reset_day,
                reserve: RESERVE,
            },
            messages: config.sms.settings(),
        })
    }
}

impl Settings {
    /// Takes other access points, by whichever way data goes.
    pub fn use_access(&mut self, access: Vec<Access>) {
        self.cellular.access = access;
        if let Some(before) = self.gsm.take() {
            self.gsm = Some(Gsm { auto: before.auto, ..gsm(&self.cellular, before.metric) });
        }
    }
}

/// The same access point by PPP.
fn gsm(cellular: &CellularSettings, metric: u32) -> Gsm {
    let access = cellular.access.first();
    // Several are several ways to authenticate at the same one.
    let auth = if cellular.access.len() == 1 { access.map(|access| access.auth) } else { None };
    Gsm {
        apn: access.map(|access| access.apn.clone()),
        user: access.map(|access| access.user.clone()).unwrap_or_default(),
        password: access.map(|access| access.password.clone()).unwrap_or_default(),
        auth,
        home_only: !cellular.roaming,
        operator: cellular.operator.clone(),
        metric,
        auto: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ProviderFile, parse};

    #[test]
    fn the_power_is_cut_only_where_it_is_said_by_what() {
        let line = "power_gpio = { chip = \"gpiochip0\", line = 17 }";
        for (text, enabled) in [
            ("", false),
            ("usb_power = \"off\"", false),
            ("usb_power = \"port\"", true),
            ("usb_power = \"hub\"", true),
            (line, true),
        ] {
            let text = format!("[recovery]\n{text}\n");
            let config = parse(std::path::Path::new("x"), &text).unwrap();
            let providers = Arc::new(ProviderFile::default());
            let settings = Settings::of(&config, providers, DnsScope::None).unwrap();
            let is_cut = |limit: &&Limit| limit.rung == Rung::PowerCycle;
            assert_eq!(settings.limits.iter().find(is_cut).unwrap().enabled, enabled, "{text}");
        }
    }
}
