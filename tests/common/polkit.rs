//! Polkit's part on a test's bus, for ModemManager, which asks it for everything.

use std::collections::HashMap;

use zbus::zvariant::OwnedValue;

/// Polkit's name on the bus, and its object there.
pub const NAME: &str = "org.freedesktop.PolicyKit1";
pub const PATH: &str = "/org/freedesktop/PolicyKit1/Authority";

/// Says yes to everything; the real one asks rules and people.
pub struct Polkit;

#[zbus::interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Polkit {
    #[zbus(property)]
    fn backend_name(&self) -> &str {
        "test"
    }

    #[zbus(property)]
    fn backend_version(&self) -> &str {
        "1"
    }

    #[zbus(property)]
    fn backend_features(&self) -> u32 {
        0
    }

    fn check_authorization(
        &self,
        _subject: (String, HashMap<String, OwnedValue>),
        _action: String,
        _details: HashMap<String, String>,
        _flags: u32,
        _cancellation: String,
    ) -> ((bool, bool, HashMap<String, String>),) {
        ((true, false, HashMap::new()),)
    }
}
