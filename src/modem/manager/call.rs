//! What ModemManager is asked for.

use crate::modem::machine::Secret;

/// What ModemManager is asked for; one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `Modem.Enable`.
    Enable {
        /// The modem's object.
        modem: String,
    },
    /// `Modem.Enable` with false: it is enabled again after that, and lists the SIM.
    Disable {
        /// The modem's object.
        modem: String,
    },
    /// `Sim.SendPin`.
    SendPin {
        /// The SIM's object.
        sim: String,
        /// The PIN.
        pin: Secret,
    },
    /// `Modem.Signal.Setup`: measure now and then.
    Signal {
        /// The modem's object.
        modem: String,
    },
    /// `ScanDevices`: look at the bus again.
    Scan,
}

/// Which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Call::Enable`].
    Enable,
    /// [`Call::Disable`].
    Disable,
    /// [`Call::SendPin`].
    SendPin,
    /// [`Call::Signal`].
    Signal,
    /// [`Call::Scan`].
    Scan,
}

impl Call {
    /// Which it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Call::Enable { .. } => Kind::Enable,
            Call::Disable { .. } => Kind::Disable,
            Call::SendPin { .. } => Kind::SendPin,
            Call::Signal { .. } => Kind::Signal,
            Call::Scan => Kind::Scan,
        }
    }
}
