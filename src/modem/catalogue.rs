//! The modems we know: which USB ids, which interface does what.
//!
//! This table is the one truth about interface numbers. The udev rules in
//! `images/files` say the same in udev's language; a test holds them to it.

use serde::{Deserialize, Serialize};

use super::facts::{DeviceFacts, InterfaceFacts};

/// SIMCom's vendor id (listed as "Qualcomm / Option" by usb.ids).
pub const SIMCOM: u16 = 0x1e0e;

/// What a serial interface is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Commands.
    At,
    /// Commands, and the port PPP dials on.
    Modem,
    /// The chip maker's diagnostic protocol; does not answer AT.
    Diag,
    /// GNSS sentences.
    Nmea,
    /// Voice as PCM samples.
    Audio,
    /// A port that some firmware adds and whose use differs with it.
    Extra,
}

impl Role {
    /// The name in status, udev properties and `/dev/a7670e`.
    pub fn name(self) -> &'static str {
        match self {
            Role::At => "at",
            Role::Modem => "modem",
            Role::Diag => "diag",
            Role::Nmea => "nmea",
            Role::Audio => "audio",
            Role::Extra => "extra",
        }
    }
}

/// How the network function carries packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetKind {
    /// CDC Ethernet.
    Ecm,
    /// Microsoft's remote NDIS.
    Rndis,
    /// SIMCom's raw IP over one vendor interface.
    Ndis,
    /// Qualcomm's QMI; the same interface serves SIMCom's raw IP.
    Qmi,
}

/// The network function of a composition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkRow {
    /// Number of the interface the driver binds to; `None` when no
    /// documentation tells, and it is the one that a driver took.
    pub interface: Option<u8>,
    /// Class, subclass, protocol it must have; `None` is "any".
    pub class: [Option<u8>; 3],
    /// What it speaks.
    pub kind: NetKind,
    /// Kernel modules that can drive it, the usual one first.
    pub drivers: &'static [&'static str],
}

/// A serial function of a composition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialRow {
    /// Number of the interface.
    pub interface: u8,
    /// What it is for.
    pub role: Role,
    /// Whether every firmware has it; an absent one is then a problem.
    pub always: bool,
}

/// One model in one USB composition.
#[derive(Debug, PartialEq, Eq)]
pub struct Composition {
    /// Model family, as `status` shows it.
    pub model: &'static str,
    /// Name of the arrangement of serial ports, as the udev rules have it.
    pub layout: &'static str,
    /// `idVendor`.
    pub vendor: u16,
    /// `idProduct`.
    pub product: u16,
    /// The network function. It also tells apart two rows with equal ids.
    pub network: NetworkRow,
    /// The serial functions.
    pub serial: &'static [SerialRow],
    /// Kernel module of the serial functions.
    pub serial_driver: &'static str,
}

const fn port(interface: u8, role: Role) -> SerialRow {
    SerialRow { interface, role, always: true }
}

const fn maybe(interface: u8, role: Role) -> SerialRow {
    SerialRow { interface, role, always: false }
}

/// A7670, A7672, A7600x-H, A7602, A7608 (ASR chips).
///
/// 2, 4, 5: ModemManager's `77-mm-simtech-port-types.rules` ("A7600E-H and
/// A7602E-H": 02 ignored, 04 AT primary, 05 PPP) and SIMCom's "A76XX Series
/// Linux USB" note V1.00 (ttyUSB0 diag, 1 AT, 2 modem). 3: units with four
/// ttyUSB; the note has NMEA there when GNSS is on.
const A76XX_SERIAL: &[SerialRow] =
    &[port(2, Role::Diag), maybe(3, Role::Extra), port(4, Role::At), port(5, Role::Modem)];

/// SIM7500, SIM7600 (Qualcomm chips), vendor composition.
///
/// Kernel drivers/usb/serial/option.c (5 and 6 reserved) and ModemManager's
/// rules for 9001 (00 diag, 01 GPS, 02 AT primary, 03 PPP); SIMCom's
/// SIM7600 Linux NDIS note for the audio port.
const SIM7600_SERIAL: &[SerialRow] = &[
    port(0, Role::Diag),
    maybe(1, Role::Nmea),
    port(2, Role::At),
    port(3, Role::Modem),
    maybe(4, Role::Audio),
];

/// SIM7500, SIM7600 with RNDIS: interfaces 2 to 6 are serial and 7 is ADB
/// (kernel commit 5417a7e48296). The order within 2 to 6 is the vendor's order
/// of the other compositions, moved up by the two RNDIS interfaces; so say
/// users' notes (ttyUSB0 diag, 1 NMEA, 2 AT, 3 modem). No vendor table states
/// it, so ModemManager is left to probe these ports instead of being told.
const SIM7600_RNDIS_SERIAL: &[SerialRow] = &[
    port(2, Role::Diag),
    maybe(3, Role::Nmea),
    port(4, Role::At),
    port(5, Role::Modem),
    maybe(6, Role::Audio),
];

/// Every composition we know. With equal ids the class of the network
/// interface decides; no two rows of one id share it.
pub const COMPOSITIONS: &[Composition] = &[
    // Chosen by `AT$MYCONFIG` (SIMCom A76XX AT manual V1.09); the class is the
    // standard one that cdc_ether.c binds.
    Composition {
        model: "A76XX",
        layout: "a76xx",
        vendor: SIMCOM,
        product: 0x9011,
        network: NetworkRow {
            interface: Some(0),
            class: [Some(0x02), Some(0x06), Some(0x00)],
            kind: NetKind::Ecm,
            drivers: &["cdc_ether"],
        },
        serial: A76XX_SERIAL,
        serial_driver: "option",
    },
    // The same ids with the factory's RNDIS, "wireless" class of rndis_host.c,
    // as on other ASR1603 modems (Telit LE910-S1, linux-usb 2021-04-28).
    Composition {
        model: "A76XX",
        layout: "a76xx",
        vendor: SIMCOM,
        product: 0x9011,
        network: NetworkRow {
            interface: Some(0),
            class: [Some(0xe0), Some(0x01), Some(0x03)],
            kind: NetKind::Rndis,
            drivers: &["rndis_host"],
        },
        serial: A76XX_SERIAL,
        serial_driver: "option",
    },
    // Same ids, another modem: the device listing in kernel commit 5417a7e48296
    // has interface 0 as 02/02/ff.
    Composition {
        model: "SIM7600",
        layout: "sim7600-rndis",
        vendor: SIMCOM,
        product: 0x9011,
        network: NetworkRow {
            interface: Some(0),
            class: [Some(0x02), Some(0x02), Some(0xff)],
            kind: NetKind::Rndis,
            drivers: &["rndis_host"],
        },
        serial: SIM7600_RNDIS_SERIAL,
        serial_driver: "option",
    },
    // qmi_wwan.c: QMI_QUIRK_SET_DTR(0x1e0e, 0x9001, 5). SIMCom's own driver,
    // and our simcom_wwan, take the same interface for raw IP.
    Composition {
        model: "SIM7600",
        layout: "sim7600",
        vendor: SIMCOM,
        product: 0x9001,
        network: NetworkRow {
            interface: Some(5),
            class: [Some(0xff), None, None],
            kind: NetKind::Qmi,
            drivers: &["qmi_wwan", "simcom_wwan"],
        },
        serial: SIM7600_SERIAL,
        serial_driver: "option",
    },
    // In the id table of SIMCom's simcom_wwan.c V1.01. No listing of its
    // interfaces is public; the serial order is taken to be that of 9001, whose
    // chip it shares. option.c has no row for 9025: a udev rule adds it.
    Composition {
        model: "SIM7600",
        layout: "sim7600",
        vendor: SIMCOM,
        product: 0x9025,
        network: NetworkRow {
            interface: None,
            class: [Some(0xff), None, None],
            kind: NetKind::Ndis,
            drivers: &["simcom_wwan"],
        },
        serial: SIM7600_SERIAL,
        serial_driver: "option",
    },
];

impl NetworkRow {
    /// Whether an interface is the network function.
    pub fn matches(&self, interface: &InterfaceFacts) -> bool {
        let class = || {
            let mut fields = self.class.iter().zip(interface.class);
            fields.all(|(want, is)| want.is_none_or(|want| want == is))
        };
        match self.interface {
            Some(number) => interface.number == number && class(),
            None => interface.net.is_some() && class(),
        }
    }
}

impl Composition {
    /// Whether a device is this model in this composition.
    pub fn matches(&self, device: &DeviceFacts) -> bool {
        (self.vendor, self.product) == (device.vendor, device.product)
            && (self.network.interface.is_none()
                || device.interfaces.iter().any(|interface| self.network.matches(interface)))
    }
}

/// Whether a device with these ids may be a modem of ours.
pub fn is_candidate(vendor: u16, product: u16) -> bool {
    COMPOSITIONS.iter().any(|row| (row.vendor, row.product) == (vendor, product))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_equal_ids_can_be_told_apart() {
        for (index, one) in COMPOSITIONS.iter().enumerate() {
            for other in &COMPOSITIONS[index + 1..] {
                if (one.vendor, one.product) == (other.vendor, other.product) {
                    let classes = one.network.class.iter().zip(other.network.class);
                    let differ = classes.filter_map(|(a, b)| a.zip(b)).any(|(a, b)| a != b);
                    assert!(differ, "{one:?} and {other:?}");
                }
            }
        }
    }

    #[test]
    fn no_interface_has_two_uses() {
        for row in COMPOSITIONS {
            let mut numbers: Vec<u8> = row.serial.iter().map(|port| port.interface).collect();
            numbers.extend(row.network.interface);
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), count, "{row:?}");
        }
    }
}
