//! The programs of `examples/`, run against the real service.

use std::time::Instant;

use a7670e_emulator::fault::Effect;

use crate::common::namespace::{ip, outside};
use crate::rig::Rig;
use crate::{CONFIG, DEADLINE, Service, cable};

#[path = "../../examples/rest.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod rest;
#[path = "../../examples/sms_queue.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod sms_queue;

#[test]
fn a_message_is_queued_and_pages_are_asked_for_through_the_modem() {
    if outside("examples::a_message_is_queued_and_pages_are_asked_for_through_the_modem") {
        return;
    }
    ip("link set lo up");
    cable();
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let service = Service::start(folder.path(), CONFIG);
    let args = |words: &[&str]| {
        let socket = service.socket.display().to_string();
        let all = [&["--socket", socket.as_str()], words].concat();
        all.into_iter().map(str::to_owned).collect::<Vec<_>>().into_iter()
    };
    service.wait("online");
    let rest = |words: &[&str]| {
        let mut out = Vec::new();
        let done = rest::run(args(words), &mut out);
        done.map(|()| String::from_utf8(out).unwrap()).map_err(|error| format!("{error:#}"))
    };
    let page = rest(&["get", "http://192.0.2.80/"]).unwrap();
    assert_eq!(page, "far end of the a7670e-emulator\n");
    let posted = rest(&["post", "http://192.0.2.80/count", "{\"title\":\"foo\"}"]).unwrap();
    assert!(posted.contains("15"), "{posted}");
    let missing = rest(&["get", "http://192.0.2.80/nowhere"]).unwrap_err();
    assert!(missing.contains("answers 404"), "{missing}");

    let queue = |text: &str| {
        let mut out = Vec::new();
        let done = sms_queue::run(args(&["+254700000001", text]), &mut out);
        (String::from_utf8(out).unwrap(), done.map_err(|error| format!("{error:#}")))
    };
    let (told, done) = queue("hello from the queue");
    assert_eq!(done, Ok(()));
    assert_eq!(told, "message 1 accepted\nmessage 1 is with the network\nmessage 1 has arrived\n");
    // Without coverage it waits, and goes once there is some.
    rig.inflict(Effect::NoCoverage);
    let start = Instant::now();
    while service.verdict() == "online" {
        assert!(start.elapsed() < DEADLINE, "it has not noticed");
    }
    let waits = std::thread::scope(|scope| {
        let queued = scope.spawn(|| queue("later"));
        let accepted = || {
            service.ask(&["sms", "outbox"]).is_some_and(|all| {
                let all = all.as_array().cloned().unwrap_or_default();
                all.iter().any(|one| one["text"] == "later" && one["state"] == "accepted")
            })
        };
        while !accepted() {
            assert!(start.elapsed() < DEADLINE, "it is not accepted");
        }
        rig.inflict(Effect::Coverage);
        queued.join().unwrap()
    });
    assert_eq!(waits.1, Ok(()));
    assert!(waits.0.ends_with("has arrived\n"), "{}", waits.0);
    service.stop();
    drop(rig);
}
