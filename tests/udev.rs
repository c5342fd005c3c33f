//! What udev makes of the rules: the real `udevadm` judges fake devices.
//!
//! It runs in namespaces of its own with a fake `/sys`, in the root file system
//! that `A7670E_UDEV_ROOT` names (one with udev 254 or later and ModemManager's
//! rules, such as the image's or the tools root), or in this machine's.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

mod common;
use common::{Interface, a76xx_ecm, a76xx_rndis_extra, plug, sim7600_rndis, sim7600_vendor, tree};

/// Arguments: the root, the fake sysfs, our files, then a shell command.
const SANDBOX: &str = r#"
set -e
root=$1 sysfs=$2 files=$3 command=$4
mount --rbind "$root" "$root"
cd /; cd "$root"
{ cat etc/group; echo a7670e:x:4242:; } > "$sysfs/group"
mount --bind "$sysfs/group" etc/group
mount -t tmpfs tmpfs run
mkdir -p run/udev/rules.d run/systemd/network
for rules in "$files"/usr/lib/udev/rules.d/*.rules; do
    sed 's,/usr/bin/a7670e,/run/a7670e,' "$rules" > "run/udev/rules.d/${rules##*/}"
done
: > run/a7670e
cp "$files"/usr/lib/systemd/network/*.link run/systemd/network
# As distributions' and administrators' rules do that name after the MAC.
echo 'SUBSYSTEM=="net", NAME=="", NAME="other"' > run/udev/rules.d/73-other.rules
for net in "$sysfs"/class/net/*; do
    ip link add "${net##*/}" index "$(cat "$net/ifindex")" type veth peer name "peer-${net##*/}"
done
mount --bind "$sysfs" sys
SYSTEMD_DEVICE_VERIFY_SYSFS=0 exec chroot . sh -c "$command"
"#;

fn sandbox(sysfs: &Path, command: &str) -> String {
    let root = std::env::var("A7670E_UDEV_ROOT").unwrap_or_else(|_| "/".to_owned());
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", SANDBOX, "sandbox"])
        .arg(root)
        .arg(sysfs)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("images/files"))
        .arg(command)
        .output()
        .expect("needs unshare(1) of util-linux");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    text
}

/// Properties of a device after its rules, and `RUN`, `PRIORITY`, `MODE` of
/// what else udev would do.
type Verdict = BTreeMap<String, String>;

/// What udev decides for each of the devices (names below `class`).
fn judge(sysfs: &Path, devices: &[&str]) -> Vec<Verdict> {
    let command = format!(
        "for d in {}; do echo \"@device $d\"; udevadm test --action=add /sys/class/$d 2>&1; done",
        devices.join(" ")
    );
    let text = sandbox(sysfs, &command);
    let verdicts: Vec<_> = text.split("@device ").skip(1).map(verdict).collect();
    assert_eq!(verdicts.len(), devices.len(), "{text}");
    verdicts
}

fn verdict(text: &str) -> Verdict {
    let mut found = Verdict::new();
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if let Some(priority) = line.strip_prefix("Device node symlinks: (priority=") {
            found.insert("PRIORITY".into(), priority.trim_end_matches(')').into());
        } else if line == "Device node permission:" {
            found.insert("MODE".into(), lines.next().unwrap().into());
        } else if let Some(command) = line.strip_prefix("RUN{program} : /run/a7670e ") {
            found.insert("RUN".into(), command.into());
        } else if let Some((key, value)) = line.split_once('=') {
            if key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
                found.insert(key.into(), value.into());
            }
        }
    }
    found
}

fn links(verdict: &Verdict) -> Vec<&str> {
    let all = verdict.get("DEVLINKS").map_or("", String::as_str).split(' ');
    let mut ours: Vec<_> = all.filter_map(|link| link.strip_prefix("/dev/a7670e/")).collect();
    ours.sort_unstable();
    ours
}

fn modem_manager(verdict: &Verdict) -> Vec<&str> {
    let hint = |key: &&str| key.starts_with("ID_MM_PORT_");
    verdict.keys().map(String::as_str).filter(hint).collect()
}

fn bus(sticks: &[(&str, u16, Vec<Interface>)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    tree(root.path());
    for (path, product, interfaces) in sticks {
        plug(root.path(), path, *product, interfaces);
    }
    root
}

#[test]
#[ignore = "needs udevadm and ModemManager's rules, see the head of this file"]
fn the_rules_are_sound() {
    let root = bus(&[("1-1.2", 0x9011, a76xx_ecm(0, "usb0"))]);
    let text = sandbox(root.path(), "udevadm verify /run/udev/rules.d/*a7670e*.rules");
    assert!(text.contains("Success: 3") && text.contains("Fail:    0"), "{text}");
}

#[test]
#[ignore = "needs udevadm and ModemManager's rules, see the head of this file"]
fn without_the_service_the_link_is_anybodys() {
    // The link stands in by a veth, which 85-nm-unmanaged.rules would have
    // NetworkManager leave alone by any other name.
    let root = bus(&[("1-1.2", 0x9011, a76xx_ecm(0, "eth7"))]);
    let command = "rm /run/a7670e; udevadm test --action=add /sys/class/net/eth7 2>&1";
    let text = sandbox(root.path(), command);
    let net = verdict(&text);
    assert_eq!(net["A7670E_LAYOUT"], "a76xx", "{text}");
    for key in ["A7670E_NET", "NM_UNMANAGED", "RUN"] {
        assert!(!net.contains_key(key), "{key}: {text}");
    }
}

#[test]
#[ignore = "needs udevadm and ModemManager's rules, see the head of this file"]
fn a76xx_ports() {
    // The stick with the extra port first, so that the numbers have moved.
    let root = bus(&[
        ("1-1.4", 0x9011, a76xx_rndis_extra(0, "usb0")),
        ("1-1.2", 0x9011, a76xx_ecm(4, "wwan1")),
    ]);
    let ttys = ["tty/ttyUSB0", "tty/ttyUSB1", "tty/ttyUSB2", "tty/ttyUSB3"];
    let [diag, extra, at, modem] = &judge(root.path(), &ttys)[..] else { panic!() };
    assert_eq!(links(diag), ["by-path/1-1.4/diag", "diag"]);
    assert_eq!(links(extra), ["by-path/1-1.4/extra"]);
    assert_eq!(links(at), ["at", "by-path/1-1.4/at"]);
    assert_eq!(links(modem), ["by-path/1-1.4/modem", "modem"]);
    assert_eq!(modem_manager(diag), ["ID_MM_PORT_IGNORE"]);
    assert_eq!(modem_manager(extra), [""; 0]);
    assert_eq!(modem_manager(at), ["ID_MM_PORT_TYPE_AT_PRIMARY"]);
    assert_eq!(modem_manager(modem), ["ID_MM_PORT_TYPE_AT_PPP"]);
    for port in [diag, extra, at, modem] {
        assert_eq!(port["MODE"], "0660");
        assert_eq!(port["PRIORITY"], "60");
    }
    // The other stick, in the lower port, has precedence for the plain names.
    let [at] = &judge(root.path(), &["tty/ttyUSB5"])[..] else { panic!() };
    assert_eq!(links(at), ["at", "by-path/1-1.2/at"]);
    assert_eq!(at["PRIORITY"], "80");
}

/// The roles of a SIM7600's ports, in order, and what ModemManager is told of each.
const SIM7600_PORTS: [(&str, &str); 5] = [
    ("diag", "ID_MM_PORT_TYPE_QCDM"),
    ("nmea", "ID_MM_PORT_TYPE_GPS"),
    ("at", "ID_MM_PORT_TYPE_AT_PRIMARY"),
    ("modem", "ID_MM_PORT_TYPE_AT_PPP"),
    ("audio", "ID_MM_PORT_TYPE_AUDIO"),
];

fn is_a_sim7600(root: &Path, first: usize) {
    let ttys: Vec<_> = (first..first + 5).map(|number| format!("tty/ttyUSB{number}")).collect();
    let ports = judge(root, &ttys.iter().map(String::as_str).collect::<Vec<_>>());
    for (port, (role, hint)) in ports.iter().zip(SIM7600_PORTS) {
        assert_eq!(port["A7670E_ROLE"], role);
        assert_eq!(modem_manager(port), [hint]);
    }
}

#[test]
#[ignore = "needs udevadm and ModemManager's rules, see the head of this file"]
fn sim7600_at_the_ids_of_an_a76xx() {
    let root = bus(&[("1-1", 0x9011, sim7600_rndis(0, "usb0"))]);
    is_a_sim7600(root.path(), 0);
}

#[test]
#[ignore = "needs udevadm and ModemManager's rules, see the head of this file"]
fn sim7600_with_vendor_network() {
    let root = bus(&[
        ("1-1", 0x9001, sim7600_vendor(0, "wwan0", "cdc-wdm0")),
        ("2-1", 0x9025, sim7600_vendor(5, "wwan1", "")),
    ]);
    is_a_sim7600(root.path(), 0);
    is_a_sim7600(root.path(), 5);
    // The kernel has named these.
    for net in ["net/wwan0", "net/wwan1"] {
        let verdict = &judge(root.path(), &[net])[0];
        assert!(!verdict.contains_key("RUN"), "{verdict:?}");
        assert_eq!(verdict["INTERFACE"], &net[4..]);
        assert_eq!(verdict["ID_MM_CANDIDATE"], "1");
    }
}

#[test]
#[ignore = "needs udevadm and ModemManager's rules, see the head of this file"]
fn the_network_function_gets_its_name_from_the_kernel_and_nobody_else() {
    let root = bus(&[("1-1.2", 0x9011, a76xx_ecm(0, "usb0"))]);
    let [net] = &judge(root.path(), &["net/usb0"])[..] else { panic!() };
    assert_eq!(net["RUN"], "net-name usb0");
    // ModemManager's port would not be NetworkManager's to configure.
    assert!(!net.contains_key("ID_MM_CANDIDATE"), "{net:?}");
    assert_eq!(net["ID_NET_LINK_FILE"], "/run/systemd/network/70-a7670e.link");
    let text = sandbox(root.path(), "udevadm test --action=add /sys/class/net/usb0 2>&1");
    assert!(text.contains("Network interface name:\n  usb0\n"), "{text}");
}

#[test]
#[ignore = "needs udevadm and ModemManager's rules, see the head of this file"]
fn the_service_may_take_its_modem_anew_and_cut_its_port_alone() {
    let root = bus(&[("1-1.2", 0x9011, a76xx_ecm(0, "usb0"))]);
    let device = "/sys/bus/usb/devices/1-1.2";
    let text = sandbox(root.path(), &format!("udevadm test --action=add {device} 2>&1"));
    let runs: Vec<_> =
        text.lines().filter_map(|line| line.trim().strip_prefix("RUN{program} : ")).collect();
    let place = format!("/sys/{}/1-1.2", common::CONTROLLER);
    assert!(runs.contains(&format!("/bin/chgrp a7670e {place}/authorized").as_str()), "{runs:?}");
    let ports =
        format!("for f in {place}/port/disable {place}/port/peer/disable; do [ ! -e $f ] ||");
    assert_eq!(runs.iter().filter(|run| run.contains(&ports)).count(), 1, "{runs:?}");
    // In a test udevadm runs no program, and takes it for one that says yes: what
    // it would say is tried in tests/rules_table.rs.
    let asked = text.find("Running PROGRAM=\"/bin/grep -Eqs ^[^#]*usb_power").unwrap();
    assert!(!text[..asked].contains("-port*") && text[asked..].contains("-port*"), "{text}");
}

#[test]
#[ignore = "needs udevadm and ModemManager's rules, see the head of this file"]
fn other_devices_are_left_alone() {
    let root = bus(&[("1-1", 0x9100, a76xx_ecm(0, "usb0"))]);
    for verdict in judge(root.path(), &["tty/ttyUSB1", "net/usb0"]) {
        assert!(!verdict.keys().any(|key| key.starts_with("A7670E")), "{verdict:?}");
        assert!(!verdict.contains_key("RUN"), "{verdict:?}");
    }
}
