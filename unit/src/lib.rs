//! What a card may say of the unit that it is.
//!
//! The flashing desk writes two files onto the boot partition, and the device
//! reads them at its first boot: [`CONFIG`], laid under `/etc/a7670e.toml`, and
//! [`UNIT`], in the form of [`UnitFile`]. Both sides take the form and the rules
//! of every value from here, so that the desk refuses what the device would.

#![forbid(unsafe_code)]

mod cellular;
mod enrol;
mod file;
mod place;
mod secret;
mod values;

pub use cellular::{Auth, Cellular, Modes, Roaming};
pub use enrol::{Enrolment, NoReport, SMS};
pub use file::{FileEntry, Identity, Peer, UnitFile, WireGuard};
pub use place::{place, wording};
pub use secret::Secret;
pub use values::{
    AbsolutePath, Amount, CardToken, Endpoint, FileMode, Host, HostPattern, Iccid, Imei, Mac, Net,
    Plain, Serial, SshKey, UnitId, WireKey, is_pin,
};

/// The file for the device's service, in the form of `docs/a7670e.example.toml`.
pub const CONFIG: &str = "a7670e.toml";

/// The file for the first boot, in the form of [`UnitFile`].
pub const UNIT: &str = "unit.toml";
