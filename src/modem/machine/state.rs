//! What the machine knows, for `status` and `why`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::settings::Source;
use crate::at::reply::{Signal, SimState, Stat, Technology};

/// How far it has come, or what keeps it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// No AT port is open.
    #[default]
    NoPort,
    /// The port does not answer yet.
    Probing,
    /// Settings, identity.
    Preparing,
    /// The SIM is not ready.
    SimWait,
    /// There is no SIM.
    NoSim,
    /// The PIN is missing or must not be tried.
    PinNeeded,
    /// The SIM wants its PUK or is locked to something.
    PukNeeded,
    /// Looking for a network.
    Searching,
    /// The network said no.
    Denied,
    /// In another network than home, which the settings forbid.
    RoamingForbidden,
    /// Registered; data is being set up.
    Connecting,
    /// Data can flow.
    Connected,
    /// The modem was told to restart.
    Restarting,
}

/// Who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Model, as the modem says.
    pub model: Option<String>,
    /// Firmware.
    pub revision: Option<String>,
    /// The modem's number.
    pub imei: Option<String>,
    /// The card's number.
    pub iccid: Option<String>,
    /// The subscriber's number in the network.
    pub imsi: Option<String>,
}

impl Identity {
    /// With all but the last four digits of each number hidden.
    pub fn redacted(&self) -> Identity {
        let hide = |text: &Option<String>| {
            text.as_ref().map(|text| {
                let shown = text.len().saturating_sub(4);
                text.char_indices().map(|(at, c)| if at < shown { '*' } else { c }).collect()
            })
        };
        Identity {
            imei: hide(&self.imei),
            iccid: hide(&self.iccid),
            imsi: hide(&self.imsi),
            ..self.clone()
        }
    }
}

/// What is known of the modem.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// How far it is.
    pub phase: Phase,
    /// Why it is no further, for people.
    pub reason: Option<String>,
    /// Who it is.
    pub identity: Identity,
    /// The SIM.
    pub sim: Option<SimState>,
    /// How often the PIN may still be wrong.
    pub pin_tries: Option<u8>,
    /// Registration for data.
    pub registration: Option<Stat>,
    /// Radio technology.
    pub technology: Option<Technology>,
    /// Location or tracking area.
    pub area: Option<u32>,
    /// Cell.
    pub cell: Option<u32>,
    /// The operator's name.
    pub operator: Option<String>,
    /// How well it is heard.
    pub signal: Signal,
    /// The band.
    pub band: Option<String>,
    /// The access point in use.
    pub apn: Option<String>,
    /// Where it comes from.
    pub apn_source: Option<Source>,
    /// The context's address.
    pub address: Option<IpAddr>,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
}
