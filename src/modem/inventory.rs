//! From facts about the USB bus to modems: a pure function.

use serde::{Deserialize, Serialize};

use super::catalogue::{self, COMPOSITIONS, Composition, NetKind, Role, SerialRow};
use super::facts::{DeviceFacts, InterfaceFacts};
use super::usb_path::UsbPath;

/// Everything found on the bus that concerns us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The modems, ordered by USB path.
    pub modems: Vec<Modem>,
    /// Devices with a modem's ids whose interfaces match no composition we
    /// know, ordered by USB path.
    pub unrecognised: Vec<Unrecognised>,
}

/// One modem stick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modem {
    /// Its place on the bus, which names it.
    pub usb_path: UsbPath,
    /// Vendor and product id as `lsusb` writes them, for example `1e0e:9011`.
    pub usb_id: String,
    /// Model family, for example `A76XX`.
    pub model: String,
    /// Serial ports, in order of interface number.
    pub ports: Vec<Port>,
    /// The network function.
    pub network: Network,
    /// What is missing, in words, each with what to look at. Empty when
    /// everything that this model always has is there.
    pub problems: Vec<String>,
}

/// A serial port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// What it is for.
    pub role: Role,
    /// USB interface number.
    pub interface: u8,
    /// Today's device node, for example `/dev/ttyUSB1`. It can change with
    /// every plugging; `link` does not.
    pub device: String,
    /// The name udev keeps for it while the stick stays in this USB port.
    pub link: String,
}

/// The network function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// What it speaks.
    pub kind: NetKind,
    /// USB interface number, none while it is not known (1e0e:9025 without its
    /// driver).
    pub interface: Option<u8>,
    /// Name of the network device, none while there is none.
    pub device: Option<String>,
    /// Bound kernel driver, none while there is none.
    pub driver: Option<String>,
    /// Device node of the control channel (QMI), for example `/dev/cdc-wdm0`.
    pub control: Option<String>,
}

/// A device with a modem's ids and unknown interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrecognised {
    /// Its place on the bus.
    pub usb_path: UsbPath,
    /// Vendor and product id as `lsusb` writes them.
    pub usb_id: String,
    /// The interfaces, as `number:class/subclass/protocol`, in hexadecimal as
    /// in sysfs, in order of number.
    pub interfaces: Vec<String>,
}

/// Works out what is plugged in. Devices that are no candidates are ignored;
/// so is a candidate without interfaces, which the kernel has not configured
/// yet (or has refused: the kernel log tells).
pub fn inventory(devices: &[DeviceFacts]) -> Inventory {
    let mut found = Inventory::default();
    for device in devices {
        if !catalogue::is_candidate(device.vendor, device.product) || device.interfaces.is_empty() {
            continue;
        }
        match recognise(device) {
            Some(row) => found.modems.push(modem(device, row)),
            None => found.unrecognised.push(unrecognised(device)),
        }
    }
    found.modems.sort_by(|a, b| a.usb_path.cmp(&b.usb_path));
    found.unrecognised.sort_by(|a, b| a.usb_path.cmp(&b.usb_path));
    found
}

fn recognise(device: &DeviceFacts) -> Option<&'static Composition> {
    COMPOSITIONS.iter().find(|row| row.matches(device))
}

fn modem(device: &DeviceFacts, row: &Composition) -> Modem {
    let mut problems = Vec::new();
    let mut ports = Vec::new();
    for serial in row.serial {
        let interface = device.interfaces.iter().find(|i| i.number == serial.interface);
        match interface.and_then(|i| i.tty.as_ref()) {
            Some(tty) => ports.push(port(device, serial, tty)),
            None if serial.always => problems.push(missing_port(interface, serial, row)),
            None => {}
        }
    }
    ports.sort_by_key(|port| port.interface);

    let functions = device.interfaces.iter().filter(|i| row.network.matches(i));
    let interface = functions.min_by_key(|i| i.number);
    if interface.is_none_or(|i| i.net.is_none()) {
        problems.push(missing_net(interface, row));
    }
    Modem {
        usb_path: device.path.clone(),
        usb_id: usb_id(device),
        model: row.model.to_owned(),
        ports,
        network: Network {
            kind: row.network.kind,
            interface: interface.map(|i| i.number),
            device: interface.and_then(|i| i.net.clone()),
            driver: interface.and_then(|i| i.driver.clone()),
            control: interface.and_then(|i| i.control.as_ref()).map(|c| format!("/dev/{c}")),
        },
        problems,
    }
}

fn port(device: &DeviceFacts, serial: &SerialRow, tty: &str) -> Port {
    Port {
        role: serial.role,
        interface: serial.interface,
        device: format!("/dev/{tty}"),
        link: format!("/dev/a7670e/by-path/{}/{}", device.path, serial.role.name()),
    }
}

fn missing_port(
    interface: Option<&InterfaceFacts>,
    serial: &SerialRow,
    row: &Composition,
) -> String {
    let (number, role) = (serial.interface, serial.role.name());
    match interface.map(|i| i.driver.as_deref()) {
        None => format!("the {role} port (USB interface {number}) is missing from this firmware"),
        Some(Some(driver)) => format!(
            "the {role} port (USB interface {number}) has no terminal, although `{driver}` has it"
        ),
        Some(None) => format!(
            "the {role} port (USB interface {number}) has no driver; is module `{}` loaded?",
            row.serial_driver
        ),
    }
}

fn missing_net(interface: Option<&InterfaceFacts>, row: &Composition) -> String {
    let place = interface.map(|i| format!(" (USB interface {})", i.number)).unwrap_or_default();
    match interface.and_then(|i| i.driver.as_ref()) {
        Some(driver) => {
            format!("the network function{place} has no network device, although `{driver}` has it")
        }
        None => format!(
            "the network function{place} has no driver; is module `{}` loaded?",
            row.network.drivers.join("` or `")
        ),
    }
}

fn unrecognised(device: &DeviceFacts) -> Unrecognised {
    let mut interfaces: Vec<_> = device.interfaces.iter().map(|i| (i.number, i.class)).collect();
    interfaces.sort_unstable();
    Unrecognised {
        usb_path: device.path.clone(),
        usb_id: usb_id(device),
        interfaces: interfaces
            .into_iter()
            .map(|(number, [class, sub, protocol])| {
                format!("{number:02x}:{class:02x}/{sub:02x}/{protocol:02x}")
            })
            .collect(),
    }
}

fn usb_id(device: &DeviceFacts) -> String {
    format!("{:04x}:{:04x}", device.vendor, device.product)
}

#[cfg(test)]
mod tests;
