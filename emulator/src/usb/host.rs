//! Where the USB host is: behind usbredir or USB/IP.

use std::time::Duration;

use rustix::event::PollFd;

use super::device::Device;
use super::redir::port::RedirPort;
use super::usbip::port::UsbIpPort;

/// The way to the host.
#[derive(Debug)]
pub enum HostPort {
    /// To QEMU.
    Redir(RedirPort),
    /// To Linux's `vhci_hcd`.
    UsbIp(UsbIpPort),
}

impl HostPort {
    /// What to wait on.
    pub fn poll_fds(&self) -> Vec<PollFd<'_>> {
        match self {
            HostPort::Redir(port) => port.poll_fd().into_iter().collect(),
            HostPort::UsbIp(port) => port.poll_fds(),
        }
    }

    /// The device comes.
    pub fn plug(&mut self, device: &Device) {
        match self {
            HostPort::Redir(port) => port.plug(device),
            // A client imports it when it likes.
            HostPort::UsbIp(_) => {}
        }
    }

    /// The device goes.
    pub fn unplug(&mut self) {
        match self {
            HostPort::Redir(port) => port.unplug(),
            HostPort::UsbIp(port) => port.unplug(),
        }
    }

    /// When to call [`Self::run`] although nothing happens.
    pub fn next_event(&self) -> Option<Duration> {
        match self {
            HostPort::Redir(port) => port.next_event(),
            HostPort::UsbIp(_) => None,
        }
    }

    /// Moves what can be moved without waiting.
    pub fn run(&mut self, now: Duration, device: Option<&mut Device>) {
        match self {
            HostPort::Redir(port) => port.run(now, device),
            HostPort::UsbIp(port) => port.run(device),
        }
    }
}
