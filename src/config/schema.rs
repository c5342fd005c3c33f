//! What the configuration file may say. All of it is optional.

use serde::{Deserialize, Serialize};

use super::recovery::Recovery;
use super::secret::SecretValue;
use super::sms::Sms;
use super::values::{AuthChoice, Bands, ByteSize, Digits, Page, Plain, Roaming};
use crate::modem::machine::Modes;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The modem itself.
    pub modem: Modem,
    /// SIM, access point, networks.
    pub cellular: Cellular,
    /// The Pi's side of the data path.
    pub network: Network,
    /// Limits of the recovery.
    pub policy: Policy,
    /// What the modem's power may be cut by.
    pub recovery: Recovery,
    /// How much data may flow.
    pub data: Data,
    /// Text messages.
    pub sms: Sms,
}

/// `[modem]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Modem {
    /// Who owns the AT port.
    pub control: Control,
    /// The SIM's PIN, four to eight digits.
    pub pin: Option<SecretValue>,
    /// What the modem shall be on USB. A change restarts it.
    pub usb_mode: UsbMode,
    /// How data flows.
    pub data: DataPath,
}

/// How data flows between the modem and this machine (SIMCom A76XX AT Command
/// Manual V1.09, `AT+DIALMODE`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataPath {
    /// By the modem's network function on USB: the modem dials by itself.
    #[default]
    Usb,
    /// By PPP on its modem port: NetworkManager dials, through ModemManager.
    Ppp,
}

/// Who owns the AT port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// This program. ModemManager is asked to let go of it.
    #[default]
    Direct,
    /// ModemManager, once this program has set the modem up.
    ModemManager,
}

/// The modem's network function on USB (`AT$MYCONFIG`, SIMCom A76XX AT Command
/// Manual V1.09).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsbMode {
    /// As it is.
    #[default]
    Keep,
    /// RNDIS, the factory's.
    Rndis,
    /// CDC Ethernet.
    Ecm,
}

/// `[cellular]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cellular {
    /// Access point name. Without it the provider database is asked.
    pub apn: Option<Plain>,
    /// User name at the access point.
    pub user: Option<Plain>,
    /// Password at the access point.
    pub password: Option<SecretValue>,
    /// How to authenticate there.
    pub auth: AuthChoice,
    /// Whether data may flow abroad.
    pub roaming: Roaming,
    /// Networks to use.
    pub modes: Option<Modes>,
    /// Bands to use.
    pub bands: Option<Bands>,
    /// The only operator to use.
    pub operator: Option<Digits>,
    /// `ip`, `ipv6` or `ipv4v6`.
    pub pdp_type: PdpType,
}

/// What addresses to ask for (TS 27.007 §10.1.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PdpType {
    /// IPv4.
    #[default]
    Ip,
    /// IPv6.
    Ipv6,
    /// Both.
    Ipv4v6,
}

/// `[network]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Who configures the network device.
    pub by: NetworkBy,
    /// Whether NetworkManager is given a profile for PPP, too.
    pub gsm_profile: bool,
    /// Metric of the default route; the lowest of all uplinks wins.
    pub metric: u32,
    /// Who is told of the name servers.
    pub dns: Dns,
    /// Whether to take IPv6 where it is offered.
    pub ipv6: bool,
    /// How to prove that packets come through.
    pub probe: Probe,
}

impl Default for Network {
    fn default() -> Network {
        // Above NetworkManager's 100 for a cable and 600 for Wi-Fi: cellular
        // costs, so it comes last unless it is told otherwise.
        Network {
            by: NetworkBy::Netlink,
            gsm_profile: false,
            metric: 700,
            dns: Dns::Auto,
            ipv6: true,
            probe: Probe::default(),
        }
    }
}

/// Who configures the network device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkBy {
    /// This program.
    #[default]
    Netlink,
    /// NetworkManager, by a profile that this program gives it.
    NetworkManager,
}

/// Who is told of the name servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Dns {
    /// systemd-resolved where it runs, else `/etc/resolv.conf` where it is
    /// nobody else's.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// systemd-resolved.
    #[serde(rename = "resolved")]
    Resolved,
    /// `/etc/resolv.conf`.
    #[serde(rename = "resolv.conf")]
    ResolvConf,
    /// Nobody.
    #[serde(rename = "none")]
    None,
}

/// `[network.probe]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Probe {
    /// Page to ask for.
    pub target: Page,
    /// The status that it answers with. Another means that somebody else
    /// answers: a portal, or a page that moved.
    pub status: u16,
    /// Seconds between two probes while nothing else flows.
    pub interval: u32,
    /// Most that probes may use in a day.
    pub budget: ByteSize,
}

impl Default for Probe {
    fn default() -> Probe {
        let page = Page {
            // Made for this: a status without text. Android and ChromeOS ask it.
            host: "connectivitycheck.gstatic.com".into(),
            port: 80,
            path: "/generate_204".into(),
        };
        // 144 probes a day with 2 kB at most each (1 kB as a rule), and half as
        // much again for bad days: 13 MB a month at most, less the more flows
        // anyway.
        Probe { target: page, status: 204, interval: 600, budget: ByteSize(432_000) }
    }
}

/// `[policy]`: how often the rough ways of recovery may be used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Restarts of the modem in an hour.
    pub modem_resets_per_hour: u32,
    /// Reboots of the Pi in a day; 0 forbids them.
    pub reboots_per_day: u32,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { modem_resets_per_hour: 4, reboots_per_day: 1 }
    }
}

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// Most that may flow in a month, both ways together.
    pub cap: Option<ByteSize>,
    /// Day of the month on which the count begins anew.
    #[serde(deserialize_with = "day")]
    pub reset_day: u8,
}

impl Default for Data {
    fn default() -> Data {
        Data { cap: None, reset_day: 1 }
    }
}

fn day<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    let day = u8::deserialize(from)?;
    if (1..=28).contains(&day) {
        return Ok(day);
    }
    Err(serde::de::Error::custom("must be 1 to 28: each month has those"))
}
