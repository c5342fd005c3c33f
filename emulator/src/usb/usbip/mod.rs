//! USB/IP: the device on a TCP port, for Linux's own `usbip attach` and
//! `vhci_hcd`, which a real Raspberry Pi has too.

pub mod port;
pub mod session;
pub mod wire;
