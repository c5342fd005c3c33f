//! What the kernel tells of a USB device: the input of the inventory.
//!
//! Only attributes that can be read without the USB device lock are used. The
//! strings (`serial`, `product`, `manufacturer`) and `bNumInterfaces` take it
//! (drivers/usb/core/sysfs.c), and a modem whose firmware hangs in a control
//! transfer holds it: a read would hang as well.

use super::usb_path::UsbPath;

/// One USB device, as found in `/sys/bus/usb/devices/<path>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Its place on the bus, which names it.
    pub path: UsbPath,
    /// `idVendor`.
    pub vendor: u16,
    /// `idProduct`.
    pub product: u16,
    /// The interfaces of the active configuration, in any order.
    pub interfaces: Vec<InterfaceFacts>,
}

/// One USB interface, as found in `/sys/bus/usb/devices/<path>:<config>.<n>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceFacts {
    /// `bInterfaceNumber`. Numbers have gaps: an A76XX uses 0, 1, 2, 4, 5.
    pub number: u8,
    /// `bInterfaceClass`, `bInterfaceSubClass`, `bInterfaceProtocol`.
    pub class: [u8; 3],
    /// Name of the bound kernel driver, none when nothing took the interface.
    pub driver: Option<String>,
    /// Name of the terminal it made, for example `ttyUSB1`.
    pub tty: Option<String>,
    /// Name of the network device it made, for example `wwan0`.
    pub net: Option<String>,
    /// Name of the control channel it made, for example `cdc-wdm0`.
    pub control: Option<String>,
}
