//! A ModemManager that comes while the service has the modem.

use a7670e::at::Command;
use a7670e::config::Control;
use a7670e::policy::verdict::Verdict;
use a7670e::session::{Event, Rival};
use a7670e_emulator::fault::Effect;
use a7670e_emulator::link::LinkFaults;

use crate::messages;
use crate::rig::{Rig, secs};

fn online() -> Rig {
    let mut rig = Rig::of("a7670e-ecm");
    assert!(rig.until(secs(60), |rig| rig.online() && rig.port_is_open()), "{}", rig.describe());
    rig.run(secs(20));
    rig
}

fn hear(rig: &mut Rig, rival: Rival) {
    rig.tell(secs(0), Event::Rival(rival));
    rig.run(secs(0));
}

fn released() -> Rival {
    Rival::Released { version: Some("1.24.0".into()) }
}

fn note(rig: &Rig) -> Option<String> {
    rig.session.as_ref().unwrap().control_report().note
}

/// Lets time pass while the port is closed, no command is sent, and all else is as it
/// was.
fn quiet(rig: &mut Rig, seconds: u64) {
    let sent = rig.sent.len();
    let broken = |rig: &Rig| !rig.online() || rig.port_is_open() || rig.sent.len() != sent;
    assert!(!rig.until(secs(seconds), broken), "{}", rig.describe());
    assert!(note(rig).unwrap().contains("left to a ModemManager"), "{}", rig.describe());
}

/// Waits until the modem is looked after again; online all the time.
fn speaks(rig: &mut Rig) {
    let sent = rig.sent.len();
    let settled = |rig: &Rig| {
        let report = rig.session.as_ref().unwrap().control_report();
        !rig.online() || rig.port_is_open() && report.settled && rig.sent.len() > sent
    };
    assert!(rig.until(secs(30), settled) && rig.online(), "{}", rig.describe());
    assert!(rig.rungs.is_empty(), "{:?}", rig.rungs);
}

#[test]
fn a_new_one_has_the_port_until_it_lets_go() {
    let mut rig = online();
    let addresses = rig.kernel.observe();
    hear(&mut rig, Rival::Came);
    quiet(&mut rig, 25);
    // It begins to look, which is no other.
    hear(&mut rig, Rival::Came);
    quiet(&mut rig, 10);
    assert_eq!(rig.kernel.observe().addresses, addresses.addresses);
    hear(&mut rig, released());
    speaks(&mut rig);
    assert_eq!(note(&rig), None);
    rig.run(secs(3600));
    assert!(rig.online() && rig.rungs.is_empty(), "{}", rig.describe());
}

#[test]
fn one_that_does_not_let_go_is_not_waited_for_longer() {
    for rival in [
        None,
        Some(Rival::Unknown { version: Some("1.20.4".into()) }),
        Some(Rival::Refused { version: Some("1.20.4".into()), why: "no".into() }),
    ] {
        let mut rig = online();
        hear(&mut rig, Rival::Came);
        quiet(&mut rig, 12);
        if let Some(rival) = &rival {
            hear(&mut rig, rival.clone());
        }
        quiet(&mut rig, 47);
        rig.run(secs(2));
        speaks(&mut rig);
        let note = note(&rig);
        assert_eq!(note.is_some(), rival.is_some());
        assert!(note.is_none_or(|note| note.contains("ModemManager 1.20.4")));
    }
}

#[test]
fn one_that_ends_again_is_not_waited_for() {
    let mut rig = online();
    hear(&mut rig, Rival::Came);
    quiet(&mut rig, 2);
    hear(&mut rig, Rival::Absent);
    speaks(&mut rig);
    // One that dies of it and is started again and again: the modem is not left to
    // it for ever.
    for _ in 0..2 {
        hear(&mut rig, Rival::Came);
        quiet(&mut rig, 59);
        hear(&mut rig, Rival::Absent);
        speaks(&mut rig);
    }
    hear(&mut rig, Rival::Came);
    rig.run(secs(5));
    assert!(rig.online() && rig.port_is_open(), "{}", rig.describe());
    hear(&mut rig, Rival::Absent);
    rig.run(secs(600));
    hear(&mut rig, Rival::Came);
    quiet(&mut rig, 10);
}

#[test]
fn messages_wait_and_none_is_lost() {
    let mut rig = online();
    // The answer about one that is under way is waited for.
    let first = messages::send(&mut rig, &"under way, in parts ".repeat(20)).unwrap();
    let begun = |rig: &Rig| rig.count("AT+CMGS") > 0;
    assert!(rig.until(secs(10), begun), "{}", rig.describe());
    hear(&mut rig, Rival::Came);
    assert!(rig.port_is_open() && messages::state(&rig, first) != "submitted");
    assert!(rig.until(secs(30), |rig| !rig.port_is_open()), "{}", rig.describe());
    assert!(["submitted", "reported"].contains(&messages::state(&rig, first).as_str()));
    let second = messages::send(&mut rig, "meanwhile").unwrap();
    let from = "+254700000002".to_owned();
    rig.inflict(Effect::Sms { from, text: "here".into() });
    quiet(&mut rig, 10);
    assert_eq!(messages::state(&rig, second), "accepted");
    hear(&mut rig, released());
    speaks(&mut rig);
    let done = |rig: &Rig| messages::state(rig, second) == "reported";
    assert!(rig.until(secs(60), done), "{}", rig.describe());
    assert_eq!(messages::state(&rig, first), "reported");
    let emptied = |rig: &Rig| rig.modem.stored_messages() == 0;
    assert!(rig.until(secs(60), emptied), "{}", rig.describe());
    let desk = rig.session.as_ref().unwrap().messages().unwrap();
    let came = desk.messages();
    assert_eq!(came.iter().filter(|one| one.text.as_deref() == Some("here")).count(), 1);
    let sent = rig.modem.sent_messages();
    assert_eq!(sent.iter().filter(|one| one.text == "meanwhile").count(), 1);
}

#[test]
fn a_persons_command_is_refused() {
    let mut rig = online();
    hear(&mut rig, Rival::Came);
    quiet(&mut rig, 1);
    rig.ask(Command::new("AT+CSQ"));
    quiet(&mut rig, 50);
    hear(&mut rig, released());
    speaks(&mut rig);
}

/// What is wrong with the data is seen meanwhile, but the modem's commands have to
/// wait.
#[test]
fn recovery_waits() {
    let broken = || {
        let mut rig = online();
        rig.link_faults(LinkFaults { no_internet: true, ..LinkFaults::default() });
        rig
    };
    let climbs = |rig: &Rig| !rig.rungs.is_empty();
    let mut rig = broken();
    assert!(rig.until(secs(3600), climbs), "{}", rig.describe());
    let due = rig.now;

    let mut rig = broken();
    rig.run(due - rig.now - secs(20));
    hear(&mut rig, Rival::Came);
    let sent = rig.sent.len();
    let spoke = |rig: &Rig| climbs(rig) || rig.sent.len() != sent;
    assert!(!rig.until(secs(59), spoke), "{}", rig.describe());
    assert_ne!(rig.verdict(), Verdict::Online);
    hear(&mut rig, released());
    assert!(rig.until(secs(120), climbs) && rig.port_is_open(), "{}", rig.describe());
}

/// Without a network, too, the silence is not the modem's.
#[test]
fn a_modem_that_is_not_connected_is_not_blamed() {
    let mut rig = online();
    rig.inflict(Effect::NoCoverage);
    assert!(rig.until(secs(60), |rig| !rig.online()), "{}", rig.describe());
    rig.run(secs(5));
    let rungs = rig.rungs.len();
    hear(&mut rig, Rival::Came);
    let silent = |rig: &Rig| rig.verdict() == Verdict::PortSilent;
    assert!(!rig.until(secs(59), silent), "{}", rig.describe());
    assert_eq!(rig.rungs.len(), rungs, "{:?}", rig.rungs);
    hear(&mut rig, released());
    rig.inflict(Effect::Coverage);
    assert!(rig.until(secs(120), |rig| rig.online() || silent(rig)), "{}", rig.describe());
    assert!(rig.online(), "{}", rig.describe());
}

/// Who is to have the modem, or the modem itself, may change meanwhile.
#[test]
fn other_changes_end_it() {
    let mut rig = online();
    hear(&mut rig, Rival::Came);
    quiet(&mut rig, 5);
    let clock = rig.clock();
    rig.session.as_mut().unwrap().control(clock, Control::ModemManager);
    rig.carry_out();
    assert!(rig.until(secs(60), |rig| rig.manager.has) && rig.online(), "{}", rig.describe());

    let mut rig = online();
    hear(&mut rig, Rival::Came);
    quiet(&mut rig, 5);
    rig.inflict(Effect::UsbGone { for_ms: 3000 });
    assert!(rig.until(secs(10), |rig| !rig.online()));
    assert!(rig.until(secs(50), Rig::online) && rig.port_is_open(), "{}", rig.describe());
}

#[test]
fn what_the_owner_should_know_is_told() {
    let version = |text: &str| Some(text.to_owned());
    let mut rig = online();
    for (rival, says) in [
        (Rival::Released { version: version("1.24.0") }, None),
        (Rival::Released { version: None }, None),
        (Rival::Unknown { version: version("1.24.0") }, None),
        (Rival::Absent, None),
        (Rival::Released { version: version("1.20.4") }, Some("1.20.4, which does not know A76XX")),
        (Rival::Unknown { version: version("1.20.4") }, Some("does not see the modem")),
        (
            Rival::Refused { version: version("1.8.2"), why: "?".into() },
            Some("1.8.2 is too old: 1.10 can give a modem back"),
        ),
        (
            Rival::Refused { version: version("1.24.0"), why: "polkit".into() },
            Some("does not let go of the modem: polkit"),
        ),
    ] {
        hear(&mut rig, rival.clone());
        let note = note(&rig);
        assert_eq!(note.is_some(), says.is_some(), "{rival:?}: {note:?}");
        assert!(note.is_none_or(|note| note.contains(says.unwrap())), "{rival:?}");
    }
    assert!(rig.online() && rig.port_is_open());
}
