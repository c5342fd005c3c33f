//! The machine against a modem that answers by a table, in virtual time.

use std::collections::BTreeMap;

use super::*;

/// How long the scripted modem takes for an answer.
const LATENCY: Duration = Duration::from_millis(10);

struct Rig {
    machine: Machine,
    now: Duration,
    /// What follows the echo, without the framing; lines parted by `|`.
    answers: BTreeMap<String, String>,
    sent: Vec<String>,
    actions: Vec<Action>,
    /// Whether the SIM takes any PIN.
    opens_with_pin: bool,
    /// Bytes on their way to the machine.
    coming: VecDeque<(Duration, Vec<u8>)>,
}

const USUAL: &[(&str, &str)] = &[
    ("AT+CFUN?", "+CFUN: 1|OK"),
    ("AT+CPIN?", "+CPIN: READY|OK"),
    ("AT+CICCID", "+ICCID: 89254020000000000001|OK"),
    ("AT+CIMI", "639020000000001|OK"),
    ("AT+CRSM=176,28589,0,0,4", "+CRSM: 144,0,\"00000002\"|OK"),
    ("AT+CGDCONT?", "+CGDCONT: 1,\"IP\",\"safaricom\"|OK"),
    ("AT+CGAUTH?", "OK"),
    ("AT+CEREG?", "+CEREG: 2,1,0957,0A89DD70|OK"),
    ("AT+DIALMODE?", "+DIALMODE: 1|OK"),
    ("AT+CGPADDR=1", "+CGPADDR: 1,10.158.1.2|OK"),
    ("AT+COPS?", "+COPS: 0,0,\"Safaricom\",7|OK"),
    ("AT+CSQ", "+CSQ: 20,99|OK"),
    ("AT+CGMM", "A7670E-LASE|OK"),
    ("AT+CGSN", "860000000000000|OK"),
    ("AT+SPIC", "+SPIC: 3,10,0,10|OK"),
];

struct Database;

impl Providers for Database {
    fn lookup(&self, mcc: &str, mnc: &str) -> Vec<Access> {
        assert_eq!((mcc, mnc), ("639", "02"));
        let access = |auth, user: &str, password: &str| Access {
            apn: "safaricom".into(),
            user: user.into(),
            password: Secret::new(password),
            auth,
            source: Source::Database,
        };
        vec![access(Auth::None, "", ""), access(Auth::Pap, "saf", "data")]
    }
}

impl Rig {
    fn new(settings: CellularSettings, other: &[(&str, &str)]) -> Rig {
        let traits = ModelTraits { dial: Dial::Autodial, auth_order: AuthOrder::PasswordFirst };
        let answers = USUAL.iter().chain(other).map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        let mut rig = Rig {
            machine: Machine::new(settings, traits, Database),
            now: Duration::ZERO,
            answers: answers.collect(),
            sent: Vec::new(),
            actions: Vec::new(),
            coming: VecDeque::new(),
            opens_with_pin: false,
        };
        rig.event(Event::PortOpened);
        rig
    }

    fn event(&mut self, event: Event) {
        self.machine.event(self.now, event);
        self.collect();
    }

    fn collect(&mut self) {
        for action in self.machine.take() {
            if let Action::Write(bytes) = &action {
                let text = String::from_utf8(bytes.clone()).unwrap();
                let command = text.trim_end().to_owned();
                let answer = self.answers.get(&command).map_or("OK", String::as_str);
                let mut bytes = text.into_bytes();
                for line in answer.split('|').filter(|line| !line.is_empty()) {
                    bytes.extend(format!("\r\n{line}\r\n").bytes());
                }
                self.coming.push_back((self.now + LATENCY, bytes));
                if self.opens_with_pin && command.starts_with("AT+CPIN=") {
                    self.answers.insert("AT+CPIN?".into(), "+CPIN: READY|OK".into());
                }
                self.sent.push(command);
            } else {
                self.actions.push(action);
            }
        }
    }

    /// Lets time pass.
    fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        loop {
            let bytes = self.coming.front().map(|coming| coming.0);
            let next = bytes.into_iter().chain(self.machine.next_event()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if bytes == Some(next) {
                let (_, bytes) = self.coming.pop_front().unwrap();
                self.event(Event::Bytes(bytes));
            } else {
                self.machine.advance(self.now);
                self.collect();
            }
        }
        self.now = end;
    }

    fn says(&mut self, line: &str) {
        self.event(Event::Bytes(format!("\r\n{line}\r\n").into_bytes()));
    }

    fn count(&self, command: &str) -> usize {
        self.sent.iter().filter(|sent| sent.starts_with(command)).count()
    }

    fn phase(&self) -> Phase {
        self.machine.state().phase
    }

    fn ready(&self) -> usize {
        self.actions.iter().filter(|one| matches!(one, Action::DataPathReady { .. })).count()
    }
}

#[test]
fn comes_up_fast_and_leaves_alone_what_is_right() {
    let mut rig = Rig::new(CellularSettings::default(), &[]);
    let mut registered = None;
    while rig.ready() == 0 && rig.now < Duration::from_secs(5) {
        let next = rig.coming.front().map(|coming| coming.0).unwrap();
        rig.now = next;
        let (_, bytes) = rig.coming.pop_front().unwrap();
        rig.event(Event::Bytes(bytes));
        if rig.machine.state().registration.is_some() {
            registered.get_or_insert(rig.now);
        }
    }
    assert!(registered.unwrap() <= Duration::from_millis(500), "{registered:?}");
    assert_eq!(rig.phase(), Phase::Connected);
    rig.run(5);
    assert_eq!((rig.count("AT+CGDCONT="), rig.count("AT+CFUN=")), (0, 0));
    assert_eq!(rig.count("AT+DIALMODE=0"), 1);
    let state = rig.machine.state();
    assert_eq!(state.operator.as_deref(), Some("Safaricom"));
    assert_eq!(state.signal.rssi_dbm, Some(-73.0));
    assert_eq!(state.identity.redacted().imsi.unwrap(), "***********0001");
    let copy: State = serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap();
    assert_eq!(&copy, state);
}

#[test]
fn another_apn_is_written_and_attached_with() {
    let mut rig = Rig::new(
        CellularSettings::default(),
        &[("AT+CGDCONT?", "+CGDCONT: 1,\"IP\",\"cmnet\"|OK")],
    );
    rig.run(1);
    let at = |text: &str| rig.sent.iter().position(|sent| sent == text).unwrap();
    assert!(at("AT+CGAUTH=1,0") < at("AT+CGDCONT=1,\"IP\",\"safaricom\""));
    assert!(at("AT+CGDCONT=1,\"IP\",\"safaricom\"") < at("AT+CFUN=0"));
    assert!(at("AT+CFUN=0") < at("AT+CFUN=1"));
    rig.run(600);
    assert!(rig.count("AT+CGDCONT=") <= 2, "a setting that does not stick is not written for ever");
}

#[test]
fn the_next_access_point_has_the_password_first() {
    let mut rig = Rig::new(CellularSettings::default(), &[]);
    rig.run(2);
    rig.event(Event::Order(Order::Redial));
    rig.run(2);
    assert_eq!(rig.count("AT+CGAUTH=1,1,\"data\",\"saf\""), 1, "{:?}", rig.sent);
}

#[test]
fn a_starting_sim_is_waited_for() {
    let mut rig = Rig::new(CellularSettings::default(), &[("AT+CPIN?", "+CME ERROR: 13")]);
    rig.run(2);
    assert_eq!(rig.phase(), Phase::SimWait);
    rig.answers.insert("AT+CPIN?".into(), "+CPIN: READY|OK".into());
    rig.says("+CPIN: READY");
    rig.run(1);
    assert_eq!(rig.phase(), Phase::Connected);
}

fn with_pin() -> CellularSettings {
    CellularSettings { pin: Some(Secret::new("1234")), ..CellularSettings::default() }
}

#[test]
fn a_wrong_pin_is_tried_once_even_after_a_restart() {
    let wrong = [("AT+CPIN?", "+CPIN: SIM PIN|OK"), ("AT+CPIN=\"1234\"", "+CME ERROR: 16")];
    let mut rig = Rig::new(with_pin(), &wrong);
    rig.run(3600);
    assert_eq!(rig.phase(), Phase::PinNeeded);
    assert_eq!(rig.count("AT+CPIN="), 1);
    let kept = rig.actions.iter().find_map(|action| match action {
        Action::Remember(memory) => Some(memory.clone()),
        _ => None,
    });
    let mut again = Rig::new(with_pin(), &wrong);
    again.machine.memory = kept.unwrap();
    again.run(3600);
    assert_eq!((again.phase(), again.count("AT+CPIN=")), (Phase::PinNeeded, 0));
}

#[test]
fn the_last_try_is_never_spent() {
    for spic in ["+SPIC: 1,10,0,10|OK", "+SPIC: 0,10,0,10|OK", "ERROR"] {
        let mut rig = Rig::new(with_pin(), &[("AT+CPIN?", "+CPIN: SIM PIN|OK"), ("AT+SPIC", spic)]);
        rig.run(600);
        assert_eq!((rig.phase(), rig.count("AT+CPIN=")), (Phase::PinNeeded, 0), "{spic}");
    }
}

#[test]
fn a_right_pin_opens_the_sim() {
    let mut rig = Rig::new(with_pin(), &[("AT+CPIN?", "+CPIN: SIM PIN|OK")]);
    rig.opens_with_pin = true;
    rig.run(2);
    assert_eq!((rig.phase(), rig.count("AT+CPIN=")), (Phase::Connected, 1));
    assert_eq!(rig.machine.memory, Memory::default());
}

#[test]
fn roaming_needs_permission() {
    let abroad =
        [("AT+CEREG?", "+CEREG: 2,5,0957,0A89DD70|OK"), ("AT+DIALMODE?", "+DIALMODE: 0|OK")];
    let mut rig = Rig::new(CellularSettings::default(), &abroad);
    rig.run(5);
    assert_eq!((rig.phase(), rig.ready()), (Phase::RoamingForbidden, 0));
    assert_eq!(rig.count("AT+DIALMODE=1"), 1);
    let mut rig =
        Rig::new(CellularSettings { roaming: true, ..CellularSettings::default() }, &abroad);
    rig.run(5);
    assert_eq!(rig.phase(), Phase::Connected);
}

#[test]
fn dialling_is_left_to_the_host_and_taken_back() {
    let ppp = || CellularSettings { host_dials: true, ..CellularSettings::default() };
    let dialling = [("AT+DIALMODE?", "+DIALMODE: 0|OK")];
    let mut rig = Rig::new(ppp(), &dialling);
    rig.run(5);
    assert_eq!((rig.phase(), rig.ready()), (Phase::Connected, 1));
    assert_eq!((rig.count("AT+DIALMODE=1"), rig.count("AT+DIALMODE=0")), (1, 0));
    assert_eq!(
        (rig.machine.state().apn.as_deref(), rig.machine.is_idle()),
        (Some("safaricom"), true)
    );
    // Whoever dials has the address.
    assert_eq!(rig.count("AT+CGPADDR=1"), 0);
    rig.event(Event::Order(Order::Redial));
    rig.run(100);
    assert_eq!((rig.phase(), rig.count("AT+DIALMODE=0")), (Phase::Connected, 0));

    // One that refuses is not asked without end, and not taken for ready.
    let mut rig = Rig::new(ppp(), &[dialling[0], ("AT+DIALMODE=1", "ERROR")]);
    rig.run(5);
    assert_eq!((rig.phase(), rig.ready()), (Phase::Connecting, 0));
    rig.run(300);
    assert!((2..=12).contains(&rig.count("AT+DIALMODE=1")), "{:?}", rig.sent);

    // Not in a foreign network either.
    let abroad = [("AT+CEREG?", "+CEREG: 2,5,0957,0A89DD70|OK"), dialling[0]];
    let mut rig = Rig::new(ppp(), &abroad);
    rig.run(5);
    assert_eq!((rig.phase(), rig.ready()), (Phase::RoamingForbidden, 0));

    // Another run has it dial by itself again.
    let mut rig = Rig::new(CellularSettings::default(), &[("AT+DIALMODE?", "+DIALMODE: 1|OK")]);
    rig.run(5);
    assert_eq!((rig.phase(), rig.count("AT+DIALMODE=0")), (Phase::Connected, 1));
}

#[test]
fn a_restart_of_the_modem_begins_anew() {
    let mut rig = Rig::new(CellularSettings::default(), &[]);
    rig.run(2);
    rig.says("*ATREADY: 1");
    assert!(rig.actions.iter().any(|action| matches!(action, Action::DataPathLost { .. })));
    rig.run(2);
    assert_eq!((rig.phase(), rig.ready()), (Phase::Connected, 2));
    rig.event(Event::PortClosed);
    assert_eq!(rig.phase(), Phase::NoPort);
}

#[test]
fn denied_and_no_card_are_told() {
    let mut rig = Rig::new(
        CellularSettings::default(),
        &[("AT+CEREG?", "+CEREG: 2,3|OK"), ("AT+CGREG?", "+CGREG: 2,3|OK")],
    );
    rig.run(5);
    assert_eq!(rig.phase(), Phase::Denied);
    let mut rig = Rig::new(CellularSettings::default(), &[("AT+CPIN?", "+CME ERROR: 10")]);
    rig.run(5);
    assert_eq!(rig.phase(), Phase::NoSim);
}

#[test]
fn a_persons_command_is_answered() {
    let mut rig = Rig::new(CellularSettings::default(), &[]);
    rig.run(2);
    rig.event(Event::Request { id: 7, command: Command::typed("AT+CSQ").unwrap() });
    rig.run(1);
    let answer = rig.actions.iter().find_map(|action| match action {
        Action::Answer { id: 7, result } => Some(result.clone().unwrap().lines),
        _ => None,
    });
    assert_eq!(answer.unwrap(), ["+CSQ: 20,99"]);
}
