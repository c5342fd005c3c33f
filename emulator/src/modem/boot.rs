//! Power-on, reset, the card's start and the search for a network.

use std::time::Duration;

use super::serial::PortState;
use super::{Action, Air, CardState, Event, Modem, Port, Stat, UsbAction};
use crate::at::{Failure, Outcome};

/// From the OK of a command that resets to the device leaving the bus.
const LEAVES_AFTER: Duration = Duration::from_millis(300);

impl Modem {
    /// Begins a boot after `wait`; what was to happen before it will not.
    pub(super) fn power_up(&mut self, wait: Duration) {
        self.boot += 1;
        self.queue.retain(|_, (boot, _)| *boot == 0);
        self.values = self.profile.at.values.clone();
        self.report.clear();
        self.ports.clear();
        self.name_format = 0;
        self.text_mode = false;
        self.text_first = 17;
        self.cnmi = [2, 1, 0, 0, 0];
        self.function = 1;
        self.card = CardState::Starting;
        self.stat = Stat::Off;
        self.pdn = false;
        self.call = None;
        self.ready = false;
        let usb = wait + Duration::from_millis(self.profile.timing.usb_ms);
        self.later(usb, Event::Attach);
        let ready = usb + Duration::from_millis(self.profile.timing.at_ready_ms);
        self.later(ready, Event::AtReady);
    }

    /// The device leaves the bus shortly and boots again.
    pub(crate) fn reboot(&mut self) -> Outcome {
        self.later(LEAVES_AFTER, Event::Detach);
        Ok(Vec::new())
    }

    pub(super) fn happen(&mut self, event: Event) {
        let timing = self.profile.timing.clone();
        match event {
            Event::Attach => {
                self.wedged.clear();
                for port in self.profile.usb.ports() {
                    self.ports.insert(port, PortState::default());
                }
                self.attached = true;
                let attach =
                    UsbAction::Attach { framing: self.profile.network.framing, mac: self.mac() };
                self.out.push(Action::Usb(attach));
                self.reached("attached");
            }
            Event::Detach => {
                if self.attached {
                    self.out.push(Action::Usb(UsbAction::Detach));
                }
                self.attached = false;
                self.power_up(Duration::ZERO);
            }
            Event::AtReady => {
                self.ready = true;
                self.say("*ATREADY: 1");
                self.reached("ready");
                self.later(Duration::from_millis(timing.sim_ready_ms), Event::SimReady);
            }
            Event::SimReady if !self.card_there => {
                self.card = CardState::Absent;
                self.say("+CPIN: SIM REMOVED");
            }
            Event::SimReady if self.profile.sim.locked => {
                self.card = CardState::Locked;
                let state = match self.card_error() {
                    Some(Failure::Cme(12)) => "+CPIN: SIM PUK",
                    _ => "+CPIN: SIM PIN",
                };
                self.say(state);
            }
            Event::SimReady => self.unlocked(),
            Event::Say(text) => self.say(&text),
            Event::Search { attempt } if attempt == self.attempt => self.found(),
            Event::Search { .. } => {}
            Event::Execute(port) => self.carry_out(port),
            Event::Submit(port) => self.submit_typed(port),
            Event::Arrives(tpdu) => {
                self.waiting.push_back(tpdu);
                self.receive_waiting();
            }
            Event::Piece { port, text, last } => self.play(port, text, last),
            Event::Look => {}
            Event::Fault(effect) => self.suffer(effect),
        }
    }

    /// The card can be read: the rest of the boot follows.
    pub(crate) fn unlocked(&mut self) {
        self.card = CardState::Ready;
        self.say("+CPIN: READY");
        self.reached("sim_ready");
        let done = Duration::from_millis(self.profile.timing.done_ms);
        // Real units say these in either order.
        let mut order = ["PB DONE", "SMS DONE"];
        if self.seed % 2 == 1 {
            order.swap(0, 1);
        }
        let sms = self.profile.at.sms;
        let heard = order.into_iter().filter(|it| sms || *it != "SMS DONE");
        for (index, text) in heard.enumerate() {
            self.later(done + done / 10 * index as u32, Event::Say(text.to_owned()));
        }
        self.search();
    }

    /// `AT+CFUN`: 1 is on, the others are off.
    pub(crate) fn set_function(&mut self, function: u8) {
        self.function = function;
        if function == 1 && self.card == CardState::Ready {
            if !self.stat.registered() && self.stat != Stat::Searching {
                self.search();
            }
        } else {
            self.attempt += 1;
            self.register(Stat::Off);
        }
    }

    pub(super) fn search(&mut self) {
        if self.function != 1 {
            return;
        }
        self.attempt += 1;
        self.register(Stat::Searching);
        let after = Duration::from_millis(self.profile.timing.search_ms);
        self.later(after, Event::Search { attempt: self.attempt });
    }

    /// The network admits the access point of context 1, or not; that is read
    /// at the attach only, so a new one needs another attach.
    fn found(&mut self) {
        if self.air == Air::Empty {
            return;
        }
        // Missing or unknown APN (TS 24.301 section 9.9.4.4).
        let refused = if self.admits(1) { None } else { Some(27) };
        let (stat, cause) = match (self.air, refused) {
            (Air::Denies(cause), _) => (Stat::Denied, Some(cause)),
            (Air::EmergencyOnly, _) => (Stat::EmergencyOnly, None),
            (_, Some(cause)) => (Stat::Denied, Some(cause)),
            (Air::Roams, None) => (Stat::Roaming, None),
            _ => (Stat::Home, None),
        };
        self.cause = cause;
        self.pdn = stat.registered();
        self.register(stat);
        if self.pdn {
            self.say("+CGEV: EPS PDN ACT 1");
            self.receive_waiting();
        }
    }

    /// Whether the network knows the access point of a context; a blank one it
    /// chooses itself.
    pub(super) fn admits(&self, context: u8) -> bool {
        let apn = self.contexts.get(&context).map_or("", |(_, apn)| apn.as_str());
        apn.is_empty() || self.profile.cell.apns.iter().any(|it| it.eq_ignore_ascii_case(apn))
    }

    pub(super) fn register(&mut self, stat: Stat) {
        if stat == self.stat {
            return;
        }
        self.stat = stat;
        self.pdn &= stat.registered();
        match stat {
            Stat::Home | Stat::Roaming => self.reached("registered"),
            Stat::Denied => self.reached("denied"),
            Stat::Searching => self.reached("searching"),
            Stat::Off | Stat::EmergencyOnly => {}
        }
        let cell = &self.profile.cell;
        let place = format!(",{:04X},{:08X},7", cell.tac, cell.cell);
        let code = stat.code();
        for (name, level) in self.report.clone() {
            match level {
                0 => {}
                2 if stat.registered() => self.say(&format!("{name}: {code}{place}")),
                _ => self.say(&format!("{name}: {code}")),
            }
        }
    }

    pub(crate) fn say_later(&mut self, after: Duration, text: String) {
        self.later(after, Event::Say(text));
    }

    /// An unsolicited line, to every port that speaks AT.
    pub(super) fn say(&mut self, text: &str) {
        for port in [Port::At, Port::Modem] {
            self.send(port, format!("\r\n{text}\r\n").into_bytes());
        }
    }

    fn mac(&self) -> [u8; 6] {
        let function = self.profile.usb.network.get(&self.profile.network.framing);
        let hex = function.map_or("", |function| &function.mac);
        let mut mac = [0; 6];
        for (byte, index) in mac.iter_mut().zip((0..).step_by(2)) {
            let digits = hex.get(index..index + 2).unwrap_or("00");
            // A profile's MAC was checked to be hex digits.
            *byte = u8::from_str_radix(digits, 16).unwrap_or(0);
        }
        mac
    }
}
