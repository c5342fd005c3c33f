//! The modem's USB device, and the ways by which it gets to a USB host.

pub mod descriptors;
pub mod device;
pub mod host;
pub mod network;
pub mod redir;
pub mod rndis;
pub mod usbip;
