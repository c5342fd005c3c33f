//! Faults at work.

use std::time::Duration;

use super::{Action, Air, CardState, Event, Modem, Port, Stat, UsbAction};
use crate::at::Failure;
use crate::fault::{Effect, Trigger};
use crate::link::Lan;

/// From the warning of a weak supply to the reset.
const GIVES_UP_AFTER: Duration = Duration::from_millis(100);

impl Modem {
    /// Makes something go wrong, or right, now.
    pub fn inflict(&mut self, now: Duration, effect: Effect) {
        self.advance(now);
        self.suffer(effect);
        self.tell_link();
    }

    pub(super) fn suffer(&mut self, effect: Effect) {
        match effect {
            Effect::Silence { for_ms } => {
                let length = for_ms.map_or(Duration::MAX, Duration::from_millis);
                self.silent_until = self.silent_until.max(self.now.saturating_add(length));
            }
            // Have a meaning for a command only, which `strike` gives them.
            Effect::Error { .. } | Effect::Late { .. } | Effect::Cut { .. } => {}
            Effect::Wedged { port } => {
                let _ = self.wedged.insert(port);
            }
            Effect::Reset => {
                self.happen(Event::Detach);
            }
            Effect::UsbGone { for_ms } if self.attached => {
                self.attached = false;
                self.call = None;
                self.ports.clear();
                self.out.push(Action::Usb(UsbAction::Detach));
                self.later(Duration::from_millis(for_ms), Event::Attach);
            }
            Effect::UsbGone { .. } => {}
            Effect::NoCoverage => self.breathe(Air::Empty),
            Effect::Denied { cause } => self.breathe(Air::Denies(cause)),
            Effect::Roaming => self.breathe(Air::Roams),
            Effect::EmergencyOnly => self.breathe(Air::EmergencyOnly),
            Effect::PdnDeact { text } => {
                self.pdn = false;
                self.say(&format!("+CGEV: {text}"));
            }
            Effect::Detach { for_ms, searching } => {
                self.attempt += 1;
                self.say("+CGEV: NW DETACH");
                self.register(if searching { Stat::Searching } else { Stat::Off });
                if let Some(ms) = for_ms {
                    let again = Event::Search { attempt: self.attempt };
                    self.later(Duration::from_millis(ms), again);
                }
            }
            Effect::CarrierDrop { for_ms } => {
                let length = Duration::from_millis(for_ms);
                self.no_carrier_until = self.no_carrier_until.max(self.now.saturating_add(length));
                self.later(length, Event::Look);
            }
            Effect::Echo { on } => {
                for state in self.ports.values_mut() {
                    state.echo = on;
                }
            }
            Effect::UsbMode { framing } => {
                self.profile.network.framing = framing;
                self.happen(Event::Detach);
            }
            Effect::Identity { imei, revision } => {
                let identity = &mut self.profile.identity;
                identity.imei = imei.unwrap_or(std::mem::take(&mut identity.imei));
                identity.revision = revision.unwrap_or(std::mem::take(&mut identity.revision));
            }
            Effect::PinRequired => self.lock("+CPIN: SIM PIN"),
            Effect::PukRequired => {
                self.pin_tries = 0;
                self.lock("+CPIN: SIM PUK");
            }
            Effect::Lan { third } => {
                self.lan = Lan::Private { third, first_host: 2, last_host: 254 };
            }
            Effect::Slow { by_ms, for_ms } => {
                let until = self.now.saturating_add(Duration::from_millis(for_ms));
                self.slow = (Duration::from_millis(by_ms), until);
            }
            Effect::Split => self.splits = true,
            Effect::UnderVoltage => {
                self.say("UNDER-VOLTAGE WARNING POWER DOWN");
                self.later(GIVES_UP_AFTER, Event::Fault(Effect::Reset));
            }
            Effect::UrcStorm { text, count, every_ms } => {
                self.say(&text);
                if count > 1 {
                    let after = Duration::from_millis(every_ms);
                    let next = Effect::UrcStorm { text, count: count - 1, every_ms };
                    self.later(after, Event::Fault(next));
                }
            }
            Effect::Coverage => self.breathe(Air::Good),
            Effect::SimRemoved => {
                self.card = CardState::Absent;
                self.card_there = false;
                self.attempt += 1;
                self.register(Stat::Off);
                self.say("+CPIN: SIM REMOVED");
            }
            Effect::SimInserted => {
                self.card_there = true;
                if self.ready && self.card == CardState::Absent {
                    self.card = CardState::Starting;
                    let after = Duration::from_millis(self.profile.timing.sim_ready_ms);
                    self.later(after, Event::SimReady);
                }
            }
            Effect::Urc { text } => self.say(&text),
            Effect::Sms { from, text } => self.deliver(&from, &text),
            Effect::Pdu { octets } => self.arrives(octets),
            Effect::Garbage { count } => {
                // Any bytes do, if every run has the same: a linear
                // congruence (Knuth's MMIX constants).
                let mut state = self.seed;
                let bytes: Vec<u8> = std::iter::repeat_with(|| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    (state >> 56) as u8
                })
                .take(usize::from(count))
                .collect();
                for port in [Port::At, Port::Modem] {
                    self.send(port, bytes.clone());
                }
            }
            Effect::Link { faults } => self.faults_of_link = faults,
        }
    }

    /// The card wants to be unlocked.
    fn lock(&mut self, says: &str) {
        self.profile.sim.locked = true;
        if self.card == CardState::Ready {
            self.card = CardState::Locked;
            self.attempt += 1;
            self.register(Stat::Off);
            self.say(says);
        }
    }

    fn breathe(&mut self, air: Air) {
        self.air = air;
        if self.function == 1 && self.card == CardState::Ready {
            self.search();
        }
    }

    /// A state was reached, which faults may wait for. They come after what
    /// happens at this moment.
    pub(super) fn reached(&mut self, state: &str) {
        let mut due = Vec::new();
        for (trigger, effect) in &mut self.script.faults {
            if let Trigger::State { name, nth } = trigger {
                if *nth > 0 && name == state {
                    *nth -= 1;
                    if *nth == 0 {
                        due.push(effect.clone());
                    }
                }
            }
        }
        for effect in due {
            self.later(Duration::ZERO, Event::Fault(effect));
        }
    }

    /// What a command line meets.
    pub(super) fn strike(&mut self, line: &str) -> Blow {
        let mut met = Vec::new();
        for (trigger, effect) in &mut self.script.faults {
            if let Trigger::Command { text, nth } = trigger {
                if *nth > 0 && fits(text, line) {
                    *nth -= 1;
                    if *nth == 0 {
                        met.push(effect.clone());
                    }
                }
            }
        }
        let mut blow = Blow::default();
        for effect in met {
            match effect {
                Effect::Error { code } => {
                    blow.failure = Some(code.map_or(Failure::Error, Failure::Cme));
                }
                Effect::Late { by_ms } => blow.pace.late += Duration::from_millis(by_ms),
                Effect::Cut { at, pause_ms } => {
                    blow.pace.cut = Some((at, Duration::from_millis(pause_ms)));
                }
                Effect::Reset
                | Effect::Silence { .. }
                | Effect::Wedged { .. }
                | Effect::UsbMode { .. } => blow.mute = true,
                _ => {}
            }
            self.suffer(effect);
        }
        blow
    }
}

/// How an answer comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// So much later.
    pub late: Duration,
    /// In two pieces: bytes of the first, and the pause after it.
    pub cut: Option<(Option<usize>, Duration)>,
}

/// What a command meets.
#[derive(Debug, Default)]
pub(super) struct Blow {
    /// No answer at all, and nothing is done.
    pub mute: bool,
    /// Nothing is done but to tell this.
    pub failure: Option<Failure>,
    /// How the answer comes.
    pub pace: Pace,
}

/// Whether a line is the one of a script, which may end in `*`.
fn fits(wanted: &str, line: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => {
            line.get(..start.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(start))
        }
        None => line.eq_ignore_ascii_case(wanted),
    }
}
