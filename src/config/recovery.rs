//! `[recovery]`: by what the modem's power may be cut when nothing else helps.

use serde::{Deserialize, Deserializer, de};

/// `[recovery]`. Power is cut by one of the two, or by nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recovery {
    /// Whether the power of the modem's USB port may be cut.
    pub usb_power: UsbPower,
    /// A line that cuts the modem's power.
    pub power_gpio: Option<PowerGpio>,
}

/// What of USB may lose its power for the modem's sake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsbPower {
    /// Nothing.
    #[default]
    Off,
    /// The modem's port, of a hub that switches each by itself.
    Port,
    /// All ports of the modem's hub, with all that is plugged into them: for hubs
    /// that switch all or none, such as the Pi 4B's.
    Hub,
}

/// A line of a GPIO chip. While it is active the modem has no power; when nobody
/// holds it, the circuit must give it some.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerGpio {
    /// Which chip.
    pub chip: Chip,
    /// The line's number on it.
    pub line: u32,
    /// Whether active is the low voltage.
    #[serde(default)]
    pub active_low: bool,
    /// How long the power is off, milliseconds.
    #[serde(default = "three_seconds", deserialize_with = "off_ms")]
    pub off_ms: u32,
}

/// The kernel's name of a GPIO chip.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Chip(String);

impl Chip {
    /// Its name in `/dev`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Chip {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Chip, &'static str> {
        let number = text.strip_prefix("gpiochip").unwrap_or_default();
        if (1..=4).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Chip(text))
        } else {
            Err("must be a name from /dev, such as \"gpiochip0\"")
        }
    }
}

/// Long enough for what is stored in the stick's capacitors.
fn three_seconds() -> u32 {
    3000
}

fn off_ms<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let time = u32::deserialize(from)?;
    // The service waits for its end before it stops, and systemd for that.
    if (100..=30_000).contains(&time) {
        return Ok(time);
    }
    Err(de::Error::custom("must be 100 to 30000 milliseconds"))
}
