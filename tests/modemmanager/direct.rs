//! Direct control: ModemManager lets go of the modem, when it was there first and when
//! it is started beside the service, and gets it back.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::debian::Running;
use crate::common::namespace::outside;
use crate::rig::PLACE;
use crate::service::{PROGRAM, Service, download, ours};
use crate::{PEER, cellular, config, is_named, sms, stage, text, until, wait};

/// The port is left to a ModemManager that is new for so long at most.
const YOUNG: Duration = Duration::from_secs(60);

/// From the look that finds the port open or closed to the next one, on a slow
/// machine.
const LOOK: Duration = Duration::from_secs(4);

/// Records what the service says on the port, until this is dropped.
fn record(service: &Service, file: &Path) -> Running {
    let mut command = Command::new(PROGRAM);
    command.arg("record").arg(file).args(["--seconds", "600", "--socket"]).arg(&service.socket);
    Running(command.stdout(Stdio::null()).spawn().unwrap())
}

/// When the service sent its commands, of a transcript.
fn sent(file: &Path) -> Vec<(Duration, String)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = |line: &str| {
        let (at, line) = line.split_once(" > ")?;
        Some((Duration::from_millis(at.parse().ok()?), line.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

fn port_is_open(service: &Service) -> bool {
    cellular(service)["port_open"] == true
}

/// A person's command, as `a7670e at`; whether it was answered.
fn ask(service: &Service) -> bool {
    service.ask(&["at", "AT+CSQ"]).is_some()
}

#[test]
#[ignore = "needs Debian's ModemManager in A7670E_MODEMMANAGER_ROOT"]
fn in_direct_control_modemmanager_lets_go_whenever_it_comes() {
    if outside("direct::in_direct_control_modemmanager_lets_go_whenever_it_comes") {
        return;
    }
    let (folder, home, mut manager, rig) = stage();
    manager.start();
    let found = until("it does not find the modem", &manager, || manager.modems() == 1);
    println!("ModemManager {} finds the modem after {found:.1?}", manager.version());
    let uid = fs::canonicalize(Path::new("/sys/bus/usb/devices").join(PLACE)).unwrap();
    let uid = uid.to_str().unwrap();

    let service = Service::start_on(manager.address(), &home, &config("direct"));
    println!("the service has it after {:.1?}", wait(&service, &manager, "service"));
    assert_eq!(manager.modems(), 0);
    assert!(manager.is_inhibited(uid));
    is_named(&service.ask(&["why"]).unwrap()[0]["control"], &manager);
    download(100_000);

    // Restarted by hand: until it has let go, the service says nothing to the modem.
    let file = folder.path().join("transcript");
    let recorder = record(&service, &file);
    until("nothing is recorded", &manager, || ask(&service) && !sent(&file).is_empty());
    manager.kill();
    manager.start();
    until("the port is not left to it", &manager, || !ask(&service) && !port_is_open(&service));
    let closed = Instant::now();
    let note = service.ask(&["why"]).unwrap()[0]["control"]["note"].as_str().map(str::to_owned);
    let text = text("meanwhile");
    let accepted = sms(&service, &["send", "--to", PEER, "--report", &text]);
    let id = accepted[0]["id"].as_u64().unwrap().to_string();
    let mut looks = 0;
    let mut last = Instant::now();
    while !port_is_open(&service) {
        assert_eq!(service.verdict(), "online");
        download(1000);
        let refused = !ask(&service);
        assert!(refused || port_is_open(&service), "a command while the port is another's");
        assert!(closed.elapsed() < crate::DEADLINE, "{}", manager.said());
        last = Instant::now();
        looks += 1;
    }
    let quiet = last - closed;
    let note = note.unwrap();
    assert!(note.contains("left to a ModemManager"), "{note}");
    assert!(looks > 1 && quiet < YOUNG, "{looks} looks, {quiet:?}");
    println!("the port was left to it for {quiet:.1?}, {looks} looks; {note}");
    println!("the service has it again after {:.1?}", wait(&service, &manager, "service"));
    assert!(manager.is_inhibited(uid));
    assert_eq!(manager.modems(), 0);
    is_named(&service.ask(&["why"]).unwrap()[0]["control"], &manager);

    // The message that waited goes now, once; and the transcript has a hole.
    let reported = || sms(&service, &["show", &id])[0]["state"] == "reported";
    until("the message is not reported", &manager, reported);
    let parts = rig.with(|modem, _| modem.sent_messages().to_vec());
    assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), text);
    let asked = || sent(&file).iter().filter(|(_, command)| command == "AT+CSQ").count();
    let before = asked();
    until("the end is not recorded", &manager, || ask(&service) && asked() > before);
    drop(recorder);
    let sent = sent(&file);
    let holes = sent.windows(2).map(|two| two[1].0 - two[0].0);
    let hole = holes.max().unwrap();
    println!("the longest hole between two of {} commands is {hole:.1?}", sent.len());
    assert!(hole + LOOK > quiet, "{hole:?} without a command, of {quiet:?}: {sent:?}");
    let tried = service.ask(&["status"]).unwrap()["modems"][0]["session"]["tried"].clone();
    assert_eq!(tried, serde_json::json!([]), "recovery was needed");

    service.stop();
    assert_eq!(ours(), "", "something of ours is left");
    let back = until("it does not get the modem back", &manager, || manager.modems() == 1);
    println!("ModemManager finds it again after {back:.1?}");
    drop(rig);
}
