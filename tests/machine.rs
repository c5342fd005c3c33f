//! The modem's state machine against the emulated modem, both pure and on one
//! virtual clock: coming up, each fault at each step, and what may never be.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::collections::BTreeSet;
use std::time::Duration;

use a7670e::modem::catalogue::NetKind;
use a7670e::modem::machine::{
    Access, Action, Auth, CellularSettings, Event, Machine, Memory, ModelTraits, Order, Phase,
    Providers, Secret, Source,
};
use a7670e_emulator::fault::{Effect, FaultScript};
use a7670e_emulator::link::Framing;
use a7670e_emulator::modem::{Action as Told, Modem, Port, UsbAction};
use a7670e_emulator::profile::Profile;

struct Safaricom;

impl Providers for Safaricom {
    fn lookup(&self, mcc: &str, mnc: &str) -> Vec<Access> {
        assert_eq!((mcc, mnc), ("639", "02"));
        vec![Access {
            apn: "safaricom".into(),
            user: String::new(),
            password: Secret::default(),
            auth: Auth::None,
            source: Source::Database,
        }]
    }
}

/// Both, and the port between them.
struct Pair {
    machine: Machine,
    modem: Modem,
    now: Duration,
    open: bool,
    path: bool,
    memory: Memory,
    sent: Vec<String>,
    /// When the modem said that it is ready, when registration was known, and
    /// when data could flow; of the last time.
    at_ready: Option<Duration>,
    registered: Option<Duration>,
    flowed: Option<Duration>,
}

impl Pair {
    fn new(profile: &Profile, faults: &str, settings: CellularSettings) -> Pair {
        let kind = match profile.network.framing {
            Framing::Ecm => NetKind::Ecm,
            Framing::Rndis => NetKind::Rndis,
            Framing::RawIp => NetKind::Ndis,
        };
        let model = if kind == NetKind::Ndis { "SIM7600" } else { "A76XX" };
        let script = FaultScript::parse(faults).unwrap();
        Pair {
            machine: Machine::new(settings, ModelTraits::of(model, kind), Safaricom),
            modem: Modem::new(profile.clone(), script, 7),
            now: Duration::ZERO,
            open: false,
            path: false,
            memory: Memory::default(),
            sent: Vec::new(),
            at_ready: None,
            registered: None,
            flowed: None,
        }
    }

    fn clean(profile: &str) -> Pair {
        Pair::new(&Profile::load(profile).unwrap(), "", CellularSettings::default())
    }

    fn event(&mut self, event: Event) {
        self.machine.event(self.now, event);
        self.settle();
    }

    /// Carries bytes to and fro until both have said all.
    fn settle(&mut self) {
        loop {
            let told = self.modem.take();
            let actions = self.machine.take();
            if told.is_empty() && actions.is_empty() {
                break;
            }
            for told in told {
                match told {
                    Told::Usb(UsbAction::Attach { .. }) => {
                        self.open = true;
                        self.machine.event(self.now, Event::PortOpened);
                    }
                    Told::Usb(UsbAction::Detach) => {
                        self.open = false;
                        self.machine.event(self.now, Event::PortClosed);
                    }
                    Told::Serial { port: Port::At, bytes } if self.open => {
                        if bytes.windows(8).any(|part| part == b"*ATREADY") {
                            self.at_ready = Some(self.now);
                        }
                        self.machine.event(self.now, Event::Bytes(bytes));
                    }
                    Told::Serial { .. } | Told::Link(_) | Told::Packet(_) => {}
                }
            }
            for action in actions {
                match action {
                    Action::Write(bytes) => {
                        let text = String::from_utf8(bytes.clone()).unwrap();
                        self.sent.push(text.trim_end().to_owned());
                        if self.open {
                            self.modem.write(self.now, Port::At, &bytes);
                        }
                    }
                    Action::ReopenPort if self.open => {
                        self.machine.event(self.now, Event::PortOpened);
                    }
                    Action::DataPathReady { .. } => {
                        assert!(!self.path, "announced twice");
                        self.path = true;
                        self.flowed = Some(self.now);
                    }
                    Action::DataPathLost { .. } => {
                        assert!(self.path, "lost what was not there");
                        self.path = false;
                    }
                    Action::Remember(memory) => self.memory = memory,
                    Action::ReopenPort
                    | Action::Answer { .. }
                    | Action::Message(_)
                    | Action::Changed => {}
                }
            }
            let registered = self.machine.state().registration.is_some();
            self.registered =
                self.registered.filter(|_| registered).or(registered.then_some(self.now));
        }
    }

    fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        self.run_until(end, |_| false);
        self.now = end;
    }

    /// Lets time pass until `end` or until it is so.
    fn run_until(&mut self, end: Duration, is_so: impl Fn(&Pair) -> bool) -> bool {
        loop {
            if is_so(self) {
                return true;
            }
            let next = self.machine.next_event().into_iter().chain(self.modem.next_event()).min();
            let Some(next) = next.filter(|next| *next <= end) else { return false };
            self.now = self.now.max(next);
            self.modem.advance(self.now);
            self.machine.advance(self.now);
            self.settle();
        }
    }

    fn online(&self) -> bool {
        self.path && self.machine.state().phase == Phase::Connected && self.modem.link().forwarding
    }

    fn describe(&self) -> String {
        let tail = self.sent.len().saturating_sub(25);
        format!("{:?} {:#?} {:?}", self.now, self.machine.state(), &self.sent[tail..])
    }

    fn count(&self, start: &str) -> usize {
        self.sent.iter().filter(|sent| sent.starts_with(start)).count()
    }
}

#[test]
fn every_profile_comes_online() {
    for (profile, _) in Profile::list().unwrap() {
        let mut pair = Pair::clean(profile);
        let online = pair.run_until(Duration::from_secs(60), Pair::online);
        assert!(online, "{profile}: {}", pair.describe());
        println!("{profile}: data flows {:?} after power-on", pair.flowed.unwrap());
    }
}

#[test]
fn registration_is_known_half_a_second_after_the_port_answers() {
    let mut pair = Pair::clean("a7670e-ecm");
    // Its context is set and it has attached before, as on every start but the
    // first: what is measured is our own time, not the network's.
    assert!(pair.run_until(Duration::from_secs(60), Pair::online), "{}", pair.describe());
    pair.modem.inflict(pair.now, Effect::UsbGone { for_ms: 1000 });
    pair.settle();
    assert!(!pair.path);
    pair.registered = None;
    let again = pair.now + Duration::from_secs(1);
    assert!(pair.run_until(again + Duration::from_secs(5), Pair::online), "{}", pair.describe());
    let registered = pair.registered.unwrap() - again;
    let flows = pair.flowed.unwrap() - again;
    println!("registration known after {registered:?}, data path after {flows:?}");
    assert!(registered <= Duration::from_millis(500), "{registered:?}");
    assert!(flows <= Duration::from_millis(1000), "{flows:?}");
}

/// Whatever happens while whichever command is on its way, it ends online.
#[test]
fn each_fault_at_each_step_is_overcome() {
    let profile = Profile::load("a7670e-ecm").unwrap();
    let mut clean = Pair::clean("a7670e-ecm");
    assert!(clean.run_until(Duration::from_secs(60), Pair::online));
    clean.run(40);
    let commands: BTreeSet<String> =
        clean.sent.iter().filter(|sent| sent.len() > 2).cloned().collect();
    assert!(commands.len() >= 20, "{commands:?}");
    let effects = [
        "effect = \"reset\"",
        "effect = \"usb_gone\"\nfor_ms = 1500",
        "effect = \"error\"",
        "effect = \"error\"\ncode = 14",
        "effect = \"error\"\ncode = 151",
        "effect = \"silence\"\nfor_ms = 5000",
        "effect = \"garbage\"\ncount = 300",
        "effect = \"urc\"\ntext = \"+CEREG: 1,0957,0A89DD70,7\"",
        "effect = \"urc\"\ntext = \"+CPIN: READY\"",
    ];
    let mut slowest = Duration::ZERO;
    for command in &commands {
        for effect in effects {
            let quoted = command.replace('"', "\\\"");
            let faults = format!("[[fault]]\non_command = \"{quoted}\"\n{effect}\n");
            let mut pair = Pair::new(&profile, &faults, CellularSettings::default());
            pair.run(40);
            let end = Duration::from_secs(180);
            let online = pair.run_until(end, Pair::online);
            assert!(online, "{command} {effect}: {}", pair.describe());
            slowest = slowest.max(pair.flowed.unwrap());
        }
    }
    println!("{} cases, slowest online {slowest:?} after power-on", commands.len() * effects.len());
}

#[test]
fn a_locked_card_is_opened_and_never_blocked() {
    let mut profile = Profile::load("a7670e-ecm").unwrap();
    profile.sim.locked = true;
    let pin =
        |pin: &str| CellularSettings { pin: Some(Secret::new(pin)), ..CellularSettings::default() };
    let right = profile.sim.pin.clone();
    let mut pair = Pair::new(&profile, "", pin(&right));
    assert!(pair.run_until(Duration::from_secs(60), Pair::online), "{}", pair.describe());
    assert_eq!(pair.memory, Memory::default());

    let mut pair = Pair::new(&profile, "", pin("9999"));
    pair.run(3600);
    assert_eq!(pair.machine.state().phase, Phase::PinNeeded, "{}", pair.describe());
    assert_eq!(pair.count("AT+CPIN=\"9999\""), 1);
    // A daemon that starts anew, with what it remembers.
    for _ in 0..5 {
        let traits = ModelTraits::of("A76XX", NetKind::Ecm);
        pair.machine =
            Machine::new(pin("9999"), traits, Safaricom).with_memory(pair.memory.clone());
        pair.event(Event::PortOpened);
        pair.run(60);
    }
    assert_eq!(pair.count("AT+CPIN=\"9999\""), 1, "tried again after a restart");
}

#[test]
fn lost_coverage_denial_and_a_pulled_card_are_told_and_overcome() {
    let mut pair = Pair::clean("a7670e-ecm");
    assert!(pair.run_until(Duration::from_secs(60), Pair::online));
    for (bad, phase, good) in [
        (Effect::NoCoverage, Phase::Searching, Effect::Coverage),
        (Effect::Denied { cause: 11 }, Phase::Denied, Effect::Coverage),
        (Effect::SimRemoved, Phase::NoSim, Effect::SimInserted),
    ] {
        pair.modem.inflict(pair.now, bad.clone());
        pair.settle();
        let told = pair.run_until(pair.now + Duration::from_secs(60), |pair| {
            pair.machine.state().phase == phase && !pair.path
        });
        assert!(told, "{bad:?}: {}", pair.describe());
        pair.modem.inflict(pair.now, good);
        pair.settle();
        let back = pair.run_until(pair.now + Duration::from_secs(90), Pair::online);
        assert!(back, "after {bad:?}: {}", pair.describe());
    }
}

#[test]
fn every_order_ends_online_again() {
    for order in [Order::Reprobe, Order::Redial, Order::CfunCycle, Order::Creset] {
        let mut pair = Pair::clean("a7670e-ecm");
        assert!(pair.run_until(Duration::from_secs(60), Pair::online));
        pair.event(Event::Order(order));
        pair.run(40);
        assert!(pair.online(), "{order:?}: {}", pair.describe());
    }
}

#[test]
fn a_silent_port_is_reopened_until_it_answers() {
    let mut pair = Pair::new(
        &Profile::load("a7670e-ecm").unwrap(),
        "[[fault]]\nat_ms = 20000\neffect = \"silence\"\nfor_ms = 120000\n",
        CellularSettings::default(),
    );
    pair.run(100);
    assert!(pair.machine.silent_since().is_some(), "{}", pair.describe());
    let back = pair.run_until(Duration::from_secs(240), |pair| {
        pair.online() && pair.machine.silent_since().is_none()
    });
    assert!(back, "{}", pair.describe());
}
