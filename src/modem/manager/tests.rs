//! ModemManager's side in virtual time.

use std::collections::HashMap;

use super::*;
use crate::sms::managed::Kind as Is;

const MODEM: &str = "/org/freedesktop/ModemManager1/Modem/0";

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn view(state: i32) -> View {
    let sim = Sim { path: "/sim".into(), iccid: Some("8925".into()), imsi: None };
    View { path: MODEM.into(), state, lock: 1, sim: Some(sim), ..View::default() }
}

fn locked(tries: u32) -> View {
    View { lock: 2, retries: HashMap::from([(2, tries)]), ..view(2) }
}

fn registered(registration: u32) -> View {
    View { registration: Some(registration), technologies: 1 << 14, quality: 50, ..view(8) }
}

fn here(pin: Option<&str>) -> Manager {
    let mut manager = Manager::new(pin.map(Secret::new), false);
    manager.event(secs(0), Event::Here("1.24.0".into()));
    manager.given(secs(1), Memory::default(), &State::default());
    manager
}

fn show(manager: &mut Manager, now: u64, view: View) -> Vec<Action> {
    manager.event(secs(now), Event::Shown(Some(Box::new(view))));
    manager.take()
}

fn done(manager: &mut Manager, now: u64, kind: Kind) {
    manager.event(secs(now), Event::Answered(kind, Ok(())));
}

fn fail(manager: &mut Manager, now: u64, kind: Kind, name: &str) {
    let fault = Fault { name: name.into(), text: "no".into() };
    manager.event(secs(now), Event::Answered(kind, Err(fault)));
}

#[test]
fn from_disabled_to_registered() {
    let mut manager = here(None);
    assert_eq!(manager.state().phase, Phase::Probing);
    assert_eq!(manager.data(), None);
    let enable = Call::Enable { modem: MODEM.into() };
    assert_eq!(show(&mut manager, 3, view(3)), [Action::Call(enable)]);
    // It is asked once, however often it is shown.
    assert!(show(&mut manager, 3, view(5)).is_empty());
    assert_eq!((manager.state().phase, manager.data()), (Phase::Preparing, None));
    done(&mut manager, 5, Kind::Enable);
    let signal = Call::Signal { modem: MODEM.into() };
    assert_eq!(show(&mut manager, 5, view(7)), [Action::Call(signal)]);
    assert_eq!((manager.state().phase, manager.data()), (Phase::Searching, Some(false)));
    // That it cannot measure matters to nobody.
    fail(&mut manager, 5, Kind::Signal, "x.Core.Unsupported");
    assert!(show(&mut manager, 6, registered(1)).is_empty());
    assert_eq!((manager.state().phase, manager.data()), (Phase::Connected, Some(true)));
    assert_eq!(manager.state().signal.rssi_dbm, Some(-82.0));
    assert_eq!(manager.next_event(), None);
    for (registration, phase) in
        [(5, Phase::RoamingForbidden), (3, Phase::Denied), (8, Phase::Denied)]
    {
        assert!(show(&mut manager, 7, registered(registration)).is_empty());
        assert_eq!((manager.state().phase, manager.data()), (phase, Some(false)));
    }
}

#[test]
fn what_is_refused_is_asked_for_again_later() {
    let mut manager = here(None);
    assert_eq!(show(&mut manager, 3, view(3)).len(), 1);
    fail(&mut manager, 4, Kind::Enable, "x.Core.Unauthorized");
    assert!(manager.state().last_error.as_ref().unwrap().contains("does not enable"));
    assert!(manager.take().is_empty());
    assert_eq!(manager.next_event(), Some(secs(19)));
    manager.advance(secs(19));
    assert_eq!(manager.take().len(), 1);
}

#[test]
fn a_pin_that_the_service_spent_is_not_tried_again_by_modemmanager() {
    let pin = Secret::new("1234");
    let doubtful_pin = Some(Memory::name("89254020000000000001", &pin));
    let mut known = State::default();
    known.identity.iccid = Some("89254020000000000001".into());
    // It tells of a locked card's number otherwise, or not at all.
    let sim = |iccid| Sim { path: "/sim".into(), iccid, imsi: None };
    for (known, told) in [
        (&known, Some("8925402000000000000".to_owned())),
        (&known, None),
        (&State::default(), None),
    ] {
        let mut manager = here(Some("1234"));
        manager.given(secs(1), Memory { doubtful_pin: doubtful_pin.clone() }, known);
        let view = View { sim: Some(sim(told)), ..locked(3) };
        assert_eq!(show(&mut manager, 2, view), []);
        assert!(manager.state().reason.as_ref().unwrap().contains("was refused"));
    }
}

#[test]
fn the_pin_is_tried_once_and_never_when_it_is_the_last_try() {
    let mut manager = here(Some("1234"));
    let actions = show(&mut manager, 2, locked(3));
    let name = Memory::name("8925", &Secret::new("1234"));
    let memory = Memory { doubtful_pin: Some(name) };
    let pin = Call::SendPin { sim: "/sim".into(), pin: Secret::new("1234") };
    // Kept first.
    assert_eq!(actions, [Action::Remember(memory.clone()), Action::Call(pin)]);
    assert!(!format!("{actions:?}").contains("1234"));
    fail(&mut manager, 3, Kind::SendPin, "x.MobileEquipment.IncorrectPassword");
    manager.advance(secs(100));
    assert!(manager.take().is_empty());
    assert_eq!(manager.state().phase, Phase::PinNeeded);
    assert!(manager.state().reason.as_ref().unwrap().contains("was refused"));
    // Somebody enters it: from then on it is in doubt no more.
    assert_eq!(show(&mut manager, 200, view(6))[0], Action::Remember(Memory::default()));

    for (pin, view, why) in [
        (Some("1234"), locked(1), "the last is not spent"),
        (Some("1234"), View { retries: HashMap::new(), ..locked(3) }, "does not tell"),
        (None, locked(3), "set it in the configuration"),
        (Some("1234"), View { lock: 4, ..locked(3) }, "another code"),
    ] {
        let mut manager = here(pin);
        assert!(show(&mut manager, 2, view).is_empty());
        assert!(manager.state().reason.as_ref().unwrap().contains(why), "{:?}", manager.state());
    }
    let mut manager = here(Some("1234"));
    manager.given(secs(1), memory, &State::default());
    assert!(show(&mut manager, 2, locked(3)).is_empty(), "in doubt since the last run");
}

#[test]
fn one_that_is_killed_and_comes_back_begins_anew() {
    let mut manager = here(None);
    show(&mut manager, 3, view(3));
    manager.event(secs(4), Event::Absent("killed".into()));
    assert!(!manager.is_here());
    assert_eq!(manager.missing().as_deref(), Some("killed"));
    assert_eq!((manager.state().reason.as_deref(), manager.data()), (Some("killed"), None));
    manager.advance(secs(300));
    assert!(manager.take().is_empty());
    manager.event(secs(300), Event::Here("1.24.0".into()));
    assert_eq!(show(&mut manager, 302, view(3)).len(), 1);
}

#[test]
fn one_that_does_not_see_the_modem_is_told_to_look() {
    let mut manager = here(None);
    assert_eq!(manager.next_event(), Some(secs(41)));
    manager.advance(secs(40));
    assert!(manager.take().is_empty());
    manager.advance(secs(41));
    assert_eq!(manager.take(), [Action::Call(Call::Scan)]);
    done(&mut manager, 41, Kind::Scan);
    manager.advance(secs(80));
    assert!(manager.take().is_empty());
    manager.advance(secs(81));
    assert_eq!(manager.take(), [Action::Call(Call::Scan)]);
}

#[test]
fn old_ones_are_named() {
    for (text, usable, remark) in [
        ("1.24.0", true, false),
        ("1.25.95", true, false),
        ("2.0", true, false),
        ("1.20.4", true, true),
        ("1.8.2", false, true),
        ("?", false, true),
    ] {
        let mut manager = Manager::new(None, false);
        assert_eq!((manager.is_here(), manager.missing()), (false, None));
        manager.event(secs(0), Event::Here(text.into()));
        assert_eq!((manager.is_here(), manager.missing().is_none()), (usable, usable), "{text}");
        assert_eq!(manager.remark().is_some(), remark, "{text}");
    }
}

fn stored(text: &str, whole: bool) -> Stored {
    Stored {
        path: "/SMS/1".into(),
        kind: Is::Deliver,
        whole,
        number: "+254700000001".into(),
        text: text.into(),
        data: Vec::new(),
        stamp: "2026-11-21T15:00:07+03:00".into(),
        discharge: String::new(),
        class: -1,
        reference: 0,
        status: 256,
    }
}

#[test]
fn after_a_message_it_is_made_to_look_for_those_that_it_missed() {
    let with = |messages: Vec<Stored>| View { messages: Some(messages), ..registered(1) };
    let mut manager = here(None);
    assert_eq!(show(&mut manager, 2, with(Vec::new())).len(), 1);
    done(&mut manager, 2, Kind::Signal);
    assert_eq!(manager.next_event(), None);
    assert!(show(&mut manager, 10, with(vec![stored("one", true)])).is_empty());
    // Deleted meanwhile; a burst is waited for.
    assert!(show(&mut manager, 12, with(vec![stored("two", true)])).is_empty());
    assert!(show(&mut manager, 13, with(Vec::new())).is_empty());
    assert_eq!(manager.next_event(), Some(secs(32)));
    manager.advance(secs(32));
    let disable = Call::Disable { modem: MODEM.into() };
    assert_eq!(manager.take(), [Action::Call(disable.clone())]);
    done(&mut manager, 33, Kind::Disable);
    assert_eq!(show(&mut manager, 33, view(3)).len(), 1, "it is enabled again");
    done(&mut manager, 35, Kind::Enable);
    assert_eq!(show(&mut manager, 36, with(vec![stored("", false)])).len(), 1);
    done(&mut manager, 36, Kind::Signal);
    // Half a text is looked for ever less often.
    manager.advance(secs(56));
    assert_eq!(manager.take(), [Action::Call(disable)]);
    done(&mut manager, 57, Kind::Disable);
    show(&mut manager, 58, view(3));
    done(&mut manager, 59, Kind::Enable);
    show(&mut manager, 60, with(vec![stored("", false)]));
    done(&mut manager, 60, Kind::Signal);
    assert_eq!(manager.next_event(), Some(secs(100)));
    // Not while ModemManager carries data itself.
    let busy = View { state: 11, ..with(vec![stored("", false)]) };
    assert!(show(&mut manager, 3000, busy).is_empty());
}

/// Else the service would turn in circles until then.
#[test]
fn a_look_that_is_due_waits_as_all_that_is_asked_for() {
    let mut manager = here(None);
    _ = show(&mut manager, 3, view(8));
    done(&mut manager, 3, Kind::Signal);
    let news = |text: &str| View { messages: Some(vec![stored(text, true)]), ..registered(1) };
    _ = show(&mut manager, 5, news("one"));
    // 20 s after the message the look is due, and 15 s after a refusal the next call.
    manager.again = secs(30);
    manager.advance(secs(26));
    assert_eq!((manager.take(), manager.next_event()), (vec![], Some(secs(30))));
    manager.advance(secs(30));
    assert_eq!(manager.take().len(), 1);
}

#[test]
fn without_a_sim_it_says_so() {
    let mut manager = here(None);
    let view = View { failed: 2, sim: None, ..view(-1) };
    assert!(show(&mut manager, 2, view).is_empty());
    assert_eq!((manager.state().phase, manager.data()), (Phase::NoSim, Some(false)));
}
