//! The modem's outside: its ports and what it asks of the world around it.

use serde::{Deserialize, Serialize};

use crate::link::{Framing, Link};

/// A serial function. Which of them exist is the profile's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Port {
    /// The chip maker's diagnostic protocol; takes bytes, says nothing.
    Diag,
    /// The port that only some firmware has; takes bytes, says nothing.
    Extra,
    /// Commands.
    At,
    /// Commands, and dialling for PPP.
    Modem,
}

/// What happens to the USB device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsbAction {
    /// It appears on the bus.
    Attach {
        /// Its network function in this composition.
        framing: Framing,
        /// The host's MAC address of the network function.
        mac: [u8; 6],
    },
    /// It is gone from the bus.
    Detach,
}

/// What the world around the modem has to do, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Bytes from the modem to the host.
    Serial {
        /// On this port.
        port: Port,
        /// These.
        bytes: Vec<u8>,
    },
    /// The USB device comes or goes. Without it no port exists.
    Usb(UsbAction),
    /// The state of the data path is now this.
    Link(Link),
}
