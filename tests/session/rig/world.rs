//! What goes on around a session: bus, port, kernel, data path, far end, probes.

use std::time::Duration;

use a7670e::net::plan::Step;
use a7670e::net::probe::Outcome;
use a7670e::policy::ladder::Rung;
use a7670e::session::{Action, Event};
use a7670e::sms::spool::Record;
use a7670e_emulator::data::packet::{self, Header};
use a7670e_emulator::fault::Effect;
use a7670e_emulator::link::Framing;
use a7670e_emulator::modem::{Action as Told, Port, UsbAction};

use super::{Due, KERNEL, Rig, SETTLE};
use crate::probe::{Next, Probe};

/// What opening a port takes.
const OPEN: Duration = Duration::from_millis(1);
/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

impl Rig {
    pub(super) fn told(&mut self, told: Told) {
        match told {
            Told::Usb(UsbAction::Attach { framing, mac }) => {
                self.present = true;
                self.kernel.attach(framing != Framing::RawIp, mac);
                let link = self.modem.link().clone();
                self.data.attach(self.now, &link);
                self.kernel.set_carrier(link.carrier);
                (self.registered, self.routed) = (None, None);
                let device = self.device();
                self.tell(SETTLE, Event::Device(Some(device)));
            }
            Told::Usb(UsbAction::Detach) => {
                self.present = false;
                self.kernel.detach();
                if std::mem::take(&mut self.port_open) {
                    self.tell(OPEN, Event::PortClosed);
                }
                self.tell(SETTLE, Event::Device(None));
                self.end_probe(Outcome::Nothing);
            }
            Told::Link(link) => {
                self.data.set_link(self.now, &link);
                self.kernel.set_carrier(link.carrier);
            }
            Told::Serial { port: Port::At, bytes } if self.port_open => {
                let clock = self.clock();
                if let Some(session) = &mut self.session {
                    session.event(clock, Event::Bytes(bytes));
                }
            }
            Told::Serial { .. } | Told::Packet(_) => {}
        }
    }

    pub(super) fn act(&mut self, action: Action, killed: bool) {
        match action {
            Action::OpenPort(_) if self.present => {
                assert!(!self.manager.has, "two programs on one port");
                self.port_open = true;
                self.opened = Some(self.now);
                self.tell(OPEN, Event::PortOpened);
            }
            Action::OpenPort(path) => {
                self.tell(OPEN, Event::PortFailed(format!("{path}: no such device")));
            }
            Action::ClosePort => self.close_port(),
            Action::Write(bytes) => {
                self.sent.push((self.now, String::from_utf8_lossy(&bytes).trim_end().to_owned()));
                if self.port_open {
                    self.modem.write(self.now, Port::At, &bytes);
                }
            }
            Action::Observe => self.later(KERNEL, Due::Observe(self.number)),
            Action::Apply(mut plan) => {
                let steps = if killed { plan.steps.len() / 2 } else { usize::MAX };
                if let Some(desktop) = &mut self.desktop {
                    desktop.apply(self.now, &plan);
                    plan.steps.retain(|step| !matches!(step, Step::Manager(_)));
                }
                let failures = self.kernel.apply(&plan, steps);
                self.tell(KERNEL, Event::Applied(failures));
                self.later(KERNEL * 2, Due::Observe(self.number));
            }
            Action::Listen(_) => self.listening = true,
            Action::Deafen => self.listening = false,
            Action::Send { from, to, bytes } => {
                self.transmit(&packet::udp((from, 68), (to, 67), &bytes));
            }
            Action::Solicit(_) => self.solicited.push(self.now),
            Action::Probe { link, .. } if link == "ppp0" => {
                self.probes.push(self.now);
                let reached = self.desktop.as_ref().is_some_and(|it| it.reaches(self.now));
                let outcome = if reached { Outcome::Online } else { Outcome::Nothing };
                self.tell(OPEN, Event::Probed(outcome));
            }
            Action::Probe { servers, target, .. } => {
                self.probes.push(self.now);
                match self.kernel.bound_source() {
                    Some(source) => {
                        self.probe = Some(Probe::new(self.now, source, &servers, target));
                    }
                    None => self.tell(OPEN, Event::Probed(Outcome::Nothing)),
                }
            }
            Action::Remember(memory) => self.kept.memory = memory,
            Action::Keep(history) => {
                // An outage that is over is kept, too, and is no rung.
                let last = history.tried.last().filter(|_| !history.outage.is_empty());
                if let Some(tried) = last {
                    self.rungs.push((tried.at, tried.rung));
                }
                self.kept.history = history;
            }
            Action::Count(usage) => self.kept.usage = usage,
            Action::Climb(rung) => {
                self.climbed.push((self.clock().wall, rung));
                match rung {
                    Rung::Reboot => self.reboot(),
                    Rung::PowerCycle => self.modem.inflict(self.now, Effect::Reset),
                    _ => self.modem.inflict(self.now, Effect::UsbGone { for_ms: 500 }),
                }
            }
            Action::KeepMessage(record) => self.keep(record),
            Action::ForgetMessage(id) => {
                self.kept.messages.outgoing.retain(|one| one.id != id);
                self.kept.messages.incoming.retain(|one| one.id != id);
            }
            Action::LoadMessages => self.load_messages(),
            Action::Tell(news) => self.news.push(*news),
            Action::Say(text) => self.said.push((self.now, text)),
            Action::RunProgram(_) | Action::Obey { .. } | Action::Ussd(_) => {
                panic!("nothing of this is switched on here: {action:?}")
            }
            Action::Answer { .. } | Action::Changed => {}
            other => self.manages(other),
        }
    }

    pub(super) fn load_messages(&mut self) {
        let (clock, kept) = (self.clock(), self.kept.messages.clone());
        match &mut self.session {
            Some(session) if self.unreadable => {
                session.stop_messages(clock, "an I/O error".into());
            }
            Some(session) => session.restore_messages(clock, kept),
            None => {}
        }
    }

    fn keep(&mut self, record: Record) {
        let kept = &mut self.kept.messages;
        match record {
            Record::Outgoing(message) => {
                kept.outgoing.retain(|one| one.id != message.id);
                kept.outgoing.push(message);
            }
            Record::Incoming(message) => {
                kept.incoming.retain(|one| one.id != message.id);
                kept.incoming.push(message);
            }
            Record::Numbers(numbers) => kept.numbers = numbers,
        }
    }

    pub(super) fn close_port(&mut self) {
        if std::mem::take(&mut self.port_open) {
            self.modem.line_state(self.now, Port::At, false);
        }
    }

    /// An IP packet leaves by the modem's link.
    fn transmit(&mut self, packet: &[u8]) {
        if !self.kernel.runs() {
            return;
        }
        let header = if self.kernel.arp() { ethernet() } else { Vec::new() };
        let frame = [&header[..], packet].concat();
        self.kernel.count(0, frame.len() as u64);
        self.data.from_host(self.now, &frame);
    }

    /// The data path's packets, and the probe's; tells whether there were any.
    pub(super) fn carry(&mut self) -> bool {
        let mut any = false;
        while let Some(next) = self.probe.as_mut().and_then(|probe| probe.advance(self.now)) {
            any = true;
            self.probing(next);
        }
        for packet in self.data.advance(self.now) {
            any = true;
            self.far.take_in(self.now, packet);
        }
        self.far.advance(self.now);
        while let Some(answer) = self.far.give_out() {
            self.data.from_far(self.now, answer);
        }
        any |= !self.data.advance(self.now).is_empty();
        while let Some(frame) = self.data.to_host() {
            any = true;
            let start = if self.kernel.arp() { ETHERNET } else { 0 };
            if self.kernel.runs() {
                self.kernel.count(frame.len() as u64, 0);
                self.received(&frame[start..]);
            }
        }
        any
    }

    fn received(&mut self, bytes: &[u8]) {
        let Some(header) = Header::of(bytes) else { return };
        if packet::ports(bytes) == Some((67, 68)) {
            if self.listening {
                let message = bytes[header.length + 8..header.total].to_vec();
                self.tell(OPEN, Event::Dhcp(message));
            }
            return;
        }
        if let Some(next) = self.probe.as_mut().and_then(|probe| probe.receive(self.now, bytes)) {
            self.probing(next);
        }
    }

    fn probing(&mut self, next: Next) {
        match next {
            Next::Send(packet) if self.kernel.bound_source().is_some() => self.transmit(&packet),
            Next::Send(_) => {}
            Next::Done(outcome) => self.end_probe(outcome),
        }
    }

    fn end_probe(&mut self, outcome: Outcome) {
        if self.probe.take().is_some() {
            self.tell(OPEN, Event::Probed(outcome));
        }
    }
}

/// From the modem's host to its gateway; the addresses do not matter to it.
fn ethernet() -> Vec<u8> {
    [&[2, 0x0c, 0x29, 0xa3, 0x9b, 1, 0xae, 0x0c, 0x29, 0xa3, 0x9b, 0x6d][..], &[8, 0]].concat()
}
