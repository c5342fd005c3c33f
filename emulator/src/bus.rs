//! The modem's USB side at run time: its device, the connection to a host, and
//! the packets that cross it.

use std::io;
use std::time::Duration;

use rustix::event::PollFd;

use crate::data::DataPath;
use crate::data::side::FarSide;
use crate::modem::{Action, Modem, Port, UsbAction};
use crate::profile::Usb;
use crate::usb::device::{Device, Event};
use crate::usb::host::HostPort;

/// A USB bus with at most this one device on it.
#[derive(Debug)]
pub struct Bus {
    usb: Usb,
    port: HostPort,
    device: Option<Device>,
    data: DataPath,
    far: FarSide,
}

impl Bus {
    /// A bus behind `port` for the device `usb`, whose packets take `data`
    /// to `far`.
    pub fn new(usb: Usb, port: HostPort, data: DataPath, far: FarSide) -> Self {
        Self { usb, port, device: None, data, far }
    }

    /// Does what the modem asks.
    pub fn act(&mut self, now: Duration, modem: &Modem, action: &Action) {
        match action {
            Action::Serial { port, bytes } => {
                if let Some(device) = &mut self.device {
                    device.send_serial(*port, bytes);
                }
            }
            Action::Usb(UsbAction::Attach { framing, mac }) => {
                let device = Device::new(&self.usb, *framing, *mac, modem.link().carrier);
                self.port.plug(&device);
                self.data.attach(now, modem.link());
                self.device = Some(device);
            }
            Action::Usb(UsbAction::Detach) => {
                self.port.unplug();
                self.device = None;
            }
            Action::Packet(packet) => self.data.from_call(now, packet),
            Action::Link(link) => {
                self.data.set_link(now, link);
                self.far.set_faults(&link.faults);
                if let Some(device) = &mut self.device {
                    device.set_carrier(link.carrier);
                }
            }
        }
    }

    /// What to wait on.
    pub fn poll_fds(&self, now: Duration) -> Vec<PollFd<'_>> {
        let mut fds = self.port.poll_fds();
        if self.device.is_some() && self.data.takes(now) {
            fds.extend(self.far.poll_fd());
        }
        fds
    }

    /// When to call [`Self::run`] although nothing happens.
    pub fn next_event(&mut self, now: Duration) -> Option<Duration> {
        let port = self.port.next_event();
        if self.device.is_none() {
            return port;
        }
        // A far end that has to wait is asked when there is room.
        let far = if self.data.takes(now) { self.far.next_event(now) } else { None };
        [port, self.data.next_event(), far].into_iter().flatten().min()
    }

    /// Moves what can be moved without waiting.
    ///
    /// # Errors
    /// The far end is gone.
    pub fn run(&mut self, now: Duration, modem: &mut Modem) -> io::Result<()> {
        self.port.run(now, self.device.as_mut());
        let Some(device) = &mut self.device else { return Ok(()) };
        for event in device.take() {
            match event {
                Event::Serial(port, bytes) => modem.write(now, port, &bytes),
                Event::Line(port, dtr) => modem.line_state(now, port, dtr),
                Event::Reset => modem.usb_reset(now),
                Event::Frame(frame) => self.data.from_host(now, &frame),
            }
        }
        for packet in self.data.advance(now) {
            self.far.take_in(now, packet)?;
        }
        while self.data.takes(now) {
            let Some(packet) = self.far.give_out(now)? else { break };
            self.data.from_far(now, packet);
            // What nothing delays is through at once.
            self.data.advance_down(now);
        }
        while device.has_room() {
            let Some(frame) = self.data.to_host() else { break };
            device.send_frame(frame);
        }
        // What the modem says reaches the device later, so it is counted here.
        let mut room = device.serial_room(Port::Modem);
        while room > 0 {
            let Some(packet) = self.data.to_call() else { break };
            modem.from_network(now, &packet);
            // At worst every byte is escaped.
            room = room.saturating_sub(2 * packet.len());
        }
        let (up, down) = self.data.carried();
        if up + down > 0 {
            modem.traffic(now, up, down);
        }
        // What came just now goes out at once.
        self.port.run(now, self.device.as_mut());
        Ok(())
    }
}
