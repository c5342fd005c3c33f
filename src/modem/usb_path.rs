//! The place of a device on the USB bus: the one identity of a stick that is
//! both unique and lasting. Serial number and MAC are the same on many A76XX.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A USB device's kernel name: bus number, then the port at each hub on the
/// way, for example `1-1.2`.
///
/// The order is by number, so that `1-1.2` comes before `1-1.10`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsbPath {
    bus: u16,
    ports: Vec<u8>,
}

impl UsbPath {
    /// The hub's port that it is plugged into.
    #[must_use]
    pub fn port(&self) -> u8 {
        // There is at least one: `1-` is no name.
        self.ports.last().copied().unwrap_or_default()
    }

    /// The hub's kernel name: `usb1` for the bus's own.
    #[must_use]
    pub fn hub(&self) -> String {
        match self.above() {
            Some(hub) => hub.to_string(),
            None => format!("usb{}", self.bus),
        }
    }

    /// How the names of the hub's interfaces begin, below which its ports are.
    #[must_use]
    pub fn hub_interface(&self) -> String {
        match self.above() {
            Some(hub) => format!("{hub}:"),
            None => format!("{}-0:", self.bus),
        }
    }

    fn above(&self) -> Option<UsbPath> {
        let ports = self.ports.split_last().map(|(_, ports)| ports.to_vec())?;
        (!ports.is_empty()).then_some(UsbPath { bus: self.bus, ports })
    }
}

/// A text that is not the kernel name of a USB device behind a port.
///
/// Root hubs (`usb1`) and interfaces (`1-1.2:1.0`) are no such names either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no USB device name; expected one such as `1-1.2`")]
pub struct BadUsbPath(String);

impl FromStr for UsbPath {
    type Err = BadUsbPath;

    fn from_str(text: &str) -> Result<Self, BadUsbPath> {
        let bad = || BadUsbPath(text.to_owned());
        let (bus, ports) = text.split_once('-').ok_or_else(bad)?;
        let path = UsbPath {
            bus: bus.parse().map_err(|_| bad())?,
            ports: ports
                .split('.')
                .map(|port| port.parse().map_err(|_| bad()))
                .collect::<Result<_, _>>()?,
        };
        // `parse` also takes "+1" and "01", which the kernel never writes and
        // which would make two names for one place.
        if path.to_string() == text { Ok(path) } else { Err(bad()) }
    }
}

impl fmt::Display for UsbPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-", self.bus)?;
        for (index, port) in self.ports.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            write!(out, "{dot}{port}")?;
        }
        Ok(())
    }
}

impl PartialOrd for UsbPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UsbPath {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.bus, &self.ports).cmp(&(other.bus, &other.ports))
    }
}

impl serde::Serialize for UsbPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for UsbPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes_and_nothing_else() {
        for good in ["1-1", "1-1.2", "3-1.4.2.10"] {
            assert_eq!(good.parse::<UsbPath>().unwrap().to_string(), good);
        }
        for bad in ["usb1", "1-1.2:1.0", "1-", "1-1.", "-1", "", "1-+1", "1-01", "1-1.256", "a-b"] {
            assert!(bad.parse::<UsbPath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn knows_its_hub() {
        for (path, port, hub, interface) in [
            ("1-1", 1, "usb1", "1-0:"),
            ("1-1.2", 2, "1-1", "1-1:"),
            ("3-1.4.10", 10, "3-1.4", "3-1.4:"),
        ] {
            let path: UsbPath = path.parse().unwrap();
            assert_eq!(
                (path.port(), path.hub(), path.hub_interface()),
                (port, hub.into(), interface.into())
            );
        }
    }

    #[test]
    fn orders_by_number() {
        let path = |text: &str| text.parse::<UsbPath>().unwrap();
        assert!(path("1-1.2") < path("1-1.10"));
        assert!(path("1-2") < path("2-1"));
        assert!(path("1-1") < path("1-1.1"));
    }
}
