//! The real service with an emulated modem, in a network namespace: online,
//! pulled, killed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::process::Command;
use std::time::{Duration, Instant};

use a7670e_emulator::fault::Effect;
use a7670e_emulator::link::LinkFaults;
use serde_json::Value;

mod common;
use common::namespace::{ip, outside};
use common::tree;

#[path = "online/commands.rs"]
mod commands;
#[path = "online/examples.rs"]
mod examples;
#[path = "online/kills.rs"]
mod kills;
#[path = "online/messages.rs"]
mod messages;
#[path = "online/rig.rs"]
mod rig;
#[path = "online/router.rs"]
mod router;
#[path = "online/service.rs"]
mod service;
#[path = "online/wire.rs"]
mod wire;

use kills::Killed;
use rig::Rig;
use service::{CONFIG, DEADLINE, NO_BUS, PROGRAM, Service, download, ours, whole};

#[test]
fn online_pulled_and_stopped() {
    if outside("online_pulled_and_stopped") {
        return;
    }
    ip("link set lo up");
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path(), "a7670e-ecm", 300, "");
    let service = Service::start(folder.path(), CONFIG);
    println!("online after {:?}", service.wait("online"));
    assert!(ip("-4 route").contains("default via 192.168.0.1 dev wwan0 proto 167"));
    println!("100 kB in {:?}", download(100_000));

    let status = service.ask(&["status"]).unwrap();
    let session = &status["modems"][0]["session"];
    assert_eq!(session["network"]["plan"], serde_json::json!([]), "{status:#}");
    assert_eq!(session["network"]["lease"]["address"], "192.168.0.2");
    assert_eq!(session["cellular"]["phase"], "connected");
    let at = service.ask(&["at", "AT+CSQ"]).unwrap();
    assert!(at["lines"][0].as_str().unwrap().starts_with("+CSQ: "), "{at}");

    let url = "http://192.0.2.80/bytes/400000";
    let measured = service.ask(&["test", url, "--bytes", "300000"]).unwrap();
    println!("test: {measured}");
    assert_eq!(measured["lost"][0], 0);
    assert!(measured["down_bit_s"].as_u64() > Some(100_000), "{measured}");
    assert!((100_000..400_000).contains(&measured["bytes"].as_u64().unwrap()), "{measured}");
    let report = service.ask(&["doctor"]).unwrap();
    let failed = report.as_array().unwrap().iter().filter(|line| line["ok"] == false);
    let failed: Vec<_> = failed.filter(|line| line["harmless"].is_null()).collect();
    assert!(failed.is_empty(), "{failed:#?}");

    // Pulled and plugged in again, by itself.
    assert!(service.ask(&["at", "AT+CRESET"]).is_some());
    println!("gone after {:?}", service.wait("no-modem"));
    assert_eq!(ours(), "", "something of ours is left");
    println!("back after {:?}", service.wait("online"));
    download(1000);

    service.stop();
    assert_eq!(ours(), "", "something of ours is left");
    drop(rig);
}

/// What the owner wrote.
const RESOLV_CONF: &str = "nameserver 10.9.9.9\n";

/// Gives this mount namespace an /etc and a /var/lib of its own.
fn own_etc() {
    for folder in ["/etc", "/var/lib"] {
        let status = Command::new("mount").args(["-t", "tmpfs", "tmpfs", folder]).status().unwrap();
        assert!(status.success());
    }
    std::fs::create_dir("/var/lib/a7670e").unwrap();
    std::fs::write("/etc/resolv.conf", RESOLV_CONF).unwrap();
}

fn resolv_conf() -> String {
    std::fs::read_to_string("/etc/resolv.conf").unwrap()
}

#[test]
fn killed_200_times_it_leaves_nothing_wrong() {
    if outside("killed_200_times_it_leaves_nothing_wrong") {
        return;
    }
    ip("link set lo up");
    own_etc();
    let folder = tempfile::tempdir().unwrap();
    let config = CONFIG.replace("none", "resolv.conf");
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let killed = Killed { bus: NO_BUS, folder: folder.path(), config: &config, rig: &rig };
    let service = killed.at_random(200, |admitted| {
        if admitted {
            assert!(resolv_conf().contains("nameserver 192.168.0.1\n"), "{}", resolv_conf());
        } else {
            assert_eq!(resolv_conf(), RESOLV_CONF);
        }
    });
    service.stop();
    assert_eq!(ours(), "", "something of ours is left");
    assert_eq!(resolv_conf(), RESOLV_CONF);
}

/// A system that has no D-Bus, and one whose bus does not answer.
#[test]
fn without_d_bus_it_is_online_all_the_same() {
    if outside("without_d_bus_it_is_online_all_the_same") {
        return;
    }
    ip("link set lo up");
    own_etc();
    let folder = tempfile::tempdir().unwrap();
    // What a configuration that says nothing of it comes to.
    let config = CONFIG.replace("none", "auto");
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let dead = folder.path().join("dead");
    // Connections are taken, and nothing is said.
    let _listener = std::os::unix::net::UnixListener::bind(&dead).unwrap();
    for bus in [NO_BUS.to_owned(), format!("unix:path={}", dead.display())] {
        let service = Service::start_on(&bus, folder.path(), &config);
        println!("{bus}: online after {:.1?}", service.wait("online"));
        assert_eq!(whole(), Ok(()));
        assert!(resolv_conf().contains("nameserver 192.168.0.1\n"), "{}", resolv_conf());
        download(1000);
        service.stop();
        assert_eq!(ours(), "", "something of ours is left");
        assert_eq!(resolv_conf(), RESOLV_CONF);
    }
    drop(rig);
}

/// The commands of coming up: at each the modem is pulled.
const STEPS: [&str; 14] = [
    "ATE0",
    "AT+CMEE=1",
    "AT+CFUN?",
    "AT+CICCID",
    "AT+CPIN?",
    "AT+CEREG=2",
    "AT+CGREG=2",
    "AT+CIMI",
    "AT+CRSM=176,28589,0,0,4",
    "AT+CGDCONT?",
    "AT+CEREG?",
    "AT+DIALMODE?",
    "AT+CGPADDR=1",
    "AT+CGMM",
];

#[test]
fn pulled_at_each_step_it_comes_back_by_itself() {
    if outside("pulled_at_each_step_it_comes_back_by_itself") {
        return;
    }
    ip("link set lo up");
    for step in STEPS {
        let folder = tempfile::tempdir().unwrap();
        let faults =
            format!("[[fault]]\non_command = \"{step}\"\neffect = \"usb_gone\"\nfor_ms = 300\n");
        let rig = Rig::new(folder.path(), "a7670e-ecm", 100, &faults);
        let service = Service::start(folder.path(), CONFIG);
        let start = Instant::now();
        // What comes last may come when it is online already, for a moment.
        while rig.plugged() < 2 {
            assert!(start.elapsed() < DEADLINE, "{step} was never sent");
            std::thread::sleep(Duration::from_millis(10));
        }
        // The bus is looked at 50 ms after an event; until then the service may
        // take the modem that left for the one that is there.
        while service.verdict() != "online" || whole().is_err() {
            assert!(start.elapsed() < DEADLINE, "{}: {:?}", service.verdict(), whole());
            std::thread::sleep(Duration::from_millis(10));
        }
        let took = start.elapsed();
        println!("pulled for 300 ms at {step}: online {took:.1?} after the start");
        service.stop();
        drop(rig);
    }
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let service = Service::start(folder.path(), CONFIG);
    service.wait("online");
    let start = Instant::now();
    // Half a gigabyte does not get through in the time that it takes to pull it.
    // The thread ends with the program: TCP waits for minutes before it gives up.
    std::thread::spawn(|| std::panic::catch_unwind(|| download(500_000_000)));
    while rig.with(|modem, _| modem.carried().1) < 1_000_000 {
        assert!(start.elapsed() < DEADLINE, "the download does not begin");
    }
    rig.inflict(Effect::UsbGone { for_ms: 300 });
    service.wait("no-modem");
    service.wait("online");
    println!("pulled while downloading: online again after {:.1?}", start.elapsed());
    download(1000);
    service.stop();
    drop(rig);
}

/// A cable that comes first, and leads nowhere.
fn cable() {
    ip("link add eth0 type veth peer name router");
    ip("link set router up");
    ip("link set eth0 up");
    ip("address add 10.0.0.2/24 dev eth0");
    ip("route add default via 10.0.0.1 dev eth0 metric 100");
}

fn way() -> String {
    ip("route get 192.0.2.80")
}

fn wait_for_way(device: &str) -> Duration {
    let start = Instant::now();
    while !way().contains(&format!("dev {device} ")) {
        assert!(start.elapsed() < DEADLINE, "not {device}: {}", ip("route"));
        std::thread::sleep(Duration::from_millis(10));
    }
    start.elapsed()
}

#[test]
fn of_two_uplinks_the_metric_decides_and_the_other_takes_over() {
    if outside("of_two_uplinks_the_metric_decides_and_the_other_takes_over") {
        return;
    }
    ip("link set lo up");
    cable();
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let config = CONFIG.replace("/204\"", "/204\", interval = 2");
    let service = Service::start(folder.path(), &config);
    service.wait("online");
    wait_for_way("eth0");
    ip("link set eth0 down");
    println!("the cable is pulled: the modem takes over after {:.1?}", wait_for_way("wwan0"));
    download(1000);

    // Now the modem comes first, and its line dies while the link stays.
    ip("link set eth0 up");
    ip("route add default via 10.0.0.1 dev eth0 metric 900");
    wait_for_way("wwan0");
    let dead = LinkFaults { no_internet: true, ..LinkFaults::default() };
    rig.inflict(Effect::Link { faults: dead });
    println!("the line is dead: the cable takes over after {:.1?}", wait_for_way("eth0"));
    assert_eq!(service.verdict(), "no-internet");
    rig.inflict(Effect::Link { faults: LinkFaults::default() });
    println!("the line is back: the modem is used after {:.1?}", wait_for_way("wwan0"));
    download(1000);
    service.stop();
    drop(rig);
}

/// Not a test: `cargo xtask bench online` runs it and reads what it prints, a
/// name and a number a line.
#[test]
#[ignore = "a measurement"]
fn bench() {
    if outside("bench") {
        return;
    }
    ip("link set lo up");
    let mut rounds = Vec::new();
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        // The service first, as at a boot: it waits for the modem.
        tree(&folder.path().join("sys"));
        let service = Service::start(folder.path(), CONFIG);
        while service.ask(&["status"]).is_none() {}
        let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
        let state = |status: &Value| status["modems"][0]["session"].clone();
        let mut times = [None::<Duration>; 3];
        let mut start = None;
        while times.iter().any(Option::is_none) {
            if start.is_none() && rig.is_ready() {
                start = Some(Instant::now());
            }
            let Some(start) = start else { continue };
            let session = state(&service.ask(&["status"]).unwrap());
            let found = [
                !session["cellular"]["registration"].is_null(),
                session["network"]["metric"].is_u64()
                    && session["network"]["plan"].as_array().is_some_and(Vec::is_empty),
                session["verdict"] == "online",
            ];
            for (time, found) in times.iter_mut().zip(found) {
                if found && time.is_none() {
                    *time = Some(start.elapsed());
                }
            }
            assert!(start.elapsed() < DEADLINE, "{session:#}");
        }
        rounds.push(times.map(|time| time.unwrap().as_millis()));
        let memory = std::fs::read_to_string(format!("/proc/{}/status", service.child.id()));
        let memory = memory.unwrap();
        for line in memory.lines() {
            if let Some(kib) = line.strip_prefix("VmRSS:") {
                println!("rss_kib {}", kib.trim().trim_end_matches(" kB"));
            }
        }
        service.stop();
    }
    for (name, at) in [("registered_ms", 0), ("route_ms", 1), ("proven_ms", 2)] {
        let mut values: Vec<_> = rounds.iter().map(|round| round[at]).collect();
        values.sort_unstable();
        println!("{name} {}", values[values.len() / 2]);
    }
    println!("binary_bytes {}", std::fs::metadata(PROGRAM).unwrap().len());
}
