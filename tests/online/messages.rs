//! Text messages through the real service: sent and received by its command
//! line, while it is killed at random moments.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use a7670e_emulator::fault::Effect;
use serde_json::Value;

use crate::common::namespace::{ip, outside};
use crate::rig::Rig;
use crate::{DEADLINE, PROGRAM, Service};

const CONFIG: &str = r#"
[network]
dns = "none"
probe = { target = "http://example.test/204" }
[sms]
per_hour = 0
keep = 5000
"#;

/// How many go each way while the service is killed: 90, or `A7670E_MESSAGES`.
fn each() -> usize {
    std::env::var("A7670E_MESSAGES").map_or(90, |number| number.parse().expect("a number"))
}

fn sms(service: &Service, arguments: &[&str]) -> Option<Value> {
    service.ask(&[&["sms"], arguments].concat())
}

pub fn list(service: &Service) -> Vec<Value> {
    let all = sms(service, &["list"]).unwrap_or_default();
    all.as_array().cloned().unwrap_or_default()
}

pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn messages_go_and_come_and_are_told_of() {
    if outside("messages::messages_go_and_come_and_are_told_of") {
        return;
    }
    ip("link set lo up");
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path(), "a7670e-ecm", 300, "");
    let service = Service::start(folder.path(), CONFIG);
    service.wait("online");
    rig.inflict(Effect::Sms { from: "Safaricom".into(), text: "first".into() });
    until("the first is kept", || list(&service).len() == 1);
    let mut watch = Command::new(PROGRAM)
        .args(["sms", "watch", "--after", "0", "--socket"])
        .arg(&service.socket)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut events = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    // What is kept is told first; from then on it listens.
    let kept = events.next().unwrap();
    assert_eq!((&kept["event"], &kept["message"]["text"]), (&"kept".into(), &"first".into()));
    let text = "Grüße aus Nairobi 😀 ".repeat(8);
    let accepted = sms(&service, &["send", "--to", "+254700000001", "--report", &text]).unwrap();
    let id = accepted[0]["id"].as_u64().unwrap();
    until("reported", || {
        let shown = sms(&service, &["show", &id.to_string()]).unwrap_or_default();
        shown[0]["state"] == "reported"
    });
    let parts = rig.with(|modem, _| modem.sent_messages().to_vec());
    let sent: String = parts.iter().map(|part| part.text.as_str()).collect();
    assert_eq!((sent, parts.len()), (text.clone(), 3));
    rig.inflict(Effect::Sms { from: "Safaricom".into(), text: text.clone() });
    let mut told = Vec::new();
    while told.last().is_none_or(|event: &Value| event["event"] != "received") {
        told.push(events.next().unwrap());
    }
    let names: Vec<&str> = told.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert!(names.starts_with(&["accepted"]) && names.contains(&"reported"), "{names:?}");
    let came = &told.last().unwrap()["message"];
    assert_eq!(came["text"], Value::from(text));
    assert_eq!(came["address"], "Safaricom");
    let number = came["id"].to_string();
    assert!(sms(&service, &["show", &number]).is_some());
    assert!(
        Command::new(PROGRAM)
            .args(["sms", "delete", &number, "--socket"])
            .arg(&service.socket)
            .status()
            .unwrap()
            .success()
    );
    assert!(sms(&service, &["show", &number]).is_none());
    watch.kill().unwrap();
    watch.wait().unwrap();
    service.stop();
    drop(rig);
}

#[test]
fn stopped_while_it_sends_it_hears_what_becomes_of_it() {
    if outside("messages::stopped_while_it_sends_it_hears_what_becomes_of_it") {
        return;
    }
    ip("link set lo up");
    let folder = tempfile::tempdir().unwrap();
    // Long enough to stop the service meanwhile, and shorter than it waits then.
    let late = "[[fault]]\non_command = \"AT+CMGS*\"\neffect = \"late\"\nby_ms = 6000\n";
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, late);
    let service = Service::start(folder.path(), CONFIG);
    service.wait("online");
    for text in ["on its way", "in its turn"] {
        assert!(sms(&service, &["send", "--to", "+254700000001", text]).is_some());
    }
    // The modem has been told of it, and has yet to ask for the text.
    let mut first = Value::Null;
    until("it is being sent", || {
        first = list(&service)[0].clone();
        first["parts_done"] == 1
    });
    assert_eq!(first["state"], "accepted");
    service.stop();
    let sent = || rig.with(|modem, _| modem.sent_messages().to_vec());
    let texts: Vec<String> = sent().into_iter().map(|part| part.text).collect();
    assert_eq!(texts, ["on its way"], "and nothing more is begun");
    let service = Service::start(folder.path(), CONFIG);
    let states = || list(&service).into_iter().map(|one| one["state"].clone());
    until("both are sent", || states().collect::<Vec<_>>() == ["submitted", "submitted"]);
    assert_eq!(sent().len(), 2);
    service.stop();
    drop(rig);
}

#[test]
fn killed_while_it_sends_and_receives_it_loses_and_doubles_nothing() {
    if outside("messages::killed_while_it_sends_and_receives_it_loses_and_doubles_nothing") {
        return;
    }
    ip("link set lo up");
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let mut service = Service::start(folder.path(), CONFIG);
    service.wait("online");
    let mut random = 7_u32;
    let mut next = |below: u32| {
        // Numerical Recipes' LCG: the same moments in every run.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % below
    };
    let (mut accepted, mut doubtful, mut kills) = (BTreeMap::new(), Vec::new(), 0);
    let each = each();
    for number in 0..each {
        let text = format!("message number {number}.");
        match sms(&service, &["send", "--to", "+254700000001", &text]) {
            Some(answer) => _ = accepted.insert(answer[0]["id"].as_u64().unwrap(), text),
            // Killed meanwhile: nobody was told that it is accepted.
            None => doubtful.push(text),
        }
        rig.inflict(Effect::Sms {
            from: "+254700000002".into(),
            text: format!("to you {number}."),
        });
        if next(3) == 0 {
            std::thread::sleep(Duration::from_millis(u64::from(next(400))));
            service.kill();
            kills += 1;
            service = Service::start(folder.path(), CONFIG);
            until("it answers", || service.ask(&["status"]).is_some());
            until("the modem is seen", || sms(&service, &["list"]).is_some());
        }
    }
    service.wait("online");
    let done = |service: &Service| {
        let all = list(service);
        let open = all.iter().filter(|one| one["state"] == "accepted").count();
        (open, all.iter().filter(|one| one["direction"] == "in").count())
    };
    // As long as something comes of it.
    let (mut last, mut since) = (done(&service), Instant::now());
    while last != (0, each) {
        std::thread::sleep(Duration::from_millis(100));
        let next = done(&service);
        if next != last {
            (last, since) = (next, Instant::now());
        }
        assert!(since.elapsed() < DEADLINE * 2, "{last:?}");
    }
    let sent = rig.with(|modem, _| modem.sent_messages().to_vec());
    let copies = |text: &str| sent.iter().filter(|part| part.text == text).count();
    let all = list(&service);
    let mut table: BTreeMap<String, usize> = BTreeMap::new();
    for (id, text) in &accepted {
        let one = all.iter().find(|one| one["id"] == *id).expect("an accepted message is lost");
        let state = one["state"].as_str().unwrap();
        match state {
            "submitted" => assert_eq!(copies(text), 1, "{text} is {state}"),
            "unknown" => assert!(copies(text) <= 1, "{text} is {state}"),
            other => panic!("{text} is {other}: {one}"),
        }
        *table.entry(state.to_owned()).or_default() += 1;
    }
    assert!(doubtful.iter().all(|text| copies(text) <= 1));
    for number in 0..each {
        let text = format!("to you {number}.");
        let count = all.iter().filter(|one| one["text"] == text.as_str()).count();
        assert_eq!(count, 1, "{text} was kept {count} times");
    }
    println!("{each} messages each way, {kills} times killed");
    for (state, count) in &table {
        println!("  sent      {state:<12} {count}");
    }
    println!("  sent      not accepted {}", doubtful.len());
    println!("  received  whole        {each}");
    assert!(kills > 20 && !accepted.is_empty());
    service.stop();
    drop(rig);
}
