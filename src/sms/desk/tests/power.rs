//! The power cut at every step of the disk and the modem, again and again.

use std::collections::BTreeMap;

use super::world::{Cut, World};
use super::{request, states};
use crate::sms::spool::{OnUnknown, SendRequest, Settings};

/// Messages of the script, with how many parts each has.
const SENT: [(&str, usize); 3] = [("first", 1), ("second", 3), ("third", 1)];

struct Script {
    world: World,
    /// Which were accepted, and with which number.
    accepted: BTreeMap<&'static str, u64>,
    /// Which were asked for when the power went: accepted or not, nobody knows.
    asked: Vec<&'static str>,
    arrived: bool,
}

fn text(name: &str, parts: usize) -> String {
    if parts == 1 { name.to_owned() } else { format!("{name} ").repeat(60) }
}

impl Script {
    /// From where it stands to the end, unless the power is cut.
    fn run(&mut self) -> Result<(), Cut> {
        self.world.start()?;
        for (name, parts) in SENT {
            if self.accepted.contains_key(name) || self.asked.contains(&name) {
                continue;
            }
            self.asked.push(name);
            let request =
                SendRequest { report: true, ..request("+254700000001", &text(name, parts)) };
            let time = self.world.time();
            let id = self.world.desk().send(time, vec![request]).unwrap()[0].id;
            let done = self.world.carry_out();
            // It is accepted from the moment that this is told.
            if self.world.told.iter().any(|news| news.event == "accepted" && news.message.id == id)
            {
                self.asked.pop();
                self.accepted.insert(name, id);
            }
            done?;
            self.world.run(3)?;
        }
        if !std::mem::replace(&mut self.arrived, true) {
            let places = self.world.text("+254700000002", &text("hello", 3), 5);
            for place in places.into_iter().rev() {
                self.world.code("+CMTI", place)?;
            }
        }
        // Reports, what is left on the SIM, and whatever is tried again.
        self.world.run(4000)
    }
}

fn script(on_unknown: OnUnknown) -> Script {
    let settings = Settings { on_unknown, ..Settings::default() };
    let world = World::new(settings);
    Script { world, accepted: BTreeMap::new(), asked: Vec::new(), arrived: false }
}

/// Cuts the power after each number of steps, and after the next start as often
/// again, a little later each time. The table of what became of it.
fn cut_everywhere(on_unknown: OnUnknown) -> BTreeMap<String, usize> {
    let mut clean = script(on_unknown);
    clean.run().unwrap();
    let steps = clean.world.power.used();
    let mut table = BTreeMap::new();
    for at in 0..steps {
        let mut script = script(on_unknown);
        let mut next = Some(at);
        for again in 0..4_usize {
            script.world.power.set(next);
            if script.run().is_ok() {
                break;
            }
            script.world.cut(at + again);
            // Without power, an hour.
            script.world.wall += 3600;
            next = (again < 3).then_some((at * 7 + again * 3) % 40);
        }
        script.world.power.set(None);
        script.world.start().unwrap();
        script.world.run(8000).unwrap();
        check(&mut script, on_unknown, at, &mut table);
    }
    println!("{steps} steps, {on_unknown:?}:");
    table
}

fn check(script: &mut Script, policy: OnUnknown, at: usize, table: &mut BTreeMap<String, usize>) {
    let states = states(&mut script.world);
    let network = &script.world.network;
    for (name, parts) in SENT {
        let whole = text(name, parts);
        let in_text = |part: &String| {
            parts == 1 && *part == whole
                || parts > 1 && whole.contains(part.as_str()) && part.len() > 20
        };
        let copies = network.iter().filter(|(_, part)| in_text(part)).count();
        let Some(id) = script.accepted.get(name) else {
            // It was not accepted, so it may be there or not, but not twice.
            let most = if policy == OnUnknown::Hold { parts } else { 5 * parts };
            assert!(copies <= most, "cut at {at}: {name} {copies} times");
            continue;
        };
        let state = states.get(id).unwrap_or_else(|| panic!("cut at {at}: {name} is lost"));
        *table.entry(state.clone()).or_default() += 1;
        let message = script.world.desk.as_ref().unwrap().message(*id).unwrap();
        match (policy, state.as_str()) {
            (_, "reported" | "submitted") if !message.perhaps_twice => {
                assert_eq!(copies, parts, "cut at {at}: {name} is {state}");
            }
            (OnUnknown::Hold, "unknown") => {
                assert!(copies <= parts, "cut at {at}: {name} {copies} times");
            }
            (OnUnknown::Resend, "reported" | "submitted") => {
                assert!(copies >= parts, "cut at {at}: {name} {copies} times");
            }
            _ => panic!("cut at {at}: {name} is {state}, {copies} copies"),
        }
    }
    let messages = script.world.desk.as_ref().unwrap().messages();
    let came: Vec<_> = messages.iter().filter(|one| one.direction == "in").collect();
    if script.arrived {
        assert_eq!(came.len(), 1, "cut at {at}: {came:?}");
        assert_eq!(came[0].text.as_deref(), Some(text("hello", 3).as_str()), "cut at {at}");
        assert_eq!(came[0].state, "whole");
    }
    assert!(script.world.sim.is_empty(), "cut at {at}: {:?}", script.world.sim);
}

#[test]
fn cut_at_every_step_nothing_is_lost_and_nothing_doubled() {
    for (policy, unknown) in [(OnUnknown::Hold, true), (OnUnknown::Resend, false)] {
        let table = cut_everywhere(policy);
        for (state, count) in &table {
            println!("  {state:<10} {count}");
        }
        assert!(table.contains_key("reported"));
        assert_eq!(table.contains_key("unknown"), unknown, "with the other policy all are sent");
    }
}
