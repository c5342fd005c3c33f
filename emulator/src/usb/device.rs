//! The modem's USB device as a USB host sees it, whatever carries it there.
//!
//! Pure: a transport passes requests and transfers in and gets answers, the
//! modem passes bytes and packets in; [`Device::take`] gives what the host
//! sent. An endpoint that has nothing to say answers `None`, which a transport
//! holds as a pending transfer or gives as NAK.

use std::collections::{BTreeMap, VecDeque};

use super::descriptors::{CONFIGURATION, Descriptors};
use super::network::Network;
use crate::link::Framing;
use crate::modem::Port;
use crate::profile::{Endpoint, EndpointKind, Interface, Role, Usb};

/// Bytes that a serial function keeps for a host that does not fetch them;
/// older ones are lost first, as in the modem's own buffer.
const SERIAL_QUEUE: usize = 64 << 10;
/// SERIAL_STATE's bit for DSR (PSTN120 table 31); DCD would be bit 0.
const DSR: u16 = 2;

/// A setup packet (USB 2.0 section 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// bmRequestType
    pub request_type: u8,
    /// bRequest
    pub request: u8,
    /// wValue
    pub value: u16,
    /// wIndex
    pub index: u16,
    /// wLength
    pub length: u16,
}

/// The device refuses: the endpoint stalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall;

/// What the host did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes for a serial function.
    Serial(Port, Vec<u8>),
    /// DTR of a serial function.
    Line(Port, bool),
    /// An Ethernet frame, or an IP packet when the framing is raw IP.
    Frame(Vec<u8>),
    /// A bus reset, or another choice of the configuration.
    Reset,
}

/// A serial function.
#[derive(Debug)]
struct Serial {
    interface: u8,
    port: Option<Port>,
    input: u8,
    output: u8,
    interrupt: Option<u8>,
    dtr: bool,
    coding: [u8; 7],
    queue: VecDeque<u8>,
}

/// The device.
#[derive(Debug)]
pub struct Device {
    usb: Usb,
    framing: Framing,
    descriptors: Descriptors,
    configured: bool,
    /// The alternate setting of each interface.
    alt: BTreeMap<u8, u8>,
    serial: Vec<Serial>,
    network: Network,
    interrupts: VecDeque<(u8, Vec<u8>)>,
    events: Vec<Event>,
}

impl Device {
    /// The device of `usb` in the composition with `framing`; its host's
    /// network address is `mac`.
    pub fn new(usb: &Usb, framing: Framing, mac: [u8; 6], carrier: bool) -> Self {
        let serial = usb.serial.iter().filter_map(serial).collect();
        Self {
            descriptors: Descriptors::new(usb, framing, mac),
            network: Network::new(framing, mac, carrier),
            usb: usb.clone(),
            framing,
            configured: false,
            alt: BTreeMap::new(),
            serial,
            interrupts: VecDeque::new(),
            events: Vec::new(),
        }
    }

    /// idVendor, idProduct, bcdDevice.
    pub fn ids(&self) -> [u16; 3] {
        [self.usb.vendor, self.usb.product, self.usb.bcd_device]
    }

    /// Class, subclass, protocol of the device.
    pub fn class(&self) -> [u8; 3] {
        self.usb.class
    }

    /// Number, class, subclass, protocol of each interface.
    pub fn interfaces(&self) -> Vec<[u8; 4]> {
        let all = self.usb.interfaces(self.framing);
        all.iter().map(|it| [it.number, it.class[0], it.class[1], it.class[2]]).collect()
    }

    /// The endpoints that exist now, with their interfaces.
    pub fn endpoints(&self) -> Vec<(u8, &Endpoint)> {
        let all = self.usb.interfaces(self.framing).into_iter();
        let there = all.filter(|it| !self.has_settings(it) || self.alt_of(it.number) == 1);
        there.flat_map(|it| it.endpoints.iter().map(move |end| (it.number, end))).collect()
    }

    /// ECM's data interface has two settings, the first without endpoints.
    fn has_settings(&self, interface: &Interface) -> bool {
        self.framing == Framing::Ecm && interface.role == Role::NetworkData
    }

    fn alt_of(&self, interface: u8) -> u8 {
        self.alt.get(&interface).copied().unwrap_or(0)
    }

    /// A bus reset.
    pub fn reset(&mut self) {
        self.configured = false;
        self.forget();
    }

    /// What a reset and a new configuration clear.
    fn forget(&mut self) {
        self.events.push(Event::Reset);
        self.alt.clear();
        self.interrupts.clear();
        self.network.reset();
        for index in 0..self.serial.len() {
            self.serial[index].queue.clear();
            self.set_dtr(index, false);
        }
    }

    /// SET_CONFIGURATION.
    pub fn set_configuration(&mut self, value: u8) -> Result<(), Stall> {
        if value > CONFIGURATION {
            return Err(Stall);
        }
        self.forget();
        self.configured = value == CONFIGURATION;
        if self.framing == Framing::Rndis {
            self.announce();
        }
        Ok(())
    }

    /// GET_CONFIGURATION.
    pub fn configuration(&self) -> u8 {
        if self.configured { CONFIGURATION } else { 0 }
    }

    /// SET_INTERFACE.
    pub fn set_interface(&mut self, number: u8, alt: u8) -> Result<(), Stall> {
        let all = self.usb.interfaces(self.framing);
        let interface = all.iter().find(|it| it.number == number).ok_or(Stall)?;
        let (network, settings) =
            (interface.role == Role::NetworkData, self.has_settings(interface));
        if alt > u8::from(settings) {
            return Err(Stall);
        }
        self.alt.insert(number, alt);
        if network {
            self.network.reset();
            if alt == 1 {
                self.announce();
            }
        }
        Ok(())
    }

    /// GET_INTERFACE.
    pub fn interface(&self, number: u8) -> Result<u8, Stall> {
        let known = self.usb.interfaces(self.framing).iter().any(|it| it.number == number);
        if known { Ok(self.alt_of(number)) } else { Err(Stall) }
    }

    /// A control transfer: `data` is what the host sends with it; the answer
    /// is what it gets, at most `setup.length` bytes.
    pub fn control(&mut self, setup: Setup, data: &[u8]) -> Result<Vec<u8>, Stall> {
        // Type is bits 5 and 6: standard 0, class 1.
        let mut answer = match setup.request_type >> 5 & 3 {
            0 => self.standard(setup)?,
            1 => self.class_request(setup, data)?,
            _ => return Err(Stall),
        };
        answer.truncate(usize::from(setup.length));
        Ok(answer)
    }

    fn standard(&mut self, setup: Setup) -> Result<Vec<u8>, Stall> {
        let Setup { request_type, request, value, index, .. } = setup;
        let [low, _] = value.to_le_bytes();
        match (request_type, request) {
            // GET_STATUS: bit 0 of the device's is self-powered.
            (0x80, 0) => Ok(vec![u8::from(self.usb.self_powered), 0]),
            (0x81 | 0x82, 0) => Ok(vec![0, 0]),
            // CLEAR_FEATURE and SET_FEATURE: remote wake-up and halts are
            // accepted; nothing here is ever halted.
            (0x00..=0x02, 1 | 3) => Ok(Vec::new()),
            (0x80, 6) => self.descriptors.get(value).ok_or(Stall),
            (0x80, 8) => Ok(vec![self.configuration()]),
            (0x00, 9) => self.set_configuration(low).map(|()| Vec::new()),
            (0x81, 10) => Ok(vec![self.interface(index.to_le_bytes()[0])?]),
            (0x01, 11) => self.set_interface(index.to_le_bytes()[0], low).map(|()| Vec::new()),
            _ => Err(Stall),
        }
    }

    fn class_request(&mut self, setup: Setup, data: &[u8]) -> Result<Vec<u8>, Stall> {
        let Setup { request_type, request, value, index, .. } = setup;
        let interface = index.to_le_bytes()[0];
        let serial = self.serial.iter().position(|it| it.interface == interface);
        match (request_type, request, serial) {
            // SET_LINE_CODING, GET_LINE_CODING, SET_CONTROL_LINE_STATE
            (0x21, 0x20, Some(it)) => {
                self.serial[it].coding = data.try_into().map_err(|_| Stall)?;
                Ok(Vec::new())
            }
            (0xa1, 0x21, Some(it)) => Ok(self.serial[it].coding.to_vec()),
            (0x21, 0x22, Some(it)) => {
                self.set_dtr(it, value & 1 != 0);
                Ok(Vec::new())
            }
            (_, _, Some(_)) => Err(Stall),
            _ if Some(interface) != self.network_interface() => Err(Stall),
            _ => {
                let answer = self.network.request(setup, data)?;
                self.announce();
                Ok(answer)
            }
        }
    }

    fn network_interface(&self) -> Option<u8> {
        Some(self.usb.network.get(&self.framing)?.control.number)
    }

    fn set_dtr(&mut self, index: usize, dtr: bool) {
        let serial = &mut self.serial[index];
        if serial.dtr == dtr {
            return;
        }
        serial.dtr = dtr;
        if let Some(endpoint) = serial.interrupt {
            let [low, high] = (if dtr { DSR } else { 0 }).to_le_bytes();
            let notification = vec![0xa1, 0x20, 0, 0, serial.interface, 0, 2, 0, low, high];
            self.interrupts.retain(|(end, _)| *end != endpoint);
            self.interrupts.push_back((endpoint, notification));
        }
        if let Some(port) = serial.port {
            self.events.push(Event::Line(port, dtr));
        }
    }

    /// DTR of the serial function with the bulk endpoint `endpoint`; `None`
    /// for other endpoints.
    pub fn dtr(&self, endpoint: u8) -> Option<bool> {
        let of = |it: &&Serial| it.input == endpoint || it.output == endpoint;
        self.serial.iter().find(of).map(|it| it.dtr)
    }

    fn is(&self, address: u8, kind: EndpointKind) -> bool {
        self.endpoints().iter().any(|(_, end)| end.address == address && end.kind == kind)
    }

    /// Bytes from the host. A transfer ends with a piece that is no multiple
    /// of 512 bytes, be it empty, or where `end` says so.
    pub fn bulk_out(&mut self, endpoint: u8, data: &[u8], end: bool) -> Result<(), Stall> {
        if !self.is(endpoint, EndpointKind::Bulk) || endpoint & 0x80 != 0 {
            return Err(Stall);
        }
        match self.serial.iter().find(|it| it.output == endpoint) {
            Some(serial) => {
                if let (Some(port), false) = (serial.port, data.is_empty()) {
                    self.events.push(Event::Serial(port, data.to_vec()));
                }
            }
            None => {
                let frames = self.network.take_in(data, end);
                self.events.extend(frames.into_iter().map(Event::Frame));
            }
        }
        Ok(())
    }

    /// At most `length` bytes for the host.
    pub fn bulk_in(&mut self, endpoint: u8, length: usize) -> Result<Option<Vec<u8>>, Stall> {
        if !self.is(endpoint, EndpointKind::Bulk) || endpoint & 0x80 == 0 {
            return Err(Stall);
        }
        let Some(serial) = self.serial.iter_mut().find(|it| it.input == endpoint) else {
            return Ok(self.network.give_out(length));
        };
        if serial.queue.is_empty() {
            return Ok(None);
        }
        let take = serial.queue.len().min(length);
        Ok(Some(serial.queue.drain(..take).collect()))
    }

    /// The next notification on `endpoint`.
    pub fn interrupt_in(&mut self, endpoint: u8) -> Option<Vec<u8>> {
        let at = self.interrupts.iter().position(|(end, _)| *end == endpoint)?;
        self.interrupts.remove(at).map(|(_, bytes)| bytes)
    }

    /// Whether `endpoint` is an interrupt endpoint that exists now.
    pub fn is_interrupt(&self, endpoint: u8) -> bool {
        self.is(endpoint, EndpointKind::Interrupt)
    }

    /// Bytes from the modem to the host.
    pub fn send_serial(&mut self, port: Port, bytes: &[u8]) {
        let Some(serial) = self.serial.iter_mut().find(|it| it.port == Some(port)) else { return };
        serial.queue.extend(bytes);
        let over = serial.queue.len().saturating_sub(SERIAL_QUEUE);
        serial.queue.drain(..over);
    }

    /// How many bytes for the host find room on `port`; a quarter of its queue,
    /// since what is said besides must not push them out.
    pub fn serial_room(&self, port: Port) -> usize {
        let waiting = self.serial.iter().find(|it| it.port == Some(port)).map(|it| it.queue.len());
        waiting.map_or(0, |waiting| (SERIAL_QUEUE / 4).saturating_sub(waiting))
    }

    /// Whether there is room for another packet to the host.
    pub fn has_room(&self) -> bool {
        self.network.has_room()
    }

    /// A frame, or IP packet for raw IP, from the modem to the host; lost when
    /// there is no room.
    pub fn send_frame(&mut self, frame: Vec<u8>) {
        if self.configured {
            self.network.send(frame);
        }
    }

    /// The link comes or goes.
    pub fn set_carrier(&mut self, carrier: bool) {
        self.network.set_carrier(carrier);
        self.announce();
    }

    /// Queues the notifications that the network function wants to send.
    fn announce(&mut self) {
        let Some(function) = self.usb.network.get(&self.framing) else { return };
        let interrupt = function.control.endpoints.iter();
        let Some(end) = interrupt.clone().find(|it| it.kind == EndpointKind::Interrupt) else {
            return;
        };
        let news = self.network.notifications(function.control.number);
        if news.is_empty() {
            return;
        }
        // A host that did not ask is left with the last news only.
        self.interrupts.retain(|(at, _)| *at != end.address);
        self.interrupts.extend(news.into_iter().map(|bytes| (end.address, bytes)));
    }

    /// What the host did since the last call, in order.
    pub fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

fn serial(interface: &Interface) -> Option<Serial> {
    let find = |kind, input: bool| {
        let mut all = interface.endpoints.iter();
        all.find(|end| end.kind == kind && (end.address & 0x80 != 0) == input).map(|e| e.address)
    };
    Some(Serial {
        interface: interface.number,
        port: interface.role.port(),
        input: find(EndpointKind::Bulk, true)?,
        output: find(EndpointKind::Bulk, false)?,
        interrupt: find(EndpointKind::Interrupt, true),
        dtr: false,
        // 115200 8N1
        coding: [0x00, 0xc2, 0x01, 0, 0, 0, 8],
        queue: VecDeque::new(),
    })
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
