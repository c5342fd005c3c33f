//! What the machine is told: the user's wishes, the model's ways, the
//! providers' access points, and what it remembers from the last run.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::modem::catalogue::NetKind;

/// A text that no log may show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text as secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text, for the command that carries it and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// How the network asks who we are (`+CGAUTH`, manual V1.09: 0, 1, 2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// It does not.
    #[default]
    None,
    /// In clear text.
    Pap,
    /// By challenge.
    Chap,
}

/// Where an access point comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The configuration or provisioning file.
    Config,
    /// The provider database.
    Database,
    /// The modem's own setting.
    Modem,
    /// A command by text message.
    Sms,
}

/// One way into the provider's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Access point name.
    pub apn: String,
    /// User name; empty for none.
    pub user: String,
    /// Password; empty for none.
    pub password: Secret,
    /// Kind of authentication.
    pub auth: Auth,
    /// Who says so.
    pub source: Source,
}

/// A database of access points.
pub trait Providers {
    /// The access points for a home network, the first to try first. `mcc`
    /// has three digits, `mnc` two or three; they are compared as text.
    fn lookup(&self, mcc: &str, mnc: &str) -> Vec<Access>;
}

/// No database.
impl Providers for () {
    fn lookup(&self, _: &str, _: &str) -> Vec<Access> {
        Vec::new()
    }
}

impl<P: Providers + ?Sized> Providers for std::sync::Arc<P> {
    fn lookup(&self, mcc: &str, mnc: &str) -> Vec<Access> {
        (**self).lookup(mcc, mnc)
    }
}

/// Which networks to use (`+CNMP`, manual V1.09).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modes {
    /// What there is.
    Auto,
    /// LTE only.
    Lte,
    /// GSM only.
    Gsm,
}

impl Modes {
    /// The number of `+CNMP`.
    pub(super) fn number(self) -> u32 {
        match self {
            Modes::Auto => 2,
            Modes::Gsm => 13,
            Modes::Lte => 38,
        }
    }
}

/// What the user wants of the cellular side.
#[derive(Debug, Clone)]
pub struct CellularSettings {
    /// The SIM's PIN.
    pub pin: Option<Secret>,
    /// Access points that the user names; with any, no other is tried.
    pub access: Vec<Access>,
    /// `IP`, `IPV6` or `IPV4V6`.
    pub pdp_type: String,
    /// Whether data may flow in a network other than home.
    pub roaming: bool,
    /// Networks to use; `None` leaves the modem's choice alone.
    pub modes: Option<Modes>,
    /// MCC and MNC of the only operator to use.
    pub operator: Option<String>,
    /// Bands to use, as the two masks of `+CNBP` (manual V1.09): GSM, LTE.
    pub bands: Option<(u64, u64)>,
    /// USB network function, as `AT$MYCONFIG` numbers it: 0 RNDIS, 1 ECM.
    pub usb_mode: Option<u8>,
    /// The modem is not to dial: whoever gets it next does, by PPP.
    pub host_dials: bool,
}

impl Default for CellularSettings {
    fn default() -> CellularSettings {
        CellularSettings {
            pin: None,
            access: Vec::new(),
            pdp_type: "IP".into(),
            roaming: false,
            modes: None,
            operator: None,
            bands: None,
            usb_mode: None,
            host_dials: false,
        }
    }
}

/// How the modem is made to carry data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial {
    /// `AT+DIALMODE=0`: it dials by itself (A76XX, manual V1.09).
    Autodial,
    /// `AT$QCRMCALL=1,1` (SIM7600 with raw IP, SIMCom's SIM7600 NDIS note).
    Qcrmcall,
}

/// In which order `+CGAUTH` has its two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthOrder {
    /// A76XX manual V1.09: `=<cid>,<auth>,<passwd>,<user>`.
    PasswordFirst,
    /// TS 27.007 §10.1.31: `=<cid>,<auth>,<user>,<passwd>`.
    UserFirst,
}

/// The ways of a model, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelTraits {
    /// How it dials.
    pub dial: Dial,
    /// Order of the `+CGAUTH` texts.
    pub auth_order: AuthOrder,
}

impl ModelTraits {
    /// The ways of a catalogue row.
    pub fn of(model: &str, kind: NetKind) -> ModelTraits {
        let dial = match kind {
            NetKind::Ecm | NetKind::Rndis => Dial::Autodial,
            NetKind::Ndis | NetKind::Qmi => Dial::Qcrmcall,
        };
        // SIM7500/SIM7600 AT manual V2.00 has the password first as well; any
        // other model is taken to keep to the standard.
        let auth_order = match model {
            "A76XX" | "SIM7600" => AuthOrder::PasswordFirst,
            _ => AuthOrder::UserFirst,
        };
        ModelTraits { dial, auth_order }
    }
}

/// What outlives a restart, so that it does no harm: to be kept in a file that
/// only root reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The PIN attempt whose outcome is not known to be good: SHA-256 over
    /// card number and PIN, in hexadecimal. Such a PIN is not tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubtful_pin: Option<String>,
}

impl Memory {
    /// Names a PIN on a card. Not reversible for the card's number; a PIN has
    /// few digits, which is why the file is root's.
    pub(in crate::modem) fn name(iccid: &str, pin: &Secret) -> String {
        let digest = Sha256::new()
            .chain_update(iccid)
            .chain_update([0])
            .chain_update(pin.reveal())
            .finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
