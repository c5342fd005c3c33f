//! The desk while ModemManager has the modem; the power cut at every step.

use std::time::Duration;

use crate::sms::desk::{Action, Desk, Event, ManagerCall, ManagerEvent, Message, Time};
use crate::sms::managed::{Fault, Kind, Stored};
use crate::sms::pdu::{Address, Deliver, Stamp, split, with_centre};
use crate::sms::spool::{Kept, Priority, Record, SendRequest, Settings};

const START: u64 = 1_795_291_200;
const PEER: &str = "+254700000001";
const STAMP: &str = "2026-11-21T15:00:07+03:00";

/// Desk, disk and ModemManager.
struct World {
    desk: Desk,
    kept: Kept,
    now: u64,
    /// What ModemManager shows.
    shown: Vec<Stored>,
    /// What reached the network.
    sent: Vec<String>,
    /// What ModemManager answers to the next sending.
    answer: Option<Result<(), Fault>>,
    /// The power is cut before this step.
    cut: Option<usize>,
    steps: usize,
}

impl World {
    fn new() -> World {
        let kept = Kept::default();
        let mut world = World {
            desk: Desk::new(Settings::default(), kept.clone()),
            kept,
            now: 0,
            shown: Vec::new(),
            sent: Vec::new(),
            answer: None,
            cut: None,
            steps: 0,
        };
        world.begin();
        world
    }

    fn time(&self) -> Time {
        Time { now: Duration::from_secs(self.now), wall: START + self.now }
    }

    fn begin(&mut self) {
        self.tell(Event::Registered(true));
        self.tell(Event::Manager(ManagerEvent::Ready));
        self.show();
    }

    fn show(&mut self) {
        self.tell(Event::Manager(ManagerEvent::Shown(self.shown.clone())));
    }

    fn tell(&mut self, event: Event) {
        self.desk.event(self.time(), event);
        self.work();
    }

    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        self.desk.advance(self.time());
        self.work();
        self.show();
    }

    fn work(&mut self) {
        loop {
            let actions = self.desk.take();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.steps += 1;
                if self.cut == Some(self.steps) {
                    self.desk = Desk::new(Settings::default(), self.kept.clone());
                    return self.begin();
                }
                self.act(action);
            }
        }
    }

    fn act(&mut self, action: Action) {
        let time = self.time();
        let answer = match action {
            Action::Keep(record) => return self.keep(record),
            Action::Manager(ManagerCall::Send(whole)) => {
                let answer = self.answer.take().unwrap_or(Ok(()));
                if answer.is_ok() {
                    self.sent.push(whole.text);
                }
                let result = answer.map(|()| ("/SMS/9".to_owned(), Some(7)));
                ManagerEvent::Sent { id: whole.id, result }
            }
            Action::Manager(ManagerCall::Delete(path)) => {
                self.shown.retain(|one| one.path != path);
                ManagerEvent::Deleted { path, done: true }
            }
            _ => return,
        };
        self.desk.event(time, Event::Manager(answer));
    }

    fn keep(&mut self, record: Record) {
        match record {
            Record::Outgoing(message) => {
                self.kept.outgoing.retain(|one| one.id != message.id);
                self.kept.outgoing.push(message);
            }
            Record::Incoming(message) => {
                self.kept.incoming.retain(|one| one.id != message.id);
                self.kept.incoming.push(message);
            }
            Record::Numbers(numbers) => self.kept.numbers = numbers,
        }
    }

    fn send(&mut self, text: &str) -> u64 {
        let request = SendRequest {
            to: Address::number(PEER).unwrap(),
            text: text.into(),
            class: None,
            report: true,
            validity: None,
            priority: Priority::Normal,
        };
        let accepted = self.desk.send(self.time(), vec![request]).unwrap();
        self.work();
        accepted[0].id
    }

    fn message(&self, id: u64) -> Message {
        self.desk.message(id).unwrap()
    }

    fn came(&self) -> Vec<String> {
        let all = self.desk.messages().into_iter().filter(|one| one.direction == "in");
        all.map(|one| one.text.unwrap()).collect()
    }
}

fn stored(number: u32, text: &str) -> Stored {
    Stored {
        path: format!("/SMS/{number}"),
        kind: Kind::Deliver,
        whole: true,
        number: PEER.into(),
        text: text.into(),
        data: Vec::new(),
        stamp: STAMP.into(),
        discharge: String::new(),
        class: -1,
        reference: 0,
        status: 256,
    }
}

fn fault(name: &str) -> Fault {
    Fault { name: format!("org.freedesktop.ModemManager1.Error.{name}"), text: "no".into() }
}

fn long(name: &str) -> String {
    format!("{name} 😀 {{€}} ").repeat(14)
}

/// The octets of a text as the modem has them on the SIM.
fn on_the_sim(text: &str) -> Vec<Vec<u8>> {
    let message = split(text, None, 77, false).unwrap();
    let deliver = |data| {
        let deliver = Deliver {
            more: false,
            report: false,
            reply_path: false,
            from: Address::number(PEER).unwrap(),
            protocol: 0,
            coding: message.coding,
            // STAMP.
            stamp: Stamp([0x62, 0x11, 0x12, 0x51, 0x00, 0x70, 0x21]),
            data,
        };
        with_centre(None, &deliver.encode().unwrap())
    };
    message.parts.into_iter().map(deliver).collect()
}

#[test]
fn wherever_the_power_is_cut_nothing_is_lost_or_doubled() {
    let mut all = None;
    for cut in 1.. {
        let mut world = World::new();
        (world.cut, world.steps) = (Some(cut), 0);
        world.shown = vec![stored(1, &long("here")), stored(2, "short")];
        world.show();
        let id = world.send(&long("there"));
        // The message may have been accepted by nobody when the power went.
        let accepted = world.desk.message(id).is_ok();
        world.pass(10);
        world.pass(10);
        assert_eq!(world.came(), [long("here"), "short".into()], "cut at {cut}");
        assert!(world.shown.is_empty(), "cut at {cut}: {:?}", world.shown);
        if accepted {
            let state = world.message(id).state;
            match (world.sent.len(), state.as_str()) {
                (1, "submitted" | "unknown") | (0, "unknown") => {}
                other => panic!("cut at {cut}: {other:?}"),
            }
        } else {
            assert!(world.sent.is_empty());
        }
        if world.steps < cut {
            all = Some(cut);
            break;
        }
    }
    println!("cut at each of {} steps", all.unwrap());
}

#[test]
fn a_long_text_is_reported_by_its_last_part() {
    let mut world = World::new();
    let id = world.send(&long("there"));
    assert_eq!(world.sent, [long("there")]);
    let message = world.message(id);
    assert_eq!((message.state.as_str(), message.references), ("submitted", vec![7]));
    // ModemManager 1.20 asks for one of each part; those of others say nothing.
    for (at, reference) in [(1, 5), (2, 6), (3, 7)] {
        assert_eq!(world.message(id).state, "submitted");
        let report = Stored { kind: Kind::Report, reference, status: 0, ..stored(at, "") };
        world.shown.push(report);
        world.show();
    }
    assert_eq!(world.message(id).state, "reported");
    assert!(world.shown.is_empty());
}

#[test]
fn a_lost_answer_is_unknown_and_a_refusal_is_not() {
    let mut world = World::new();
    world.answer = Some(Err(fault("Serial.ResponseTimeout")));
    let lost = world.send("lost");
    assert_eq!(world.message(lost).state, "unknown");
    world.pass(3600);
    assert_eq!(world.message(lost).state, "unknown");

    world.answer = Some(Err(fault("Message.NetworkFailure")));
    let refused = world.send(&long("refused"));
    assert_eq!(world.message(refused).state, "accepted");
    assert_eq!(world.message(refused).detail.as_deref(), Some("ModemManager answered no"));
    world.pass(30);
    let message = world.message(refused);
    // Some of its parts may have gone the first time.
    assert_eq!((message.state.as_str(), message.perhaps_twice), ("submitted", true));
    assert_eq!(world.sent, [long("refused")]);

    world.answer = Some(Err(fault("Core.WrongState")));
    let later = world.send(&long("later"));
    assert_eq!(world.message(later).state, "accepted");
    world.pass(30);
    let message = world.message(later);
    assert_eq!((message.state.as_str(), message.perhaps_twice), ("submitted", false));
}

#[test]
fn one_that_ends_while_it_sends_leaves_the_message_unknown() {
    let mut world = World::new();
    let time = world.time();
    let request = SendRequest {
        to: Address::number(PEER).unwrap(),
        text: "gone".into(),
        class: None,
        report: false,
        validity: None,
        priority: Priority::Normal,
    };
    let id = world.desk.send(time, vec![request]).unwrap()[0].id;
    assert!(world.desk.is_sending(time.wall));
    let sends = |action: &Action| matches!(action, Action::Manager(ManagerCall::Send(_)));
    assert_eq!(world.desk.take().iter().filter(|action| sends(action)).count(), 1);
    world.tell(Event::Manager(ManagerEvent::Gone));
    assert_eq!(world.message(id).state, "unknown");
    assert!(!world.desk.is_sending(time.wall));
}

#[test]
fn what_one_hand_kept_the_other_does_not_keep_again() {
    for text in ["short".to_owned(), long("here")] {
        // Read from the SIM, and ModemManager gets the modem before it is deleted.
        let mut world = World::new();
        for octets in on_the_sim(&text) {
            world.desk.received(world.time(), &octets);
            world.work();
        }
        assert!(world.came().iter().eq([&text]), "{:?}", world.came());
        world.shown = vec![stored(1, &text)];
        world.show();
        assert_eq!((world.came(), world.shown.len()), (vec![text.clone()], 0));

        // And the other way about.
        let mut world = World::new();
        world.shown = vec![stored(1, &text)];
        world.show();
        for octets in on_the_sim(&text) {
            world.desk.received(world.time(), &octets);
            world.work();
        }
        assert!(world.came().iter().eq([&text]), "{:?}", world.came());
        // The same text at another time is another message.
        let later = Stored { stamp: "2026-11-21T15:09:07+03:00".into(), ..stored(2, &text) };
        world.shown = vec![later];
        world.show();
        assert_eq!(world.came(), [text.clone(), text]);
    }
}

#[test]
fn what_cannot_be_kept_stays_with_modemmanager() {
    let mut world = World::new();
    world.shown = vec![stored(1, "here")];
    world.desk.event(world.time(), Event::Manager(ManagerEvent::Shown(world.shown.clone())));
    // The disk fails at the first of the actions: none of the others is done.
    assert!(matches!(world.desk.take()[0], Action::Keep(_)));
    world.desk.restore(world.time(), world.kept.clone());
    world.work();
    world.show();
    assert_eq!((world.came().len(), world.shown.len()), (0, 1));
    world.pass(60);
    assert_eq!((world.came(), world.shown.len()), (vec!["here".to_owned()], 0));
}

/// Messages of another place may be taken up when it is: what is being sent would be
/// taken for lost.
#[test]
fn it_is_not_idle_while_modemmanager_sends() {
    let mut world = World::new();
    assert!(world.desk.is_idle());
    let request = SendRequest {
        to: Address::number(PEER).unwrap(),
        text: "hi".into(),
        class: None,
        report: false,
        validity: None,
        priority: Priority::Normal,
    };
    let id = world.desk.send(world.time(), vec![request]).unwrap()[0].id;
    let actions = world.desk.take();
    assert!(actions.iter().any(|one| matches!(one, Action::Manager(ManagerCall::Send(_)))));
    assert!(!world.desk.is_idle());
    let result = Ok(("/SMS/1".to_owned(), Some(1)));
    world.tell(Event::Manager(ManagerEvent::Sent { id, result }));
    assert!(world.desk.is_idle());
}
