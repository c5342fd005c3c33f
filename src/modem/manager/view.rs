//! A modem as ModemManager shows it, in our own words. The numbers are those of
//! ModemManager-enums.h, which are the bus's.

use std::collections::HashMap;

use crate::at::reply::{Signal, SimState, Stat, Technology};
use crate::modem::machine::Identity;
use crate::sms::managed::Stored;

/// `MMModemLock`: nothing, the PIN, the PUK; 3 and 5 are of PIN2.
const LOCK_NONE: u32 = 1;
const LOCK_PIN: u32 = 2;
const LOCK_PIN2: u32 = 3;
const LOCK_PUK: u32 = 4;
const LOCK_PUK2: u32 = 5;

/// `MMModemStateFailedReason`: there is no SIM.
const FAILED_NO_SIM: u32 = 2;

/// How far ModemManager has come with a modem (`MMModemState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It cannot be used.
    Failed,
    /// It is being looked at.
    Starting,
    /// It wants a code.
    Locked,
    /// It may be enabled.
    Disabled,
    /// It is being enabled or disabled.
    Changing,
    /// It is enabled.
    Enabled,
    /// It is registered; a connection of ModemManager's own may be up too.
    Registered,
}

impl Stage {
    /// Of a number on the bus.
    #[must_use]
    pub fn of(number: i32) -> Stage {
        match number {
            -1 => Stage::Failed,
            2 => Stage::Locked,
            3 => Stage::Disabled,
            4 | 5 => Stage::Changing,
            6 | 7 => Stage::Enabled,
            8..=11 => Stage::Registered,
            _ => Stage::Starting,
        }
    }
}

/// The SIM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sim {
    /// Its object on the bus.
    pub path: String,
    /// The card's number.
    pub iccid: Option<String>,
    /// The subscriber's.
    pub imsi: Option<String>,
}

/// All that is looked at of a modem. Numbers are as on the bus.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// Its object on the bus. ModemManager gives each look at a modem a new one.
    pub path: String,
    /// `State`.
    pub state: i32,
    /// `StateFailedReason`.
    pub failed: u32,
    /// `UnlockRequired`.
    pub lock: u32,
    /// `UnlockRetries`: how often each code may still be wrong.
    pub retries: HashMap<u32, u32>,
    /// `Model`.
    pub model: Option<String>,
    /// `Revision`.
    pub revision: Option<String>,
    /// `EquipmentIdentifier`.
    pub imei: Option<String>,
    /// The SIM, where there is one.
    pub sim: Option<Sim>,
    /// `RegistrationState` of Modem3gpp.
    pub registration: Option<u32>,
    /// `OperatorName`.
    pub operator: Option<String>,
    /// `AccessTechnologies`, bits.
    pub technologies: u32,
    /// `SignalQuality`, percent.
    pub quality: u32,
    /// The interface Signal, where it was switched on.
    pub signal: Signal,
    /// The messages that it shows; `None` without the interface Messaging.
    pub messages: Option<Vec<Stored>>,
}

impl View {
    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        Stage::of(self.state)
    }

    /// Whether it is enabled and may be disabled for a moment: no connection of
    /// ModemManager's own is up or on its way (`MMModemState` 9 to 11).
    #[must_use]
    pub fn may_pause(&self) -> bool {
        matches!(self.state, 6..=8)
    }

    /// Whether it failed for want of a SIM.
    #[must_use]
    pub fn is_without_sim(&self) -> bool {
        self.stage() == Stage::Failed && self.failed == FAILED_NO_SIM
    }

    /// What the SIM wants.
    #[must_use]
    pub fn sim_state(&self) -> Option<SimState> {
        Some(match (self.stage(), self.lock) {
            (Stage::Failed, _) if self.is_without_sim() => SimState::Absent,
            (Stage::Locked, LOCK_PIN) => SimState::Pin,
            (Stage::Locked, LOCK_PUK) => SimState::Puk,
            (Stage::Locked, lock) => SimState::Locked(format!("ModemManager's lock {lock}")),
            (Stage::Failed | Stage::Starting, _) => return None,
            (_, LOCK_PIN2 | LOCK_PUK2) => SimState::Pin2,
            (_, LOCK_NONE) => SimState::Ready,
            _ => SimState::Ready,
        })
    }

    /// How often the PIN may still be wrong.
    #[must_use]
    pub fn pin_tries(&self) -> Option<u8> {
        self.retries.get(&LOCK_PIN).map(|tries| u8::try_from(*tries).unwrap_or(u8::MAX))
    }

    /// Registration, `MMModem3gppRegistrationState`: the numbers of TS 27.007
    /// §10.1.20 `<stat>`.
    #[must_use]
    pub fn registration(&self) -> Option<Stat> {
        Some(match self.registration? {
            0 => Stat::Idle,
            1 | 6 | 9 => Stat::Home,
            2 => Stat::Searching,
            3 => Stat::Denied,
            5 | 7 | 10 => Stat::Roaming,
            8 | 11 => Stat::EmergencyOnly,
            _ => Stat::Unknown,
        })
    }

    /// The best of the technologies in use (`MMModemAccessTechnology`: GSM to
    /// EDGE are bits 1 to 4, UMTS to HSPA+ 5 to 9, LTE 14).
    #[must_use]
    pub fn technology(&self) -> Option<Technology> {
        match self.technologies {
            bits if bits & (1 << 14) != 0 => Some(Technology::Lte),
            bits if bits & 0x3e0 != 0 => Some(Technology::Wcdma),
            bits if bits & 0x1e != 0 => Some(Technology::Gsm),
            _ => None,
        }
    }

    /// How well it is heard. Without the interface Signal all there is is
    /// ModemManager's percentage, which it makes of `+CSQ` (31 steps of 2 dB from
    /// -113 dBm, mm_broadband_modem's `signal_quality_csq_ready`).
    #[must_use]
    pub fn heard(&self) -> Signal {
        if self.signal != Signal::default() || self.quality == 0 {
            return self.signal;
        }
        let rssi = self.quality.min(100) as f32 * 0.62 - 113.0;
        Signal { rssi_dbm: Some(rssi), ..Signal::default() }
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let sim = self.sim.as_ref();
        Identity {
            model: self.model.clone(),
            revision: self.revision.clone(),
            imei: self.imei.clone(),
            iccid: sim.and_then(|sim| sim.iccid.clone()),
            imsi: sim.and_then(|sim| sim.imsi.clone()),
        }
    }
}
