//! The configuration file, `/etc/a7670e.toml`.
//!
//! A provisioning file of the same form, which came by the boot partition, fills
//! in what the configuration does not say. Every error names file, line, column and
//! what to write instead; none repeats a secret.

mod load;
mod place;
mod recovery;
mod schema;
mod secret;
mod sms;
#[cfg(test)]
mod tests;
mod values;

pub use load::{ConfigError, ProviderFile, check, load, parse};
pub(crate) use place::{field_at, offset_of};
pub use recovery::{Chip, PowerGpio, Recovery, UsbPower};
pub use schema::{
    Cellular, Config, Control, Data, DataPath, Dns, Modem, Network, NetworkBy, Policy, Probe,
    UsbMode,
};
pub use secret::SecretValue;
pub use sms::{Sms, Span};
pub use values::{AuthChoice, Bands, ByteSize, Digits, Page, Plain, Roaming};

/// Where the configuration is.
pub const CONFIG: &str = "/etc/a7670e.toml";

/// Where the first boot puts what the flashing desk left on the boot partition.
pub const PROVISIONING: &str = "/etc/a7670e/provisioning.toml";

/// Whether the field's value is a [`SecretValue`].
fn is_secret(name: &str) -> bool {
    matches!(name, "pin" | "password" | "key" | "private_key")
}
