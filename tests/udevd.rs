//! The naming of network devices under the real systemd-udevd, on a real
//! kernel, in namespaces of their own. For the root file system see `udev.rs`.
//!
//! Two things are not as on a device: veth devices stand for the modems', so a
//! line of rules says that they are some; and our program is in `/run`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::path::Path;
use std::process::Command;

/// Arguments: the root, our files, our program. Prints the names, and what
/// udev knows of the devices when it is done.
const SCRIPT: &str = r#"
set -e
root=$1 files=$2 program=$3
mount --rbind "$root" "$root"
cd /; cd "$root"
mount -t tmpfs tmpfs run
mount -t proc proc proc
mount -t sysfs sysfs sys
mkdir run/dev
for node in null zero urandom; do
    touch "run/dev/$node"
    mount --bind "/dev/$node" "run/dev/$node"
done
mount --rbind run/dev dev
mkdir -p run/udev/rules.d run/systemd/network
for rules in "$files"/usr/lib/udev/rules.d/*.rules; do
    sed 's,/usr/bin/a7670e,/run/a7670e,' "$rules" > "run/udev/rules.d/${rules##*/}"
done
echo 'SUBSYSTEM=="net", KERNEL!="lo", ENV{A7670E_LAYOUT}="a76xx"' > run/udev/rules.d/59-test.rules
cp "$files"/usr/lib/systemd/network/*.link run/systemd/network
cp "$program" run/a7670e

chroot . /usr/lib/systemd/systemd-udevd &
until [ -S run/udev/control ]; do sleep 0.05; done
for pair in 0 1 2; do
    ip link add "usb$pair" address ae:0c:29:a3:9b:6d type veth \
        peer name "eth$pair" address ae:0c:29:a3:9b:6d
done
for number in 0 1 2 3 4 5; do
    until chroot . udevadm info "/sys/class/net/wwan$number" 2>/dev/null |
        grep -q "SYSTEMD_ALIAS=.*/wwan$number"; do sleep 0.05; done
    echo "wwan$number $(cat "sys/class/net/wwan$number/address") $(
        chroot . udevadm info --query=property --property=ID_NET_LINK_FILE --value \
            "/sys/class/net/wwan$number")"
done
ls sys/class/net
"#;

#[test]
#[ignore = "needs systemd-udevd, see the head of this file"]
fn sticks_with_one_mac_that_appear_together_are_numbered() {
    let root = std::env::var("A7670E_UDEV_ROOT").unwrap_or_else(|_| "/".to_owned());
    let output = Command::new("timeout")
        // KILL, as unshare ignores TERM while it waits.
        .args([
            "--signal=KILL",
            "60",
            "unshare",
            "--user",
            "--map-root-user",
            "--net",
            "--mount",
            "--pid",
        ])
        // udevd and its workers end with the script.
        .args(["--fork", "--kill-child", "sh", "-c", SCRIPT, "script"])
        .arg(root)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("images/files"))
        .arg(env!("CARGO_BIN_EXE_a7670e"))
        .output()
        .expect("needs timeout(1) and unshare(1)");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let known: String = (0..6)
        .map(|number| {
            format!("wwan{number} ae:0c:29:a3:9b:6d /run/systemd/network/70-a7670e.link\n")
        })
        .collect();
    assert_eq!(text, known + "lo\nwwan0\nwwan1\nwwan2\nwwan3\nwwan4\nwwan5\n", "{errors}");
}
