//! Debian's ModemManager as the judge: it takes this modem for a real one.
//!
//! Wants `A7670E_MODEMMANAGER_ROOT`, a folder into which Debian's packages
//! `modemmanager` and `dbus-daemon` are unpacked with all they depend on:
//! `mmdebstrap --variant=extract --include=modemmanager,dbus-daemon trixie DIR`.
//! Nothing in it is installed or configured; its programs are run by its own
//! dynamic loader, on a bus of their own.

// Only a test is in this file, but clippy does not take its helpers for such.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use a7670e_emulator::fault::FaultScript;
use a7670e_emulator::modem::{Modem, Port};
use a7670e_emulator::profile::Profile;
use a7670e_emulator::serve::serve;
use a7670e_emulator::transport::AbstractSocket;
use zbus::blocking::{Connection, Proxy, connection};

#[path = "../../tests/common/debian.rs"]
mod debian;
#[path = "../../tests/common/polkit.rs"]
mod polkit;

use debian::{Root, Running, bus};
use polkit::Polkit;

const VARIABLE: &str = "A7670E_MODEMMANAGER_ROOT";
const MANAGER: &str = "org.freedesktop.ModemManager1";
const DEADLINE: Duration = Duration::from_secs(120);
/// `MM_MODEM_STATE_REGISTERED`.
const REGISTERED: i32 = 8;

/// Two parts of UCS-2, with a character outside the basic plane where they join.
fn long_text() -> String {
    format!("{}😀{}", "ж".repeat(66), "end")
}

/// What the service submits: to whom, which text, in which parts.
fn submits() -> Vec<(String, String, Vec<String>)> {
    let line = |line: &str| {
        let (to, rest) = line.split_once(' ').unwrap();
        let (text, parts) = rest.rsplit_once('"').unwrap();
        let text = serde_json::from_str(&format!("{text}\"")).unwrap();
        (to.to_owned(), text, parts.split_whitespace().map(str::to_owned).collect())
    };
    include_str!("../../tests/vectors/submits.txt").lines().map(line).collect()
}

/// What a service centre makes of a message that is submitted: the recipient reads
/// the same octets, but the first, which says that it is delivered and whether the
/// text has a header, and the centre's time in the place of the validity (TS 23.040
/// §9.2.2.1, §9.2.2.2). The recipient's number is put in the place of the sender's.
fn delivered(submit: &str) -> String {
    let octet = |at: usize| u8::from_str_radix(&submit[at * 2..at * 2 + 2], 16).unwrap();
    let first = octet(0);
    assert_eq!(first & 3, 1, "it is submitted: {submit}");
    // Its length in digits, its type, and the digits.
    let address = 2..2 + 2 + usize::from(octet(2)).div_ceil(2);
    let validity = match first >> 3 & 3 {
        0 => 0,
        2 => 1,
        _ => 7,
    };
    let user_data = address.end + 2 + validity;
    format!(
        "{:02X}{}{}62111220503021{}",
        first & 0x40 | 0x04,
        &submit[address.start * 2..address.end * 2],
        &submit[address.end * 2..address.end * 2 + 4],
        &submit[user_data * 2..]
    )
}

struct Emulator {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Emulator {
    fn start(socket: String) -> Emulator {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut profile = Profile::load("a7670e-ecm").unwrap();
            profile.timing = profile.timing.scaled(200);
            let mut script = format!(
                "[[fault]]\non_state = \"registered\"\neffect = \"sms\"\n\
                 from = \"+254700000001\"\ntext = \"{}\"\n",
                long_text()
            );
            for octets in submits().into_iter().flat_map(|(_, _, parts)| parts) {
                let octets = delivered(&octets);
                script.push_str(&format!(
                    "[[fault]]\non_state = \"registered\"\neffect = \"pdu\"\noctets = \"{octets}\"\n"
                ));
            }
            let script = FaultScript::parse(&script).unwrap();
            let mut modem = Modem::new(profile, script, 0);
            let port = Box::new(AbstractSocket::new(Port::At, socket));
            serve(&mut modem, &mut [port], None, None, || seen.load(Ordering::Relaxed))
        });
        Emulator { stop, thread: Some(thread) }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(|thread| thread.join().unwrap());
        ended.unwrap().unwrap();
    }
}

/// Tries until there is a value.
fn until<T>(what: &str, log: &Path, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        if start.elapsed() > DEADLINE {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            let end = lines.len().saturating_sub(60);
            panic!("{what}; ModemManager said last:\n{}", lines[end..].join("\n"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs Debian's ModemManager in A7670E_MODEMMANAGER_ROOT"]
fn modemmanager_registers() {
    let root = Root::of(VARIABLE);
    let folder = tempfile::tempdir().unwrap();
    let (_bus, address) = bus(&root, folder.path());
    let here: Connection = connection::Builder::address(address.as_str())
        .unwrap()
        .name(polkit::NAME)
        .unwrap()
        .serve_at(polkit::PATH, Polkit)
        .unwrap()
        .build()
        .unwrap();

    let log = folder.path().join("log");
    let plugins = root.libraries().join("ModemManager");
    let manager = root
        .program("usr/sbin/ModemManager")
        .args(["--debug", "--test-enable", "--test-no-udev", "--test-no-suspend-resume"])
        .arg(format!("--test-plugin-dir={}", plugins.display()))
        .env("DBUS_SYSTEM_BUS_ADDRESS", &address)
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let _manager = Running(manager);

    let socket = format!("abstract:a7670e-{}", std::process::id());
    let _emulator = Emulator::start(socket.clone());
    until("the emulator does not listen", &log, || {
        std::fs::read_to_string("/proc/net/unix").unwrap().contains(&socket).then_some(())
    });

    let path = "/org/freedesktop/ModemManager1";
    let test = format!("{MANAGER}.Test");
    let profile = ("a7670e", "simtech", vec![socket.as_str()]);
    until("ModemManager takes no profile", &log, || {
        let proxy = Proxy::new(&here, MANAGER, path, test.as_str()).ok()?;
        proxy.call_method("SetProfile", &profile).ok()
    });
    let start = Instant::now();
    let modem = format!("{path}/Modem/0");
    let interface = format!("{MANAGER}.Modem");
    let state = || -> Option<i32> {
        Proxy::new(&here, MANAGER, modem.as_str(), interface.as_str())
            .ok()?
            .get_property("State")
            .ok()
    };
    until("ModemManager shows no modem", &log, &state);
    until("ModemManager does not enable the modem", &log, || {
        let proxy = Proxy::new(&here, MANAGER, modem.as_str(), interface.as_str()).ok()?;
        proxy.call_method("Enable", &(true,)).ok()
    });
    until("ModemManager's modem does not register", &log, || {
        state().filter(|state| *state == REGISTERED)
    });
    // For `cargo xtask bench online`: from the port's appearance.
    println!("modemmanager_registered_ms {}", start.elapsed().as_millis());

    // The PDUs are judged too: ModemManager puts the parts together. The first is by
    // the emulator, the others are what the service submits.
    let mut wanted: Vec<(String, String)> =
        submits().into_iter().map(|(to, text, _)| (to, text)).collect();
    wanted.push(("+254700000001".to_owned(), long_text()));
    wanted.sort();
    let read = || -> Vec<(String, String)> {
        let message = |number| {
            let path = format!("{path}/SMS/{number}");
            let interface = format!("{MANAGER}.Sms");
            let proxy = Proxy::new(&here, MANAGER, path.as_str(), interface.as_str()).ok()?;
            let text: String = proxy.get_property("Text").ok()?;
            Some((proxy.get_property("Number").ok()?, text))
        };
        let mut all: Vec<_> = (0..wanted.len()).filter_map(message).collect();
        all.sort();
        all
    };
    let start = Instant::now();
    while read() != wanted {
        assert!(start.elapsed() < DEADLINE, "{:#?}\ninstead of {wanted:#?}", read());
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("ModemManager reads {} messages of ours as they were meant", wanted.len());

    let shown = root
        .program("usr/bin/mmcli")
        .args(["-m", "0", "-K"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", &address)
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    if let Some(keep) = std::env::var_os("A7670E_MODEMMANAGER_LOG") {
        std::fs::copy(&log, keep).unwrap();
    }
    let value = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        let line = line.unwrap_or_else(|| panic!("mmcli shows no {key}:\n{shown}"));
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    assert_eq!(value("modem.generic.state "), "registered", "{shown}");
    assert_eq!(value("modem.generic.model "), "A7670E-LASE", "{shown}");
    assert_eq!(value("modem.3gpp.operator-code "), "63902", "{shown}");
    assert_eq!(value("modem.3gpp.operator-name "), "Safaricom", "{shown}");
    assert_eq!(value("modem.3gpp.registration-state "), "home", "{shown}");
    println!("{shown}");
}
