//! NetworkManager as the one who configures the modem's link: what it is to be
//! told, what it says, and the steps between the two.
//!
//! [`profile`] has its settings as data, [`plan`] decides (pure), [`bus`] looks
//! and acts by D-Bus.

pub mod bus;
pub mod plan;
pub mod profile;

use std::fmt;
use std::net::Ipv4Addr;

use profile::{Found, Gsm, Profile, Value};

/// What the modem's link is to be like under NetworkManager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Name of the link.
    pub link: String,
    /// Its index.
    pub index: u32,
    /// Whether packets may go through it.
    pub open: bool,
    /// Metric of its routes.
    pub metric: u32,
    /// Whether IPv6 is taken where it is offered.
    pub ipv6: bool,
    /// Whether NetworkManager uses the link's name servers.
    pub dns: bool,
    /// To be connected anew, although it is connected.
    pub anew: bool,
    /// The profile for PPP, if one is wanted.
    pub gsm: Option<Gsm>,
}

/// A connection by PPP that NetworkManager is to have, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// ModemManager's object for the modem, while it shows it.
    pub modem: Option<String>,
    /// Whether it is time to dial, where no call is up.
    pub may_dial: bool,
    /// The rest: its link is the modem's on USB, which is nobody's then; without a
    /// profile nothing is to go through.
    pub wish: Wish,
}

/// What was seen of NetworkManager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// There is no bus to ask on, or it does not answer; why.
    NoBus(String),
    /// It does not run.
    Absent,
    /// It runs as far as known, and does not say how it is; what it says instead.
    Silent(String),
    /// It runs.
    Running(Box<State>),
}

/// What it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Its version.
    pub version: String,
    /// The modem's link, if it knows it.
    pub device: Option<Device>,
    /// Our profile for it.
    pub profile: Option<Found>,
    /// Our profile for PPP.
    pub gsm: Option<Found>,
    /// The modem itself, which PPP goes through, where that is asked for.
    pub modem: Option<Device>,
}

/// A network device, as NetworkManager has it (`org.freedesktop.NetworkManager.Device`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// Name of its network device in the kernel, while it has one.
    pub interface: String,
    /// Place on the bus by udev's `ID_PATH`; empty where udev does not run.
    pub place: String,
    /// Kernel driver.
    pub driver: String,
    /// Whether NetworkManager configures it.
    pub managed: bool,
    /// `NMDeviceState`: 10 unmanaged, 20 unavailable, 30 disconnected, 40 to 90
    /// on the way, 100 activated, 110 deactivating, 120 failed.
    pub state: u32,
    /// `NMDeviceStateReason`.
    pub reason: u32,
    /// UUID of the profile that is active on it.
    pub active: Option<String>,
    /// Its name servers.
    pub dns: Vec<Ipv4Addr>,
    /// `NMConnectivityState`: 0 unknown, 1 none, 2 portal, 3 limited, 4 full.
    pub connectivity: u32,
}

/// `NM_DEVICE_STATE_UNAVAILABLE` of NetworkManager's nm-dbus-interface.h.
pub const UNAVAILABLE: u32 = 20;
/// `NM_DEVICE_STATE_DISCONNECTED` of NetworkManager's nm-dbus-interface.h.
pub const DISCONNECTED: u32 = 30;
/// `NM_DEVICE_STATE_ACTIVATED`.
pub const ACTIVATED: u32 = 100;
/// `NM_DEVICE_STATE_DEACTIVATING`.
pub const DEACTIVATING: u32 = 110;
/// `NM_DEVICE_STATE_FAILED`.
pub const FAILED: u32 = 120;

impl Device {
    /// The state in NetworkManager's own words.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self.state {
            10 => "unmanaged",
            UNAVAILABLE => "unavailable",
            DISCONNECTED => "disconnected",
            40..=60 => "connecting",
            70..=90 => "getting its address",
            ACTIVATED => "connected",
            DEACTIVATING => "disconnecting",
            FAILED => "failed",
            _ => "unknown",
        }
    }

    /// NetworkManager's own check of the way to the internet, where it makes one.
    #[must_use]
    pub fn connectivity(&self) -> Option<&'static str> {
        match self.connectivity {
            1 => Some("none"),
            2 => Some("portal"),
            3 => Some("limited"),
            4 => Some("full"),
            _ => None,
        }
    }
}

impl Seen {
    /// What it says, when it runs.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        match self {
            Seen::Running(state) => Some(state),
            _ => None,
        }
    }

    /// What keeps NetworkManager from doing its part, if anything does.
    #[must_use]
    pub fn trouble(&self, link: &str) -> Option<String> {
        const OTHER: &str = "or write network.by = \"netlink\"";
        match self {
            Seen::NoBus(why) => Some(format!(
                "NetworkManager cannot be reached, there is no D-Bus ({why}): start dbus, {OTHER}"
            )),
            Seen::Absent => Some(format!(
                "NetworkManager does not run: `systemctl start NetworkManager`, {OTHER}"
            )),
            Seen::Silent(why) => Some(format!(
                "NetworkManager runs and does not say how {link} is ({why}): \
                 `systemctl restart NetworkManager`, {OTHER}"
            )),
            Seen::Running(state) if state.device.is_none() => Some(format!(
                "NetworkManager does not configure {link}, as it does not with raw-IP modems and \
                 with what is a port of ModemManager's: set modem.usb_mode, {OTHER}"
            )),
            Seen::Running(_) => None,
        }
    }
}

/// One thing to ask of NetworkManager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Add this profile, in memory.
    Add(Profile),
    /// Make the profile of this UUID so, for these differences.
    Update(Profile, Vec<Change>),
    /// Delete the profile of this UUID.
    Delete {
        /// Which.
        uuid: String,
    },
    /// Take the link over, or leave it alone.
    Manage(bool),
    /// Connect the link by the profile of this UUID.
    Activate {
        /// Which.
        uuid: String,
    },
    /// Do to the link what its profile says now.
    Reapply,
    /// Take the link's connection down.
    Disconnect,
    /// The same three for a modem that ModemManager shows as this object.
    Modem(String, Dialling),
}

/// What is asked of the modem that PPP goes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialling {
    /// Take it over.
    Manage,
    /// Dial, by the profile of this UUID.
    Dial {
        /// Which.
        uuid: String,
    },
    /// Do what the profile says now.
    Reapply,
}

/// A difference between two profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Of which setting, such as `ipv4.route-metric`.
    pub name: String,
    /// What it is.
    pub from: Option<Value>,
    /// What it is to be.
    pub to: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.name)?;
        let mut side = |value: &Option<Value>| match value {
            Some(value) => write!(f, "{value}"),
            None => f.write_str("nothing"),
        };
        side(&self.from)?;
        f.write_str(" -> ")?;
        let mut side = |value: &Option<Value>| match value {
            Some(value) => write!(f, "{value}"),
            None => f.write_str("nothing"),
        };
        side(&self.to)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkManager: ")?;
        match self {
            Step::Add(profile) => write!(f, "add profile {profile}"),
            Step::Update(profile, changes) => {
                write!(f, "change profile {}", profile.id())?;
                let mut mark = ": ";
                for change in changes {
                    write!(f, "{mark}{change}")?;
                    mark = ", ";
                }
                Ok(())
            }
            Step::Delete { uuid } => write!(f, "delete profile {uuid}"),
            Step::Manage(true) => f.write_str("take the link over"),
            Step::Manage(false) => f.write_str("leave the link alone"),
            Step::Activate { .. } => f.write_str("connect"),
            Step::Reapply => f.write_str("do what the changed profile says"),
            Step::Disconnect => f.write_str("disconnect"),
            Step::Modem(_, Dialling::Manage) => f.write_str("take the modem over"),
            Step::Modem(_, Dialling::Dial { .. }) => f.write_str("dial"),
            Step::Modem(_, Dialling::Reapply) => f.write_str("do what the changed profile says"),
        }
    }
}
