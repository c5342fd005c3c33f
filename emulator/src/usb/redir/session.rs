//! One usbredir connection, this side being the device's.
//!
//! Pure: bytes and a time come in, bytes go out. The order of messages is the
//! one that QEMU's hw/usb/redirect.c wants: interface_info and ep_info before
//! device_connect, and ep_info again before each answer that changes the
//! endpoints.
//!
//! # QEMU's dwc2
//! That controller (raspi4b) does not cancel the packet of a channel that the
//! guest disables, and the channel's next use ends QEMU with an assertion
//! (`usb_packet_setup`, hw/usb/core.c). Closing a port is enough: a request for
//! bulk input is in flight as long as nothing comes, and usbredir has no answer
//! that means "not yet".
//!
//! It has one for interrupt endpoints: QEMU keeps what is pushed to it, and
//! answers NAK itself while there is nothing, which dwc2 repeats for bulk
//! transfers, too. With [`Care::Dwc2`] the bulk inputs are therefore interrupt
//! endpoints in ep_info. The guest knows nothing of it: its descriptors come
//! from the device.

use std::collections::VecDeque;

use super::encode::encode;
use super::wire::{
    Body, Control, Decoder, EndpointTable, InterfaceTable, Packet, Status, WireError, cap,
    endpoint_index,
};
use crate::profile::EndpointKind;
use crate::usb::device::{Device, Setup};

/// `usb_redir_speed_high`
const HIGH_SPEED: u8 = 2;
/// Bytes of the largest bulk packet at high speed (USB 2.0 section 5.8.3).
const BULK_PACKET: usize = 512;

/// What the host controller at the other end needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Nothing (xHCI).
    None,
    /// See the module's text.
    Dwc2,
}

/// A request for bulk input that waits.
#[derive(Debug)]
struct Pending {
    id: u64,
    endpoint: u8,
    length: u32,
    stream: u32,
}

/// Where plugging stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plug {
    Out,
    In,
    /// Out, and the host has not acknowledged it yet.
    Leaving,
}

/// The connection.
#[derive(Debug)]
pub struct Session {
    care: Care,
    decoder: Decoder,
    out: Vec<u8>,
    plug: Plug,
    /// A device is to be connected as soon as that is allowed.
    wanted: bool,
    pending: VecDeque<Pending>,
    receiving: Vec<u8>,
    serial: u64,
    refused: bool,
}

impl Session {
    /// A fresh connection; its hello is in the output.
    pub fn new(care: Care) -> Self {
        let version = concat!("a7670e-emulator ", env!("CARGO_PKG_VERSION")).to_owned();
        let hello = Packet { id: 0, body: Body::Hello { version, caps: cap::OURS } };
        Self {
            care,
            decoder: Decoder::default(),
            out: encode(&hello, 0),
            plug: Plug::Out,
            wanted: false,
            pending: VecDeque::new(),
            receiving: Vec::new(),
            serial: 0,
            refused: false,
        }
    }

    /// Bytes for the peer. Those of one call belong together: a cancel and the
    /// disconnect behind it must reach QEMU in one piece.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Whether a device is plugged in, as the peer sees it.
    pub fn is_plugged(&self) -> bool {
        self.plug == Plug::In
    }

    /// Whether the peer's filter has refused the device.
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// Plugs `device` in, as soon as the peer is ready for it.
    pub fn plug(&mut self, device: &Device) {
        self.wanted = true;
        self.connect(device);
    }

    fn connect(&mut self, device: &Device) {
        let (Some(_), true, Plug::Out) = (self.decoder.common(), self.wanted, self.plug) else {
            return;
        };
        self.wanted = false;
        self.plug = Plug::In;
        let rows = device.interfaces();
        self.send(0, Body::InterfaceInfo(InterfaceTable { rows }));
        self.endpoints(device);
        let [vendor, product, version] = device.ids();
        let class = device.class();
        let speed = HIGH_SPEED;
        self.send(0, Body::DeviceConnect { speed, class, vendor, product, version });
    }

    /// Pulls the device out: whatever is pending is cancelled first.
    pub fn unplug(&mut self) {
        self.wanted = false;
        if self.plug != Plug::In {
            return;
        }
        self.cancel();
        self.receiving.clear();
        self.send(0, Body::DeviceDisconnect);
        let acknowledged =
            self.decoder.common().is_some_and(|caps| cap::has(caps, cap::DISCONNECT_ACK));
        self.plug = if acknowledged { Plug::Leaving } else { Plug::Out };
    }

    /// Answers all that is pending: what gets no answer stays in flight for ever
    /// in a host that does not cancel it itself.
    fn cancel(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            self.bulk_reply(pending, Status::Cancelled, Vec::new());
        }
    }

    fn send(&mut self, id: u64, body: Body) {
        let bytes = encode(&Packet { id, body }, self.decoder.common().unwrap_or(0));
        self.out.extend(bytes);
    }

    /// ep_info with the endpoints that exist now.
    fn endpoints(&mut self, device: &Device) {
        let mut table = EndpointTable {
            kind: [255; 32],
            interval: [0; 32],
            interface: [0; 32],
            max_packet: [0; 32],
        };
        for control in [endpoint_index(0x00), endpoint_index(0x80)] {
            table.kind[control] = 0;
            table.max_packet[control] = 64;
        }
        for (interface, endpoint) in device.endpoints() {
            let index = endpoint_index(endpoint.address);
            (table.kind[index], table.interval[index]) = match endpoint.kind {
                // QEMU refuses an interval of 0.
                EndpointKind::Bulk if self.is_pushed(endpoint.address) => (3, 1),
                EndpointKind::Bulk => (2, endpoint.interval),
                EndpointKind::Interrupt => (3, endpoint.interval),
            };
            table.interface[index] = interface;
            table.max_packet[index] = endpoint.max_packet;
        }
        self.send(0, Body::EpInfo(Box::new(table)));
    }

    /// Whether input of a bulk endpoint goes as an interrupt endpoint's.
    fn is_pushed(&self, endpoint: u8) -> bool {
        self.care == Care::Dwc2 && endpoint & 0x80 != 0
    }

    /// Bytes from the peer.
    ///
    /// # Errors
    /// When they are no usbredir; the connection is then of no more use.
    pub fn receive(&mut self, bytes: &[u8], device: Option<&mut Device>) -> Result<(), WireError> {
        self.decoder.push(bytes);
        let mut device = device;
        while let Some(packet) = self.decoder.packet()? {
            match packet.body {
                Body::DeviceDisconnectAck if self.plug == Plug::Leaving => self.plug = Plug::Out,
                Body::FilterReject => self.refused = true,
                _ => {}
            }
            if let Some(device) = &mut device {
                self.connect(device);
                if self.plug == Plug::In {
                    self.handle(packet, device);
                }
            }
        }
        if let Some(device) = device {
            self.service(device);
        }
        Ok(())
    }

    fn handle(&mut self, packet: Packet, device: &mut Device) {
        let id = packet.id;
        match packet.body {
            Body::Reset => {
                self.cancel();
                self.receiving.clear();
                device.reset();
            }
            Body::SetConfiguration { configuration } => {
                let status = to_status(device.set_configuration(configuration));
                self.cancel();
                self.endpoints(device);
                let configuration = device.configuration();
                self.send(id, Body::ConfigurationStatus { status, configuration });
            }
            Body::GetConfiguration => {
                let (status, configuration) = (Status::Success, device.configuration());
                self.send(id, Body::ConfigurationStatus { status, configuration });
            }
            Body::SetAltSetting { interface, alt } => {
                let status = to_status(device.set_interface(interface, alt));
                self.endpoints(device);
                self.send(id, Body::AltSettingStatus { status, interface, alt });
            }
            Body::GetAltSetting { interface } => {
                let alt = device.interface(interface);
                let (status, alt) = (to_status(alt.map(|_| ())), alt.unwrap_or(0));
                self.send(id, Body::AltSettingStatus { status, interface, alt });
            }
            Body::StartInterruptReceiving { endpoint } => {
                let known = device.is_interrupt(endpoint)
                    || self.is_pushed(endpoint)
                        && device.endpoints().iter().any(|(_, it)| it.address == endpoint);
                if known && !self.receiving.contains(&endpoint) {
                    self.receiving.push(endpoint);
                }
                let status = if known { Status::Success } else { Status::Invalid };
                self.send(id, Body::InterruptReceivingStatus { status, endpoint });
            }
            Body::StopInterruptReceiving { endpoint } => {
                self.receiving.retain(|it| *it != endpoint);
                let status = Status::Success;
                self.send(id, Body::InterruptReceivingStatus { status, endpoint });
            }
            Body::CancelDataPacket => {
                // An id that is not pending was answered already.
                if let Some(at) = self.pending.iter().position(|it| it.id == id) {
                    if let Some(pending) = self.pending.remove(at) {
                        self.bulk_reply(pending, Status::Cancelled, Vec::new());
                    }
                }
            }
            Body::Control(control) => self.control(id, control, device),
            Body::Bulk { endpoint, length, stream, data, .. } => {
                if endpoint & 0x80 != 0 {
                    self.pending.push_back(Pending { id, endpoint, length, stream });
                } else {
                    let status = to_status(device.bulk_out(endpoint, &data, false));
                    // An output's answer has the length, but not the data.
                    let data = Vec::new();
                    self.send(id, Body::Bulk { endpoint, status, length, stream, data });
                }
            }
            Body::Interrupt { endpoint, length, .. } => {
                // The modem has no interrupt endpoint towards it.
                let (status, data) = (Status::Stall, Vec::new());
                self.send(id, Body::Interrupt { endpoint, status, length, data });
            }
            _ => {}
        }
    }

    fn control(&mut self, id: u64, control: Control, device: &mut Device) {
        let setup = Setup {
            request_type: control.request_type,
            request: control.request,
            value: control.value,
            index: control.index,
            length: control.length,
        };
        let (status, data) = match device.control(setup, &control.data) {
            Ok(data) => (Status::Success, data),
            Err(_) => (Status::Stall, Vec::new()),
        };
        let length = match (control.request_type & 0x80, status) {
            (_, Status::Stall) => 0,
            // At most wLength, which has 16 bits.
            (0x80, _) => data.len() as u16,
            _ => control.length,
        };
        self.send(id, Body::Control(Control { status, length, data, ..control }));
    }

    fn bulk_reply(&mut self, pending: Pending, status: Status, data: Vec<u8>) {
        let Pending { id, endpoint, stream, .. } = pending;
        // Never more than was asked for, which has 32 bits.
        let length = data.len() as u32;
        self.send(id, Body::Bulk { endpoint, status, length, stream, data });
    }

    /// Answers what can be answered by now.
    pub fn service(&mut self, device: &mut Device) {
        self.connect(device);
        if self.plug != Plug::In {
            return;
        }
        // The requests of one endpoint are answered in their order.
        let mut waiting = Vec::new();
        for pending in std::mem::take(&mut self.pending) {
            if waiting.contains(&pending.endpoint) {
                self.pending.push_back(pending);
                continue;
            }
            match device.bulk_in(pending.endpoint, pending.length as usize) {
                Err(_) => self.bulk_reply(pending, Status::Stall, Vec::new()),
                Ok(Some(data)) => self.bulk_reply(pending, Status::Success, data),
                Ok(None) => {
                    waiting.push(pending.endpoint);
                    self.pending.push_back(pending);
                }
            }
        }
        for endpoint in self.receiving.clone() {
            while let Some(data) = next_push(device, endpoint) {
                self.serial += 1;
                // Of at most BULK_PACKET bytes; a notification has 16.
                let length = data.len() as u16;
                let status = Status::Success;
                self.send(self.serial, Body::Interrupt { endpoint, status, length, data });
            }
        }
    }
}

/// What goes to an endpoint whose input is pushed. A port that nobody has open
/// keeps its own: what is pushed waits in QEMU for whoever opens it next.
fn next_push(device: &mut Device, endpoint: u8) -> Option<Vec<u8>> {
    if device.is_interrupt(endpoint) {
        return device.interrupt_in(endpoint);
    }
    if device.dtr(endpoint) == Some(false) {
        return None;
    }
    // An endpoint that a new setting took away has nothing.
    device.bulk_in(endpoint, BULK_PACKET).ok().flatten()
}

fn to_status<E>(result: Result<(), E>) -> Status {
    if result.is_ok() { Status::Success } else { Status::Stall }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
