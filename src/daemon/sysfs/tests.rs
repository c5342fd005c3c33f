//! Fake trees, read back.

use std::os::unix::fs::symlink;

use super::*;

#[path = "../../../tests/common/mod.rs"]
mod common;
use common::{a76xx_ecm, a76xx_rndis_extra, plug, sim7600_vendor, tree};

#[test]
fn reads_two_sticks_that_only_the_usb_path_tells_apart() {
    let root = tempfile::tempdir().unwrap();
    tree(root.path());
    plug(root.path(), "1-1.2", 0x9011, &a76xx_ecm(0, "wwan0"));
    plug(root.path(), "1-1.3", 0x9011, &a76xx_rndis_extra(3, "wwan1"));
    let devices = scan(root.path()).unwrap();
    let shape: Vec<_> =
        devices.iter().map(|d| (d.path.to_string(), d.product, d.interfaces.len())).collect();
    assert_eq!(shape, [("1-1.2".into(), 0x9011, 5), ("1-1.3".into(), 0x9011, 6)]);
    let at = devices[1].interfaces.iter().find(|i| i.number == 4).unwrap();
    assert_eq!(
        *at,
        InterfaceFacts {
            number: 4,
            class: [0xff, 0, 0],
            driver: Some("option".into()),
            tty: Some("ttyUSB5".into()),
            net: None,
            control: None,
        }
    );
}

#[test]
fn reads_a_control_channel_beside_the_network() {
    let root = tempfile::tempdir().unwrap();
    tree(root.path());
    plug(root.path(), "1-1", 0x9001, &sim7600_vendor(0, "wwan0", "cdc-wdm0"));
    let devices = scan(root.path()).unwrap();
    let qmi = devices[0].interfaces.iter().find(|i| i.number == 5).unwrap();
    assert_eq!(qmi.net.as_deref(), Some("wwan0"));
    assert_eq!(qmi.control.as_deref(), Some("cdc-wdm0"));
}

#[test]
fn reads_an_acm_terminal() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("tty/ttyACM0")).unwrap();
    assert_eq!(tty(root.path()).unwrap().as_deref(), Some("ttyACM0"));
}

#[test]
fn a_device_that_vanishes_is_not_there() {
    let root = tempfile::tempdir().unwrap();
    tree(root.path());
    // A link whose target is gone: what a reader sees during an unplug.
    symlink(root.path().join("gone"), root.path().join("bus/usb/devices/1-1.2")).unwrap();
    assert_eq!(scan(root.path()).unwrap(), []);
}

#[test]
fn no_usb_is_no_device_but_no_sysfs_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(scan(root.path()).unwrap(), []);
    let error = scan(&root.path().join("nowhere")).unwrap_err().to_string();
    assert!(error.starts_with("no sysfs at "), "{error}");
}

#[test]
fn nonsense_is_reported_with_its_file() {
    let root = tempfile::tempdir().unwrap();
    tree(root.path());
    plug(root.path(), "1-1", 0x9011, &a76xx_ecm(0, "usb0"));
    let file = root.path().join(common::CONTROLLER).join("1-1/1-1:1.4/bInterfaceClass");
    std::fs::write(&file, "xx\n").unwrap();
    let error = format!("{:#}", scan(root.path()).unwrap_err());
    assert!(error.contains("bInterfaceClass: `xx` is no hexadecimal number"), "{error}");
    std::fs::write(&file, "1ff\n").unwrap();
    assert!(scan(root.path()).is_err());
}
