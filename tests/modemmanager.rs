//! The real service gives its modem to Debian's ModemManager, and takes it back.
//!
//! Wants `A7670E_MODEMMANAGER_ROOT`, a folder into which Debian's packages
//! `modemmanager` and `dbus-daemon` are unpacked with all they depend on, as
//! `cargo xtask test modemmanager` does; and, for another ModemManager than that
//! one, `A7670E_MODEMMANAGER_OTHER` with the same of its own.
//!
//! ModemManager runs unmodified in that folder, whose `/sys` and `/dev` are the
//! emulated modem's: it finds the port by its own ways, knows the device by its
//! path in sysfs, and opens the same pseudo-terminal as the service. What udev
//! would tell it a test tells it (`ReportKernelEvent`), and polkit says yes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use a7670e_emulator::fault::Effect;
use serde_json::Value;
use tempfile::TempDir;

mod common;
use common::namespace::{ip, outside};

#[path = "modemmanager/direct.rs"]
mod direct;
#[path = "modemmanager/manager.rs"]
mod manager;
#[path = "common/polkit.rs"]
mod polkit;
#[path = "online/rig.rs"]
mod rig;
#[path = "online/router.rs"]
mod router;
#[path = "online/service.rs"]
mod service;
#[path = "online/wire.rs"]
mod wire;

use manager::{Manager, home};
use rig::Rig;
use service::{Service, download, ours};

/// Probing and enabling talk to the modem at length, on a slow machine too.
const DEADLINE: Duration = Duration::from_secs(240);

const PEER: &str = "+254700000001";

fn config(control: &str) -> String {
    format!("[modem]\ncontrol = \"{control}\"\n{}", service::CONFIG)
}

/// Sees to it that the service knows which ModemManager it has to do with, and tells
/// of one that does not know A76XX.
fn is_named(control: &Value, manager: &Manager) {
    let version = manager.version();
    let minor: u32 = version.split('.').nth(1).unwrap().parse().unwrap();
    println!("ModemManager {version}: {control}");
    match minor < 24 {
        true => {
            assert_eq!(control["modemmanager"], version.as_str());
            let note = control["note"].as_str().unwrap();
            let named = note.contains(&version) && note.contains("does not know A76XX");
            assert!(named && note.contains("1.24"), "{note}");
        }
        false => assert_eq!(control["note"], Value::Null),
    }
}

/// What each test needs: a folder, in it the service's, ModemManager, which does not
/// run yet, and a modem.
fn stage() -> (TempDir, PathBuf, Manager, Rig) {
    ip("link set lo up");
    let folder = tempfile::tempdir().unwrap();
    let home = home(folder.path());
    let manager = Manager::new(folder.path());
    let rig = Rig::new(folder.path(), "a7670e-ecm", 200, "");
    (folder, home, manager, rig)
}

fn cellular(service: &Service) -> Value {
    let status = service.ask(&["status"]).unwrap_or_default();
    status["modems"][0]["session"]["cellular"].clone()
}

/// Waits until the modem is in these hands, connected and proven; how long that
/// took.
fn wait(service: &Service, manager: &Manager, holder: &str) -> Duration {
    until(&format!("the modem is not with {holder}"), manager, || {
        let state = cellular(service);
        state["control"]["holder"] == holder
            && state["control"]["settled"] == true
            && state["phase"] == "connected"
            && service.verdict() == "online"
    })
}

fn until(what: &str, manager: &Manager, mut is_so: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "{what}; ModemManager said last:\n{}", manager.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    start.elapsed()
}

fn sms(service: &Service, arguments: &[&str]) -> Vec<Value> {
    let all = service.ask(&[&["sms"], arguments].concat()).unwrap_or_default();
    all.as_array().cloned().unwrap_or_default()
}

fn text(name: &str) -> String {
    format!("{name} 😀 {{€}} ").repeat(14)
}

/// Sends a text of three parts, and waits for its report.
fn send(service: &Service, rig: &Rig, manager: &Manager, name: &str) {
    let text = text(name);
    let before = rig.with(|modem, _| modem.sent_messages().len());
    let accepted = sms(service, &["send", "--to", PEER, "--report", &text]);
    let id = accepted[0]["id"].as_u64().unwrap().to_string();
    let took = until(&format!("{name} is not reported"), manager, || {
        sms(service, &["show", &id]).first().is_some_and(|one| one["state"] == "reported")
    });
    let parts = rig.with(|modem, _| modem.sent_messages().to_vec());
    let sent: String = parts[before..].iter().map(|part| part.text.as_str()).collect();
    assert_eq!((sent, parts.len() - before), (text, 3));
    println!("{name}: three parts sent and reported after {took:.1?}");
}

/// Waits until a text that comes is kept, told of once and gone from the SIM.
fn receive(service: &Service, rig: &Rig, manager: &Manager, name: &str) {
    let text = text(name);
    rig.inflict(Effect::Sms { from: PEER.into(), text: text.clone() });
    let count = || {
        let came = |one: &&Value| one["direction"] == "in" && one["text"] == text.as_str();
        sms(service, &["list"]).iter().filter(came).count()
    };
    let took = until(&format!("{name} does not come"), manager, || count() > 0);
    until(&format!("{name} stays on the SIM"), manager, || {
        rig.with(|modem, _| modem.stored_messages()) == 0
    });
    assert_eq!(count(), 1);
    println!("{name}: received after {took:.1?}");
}

#[test]
#[ignore = "needs Debian's ModemManager in A7670E_MODEMMANAGER_ROOT"]
fn modemmanager_has_the_modem_and_gives_it_back() {
    if outside("modemmanager_has_the_modem_and_gives_it_back") {
        return;
    }
    let (_folder, home, mut manager, rig) = stage();
    manager.start();
    let service = Service::start_on(manager.address(), &home, &config("modemmanager"));
    println!("ModemManager has it after {:.1?}", wait(&service, &manager, "modemmanager"));
    let state = cellular(&service);
    is_named(&state["control"], &manager);
    assert_eq!(state["registration"], "home", "{state:#}");
    assert_eq!(state["identity"]["model"], "A7670E-LASE", "{state:#}");
    assert_eq!(state["operator"], "Safaricom", "{state:#}");
    assert!(state["signal"]["rssi_dbm"].is_number(), "{state:#}");
    assert_eq!(state["port_open"], false);
    assert_eq!(manager.value("modem.generic.state "), "registered");
    download(100_000);

    send(&service, &rig, &manager, "there");
    // ModemManager shows what it has sent for us.
    let listed = manager.mmcli(&["-m", "any", "--messaging-list-sms"]);
    let path = listed.split_whitespace().find(|word| word.contains("/SMS/")).unwrap_or_default();
    let shown = manager.mmcli(&["-s", path]);
    assert!(shown.contains("there 😀 {€}") && shown.contains("sent"), "{listed}{shown}");
    receive(&service, &rig, &manager, "here");

    // Killed and started anew: data goes on, and it gets the modem again.
    manager.kill();
    let seen = until("the end of ModemManager is not seen", &manager, || {
        cellular(&service)["control"]["note"].is_string()
    });
    println!("ModemManager's end is seen after {seen:.1?}");
    assert_eq!(service.verdict(), "online");
    download(1000);
    manager.start();
    println!("a new ModemManager has it after {:.1?}", wait(&service, &manager, "modemmanager"));
    receive(&service, &rig, &manager, "again");

    // At run time, there and back.
    for round in 1..=2 {
        assert!(service.ask(&["control", "direct"]).is_some());
        println!("direct after {:.1?}", wait(&service, &manager, "service"));
        let at = service.ask(&["at", "AT+CSQ"]).unwrap();
        assert!(at["lines"][0].as_str().unwrap().starts_with("+CSQ: "), "{at}");
        download(1000);
        send(&service, &rig, &manager, &format!("port{round}"));
        receive(&service, &rig, &manager, &format!("come{round}"));
        assert!(service.ask(&["control", "modemmanager"]).is_some());
        println!("ModemManager after {:.1?}", wait(&service, &manager, "modemmanager"));
        download(1000);
        send(&service, &rig, &manager, &format!("hand{round}"));
    }
    let tried = service.ask(&["status"]).unwrap()["modems"][0]["session"]["tried"].clone();
    assert_eq!(tried, serde_json::json!([]), "recovery was needed");
    service.stop();
    assert_eq!(ours(), "", "something of ours is left");
    // It is ModemManager's to the end.
    assert_eq!(manager.value("modem.generic.state "), "registered");
    drop(rig);
}

#[test]
#[ignore = "needs Debian's ModemManager in A7670E_MODEMMANAGER_ROOT"]
fn without_modemmanager_the_service_has_the_modem() {
    if outside("without_modemmanager_the_service_has_the_modem") {
        return;
    }
    let (_folder, home, mut manager, rig) = stage();
    let service = Service::start_on(manager.address(), &home, &config("modemmanager"));
    println!("online after {:.1?}", wait(&service, &manager, "service"));
    let why = service.ask(&["why"]).unwrap();
    let note = why[0]["control"]["note"].as_str().unwrap();
    assert!(note.contains("not installed") && note.contains("the service has the modem"), "{note}");
    send(&service, &rig, &manager, "alone");
    manager.start();
    println!("ModemManager has it after {:.1?}", wait(&service, &manager, "modemmanager"));
    receive(&service, &rig, &manager, "later");
    service.stop();
    assert_eq!(ours(), "", "something of ours is left");
    drop(rig);
}
