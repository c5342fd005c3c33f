//! What can go wrong, and when: a script in TOML.
//!
//! ```toml
//! [[fault]]
//! at_ms = 12000             # since power-on; or on_command
//! effect = "silence"
//! for_ms = 5000
//!
//! [[fault]]
//! on_command = "AT+CPIN?"   # the line in any case; a * at the end is anything
//! nth = 2                   # the second time; 1 if left out
//! effect = "error"
//! code = 14                 # +CME ERROR; plain ERROR if left out
//!
//! [[fault]]
//! on_state = "registered"   # attached, ready, sim_ready, searching, registered,
//! effect = "usb_gone"       # denied, forwarding
//! for_ms = 500
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::{Spanned, Table, Value};

use crate::link::{Framing, LinkFaults};
use crate::modem::Port;
use crate::profile::Profile;

/// Every effect with an example, for people.
pub const MANUAL: &str = include_str!("../faults.md");

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// The modem neither hears nor says anything on its ports. A reset does not
    /// help.
    Silence {
        /// For so long, in milliseconds; for ever if left out.
        for_ms: Option<u64>,
    },
    /// The same for one port, until the host resets the USB device or chooses
    /// its configuration anew, or the device leaves the bus.
    Wedged {
        /// Which port.
        #[serde(default = "at")]
        port: Port,
    },
    /// The command that triggers it fails; nothing else can trigger it.
    Error {
        /// `+CME ERROR` of this number; plain `ERROR` without.
        code: Option<u16>,
    },
    /// The modem resets; a command that triggers it is not answered.
    Reset,
    /// The USB device leaves the bus while the modem stays up.
    UsbGone {
        /// For so long, in milliseconds.
        for_ms: u64,
    },
    /// No network can be heard.
    NoCoverage,
    /// The network denies.
    Denied {
        /// EMM cause (TS 24.301 section 9.9.3.9); 11, PLMN not allowed, if left
        /// out.
        #[serde(default = "plmn_not_allowed")]
        cause: u8,
    },
    /// The network admits as a guest of another.
    Roaming,
    /// Only emergency calls are admitted, stat 11.
    EmergencyOnly,
    /// The network ends the data call; another attach brings it back.
    PdnDeact {
        /// What the modem says of it, behind `+CGEV: `.
        #[serde(default = "nw_pdn_deact")]
        text: String,
    },
    /// The network detaches the modem, which says so and is off, stat 0.
    Detach {
        /// After so long, in milliseconds, it is registered again; if left
        /// out, when the host makes it search.
        for_ms: Option<u64>,
        /// It searches meanwhile, stat 2.
        #[serde(default)]
        searching: bool,
    },
    /// The network function tells that its link is down.
    CarrierDrop {
        /// For so long, in milliseconds.
        for_ms: u64,
    },
    /// The modem's own network is 192.168.`third`.0 from now on, which may be
    /// that of a LAN the host is in.
    Lan {
        /// Third octet.
        third: u8,
    },
    /// Answers come later.
    Slow {
        /// By so much, in milliseconds.
        by_ms: u64,
        /// For so long, in milliseconds.
        for_ms: u64,
    },
    /// The answer to the command that triggers it comes later; what it does is
    /// done at once.
    Late {
        /// By so much, in milliseconds.
        by_ms: u64,
    },
    /// The answer to the command that triggers it comes in two pieces.
    Cut {
        /// Bytes of the first piece; half of the answer if left out.
        at: Option<usize>,
        /// Milliseconds between the pieces.
        pause_ms: u64,
    },
    /// The modem's memory of `ATE` is wrong, on both ports.
    Echo {
        /// Whether it echoes.
        on: bool,
    },
    /// The modem resets, and its network function is this one from then on.
    UsbMode {
        /// Which; the profile must have it.
        framing: Framing,
    },
    /// The modem tells these of itself from now on. An empty text is none: the
    /// answer is only OK.
    Identity {
        /// `AT+CGSN`
        imei: Option<String>,
        /// `AT+CGMR`
        revision: Option<String>,
    },
    /// The card asks for its PIN, now and after each reset.
    PinRequired,
    /// The card is blocked and asks for its PUK.
    PukRequired,
    /// Every byte comes by itself from now on, CR apart from LF.
    Split,
    /// The supply breaks down: a warning, then a reset.
    UnderVoltage,
    /// The same unsolicited line over and over.
    UrcStorm {
        /// Its text.
        text: String,
        /// So often.
        count: u32,
        /// Milliseconds from one to the next.
        every_ms: u64,
    },
    /// The network is there again and admits.
    Coverage,
    /// The card is taken out.
    SimRemoved,
    /// The card is put in.
    SimInserted,
    /// An unsolicited line appears on the ports.
    Urc {
        /// Its text.
        text: String,
    },
    /// A text message comes in, now or once the modem is registered.
    Sms {
        /// Sender: digits, `+` and digits, or a name.
        from: String,
        /// Its text.
        text: String,
    },
    /// The network delivers this message, now or once the modem is registered.
    Pdu {
        /// Its octets without the service centre's address; a text in hexadecimal.
        #[serde(with = "hexadecimal")]
        octets: Vec<u8>,
    },
    /// Bytes without meaning appear on the ports.
    Garbage {
        /// So many.
        count: u16,
    },
    /// The data path is so from now on.
    Link {
        /// All of its faults; none that is not named.
        faults: LinkFaults,
    },
}

fn plmn_not_allowed() -> u8 {
    11
}

/// Octets as a text, two digits for each.
mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::sms::pdu::{hex, unhex};

    pub fn serialize<S: Serializer>(octets: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex(octets))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let octets = unhex(&text).filter(|octets| !octets.is_empty());
        octets.ok_or_else(|| de::Error::custom("octets are not two hexadecimal digits each"))
    }
}

fn at() -> Port {
    Port::At
}

fn nw_pdn_deact() -> String {
    "NW PDN DEACT 1".into()
}

impl Effect {
    /// Whether it has a meaning for a command only, which triggers it.
    fn needs_command(&self) -> bool {
        matches!(self, Effect::Error { .. } | Effect::Late { .. } | Effect::Cut { .. })
    }

    /// What a modem of this profile lacks for it.
    pub(crate) fn lacks(&self, profile: &Profile) -> Option<String> {
        let lacks = |what: String| Some(format!("profile {} has no {what}", profile.name));
        match self {
            Effect::UsbMode { framing } if !profile.usb.network.contains_key(framing) => {
                lacks(format!("usb.network for {framing:?}"))
            }
            Effect::Wedged { port } if !profile.usb.ports().contains(port) => {
                lacks(format!("{port:?} port"))
            }
            _ => None,
        }
    }
}

/// What `on_state` may wait for.
const STATES: [&str; 7] =
    ["attached", "ready", "sim_ready", "searching", "registered", "denied", "forwarding"];

/// What sets a fault off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trigger {
    At(Duration),
    Command { text: String, nth: u32 },
    State { name: String, nth: u32 },
}

/// Faults to come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultScript {
    pub(crate) faults: Vec<(Trigger, Effect)>,
}

/// Why a script cannot be used; begins with the line.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// Not TOML, or not a list of faults.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// One fault is wrong.
    #[error("line {line}: {reason}")]
    Fault {
        /// Where the fault begins.
        line: usize,
        /// What to change.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    fault: Vec<Spanned<Table>>,
}

impl FaultScript {
    /// Reads a script.
    ///
    /// # Errors
    /// [`FaultError`], with the line.
    pub fn parse(text: &str) -> Result<FaultScript, FaultError> {
        let document: Document = toml::from_str(text)?;
        let mut faults = Vec::new();
        for entry in document.fault {
            let line = 1 + text.get(..entry.span().start).unwrap_or_default().matches('\n').count();
            let fault = one(entry.into_inner());
            faults.push(fault.map_err(|reason| FaultError::Fault { line, reason })?);
        }
        Ok(FaultScript { faults })
    }

    /// Whether a modem of this profile can have all of these faults.
    ///
    /// # Errors
    /// What it lacks.
    pub fn fits(&self, profile: &Profile) -> Result<(), String> {
        let lacks = self.faults.iter().find_map(|(_, effect)| effect.lacks(profile));
        lacks.map_or(Ok(()), Err)
    }
}

fn one(mut table: Table) -> Result<(Trigger, Effect), String> {
    let on_state = table.remove("on_state");
    let nth = match table.remove("nth") {
        None => None,
        Some(Value::Integer(nth)) => {
            Some(u32::try_from(nth).ok().filter(|nth| *nth > 0).ok_or("nth counts from 1")?)
        }
        Some(_) => return Err("nth is not a number".into()),
    };
    let trigger = match (table.remove("at_ms"), table.remove("on_command"), on_state) {
        (Some(Value::Integer(at)), None, None) if nth.is_none() => {
            let at = u64::try_from(at).map_err(|_| "at_ms is negative")?;
            Trigger::At(Duration::from_millis(at))
        }
        (None, Some(Value::String(text)), None) => Trigger::Command { text, nth: nth.unwrap_or(1) },
        (None, None, Some(Value::String(name))) if STATES.contains(&name.as_str()) => {
            Trigger::State { name, nth: nth.unwrap_or(1) }
        }
        (None, None, Some(name)) => {
            return Err(format!("on_state is {name}: give one of {}", STATES.join(", ")));
        }
        _ => {
            return Err("needs one of at_ms (a number), on_command and on_state (texts); \
                        the latter two perhaps with nth"
                .into());
        }
    };
    let effect: Effect = table.try_into().map_err(|error: toml::de::Error| error.to_string())?;
    if effect.needs_command() && !matches!(trigger, Trigger::Command { .. }) {
        return Err("effects error, late and cut need on_command".into());
    }
    Ok((trigger, effect))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_has_an_example_of_every_effect_and_all_are_right() {
        let mut used = Vec::new();
        for part in MANUAL.split("```toml\n").skip(1) {
            let example = part.split("```").next().unwrap();
            let script = FaultScript::parse(example).unwrap_or_else(|e| panic!("{e}\n{example}"));
            for (_, effect) in script.faults {
                let json = serde_json::to_value(&effect).unwrap();
                used.push(json["effect"].as_str().unwrap().to_owned());
            }
        }
        let error = serde_json::from_str::<Effect>("{\"effect\": \"?\"}").unwrap_err().to_string();
        let all: Vec<_> = error.split('`').skip(3).step_by(2).collect();
        assert!(all.len() > 30, "{error}");
        let missing: Vec<_> =
            all.iter().filter(|it| !used.iter().any(|used| used == *it)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn octets_that_are_none_are_told_at_once() {
        for octets in ["", "040", "xy", "+1"] {
            let text = format!("\n[[fault]]\nat_ms = 0\neffect = \"pdu\"\noctets = \"{octets}\"\n");
            let error = FaultScript::parse(&text).unwrap_err().to_string();
            assert!(error.starts_with("line 2: ") && error.contains("hexadecimal"), "{error}");
        }
    }

    #[test]
    fn link_faults_have_an_example_each() {
        let all = serde_json::to_value(LinkFaults::default()).unwrap();
        for name in all.as_object().unwrap().keys() {
            assert!(MANUAL.contains(&format!("{name} =")), "{name}");
        }
    }
}
