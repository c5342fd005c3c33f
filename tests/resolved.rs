//! The real service beside Debian's systemd-resolved: each link has the name
//! servers that it is to have, also after the service was killed.
//!
//! Wants `A7670E_RESOLVED_ROOT`, a folder into which Debian's packages
//! `systemd-resolved` and `dbus-daemon` are unpacked with all they depend on, as
//! `cargo xtask test resolved` does. `A7670E_KILLS` says how often the service is
//! killed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod common;
use common::debian::{Root, Running, bus};
use common::namespace::{ip, outside};

#[path = "online/kills.rs"]
mod kills;
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
use service::{CONFIG, DEADLINE, Service, ours};

/// The servers of the emulated modem, and of a cable that is another's.
const MODEMS: &str = "192.168.0.1";
const CABLES: &str = "10.9.9.9";

/// systemd-resolved on a bus of its own, and a cable whose servers it knows.
struct Resolved {
    root: Root,
    address: String,
    _running: [Running; 2],
}

impl Resolved {
    fn start(folder: &Path) -> Resolved {
        own_folders();
        ip("link set lo up");
        ip("link add eth0 type veth peer name router");
        ip("link set router up");
        ip("link set eth0 up");
        ip("address add 10.9.9.2/24 dev eth0");
        let root = Root::of("A7670E_RESOLVED_ROOT");
        let (daemon, address) = bus(&root, folder);
        let mut program = root.program("usr/lib/systemd/systemd-resolved");
        program.env("DBUS_SYSTEM_BUS_ADDRESS", &address).stdout(Stdio::null());
        if std::env::var_os("A7670E_TEST_LOG").is_none() {
            program.stderr(Stdio::null());
        }
        let running = [daemon, Running(program.spawn().unwrap())];
        let resolved = Resolved { root, address, _running: running };
        let start = Instant::now();
        while !resolved.control(&["dns", "eth0", CABLES]).status.success() {
            assert!(start.elapsed() < DEADLINE, "systemd-resolved is not on the bus");
            std::thread::sleep(Duration::from_millis(20));
        }
        resolved
    }

    fn control(&self, arguments: &[&str]) -> std::process::Output {
        let mut program = self.root.program("usr/bin/resolvectl");
        program.args(arguments).env("DBUS_SYSTEM_BUS_ADDRESS", &self.address).output().unwrap()
    }

    /// What resolvectl(1) says of a link after its name, such as `Link 3 (eth0): `.
    fn of(&self, verb: &str, link: &str) -> String {
        let output = self.control(&[verb, link]);
        let text = String::from_utf8_lossy(&output.stdout);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "resolvectl {verb} {link}: {text}{told}");
        text.trim().split_once(':').map_or("", |(_, value)| value.trim()).to_owned()
    }

    /// Panics unless both links have what they are to have.
    fn judge(&self, online: bool) {
        let links = ip("-o link show");
        if online || links.contains(": wwan0: ") {
            assert_eq!(self.of("dns", "wwan0"), if online { MODEMS } else { "" });
            // Another uplink's names are not claimed.
            assert_eq!(self.of("domain", "wwan0"), "");
        }
        if online {
            assert_eq!(self.of("default-route", "wwan0"), "yes");
        }
        assert_eq!(self.of("dns", "eth0"), CABLES);
    }
}

/// What resolved writes to and reads, for this mount namespace alone.
fn own_folders() {
    for folder in ["/etc", "/run", "/var/lib"] {
        let status = Command::new("mount").args(["-t", "tmpfs", "tmpfs", folder]).status().unwrap();
        assert!(status.success(), "{folder} cannot be mounted over");
    }
    fs::create_dir_all("/run/systemd/resolve").unwrap();
    fs::create_dir_all("/var/lib/a7670e").unwrap();
    // It gives up its privileges for those of this user, of which the namespace
    // has but one.
    let users = "root:x:0:0::/:/bin/sh\nsystemd-resolve:x:0:0::/:/bin/false\n";
    fs::write("/etc/passwd", users).unwrap();
    fs::write("/etc/group", "root:x:0:\nsystemd-resolve:x:0:\n").unwrap();
    fs::write("/etc/hosts", "127.0.0.1 localhost\n").unwrap();
}

#[test]
#[ignore = "needs Debian's systemd-resolved in A7670E_RESOLVED_ROOT"]
fn names_are_asked_of_the_modem_while_it_is_online() {
    if outside("names_are_asked_of_the_modem_while_it_is_online") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let resolved = Resolved::start(folder.path());
    let config = CONFIG.replace("none", "resolved");
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let service = Service::start_on(&resolved.address, folder.path(), &config);
    service.wait("online");
    resolved.judge(true);
    let output = resolved.control(&["query", "--legend=no", "-4", "example.test"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("192.0.2.80") && text.contains("wwan0"), "{output:?}");
    service.stop();
    resolved.judge(false);
    drop(rig);
}

#[test]
#[ignore = "needs Debian's systemd-resolved in A7670E_RESOLVED_ROOT"]
fn killed_at_random_it_leaves_no_wrong_name_server() {
    if outside("killed_at_random_it_leaves_no_wrong_name_server") {
        return;
    }
    let kills = std::env::var("A7670E_KILLS").map_or(20, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let resolved = Resolved::start(folder.path());
    let config = CONFIG.replace("none", "resolved");
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let killed =
        Killed { bus: &resolved.address, folder: folder.path(), config: &config, rig: &rig };
    let service = killed.at_random(kills, |online| resolved.judge(online));
    service.stop();
    assert_eq!(ours(), "", "something of ours is left");
    resolved.judge(false);
    drop(rig);
}
