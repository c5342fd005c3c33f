//! The USB device of a profile, as data that descriptors are made from.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::link::Framing;
use crate::modem::Port;

/// What an interface is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The chip maker's diagnostic protocol; silent here.
    Diag,
    /// The port that only some firmware has; silent here.
    Extra,
    /// Commands.
    At,
    /// Commands, and the port for PPP.
    Modem,
    /// GNSS sentences; silent here.
    Nmea,
    /// Voice; silent here.
    Audio,
    /// Notifications of the network function (and its data, where one
    /// interface has both).
    NetworkControl,
    /// Packets of the network function.
    NetworkData,
}

impl Role {
    /// The modem's serial function behind an interface; `None` for one that
    /// takes bytes and never says anything.
    pub fn port(self) -> Option<Port> {
        match self {
            Role::Diag => Some(Port::Diag),
            Role::Extra => Some(Port::Extra),
            Role::At => Some(Port::At),
            Role::Modem => Some(Port::Modem),
            Role::Nmea | Role::Audio | Role::NetworkControl | Role::NetworkData => None,
        }
    }
}

/// Kind of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    /// bmAttributes 2.
    Bulk,
    /// bmAttributes 3.
    Interrupt,
}

/// An endpoint of a high-speed device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// bEndpointAddress; bit 7 set is towards the host.
    pub address: u8,
    /// Kind.
    pub kind: EndpointKind,
    /// wMaxPacketSize in bytes.
    pub max_packet: u16,
    /// bInterval as in the descriptor; 0 for bulk.
    #[serde(default)]
    pub interval: u8,
}

/// A string descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsbString {
    /// Its index.
    pub index: u8,
    /// Its text.
    pub text: String,
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// bInterfaceNumber. Numbers may have gaps (0, 1, 2, 4, 5).
    pub number: u8,
    /// What it is for.
    pub role: Role,
    /// Class, subclass, protocol.
    pub class: [u8; 3],
    /// iInterface.
    pub string: Option<UsbString>,
    /// Whether the four CDC ACM functional descriptors follow
    /// (`24 00`, `24 01`, `24 02 02`, `24 06 00 00`).
    #[serde(default)]
    pub acm_descriptors: bool,
    /// Endpoints in descriptor order.
    pub endpoints: Vec<Endpoint>,
}

/// The network function in one framing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFunction {
    /// The host's MAC as 12 upper case hex digits, unless changed by
    /// `AT+USBNETMAC`.
    pub mac: String,
    /// Index of the string with the MAC (iMACAddress), 0 where there is none.
    #[serde(default)]
    pub mac_string_index: u8,
    /// wMaxSegmentSize, bytes of an Ethernet frame; the MTU for raw IP.
    pub max_segment: u16,
    /// The interface with the notifications; for raw IP, the only one.
    pub control: Interface,
    /// The interface with the packets. For ECM its endpoints are in alternate
    /// setting 1, and setting 0 has none.
    pub data: Option<Interface>,
}

/// An interface association descriptor; its class is the control interface's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Association {
    /// bFirstInterface.
    pub first: u8,
    /// bInterfaceCount.
    pub count: u8,
    /// iFunction.
    pub string: UsbString,
}

/// The device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usb {
    /// idVendor.
    pub vendor: u16,
    /// idProduct.
    pub product: u16,
    /// bcdDevice.
    pub bcd_device: u16,
    /// bDeviceClass, bDeviceSubClass, bDeviceProtocol.
    pub class: [u8; 3],
    /// String 1.
    pub manufacturer: String,
    /// String 2.
    pub product_name: String,
    /// String 3.
    pub serial_number: String,
    /// Bit 6 of the configuration's bmAttributes.
    pub self_powered: bool,
    /// Most current drawn, in mA (bMaxPower is half of it).
    pub max_power_ma: u16,
    /// Precedes the network function where that has two interfaces.
    pub association: Option<Association>,
    /// Serial interfaces in descriptor order.
    pub serial: Vec<Interface>,
    /// The network function in every framing that the unit can switch to.
    pub network: BTreeMap<Framing, NetworkFunction>,
}

impl Usb {
    /// The interfaces of one composition in the order of their numbers.
    pub fn interfaces(&self, framing: Framing) -> Vec<&Interface> {
        let network = self.network.get(&framing);
        let network = network.into_iter().flat_map(|it| [Some(&it.control), it.data.as_ref()]);
        let mut all: Vec<_> = network.flatten().chain(&self.serial).collect();
        all.sort_by_key(|interface| interface.number);
        all
    }

    /// The modem's serial functions that the device shows.
    pub fn ports(&self) -> Vec<Port> {
        self.serial.iter().filter_map(|interface| interface.role.port()).collect()
    }
}
