//! Text messages: session and emulated modem, which reads and writes messages by
//! code of its own.

use std::collections::BTreeMap;

use a7670e::at::Command;
use a7670e::sms::desk::{Message, NotDone};
use a7670e::sms::pdu::Address;
use a7670e::sms::spool::{Priority, SendRequest};
use a7670e_emulator::fault::Effect;

use crate::rig::{Rig, secs};

const PEER: &str = "+254700000001";

fn request(text: &str) -> SendRequest {
    SendRequest {
        to: Address::number(PEER).unwrap(),
        text: text.into(),
        class: None,
        report: true,
        validity: None,
        priority: Priority::Normal,
    }
}

pub fn send(rig: &mut Rig, text: &str) -> Result<u64, NotDone> {
    let clock = rig.clock();
    let session = rig.session.as_mut().unwrap();
    let accepted = session.send_messages(clock, vec![request(text)])?;
    rig.carry_out();
    Ok(accepted[0].id)
}

fn messages(rig: &Rig) -> BTreeMap<u64, Message> {
    let desk = rig.session.as_ref().unwrap().messages().unwrap();
    desk.messages().into_iter().map(|message| (message.id, message)).collect()
}

pub fn state(rig: &Rig, id: u64) -> String {
    messages(rig).get(&id).map_or(String::new(), |message| message.state.clone())
}

fn text(name: &str) -> String {
    format!("{name} 😀 {{€}} ").repeat(14)
}

/// What the modem has sent, put together.
fn sent(rig: &Rig) -> String {
    rig.modem.sent_messages().iter().map(|part| part.text.as_str()).collect()
}

fn arrive(rig: &mut Rig, text: &str) {
    rig.inflict(Effect::Sms { from: PEER.into(), text: text.into() });
}

#[test]
fn a_message_in_parts_goes_and_comes() {
    let mut rig = Rig::of("a7670e-ecm");
    assert!(rig.until(secs(60), Rig::online), "{}", rig.describe());
    let id = send(&mut rig, &text("there")).unwrap();
    assert!(rig.until(secs(60), |rig| state(rig, id) == "reported"), "{:?}", messages(&rig));
    assert_eq!(sent(&rig), text("there"));
    assert_eq!(rig.modem.sent_messages().len(), 3);
    assert!(rig.modem.sent_messages().iter().all(|part| part.report && part.to == PEER));
    arrive(&mut rig, &text("here"));
    let came = |rig: &Rig| rig.news.iter().any(|news| news.event == "received");
    assert!(rig.until(secs(60), came), "{:?}", messages(&rig));
    let news = &rig.news.last().unwrap().message;
    assert_eq!((news.text.as_ref(), news.address.as_str()), (Some(&text("here")), PEER));
    // Nothing is left on the SIM: all that was stored is deleted.
    rig.run(secs(5));
    assert_eq!(rig.modem.stored_messages(), 0, "{}", rig.describe());
    // Three parts, and a report on each of three.
    assert_eq!(rig.count("AT+CMGD"), 6, "{}", rig.describe());
    assert!(rig.online());
}

#[test]
fn what_was_accepted_before_the_modem_is_ready_is_sent_then() {
    let mut rig = Rig::of("a7670e-ecm");
    assert!(rig.until(secs(60), |rig| rig.session.as_ref().unwrap().modem_state().is_some()));
    let id = send(&mut rig, "early").unwrap();
    assert!(rig.until(secs(120), |rig| state(rig, id) == "reported"), "{:?}", messages(&rig));
    // No network, then a reset in the middle.
    rig.inflict(Effect::NoCoverage);
    let id = send(&mut rig, "later").unwrap();
    rig.run(secs(60));
    assert_eq!(state(&rig, id), "accepted");
    rig.inflict(Effect::Coverage);
    rig.inflict(Effect::Reset);
    assert!(rig.until(secs(300), |rig| state(rig, id) == "reported"), "{}", rig.describe());
    assert_eq!(sent(&rig), "earlylater");
}

/// The command waits behind another when the disk turns out to be full.
#[test]
fn what_was_not_kept_is_not_sent_from_the_queue() {
    let mut rig = Rig::of("a7670e-ecm");
    assert!(rig.until(secs(60), Rig::online), "{}", rig.describe());
    rig.run(secs(10));
    rig.ask(Command::new("AT+CSQ"));
    rig.full = true;
    send(&mut rig, "not accepted").unwrap();
    rig.full = false;
    rig.run(secs(120));
    assert_eq!(sent(&rig), "");
    assert!(messages(&rig).is_empty());
    let id = send(&mut rig, "accepted").unwrap();
    assert!(rig.until(secs(60), |rig| state(rig, id) == "reported"), "{:?}", messages(&rig));
    assert_eq!(sent(&rig), "accepted");
    assert!(rig.online());
}

/// Why messages wait, as `status` and `why` tell it.
fn wait(rig: &Rig) -> Option<String> {
    rig.session.as_ref().unwrap().report(rig.clock()).messages_wait
}

#[test]
fn while_the_store_cannot_be_read_messages_stay_on_the_sim() {
    let mut rig = Rig::of("a7670e-ecm");
    assert!(rig.until(secs(60), Rig::online), "{}", rig.describe());
    rig.run(secs(10));
    (rig.full, rig.unreadable) = (true, true);
    arrive(&mut rig, "here");
    assert!(rig.until(secs(60), |rig| wait(rig).is_some()));
    rig.run(secs(4000));
    assert_eq!((rig.count("AT+CMGD"), wait(&rig).as_deref()), (0, Some("an I/O error")));
    match send(&mut rig, "there") {
        Err(NotDone::Refused(why)) => assert!(why.contains("wait: an I/O error"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(rig.online(), "{}", rig.describe());
    (rig.full, rig.unreadable) = (false, false);
    let came = |rig: &Rig| rig.news.iter().any(|news| news.event == "received");
    assert!(rig.until(secs(300), came), "{}", rig.describe());
    assert_eq!(wait(&rig), None);
    let id = send(&mut rig, "there").unwrap();
    assert!(rig.until(secs(60), |rig| state(rig, id) == "reported"), "{:?}", messages(&rig));
}

#[test]
fn a_store_that_cannot_be_read_at_the_start_keeps_nobody_from_being_online() {
    let mut rig = Rig::of("a7670e-ecm");
    rig.kept.unreadable = Some("an I/O error".into());
    rig.unreadable = true;
    rig.restart_after(secs(0));
    assert!(rig.until(secs(100), Rig::online), "{}", rig.describe());
    arrive(&mut rig, "here");
    rig.run(secs(300));
    assert_eq!((rig.count("AT+CMG"), wait(&rig).is_some()), (0, true));
    rig.unreadable = false;
    let came = |rig: &Rig| rig.news.iter().any(|news| news.event == "received");
    assert!(rig.until(secs(300), came), "{}", rig.describe());
}

#[test]
fn a_model_for_data_only_says_so() {
    let mut rig = Rig::of("a7670e-lnxy");
    assert!(rig.until(secs(60), Rig::online), "{}", rig.describe());
    rig.run(secs(30));
    match send(&mut rig, "hi") {
        Err(NotDone::Unsupported(why)) => assert!(why.contains("A7670E-LNXY"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(rig.online());
}

/// The service is killed at each of its actions while it sends and receives.
#[test]
fn killed_at_any_action_nothing_is_lost_or_doubled() {
    let actions = |rig: &mut Rig, kill: Option<usize>| -> (usize, Option<u64>) {
        assert!(rig.until(secs(60), Rig::online), "{}", rig.describe());
        rig.run(secs(10));
        let before = rig.actions;
        rig.kill = kill.map(|at| before + at);
        let id = send(rig, &text("there")).ok();
        arrive(rig, &text("here"));
        rig.run(secs(90));
        (rig.actions - before, id)
    };
    let (all, _) = actions(&mut Rig::of("a7670e-ecm"), None);
    let mut table: BTreeMap<String, usize> = BTreeMap::new();
    for at in 1..=all {
        let mut rig = Rig::of("a7670e-ecm");
        let (_, id) = actions(&mut rig, Some(at));
        rig.run(secs(60));
        let parts = rig.modem.sent_messages().len();
        // Killed before it was kept, it was not accepted.
        let kept = id.filter(|id| messages(&rig).contains_key(id));
        let state = kept.map_or("not accepted".to_owned(), |id| state(&rig, id));
        match state.as_str() {
            "reported" => assert_eq!(sent(&rig), text("there"), "action {at}"),
            "unknown" => assert!(parts <= 3, "action {at}: {parts}"),
            "not accepted" => assert_eq!(parts, 0, "action {at}"),
            other => panic!("action {at}: {other}: {}", rig.describe()),
        }
        *table.entry(state).or_default() += 1;
        let came: Vec<_> =
            messages(&rig).into_values().filter(|one| one.direction == "in").collect();
        assert_eq!(came.len(), 1, "action {at}: {came:?}");
        assert_eq!(came[0].text, Some(text("here")), "action {at}");
        assert_eq!(rig.modem.stored_messages(), 0, "action {at}");
    }
    println!("killed at each of {all} actions: {table:?}");
    assert!(table.contains_key("reported"));
}
