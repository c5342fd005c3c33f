//! Messages that came are handed to the owner's program, or are commands.

use super::started;
use super::world::{Cut, KEY, World};
use crate::sms::commands::{Apn, Wish, code};
use crate::sms::desk::Ended;
use crate::sms::pdu::Address;
use crate::sms::spool::{Lists, Pattern, Settings};

const BOSS: &str = "+254700000002";

fn settings() -> Settings {
    let boss = Pattern::try_from(BOSS.to_owned()).unwrap();
    Settings { program: true, commanders: Some(vec![boss]), ..Settings::default() }
}

fn command(counter: u64, text: &str) -> String {
    format!("{counter} {} {text}", code(KEY, counter, text))
}

/// Somebody sends a text, and the modem tells of it.
fn comes(world: &mut World, from: &str, text: &str, reference: u16) {
    for index in world.text(from, text, reference) {
        world.code("+CMTI", index).unwrap();
    }
    world.run(1).unwrap();
}

fn answers(world: &World) -> Vec<&str> {
    world.network.iter().map(|(_, text)| text.as_str()).collect()
}

#[test]
fn the_program_is_run_for_each_message_in_order() {
    let mut world = started(settings());
    let long = "long ".repeat(60);
    // One that asks for time holds the others up; one that hangs does, too.
    world.ends = [Some(Ended::Later("is busy".to_owned())), None].into();
    comes(&mut world, BOSS, "one", 1);
    comes(&mut world, "+254700000003", &long, 2);
    comes(&mut world, BOSS, "three", 3);
    world.run(50).unwrap();
    assert_eq!(world.ran, ["one"]);
    world.run(20).unwrap();
    assert_eq!(world.ran, ["one", "one"]);
    // It hangs, and the service is killed.
    world.cut(0);
    world.start().unwrap();
    world.run(60).unwrap();
    assert_eq!(world.ran, ["one", "one", "one", &long, "three"]);
    world.cut(0);
    world.start().unwrap();
    world.run(4000).unwrap();
    assert_eq!(world.ran.len(), 5, "what is done is done");
    let received = world.told.iter().filter(|news| news.event == "received").count();
    assert_eq!(received, 3);
}

#[test]
fn it_is_not_run_for_those_who_are_not_listened_to_nor_for_ever() {
    let deny = vec![Pattern::try_from("+2549*".to_owned()).unwrap()];
    let from = Lists { allow: None, deny };
    let mut world = started(Settings { from, keep: 1, ..settings() });
    comes(&mut world, "+254900000003", "spam", 1);
    assert!(world.ran.is_empty());
    for _ in 0..100 {
        world.ends.push_back(Some(Ended::Later("cannot be run".to_owned())));
    }
    comes(&mut world, BOSS, "one", 2);
    comes(&mut world, BOSS, "two", 3);
    comes(&mut world, BOSS, "three", 4);
    let kept = |world: &mut World| {
        world.desk().messages().iter().filter(|one| one.direction == "in").count()
    };
    // Although one only is to be kept: they wait.
    assert!(kept(&mut world) >= 3);
    world.run(2 * 86_400).unwrap();
    assert!((20..60).contains(&world.ran.len()), "{}", world.ran.len());
    assert_eq!(kept(&mut world), 1);
    world.ends.clear();
    comes(&mut world, BOSS, "four", 5);
    world.run(3600).unwrap();
    assert_eq!(world.ran.last().unwrap(), "four");
}

#[test]
fn it_is_run_although_the_date_jumps_while_messages_wait() {
    let mut world = started(settings());
    // Without a clock of its own the Pi begins with an old date.
    world.ends = [Some(Ended::Later("is not online".to_owned()))].into();
    comes(&mut world, BOSS, "one", 1);
    comes(&mut world, BOSS, "two", 2);
    world.wall += 3 * 86_400;
    world.run(100).unwrap();
    assert_eq!(world.ran, ["one", "one", "two"]);
}

#[test]
fn one_that_restarts_the_device_does_not_do_so_for_ever() {
    let mut world = started(settings());
    world.ends = vec![None; 10].into();
    comes(&mut world, BOSS, "one", 1);
    for _ in 0..10 {
        world.cut(0);
        world.start().unwrap();
        world.run(10).unwrap();
    }
    assert_eq!(world.ran, ["one"; 3]);
    world.ends.clear();
    comes(&mut world, BOSS, "two", 2);
    assert_eq!(world.ran.last().unwrap(), "two");
    // One that asks for time has ended, so restarts while it waits do not count.
    world.ends = vec![Some(Ended::Later("is busy".to_owned())); 6].into();
    comes(&mut world, BOSS, "three", 3);
    for _ in 0..5 {
        world.cut(0);
        world.start().unwrap();
        world.run(10).unwrap();
    }
    let three = |world: &World| world.ran.iter().filter(|text| *text == "three").count();
    assert_eq!(three(&world), 6);
    world.run(100).unwrap();
    assert_eq!(three(&world), 7);
}

#[test]
fn the_password_in_a_command_is_done_and_not_shown() {
    let mut world = started(settings());
    comes(&mut world, BOSS, &command(7, "apn web me 7041"), 1);
    let [name, user, password] = ["web", "me", "7041"].map(str::to_owned);
    assert_eq!(world.done, [Wish::Apn(Some(Apn { name, user, password }))]);
    comes(&mut world, "+254700000009", &command(8, "apn web me 7041"), 2);
    let seen = format!("{:?} {:?} {:?}", world.desk().messages(), world.told, world.ran);
    assert!(seen.contains("apn web [") && !seen.contains("me 7041"), "{seen}");
}

#[test]
fn the_log_does_not_say_who_is_not_answered() {
    let deny = vec![Pattern::try_from(BOSS.to_owned()).unwrap()];
    let mut world = started(Settings { to: Lists { allow: None, deny }, ..settings() });
    comes(&mut world, BOSS, &command(7, "status"), 1);
    let said = world.said.iter().find(|line| line.contains("is not answered")).unwrap();
    assert!(said.contains("to its sender") && !said.contains(BOSS), "{said}");
}

#[test]
fn a_command_is_done_and_answered_once() {
    let mut world = started(settings());
    comes(&mut world, BOSS, &command(7, "status"), 1);
    assert_eq!(world.done, [Wish::Status]);
    world.run(60).unwrap();
    assert_eq!(answers(&world), ["it is done"]);
    assert_eq!(world.network[0].0, Address::number(BOSS).unwrap());
    // Again, by whoever; with another command; from somebody else; not quite.
    comes(&mut world, BOSS, &command(7, "status"), 2);
    comes(&mut world, BOSS, &command(8, "status").replace("status", "reboot"), 3);
    comes(&mut world, "+254700000009", &command(9, "reboot"), 4);
    comes(&mut world, BOSS, "9 reboot", 5);
    world.run(60).unwrap();
    assert_eq!((world.done.len(), world.network.len()), (1, 1));
    // What is no command is for the program; what looks like one is not.
    assert_eq!(world.ran, [command(9, "reboot"), "9 reboot".to_owned()]);
    comes(&mut world, BOSS, &command(9, "dance"), 6);
    world.run(60).unwrap();
    assert!(answers(&world)[1].contains("status, why, reboot, apn"));
    assert_eq!(world.done.len(), 1);
}

struct Script {
    world: World,
    arrived: bool,
}

impl Script {
    fn run(&mut self) -> Result<(), Cut> {
        self.world.start()?;
        if !std::mem::replace(&mut self.arrived, true) {
            let hello = self.world.text("+254700000003", "hello", 1)[0];
            let order = self.world.text(BOSS, &command(1, "reboot"), 2)[0];
            self.world.code("+CMTI", hello)?;
            self.world.code("+CMTI", order)?;
        }
        self.world.run(4000)
    }
}

#[test]
fn cut_at_every_step_each_message_is_handed_on_and_no_command_done_twice() {
    let script = || Script { world: World::new(settings()), arrived: false };
    let mut clean = script();
    clean.run().unwrap();
    assert_eq!((clean.world.ran.len(), clean.world.done.len()), (1, 1));
    let (mut again, mut lost) = (0, 0);
    for at in 0..clean.world.power.used() {
        let mut script = script();
        script.world.power.set(Some(at));
        if script.run().is_err() {
            script.world.cut(at);
            script.world.power.set(None);
            script.run().unwrap();
        }
        let world = &script.world;
        assert!(matches!(world.ran.len(), 1 | 2), "cut at {at}: {:?}", world.ran);
        assert!(world.done.len() <= 1, "cut at {at}: done twice");
        assert!(world.network.len() <= 1, "cut at {at}: {:?}", world.network);
        again += world.ran.len() - 1;
        lost += 1 - world.done.len();
    }
    println!("program run again {again} times, command not done {lost} times");
    assert!(again <= 10 && lost <= 2, "{again} {lost}");
}
