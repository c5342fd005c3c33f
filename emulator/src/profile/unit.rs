//! The rest of a profile: identity, card, network, timing and command set.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use serde::Deserialize;

/// What the unit says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// `AT+CGMI`.
    pub manufacturer: String,
    /// `AT+CGMM`.
    pub model: String,
    /// `AT+CGMR`.
    pub revision: String,
    /// `AT+CGSN`, 15 digits.
    pub imei: String,
}

/// The card.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimCard {
    /// Card number, digits.
    pub iccid: String,
    /// Subscriber number, digits.
    pub imsi: String,
    /// How many digits of the IMSI after the first three are the MNC.
    pub mnc_length: u8,
    /// EF_SPN.
    pub provider_name: String,
    /// PIN 1.
    pub pin: String,
    /// PUK 1.
    pub puk: String,
    /// Whether the PIN is asked for.
    pub locked: bool,
}

/// PIN and PUK stay out of logs.
impl fmt::Debug for SimCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimCard").field("locked", &self.locked).finish_non_exhaustive()
    }
}

/// The network around the modem.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Operator's name.
    pub name: String,
    /// MCC and MNC.
    pub plmn: String,
    /// Tracking area code.
    pub tac: u16,
    /// Cell identity, 28 bits.
    pub cell: u32,
    /// As `AT+CSQ` has it: dBm = 2 * rssi - 113.
    pub rssi: u8,
    /// Access points that the network admits; a blank one it admits too.
    pub apns: Vec<String>,
    /// Its answer to any USSD question.
    pub ussd: String,
    /// The address that it gives.
    pub address: Ipv4Addr,
}

/// How long things take, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Power to the USB device appearing.
    pub usb_ms: u64,
    /// From there to `*ATREADY: 1`; commands before it get no answer.
    pub at_ready_ms: u64,
    /// From there to `+CPIN: READY`; before it the SIM "fails".
    pub sim_ready_ms: u64,
    /// From there to `SMS DONE` and `PB DONE`, whichever is first.
    pub done_ms: u64,
    /// Search for a network.
    pub search_ms: u64,
    /// Command to answer.
    pub latency_ms: u64,
    /// The same for commands (without `AT`) that begin so; the longest counts.
    #[serde(default)]
    pub commands: BTreeMap<String, u64>,
}

impl Timing {
    /// The same boot in another time: power to `*ATREADY` takes `boot_ms` and
    /// every other step of it shrinks or grows with it. The latency stays.
    pub fn scaled(&self, boot_ms: u64) -> Timing {
        let whole = (self.usb_ms + self.at_ready_ms).max(1);
        let scale = |ms: u64| ms.saturating_mul(boot_ms) / whole;
        let usb_ms = scale(self.usb_ms);
        Timing {
            usb_ms,
            at_ready_ms: boot_ms.saturating_sub(usb_ms),
            sim_ready_ms: scale(self.sim_ready_ms),
            done_ms: scale(self.done_ms),
            search_ms: scale(self.search_ms),
            latency_ms: self.latency_ms,
            commands: self.commands.clone(),
        }
    }
}

/// The command set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtTraits {
    /// Whether it can do SMS; it says `SMS DONE` then.
    pub sms: bool,
    /// `AT+GCAP`.
    pub gcap: String,
    /// Whether the data call is made by `AT$QCRMCALL`.
    #[serde(default)]
    pub qcrmcall: bool,
    /// What `AT*IMSRCFG="switch"` says; without it the answer is an error. USSD
    /// fails while it is on.
    pub ims: Option<bool>,
    /// Commands (without `AT`) whose answer never changes, with its lines.
    #[serde(default)]
    pub fixed: BTreeMap<String, String>,
    /// Parameters that are kept and told, with their first values.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}
