//! The modem shows messages otherwise than it was told to.

use super::world::World;
use super::{request, send, started, states};
use crate::at::{DeviceError, Final};
use crate::sms::spool::Settings;

/// All that came, and that nothing is left on the SIM.
fn texts(world: &mut World) -> Vec<String> {
    assert!(world.sim.is_empty(), "{:?}", world.sim);
    let all = world.desk().messages().into_iter().filter(|one| one.direction == "in");
    all.map(|one| one.text.unwrap_or_else(|| "no text".to_owned())).collect()
}

#[test]
fn what_is_shown_in_text_mode_stays_until_it_is_read() {
    let mut world = started(Settings::default());
    for (at, text) in ["one", "two"].into_iter().enumerate() {
        world.text_mode = true;
        let index = world.text("+254700000002", text, at as u16)[0];
        world.code("+CMTI", index).unwrap();
        world.run(60).unwrap();
    }
    assert_eq!(texts(&mut world), ["one", "two"]);
    assert_eq!(world.said.iter().filter(|said| said.contains("stays there")).count(), 2);
}

#[test]
fn a_line_that_is_spoilt_or_between_loses_nothing() {
    let spoilers: [fn(&mut Vec<String>); 4] = [
        |lines| lines.insert(1, "+UNKNOWN: 1".to_owned()),
        |lines| _ = lines[1].pop(),
        |lines| lines[1].truncate(30),
        |lines| _ = lines.remove(1),
    ];
    for told in [true, false] {
        let mut world = started(Settings::default());
        for (at, spoil) in spoilers.into_iter().enumerate() {
            world.spoil = Some(spoil);
            let index = world.text("+254700000002", &format!("text {at}"), at as u16)[0];
            if told {
                world.code("+CMTI", index).unwrap();
            }
            world.run(2000).unwrap();
            assert!(world.spoil.is_none(), "it was read");
        }
        assert_eq!(texts(&mut world), ["text 0", "text 1", "text 2", "text 3"]);
    }
}

/// What never can be read is looked at ever less often, and stays.
#[test]
fn what_cannot_be_read_is_not_asked_for_all_the_time() {
    let mut world = started(Settings::default());
    world.sim.insert(3, "no message".to_owned());
    world.run(86_400).unwrap();
    let lists = world.commands.iter().filter(|sent| sent.starts_with("AT+CMGL")).count();
    // Each time in two memories.
    assert!((96..140).contains(&lists), "{lists}");
    assert_eq!(world.sim.len(), 1);
    world.sim.clear();
    let index = world.text("+254700000002", "fine", 1)[0];
    world.code("+CMTI", index).unwrap();
    assert_eq!(texts(&mut world), ["fine"]);
}

/// Asked every five seconds, it would hear nothing else.
#[test]
fn a_modem_that_does_not_show_the_sim_is_asked_less_and_less_often() {
    let mut world = started(Settings::default());
    world.sim_shut = true;
    world.commands.clear();
    world.run(86_400).unwrap();
    let asked = world.commands.iter().filter(|sent| sent.starts_with("AT+CPMS=\"SM\"")).count();
    assert!((48..70).contains(&asked), "{asked}");
    let why = world.desk().trouble().unwrap().to_owned();
    assert!(why.contains("AT+CPMS") && why.contains("302"), "{why}");
    assert_eq!(world.said.iter().filter(|said| **said == why).count(), 1);
    let id = send(&mut world, request("+254700000001", "hi"));
    world.run(60).unwrap();
    assert_eq!(states(&mut world)[&id], "submitted");
    world.sim_shut = false;
    world.text("+254700000002", "late", 1);
    world.run(1900).unwrap();
    assert_eq!((texts(&mut world), world.desk().trouble()), (vec!["late".to_owned()], None));
}

#[test]
fn somebody_switches_to_text_mode_and_all_goes_on() {
    let mut world = started(Settings::default());
    // The next list is refused.
    world.text_mode = true;
    world.text("+254700000002", "listed", 1);
    world.run(2000).unwrap();
    assert_eq!(texts(&mut world), ["listed"]);
    // A message would be taken for something else.
    world.text_mode = true;
    let id = send(&mut world, request("+254700000001", "hi"));
    world.run(60).unwrap();
    assert_eq!((states(&mut world)[&id].as_str(), world.network.len()), ("submitted", 1));
}

/// Between any two commands of ours.
#[test]
fn a_modem_that_restarts_without_a_word_sends_and_loses_nothing_wrong() {
    let text = "part ".repeat(60);
    for moment in 0..40 {
        let mut world = started(Settings::default());
        world.restart_after = Some(moment);
        send(&mut world, request("+254700000001", &text));
        let (sim, own) = (world.text("+254700000002", "one", 1), world.text_own("two", 2));
        world.code("+CMTI", sim[0]).unwrap();
        world.code_at("+CMTI", "ME", own).unwrap();
        world.run(4000).unwrap();
        let sent: String = world.network.iter().map(|(_, part)| part.as_str()).collect();
        assert_eq!(sent, text, "after {moment} commands");
        let mut came = texts(&mut world);
        came.sort();
        assert_eq!(came, ["one", "two"], "after {moment} commands");
    }
}

#[test]
fn the_modems_own_memory_is_looked_through_if_there_is_one() {
    for has_own in [true, false] {
        let mut world = World::new(Settings::default());
        world.has_own = has_own;
        world.text_own("before us", 1);
        world.text("+254700000002", "on the SIM", 2);
        world.start().unwrap();
        world.run(10).unwrap();
        let all = if has_own { vec!["on the SIM", "before us"] } else { vec!["on the SIM"] };
        assert_eq!(texts(&mut world), all);
        assert_eq!(world.own.is_empty(), has_own);
        let lists = world.commands.iter().filter(|sent| sent.starts_with("AT+CPMS")).count();
        assert!(lists < 10, "{lists}");
    }
}

#[test]
fn a_message_that_the_modem_does_not_take_in_its_mode_is_given_up() {
    let mut world = started(Settings::default());
    let id = send_refused(&mut world, 3);
    assert_eq!(states(&mut world)[&id], "failed");
    let id = send_refused(&mut world, 2);
    assert_eq!(states(&mut world)[&id], "submitted");
}

/// Sends one that is refused so often.
fn send_refused(world: &mut World, times: usize) -> u64 {
    let refusal = || Some(Final::Cms(DeviceError::Code(304)));
    world.refuse = refusal();
    let id = send(world, request("+254700000001", "hi"));
    for _ in 1..times {
        assert_eq!(states(world)[&id], "accepted");
        world.refuse = refusal();
        for _ in 0..120 {
            world.run(u64::from(world.refuse.is_some())).unwrap();
        }
    }
    world.refuse = None;
    world.run(120).unwrap();
    id
}
