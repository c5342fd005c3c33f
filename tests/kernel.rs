//! What only a real kernel can show: device events and device names. Each test
//! runs this same program again in user, network and mount namespaces of its
//! own, so it needs no privilege and touches nothing outside.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

mod common;
use common::namespace::{ip, outside};
use common::{a76xx_ecm, plug, tree, unplug};

const PROGRAM: &str = env!("CARGO_BIN_EXE_a7670e");

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_device_event_makes_the_service_look_again() {
    if outside("a_device_event_makes_the_service_look_again") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    tree(root.path());
    let notify = UnixDatagram::bind(root.path().join("notify")).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let told = || {
        let mut buffer = [0; 4096];
        let length = notify.recv(&mut buffer).expect("the service noticed nothing");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let _daemon = Daemon(
        Command::new(PROGRAM)
            .args(["run", "--sysfs"])
            .arg(root.path())
            .arg("--socket")
            .arg(root.path().join("control.sock"))
            .env("NOTIFY_SOCKET", root.path().join("notify"))
            .env_remove("WATCHDOG_USEC")
            .spawn()
            .unwrap(),
    );
    assert!(told().contains("STATUS=no modem"));

    // The kernel sends a true event for a device when its `uevent` is written.
    let event = || fs::write("/sys/class/net/lo/uevent", "change").unwrap();
    plug(root.path(), "1-1.2", 0x9011, &a76xx_ecm(0, "wwan0"));
    event();
    assert_eq!(told(), "STATUS=A76XX at 1-1.2\n");
    unplug(root.path(), "1-1.2");
    event();
    assert_eq!(told(), "STATUS=no modem\n");
}

fn names() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir("/sys/class/net")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn rename(device: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["net-name", device]);
    command
}

#[test]
fn the_kernel_counts_the_names() {
    if outside("the_kernel_counts_the_names") {
        return;
    }
    ip("link add usb0 type veth peer name usb1");
    assert!(rename("usb0").status().unwrap().success());
    assert_eq!(names(), ["lo", "usb1", "wwan0"]);
    // A right name stays, also when a lower one is free.
    ip("link set wwan0 name wwan5");
    assert!(rename("wwan5").status().unwrap().success());
    assert!(rename("usb1").status().unwrap().success());
    assert_eq!(names(), ["lo", "wwan0", "wwan5"]);
}

#[test]
fn sticks_that_appear_together_get_different_names() {
    if outside("sticks_that_appear_together_get_different_names") {
        return;
    }
    for pair in 0..8 {
        ip(&format!("link add usb{pair} type veth peer name eth{pair}"));
    }
    let before = names();
    let devices: Vec<_> = before.iter().filter(|name| *name != "lo").collect();
    let mut running: Vec<_> = devices.iter().map(|name| rename(name).spawn().unwrap()).collect();
    for child in &mut running {
        assert!(child.wait().unwrap().success());
    }
    let mut expected: Vec<_> = (0..16).map(|number| format!("wwan{number}")).collect();
    expected.push("lo".to_owned());
    expected.sort();
    assert_eq!(names(), expected);
}

#[test]
fn a_name_that_cannot_be_given_is_a_failure() {
    if outside("a_name_that_cannot_be_given_is_a_failure") {
        return;
    }
    assert!(!Path::new("/sys/class/net/usb9").exists());
    let output = rename("usb9").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("no network device `usb9`"), "{message}");
}
