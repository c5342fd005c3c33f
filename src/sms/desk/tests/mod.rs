//! The desk with a modem, a network and a disk; the power cut at every step.

mod came;
mod disk;
mod managed;
mod mode;
mod power;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::at::{DeviceError, Final};
use crate::sms::desk::{NotDone, Support};
use crate::sms::pdu::Address;
use crate::sms::spool::{Lists, OnUnknown, Pattern, Priority, SendRequest, Settings};
use world::World;

pub fn request(to: &str, text: &str) -> SendRequest {
    SendRequest {
        to: Address::number(to).unwrap(),
        text: text.to_owned(),
        class: None,
        report: false,
        validity: None,
        priority: Priority::Normal,
    }
}

pub fn states(world: &mut World) -> BTreeMap<u64, String> {
    world.desk().messages().into_iter().map(|one| (one.id, one.state)).collect()
}

fn send(world: &mut World, request: SendRequest) -> u64 {
    let time = world.time();
    let accepted = world.desk().send(time, vec![request]).unwrap();
    world.carry_out().unwrap();
    accepted[0].id
}

fn started(settings: Settings) -> World {
    let mut world = World::new(settings);
    world.start().unwrap();
    world.run(10).unwrap();
    world
}

/// The service is about to forget what it waits for.
#[test]
fn what_is_under_way_ends_and_nothing_else_is_begun() {
    let mut world = started(Settings::default());
    world.occupied = true;
    let ids = ["one", "two"].map(|text| send(&mut world, request("+254700000001", text)));
    // The first command for it waits behind another's.
    assert!(!world.desk().is_idle());
    let until = world.now + Duration::from_secs(60);
    world.desk().hold(until);
    world.free().unwrap();
    world.run(30).unwrap();
    assert!(world.desk().is_idle() && world.network.is_empty());
    assert!(ids.iter().all(|id| states(&mut world)[id] == "accepted"));
    world.run(60).unwrap();
    assert!(ids.iter().all(|id| states(&mut world)[id] == "submitted"));
}

#[test]
fn a_long_message_goes_out_and_is_reported() {
    let mut world = started(Settings::default());
    let text = "one 😀 ".repeat(30);
    let mut wanted = request("+254700000001", &text);
    wanted.report = true;
    let id = send(&mut world, wanted);
    world.run(10).unwrap();
    let sent: String = world.network.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!((sent, world.network.len()), (text, 4));
    assert_eq!(states(&mut world)[&id], "submitted");
    for index in 0..4 {
        world.code("+CDSI", index).unwrap();
    }
    assert_eq!(states(&mut world)[&id], "reported");
    assert!(world.sim.is_empty(), "{:?}", world.sim);
    let events: Vec<&str> = world.told.iter().map(|news| news.event.as_str()).collect();
    assert_eq!((events.first(), events.last()), (Some(&"accepted"), Some(&"reported")));
}

#[test]
fn a_full_sim_is_drained_and_parts_in_any_order_are_one_message() {
    let mut world = World::new(Settings::default());
    let text = "abc €".repeat(80);
    world.text("+254700000002", &text, 7);
    world.text("+254700000003", "short", 8);
    let (first, last) = (world.sim[&0].clone(), world.sim[&2].clone());
    world.sim.extend([(0, last), (2, first)]);
    world.start().unwrap();
    world.run(60).unwrap();
    assert!(world.sim.is_empty());
    let texts: Vec<_> = world.desk().messages().into_iter().map(|one| one.text.unwrap()).collect();
    assert_eq!(texts, [text, "short".to_owned()]);
    assert_eq!(world.told.len(), 2);
    // And one that comes while it runs.
    let index = world.text("+254700000003", "later", 9)[0];
    world.code("+CMTI", index).unwrap();
    assert_eq!(world.told.last().unwrap().message.text.as_deref(), Some("later"));
    assert!(world.sim.is_empty());
}

#[test]
fn refusals_are_tried_again_until_it_is_too_late() {
    let mut world = started(Settings::default());
    world.refuse = Some(Final::Cms(DeviceError::Code(331)));
    let id = send(&mut world, request("0700000001", "hi"));
    assert_eq!(states(&mut world)[&id], "accepted");
    assert!(world.desk().message(id).unwrap().detail.unwrap().contains("no network service"));
    world.run(11).unwrap();
    assert_eq!((states(&mut world)[&id].as_str(), world.network.len()), ("submitted", 1));
    // Refused for good.
    world.refuse = Some(Final::Cms(DeviceError::Code(1)));
    let id = send(&mut world, request("0700000001", "hi"));
    world.run(3600).unwrap();
    assert_eq!((states(&mut world)[&id].as_str(), world.network.len()), ("failed", 1));
    // Its time is over before the network is back.
    world.event(super::Event::Registered(false)).unwrap();
    let brief = SendRequest { validity: Some(300), ..request("0700000001", "hi") };
    let id = send(&mut world, brief);
    world.run(310).unwrap();
    world.event(super::Event::Registered(true)).unwrap();
    world.run(60).unwrap();
    assert_eq!((states(&mut world)[&id].as_str(), world.network.len()), ("expired", 1));
}

#[test]
fn a_lost_answer_is_unknown_and_the_policy_decides() {
    for (on_unknown, sent, state) in
        [(OnUnknown::Hold, 1, "unknown"), (OnUnknown::Resend, 2, "submitted")]
    {
        let mut world = started(Settings { on_unknown, ..Settings::default() });
        world.lose = true;
        let id = send(&mut world, request("0700000001", "hi"));
        assert_eq!(states(&mut world)[&id], "unknown");
        world.run(3600).unwrap();
        assert_eq!((world.network.len(), states(&mut world)[&id].as_str()), (sent, state));
        assert_eq!(world.desk().message(id).unwrap().perhaps_twice, sent == 2);
    }
    // The report tells that it was sent after all.
    let mut world = started(Settings::default());
    world.lose = true;
    let id = send(&mut world, SendRequest { report: true, ..request("+254700000001", "hi") });
    world.run(3600).unwrap();
    assert_eq!(states(&mut world)[&id], "reported");
}

#[test]
fn order_limit_and_lists() {
    let deny = vec![Pattern::try_from("+2547*9".to_owned()).is_err().to_string()];
    assert_eq!(deny, ["true"]);
    let pattern = |text: &str| Pattern::try_from(text.to_owned()).unwrap();
    let to = Lists { allow: Some(vec![pattern("+254*")]), deny: vec![pattern("+254900*")] };
    let from = Lists { allow: None, deny: vec![pattern("+254700000666")] };
    let settings = Settings { to, from, per_hour: 2, ..Settings::default() };
    let mut world = World::new(settings);
    world.start().unwrap();
    world.event(super::Event::Registered(false)).unwrap();
    for (priority, text) in
        [(Priority::Low, "low"), (Priority::Normal, "normal"), (Priority::High, "high")]
    {
        send(&mut world, SendRequest { priority, ..request("+254700000001", text) });
    }
    for to in ["+255700000001", "+254900000001"] {
        let time = world.time();
        let refused = world.desk().send(time, vec![request(to, "x")]).unwrap_err();
        assert!(refused.to_string().contains("sms.allow_to"), "{refused}");
    }
    world.event(super::Event::Registered(true)).unwrap();
    world.run(60).unwrap();
    let sent = |world: &World| -> Vec<String> {
        world.network.iter().map(|(_, text)| text.clone()).collect()
    };
    assert_eq!(sent(&world), ["high", "normal"]);
    world.run(3600).unwrap();
    assert_eq!(sent(&world), ["high", "normal", "low"]);
    let index = world.text("+254700000666", "buy!", 3)[0];
    let told = world.told.len();
    world.code("+CMTI", index).unwrap();
    assert_eq!(world.told.len(), told, "nobody is told");
    assert_eq!(world.desk().messages().last().unwrap().state, "blocked");
}

#[test]
fn a_data_only_modem_says_so() {
    let mut world = World::new(Settings::default());
    world.data_only = true;
    world.start().unwrap();
    world.run(60).unwrap();
    assert!(matches!(world.desk().support(), Support::No(_)));
    let time = world.time();
    let refused = world.desk().send(time, vec![request("1", "x")]).unwrap_err();
    assert!(matches!(&refused, NotDone::Unsupported(why) if why.contains("data-only")));
    assert_eq!(world.commands.len(), 3, "{:?}", world.commands);
}

#[test]
fn a_full_disk_stops_it_and_nothing_is_lost() {
    let mut world = started(Settings::default());
    world.store.disk().full = true;
    let time = world.time();
    world.desk().send(time, vec![request("+254700000001", "no room")]).unwrap();
    world.carry_out().unwrap();
    assert!(states(&mut world).is_empty(), "not accepted");
    let index = world.text("+254700000002", "wait", 1)[0];
    world.code("+CMTI", index).unwrap();
    world.run(300).unwrap();
    assert_eq!((world.sim.len(), world.network.len()), (1, 0));
    world.store.disk().full = false;
    world.run(300).unwrap();
    assert!(world.sim.is_empty());
    assert_eq!(world.desk().messages()[0].text.as_deref(), Some("wait"));
}

/// While another's command is under way ours waits in the port's queue, where no
/// write can be held back.
#[test]
fn what_was_not_kept_is_not_done_by_a_command_in_the_queue() {
    let mut world = started(Settings::default());
    world.event(super::Event::Registered(false)).unwrap();
    let id = send(&mut world, request("+254700000001", "once"));
    world.occupied = true;
    world.store.disk().full = true;
    world.event(super::Event::Registered(true)).unwrap();
    assert_eq!(states(&mut world)[&id], "accepted");
    world.free().unwrap();
    assert_eq!(world.network.len(), 0, "the disk says that it waits");
    world.store.disk().full = false;
    world.run(300).unwrap();
    assert_eq!((world.network.len(), states(&mut world)[&id].as_str()), (1, "submitted"));
    // A message that is not kept stays on the SIM.
    let index = world.text("+254700000002", "wait", 1)[0];
    world.code("+CMTI", index).unwrap();
    assert!(world.sim.is_empty());
    let index = world.text("+254700000002", "stay", 2)[0];
    let pdu = world.sim[&index].clone();
    world.occupied = true;
    world.store.disk().full = true;
    let line = format!("+CMGR: 0,,{}", pdu.len() / 2 - 1);
    world.code("+CMTI", index).unwrap();
    world.answer_queued(vec![line, pdu]).unwrap();
    world.free().unwrap();
    assert_eq!(world.sim.len(), 1, "{:?}", world.commands);
    world.store.disk().full = false;
    world.run(300).unwrap();
    assert!(world.sim.is_empty());
    assert_eq!(world.desk().messages().last().unwrap().text.as_deref(), Some("stay"));
}

#[test]
fn no_number_gets_into_the_log_by_a_report() {
    let mut world = started(Settings::default());
    let id = send(&mut world, SendRequest { report: true, ..request("+254700000001", "hi") });
    world.desk().delete(id).unwrap();
    world.carry_out().unwrap();
    world.code("+CDSI", 0).unwrap();
    let said = world.said.join("\n");
    assert!(said.contains("reference 1, received") && !said.contains("254700000001"), "{said}");
}

/// A message to an old centre, or to a telephone that was thrown away.
#[test]
fn reports_that_never_come_fill_no_disk() {
    let mut world = started(Settings { keep: 2, per_hour: 0, ..Settings::default() });
    for _ in 0..5 {
        send(&mut world, SendRequest { report: true, ..request("+254700000001", "hi") });
        world.sim.clear();
    }
    world.run(86_400).unwrap();
    assert_eq!(world.desk().messages().len(), 5, "reports may still come");
    world.run(90_000).unwrap();
    assert_eq!(states(&mut world).into_keys().collect::<Vec<_>>(), [4, 5]);
}

/// The Pi starts at 1970; the date comes with the network.
#[test]
fn the_clock_may_be_set_at_any_time() {
    let mut world = World::new(Settings::default());
    world.wall = 100;
    world.start().unwrap();
    world.event(super::Event::Registered(false)).unwrap();
    let id = send(&mut world, request("+254700000001", "hi"));
    world.run(20).unwrap();
    world.wall = world::START;
    world.run(20).unwrap();
    assert_eq!(states(&mut world)[&id], "accepted");
    world.event(super::Event::Registered(true)).unwrap();
    world.run(20).unwrap();
    assert_eq!(states(&mut world)[&id], "submitted");
}
