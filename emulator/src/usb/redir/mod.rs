//! The modem on QEMU's USB bus, by the usbredir protocol.

pub mod encode;
pub mod port;
pub mod session;
pub mod wire;
