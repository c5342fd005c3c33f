//! The modem's USB device, and the ways by which it gets to a USB host.

pub mod descriptors;
pub mod device;
pub mod host;
pub mod network;
pub mod redir;
pub mod rndis;
pub mod usbip;

use std::io::{ErrorKind, Result, Write};

/// Writes what waits, as far as the other side takes it now; the rest waits on.
///
/// # Errors
/// The connection broke.
fn write_out(stream: &mut impl Write, waiting: &mut Vec<u8>) -> Result<()> {
    while !waiting.is_empty() {
        match stream.write(waiting) {
            Ok(count) => drop(waiting.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
