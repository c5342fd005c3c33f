//! The USB descriptors of a profile in one of its compositions.
//!
//! USB 2.0 chapter 9; functional descriptors by "USB Class Definitions for
//! Communications Devices" 1.2 and its Ethernet subclass (ECM120).

use crate::link::Framing;
use crate::profile::{Association, Endpoint, EndpointKind, Interface, NetworkFunction, Role, Usb};

/// bMaxPacketSize0 at high speed.
const EP0_PACKET: u8 = 64;
/// bMaxPacketSize0 that the device qualifier tells of full speed.
const EP0_PACKET_FULL_SPEED: u8 = 16;
/// The only configuration's bConfigurationValue.
pub const CONFIGURATION: u8 = 1;

/// Descriptor types (USB 2.0 table 9-5, and CDC 1.2 table 12).
mod kind {
    pub const DEVICE: u8 = 1;
    pub const CONFIGURATION: u8 = 2;
    pub const STRING: u8 = 3;
    pub const INTERFACE: u8 = 4;
    pub const ENDPOINT: u8 = 5;
    pub const QUALIFIER: u8 = 6;
    pub const ASSOCIATION: u8 = 11;
    pub const CS_INTERFACE: u8 = 0x24;
}

/// Answers GET_DESCRIPTOR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptors {
    device: Vec<u8>,
    qualifier: Vec<u8>,
    configuration: Vec<u8>,
    strings: Vec<(u8, String)>,
}

impl Descriptors {
    /// Those of `usb` with the network function `framing`, whose host's
    /// address is `mac`.
    pub fn new(usb: &Usb, framing: Framing, mac: [u8; 6]) -> Self {
        let network = usb.network.get(&framing);
        Self {
            device: device(usb),
            qualifier: vec![10, kind::QUALIFIER, 0, 2, 0, 0, 0, EP0_PACKET_FULL_SPEED, 1, 0],
            configuration: configuration(usb, framing, network),
            strings: strings(usb, framing, network, mac),
        }
    }

    /// The descriptor of type `value >> 8` and index `value & 0xff`, whole;
    /// `None` is for a stall.
    pub fn get(&self, value: u16) -> Option<Vec<u8>> {
        let [index, kind] = value.to_le_bytes();
        match (kind, index) {
            (kind::DEVICE, 0) => Some(self.device.clone()),
            (kind::CONFIGURATION, 0) => Some(self.configuration.clone()),
            (kind::QUALIFIER, 0) => Some(self.qualifier.clone()),
            // The languages: US English.
            (kind::STRING, 0) => Some(vec![4, kind::STRING, 9, 4]),
            (kind::STRING, _) => {
                let (_, text) = self.strings.iter().find(|(number, _)| *number == index)?;
                Some(string(text))
            }
            _ => None,
        }
    }
}

fn device(usb: &Usb) -> Vec<u8> {
    let mut out = vec![18, kind::DEVICE, 0, 2];
    out.extend(usb.class);
    out.push(EP0_PACKET);
    for number in [usb.vendor, usb.product, usb.bcd_device] {
        out.extend(number.to_le_bytes());
    }
    // Strings 1, 2, 3; one configuration.
    out.extend([1, 2, 3, 1]);
    out
}

fn configuration(usb: &Usb, framing: Framing, network: Option<&NetworkFunction>) -> Vec<u8> {
    let interfaces = usb.interfaces(framing);
    let mut body = Vec::new();
    for interface in &interfaces {
        if let Some(it) = usb.association.as_ref().filter(|it| it.first == interface.number) {
            body.extend(association(it, interface.class));
        }
        let network =
            network.filter(|_| matches!(interface.role, Role::NetworkControl | Role::NetworkData));
        one_interface(interface, framing, network, &mut body);
    }
    let self_powered = if usb.self_powered { 0x40 } else { 0 };
    let mut out = vec![9, kind::CONFIGURATION];
    // At most 16 interfaces of fewer than 100 bytes each.
    out.extend((9 + body.len() as u16).to_le_bytes());
    out.extend([interfaces.len() as u8, CONFIGURATION, 0, 0x80 | self_powered]);
    // In units of 2 mA.
    out.push((usb.max_power_ma / 2).min(255) as u8);
    out.append(&mut body);
    out
}

fn association(association: &Association, class: [u8; 3]) -> Vec<u8> {
    let Association { first, count, string } = association;
    let mut out = vec![8, kind::ASSOCIATION, *first, *count];
    out.extend(class);
    out.push(string.index);
    out
}

fn one_interface(
    interface: &Interface,
    framing: Framing,
    network: Option<&NetworkFunction>,
    out: &mut Vec<u8>,
) {
    let head = |alt: u8, endpoints: usize, out: &mut Vec<u8>| {
        out.extend([9, kind::INTERFACE, interface.number, alt, endpoints as u8]);
        out.extend(interface.class);
        out.push(interface.string.as_ref().map_or(0, |string| string.index));
    };
    let mut alt = 0;
    if framing == Framing::Ecm && interface.role == Role::NetworkData {
        // The host chooses setting 1 when it wants data (ECM120 section 3.2).
        head(0, 0, out);
        alt = 1;
    }
    head(alt, interface.endpoints.len(), out);
    if interface.acm_descriptors {
        functional(&[&[0, 0x10, 1], &[1, 0, 0], &[2, 2], &[6, 0, 0]], out);
    }
    if let Some(network) = network.filter(|_| interface.role == Role::NetworkControl) {
        let data = network.data.as_ref().map_or(0, |data| data.number);
        let union: &[u8] = &[6, interface.number, data];
        match framing {
            Framing::Ecm => {
                // No statistics; one multicast filter; no wake-up filters.
                let mut ethernet = vec![0x0f, network.mac_string_index, 0, 0, 0, 0];
                ethernet.extend(network.max_segment.to_le_bytes());
                ethernet.extend([1, 0, 0]);
                functional(&[&[0, 0x10, 1], &ethernet, union], out);
            }
            Framing::Rndis => {
                functional(&[&[0, 0x10, 1], &[1, 0, data], &[2, 0], union], out);
            }
            Framing::RawIp => {}
        }
    }
    for endpoint in &interface.endpoints {
        out.extend(one_endpoint(endpoint));
    }
}

/// Each is a subtype and what follows.
fn functional(descriptors: &[&[u8]], out: &mut Vec<u8>) {
    for descriptor in descriptors {
        out.extend([descriptor.len() as u8 + 2, kind::CS_INTERFACE]);
        out.extend(*descriptor);
    }
}

fn one_endpoint(endpoint: &Endpoint) -> Vec<u8> {
    let attributes = match endpoint.kind {
        EndpointKind::Bulk => 2,
        EndpointKind::Interrupt => 3,
    };
    let mut out = vec![7, kind::ENDPOINT, endpoint.address, attributes];
    out.extend(endpoint.max_packet.to_le_bytes());
    out.push(endpoint.interval);
    out
}

fn strings(
    usb: &Usb,
    framing: Framing,
    network: Option<&NetworkFunction>,
    mac: [u8; 6],
) -> Vec<(u8, String)> {
    let mut all = vec![
        (1, usb.manufacturer.clone()),
        (2, usb.product_name.clone()),
        (3, usb.serial_number.clone()),
    ];
    let more = usb.association.iter().map(|association| &association.string);
    let named = usb.interfaces(framing).into_iter().filter_map(|it| it.string.as_ref());
    all.extend(more.chain(named).map(|string| (string.index, string.text.clone())));
    if let Some(network) = network.filter(|network| network.mac_string_index != 0) {
        // ECM120 section 5.4: 12 upper-case hex digits.
        let digits = mac.iter().map(|byte| format!("{byte:02X}")).collect();
        all.push((network.mac_string_index, digits));
    }
    all
}

/// UTF-16LE; a descriptor has room for 126 units.
fn string(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().take(126).flat_map(u16::to_le_bytes).collect();
    let mut out = vec![units.len() as u8 + 2, kind::STRING];
    out.extend(units);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    const MAC: [u8; 6] = [0xae, 0x0c, 0x29, 0xa3, 0x9b, 0x6d];

    fn of(profile: &str) -> Descriptors {
        let profile = Profile::load(profile).unwrap();
        Descriptors::new(&profile.usb, profile.network.framing, MAC)
    }

    fn bytes(hex: &str) -> Vec<u8> {
        hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }

    /// Interfaces 2, 4, 5, the same in both compositions.
    const SERIAL: &str = "
        09 04 02 00 02 ff 00 00 08  07 05 82 02 00 02 00  07 05 0b 02 00 02 00
        09 04 04 00 03 ff 00 00 0b
        05 24 00 10 01  05 24 01 00 00  04 24 02 02  05 24 06 00 00
        07 05 89 03 40 00 10  07 05 86 02 00 02 00  07 05 0f 02 00 02 00
        09 04 05 00 03 ff 00 00 0b
        05 24 00 10 01  05 24 01 00 00  04 24 02 02  05 24 06 00 00
        07 05 88 03 40 00 10  07 05 81 02 00 02 00  07 05 0a 02 00 02 00";

    #[test]
    fn device_and_strings() {
        let all = of("a7670e-ecm");
        let device = "12 01 00 02 ef 02 01 40 0e 1e 11 90 00 01 01 02 03 01";
        assert_eq!(all.get(0x0100), Some(bytes(device)));
        assert_eq!(all.get(0x0300), Some(bytes("04 03 09 04")));
        let mac: Vec<u8> = "AE0C29A39B6D".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(all.get(0x030e).unwrap()[2..], mac);
        assert_eq!(all.get(0x0302).unwrap().len(), 2 + 2 * "A76XX Series LTE Module".len());
        assert_eq!(all.get(0x0600), Some(bytes("0a 06 00 02 00 00 00 10 01 00")));
        // No such string; no BOS, as USB 2.00 has none.
        assert_eq!((all.get(0x0337), all.get(0x0f00)), (None, None));
    }

    /// The configuration of `profile` is `own` and the serial interfaces.
    fn assert_configuration(profile: &str, length: usize, own: &str) {
        let found = of(profile).get(0x0200).unwrap();
        assert_eq!(found, bytes(&format!("{own}{SERIAL}")));
        assert_eq!(found.len(), length);
    }

    #[test]
    fn ecm_is_that_of_the_unit() {
        assert_configuration(
            "a7670e-ecm",
            209,
            "09 02 d1 00 05 01 00 c0 fa  08 0b 00 02 02 06 00 05
             09 04 00 00 01 02 06 00 00  05 24 00 10 01
             0d 24 0f 0e 00 00 00 00 08 06 01 00 00  05 24 06 00 01  07 05 87 03 40 00 10
             09 04 01 00 00 0a 00 00 00
             09 04 01 01 02 0a 00 00 00  07 05 83 02 00 02 00  07 05 0c 02 00 02 00",
        );
    }

    #[test]
    fn rndis_is_that_of_the_unit() {
        assert_configuration(
            "a7670e-rndis",
            196,
            "09 02 c4 00 05 01 00 c0 fa  08 0b 00 02 e0 01 03 05
             09 04 00 00 01 e0 01 03 00
             05 24 00 10 01  05 24 01 00 01  04 24 02 00  05 24 06 00 01  07 05 87 03 40 00 10
             09 04 01 00 02 0a 00 00 00  07 05 83 02 00 02 00  07 05 0c 02 00 02 00",
        );
    }

    #[test]
    fn raw_ip_has_one_bare_interface_with_three_endpoints_and_it_is_the_last() {
        // What simcom_wwan looks for.
        let found = of("sim7600-ndis").get(0x0200).unwrap();
        let wanted = "09 04 05 00 03 ff ff ff 00
            07 05 8b 03 08 00 09  07 05 8a 02 00 02 00  07 05 06 02 00 02 00";
        assert!(found.ends_with(&bytes(wanted)), "{found:02x?}");
        assert_eq!(usize::from(u16::from_le_bytes([found[2], found[3]])), found.len());
    }
}
