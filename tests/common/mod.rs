//! What several tests need. Here: fake sysfs trees, shaped as the kernel's: `bus/usb/devices` holds links into
//! `devices`, interfaces are directories in their device, drivers are links.

#![allow(dead_code, reason = "every test crate uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "only tests use it")]

pub mod debian;
pub mod namespace;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A USB interface to be.
pub struct Interface {
    pub number: u8,
    pub class: [u8; 3],
    pub driver: Option<&'static str>,
    pub child: Child,
}

/// What a driver made of an interface.
pub enum Child {
    None,
    /// As usb-serial does: `ttyUSB0/tty/ttyUSB0`.
    Tty(String),
    /// `net/usb0`.
    Net(String),
    /// `net/wwan0` and `usbmisc/cdc-wdm0`.
    Qmi(String, String),
}

/// The path of all sticks of one USB host controller in the fake tree.
pub const CONTROLLER: &str = "devices/platform/soc/fe980000.usb/usb1";

/// Makes an empty tree with a USB bus.
pub fn tree(root: &Path) {
    fs::create_dir_all(root.join("bus/usb/devices")).unwrap();
    fs::create_dir_all(root.join(CONTROLLER)).unwrap();
}

/// Adds a device. Its `serial` attribute is a directory, so that whoever reads
/// it fails: on some modems reading it blocks for ever.
pub fn plug(root: &Path, path: &str, product: u16, interfaces: &[Interface]) {
    let dir = format!("{CONTROLLER}/{path}");
    fs::create_dir_all(root.join(&dir).join("serial")).unwrap();
    let count = format!("{:2}", interfaces.len());
    let id = format!("{product:04x}");
    let uevent = format!("DEVTYPE=usb_device\nPRODUCT=1e0e/{product:x}/100");
    attributes(
        &root.join(&dir),
        &[
            ("idVendor", "1e0e"),
            ("idProduct", &id),
            ("bNumInterfaces", &count),
            ("uevent", &uevent),
        ],
    );
    link(root, "bus/usb", &format!("{dir}/subsystem"));
    for interface in interfaces {
        add_interface(root, &dir, path, interface);
    }
    // Last, as the bus shows a device only once it is there.
    link(root, &dir, &format!("bus/usb/devices/{path}"));
}

/// Removes a device.
pub fn unplug(root: &Path, path: &str) {
    fs::remove_file(root.join("bus/usb/devices").join(path)).unwrap();
    fs::remove_dir_all(root.join(CONTROLLER).join(path)).unwrap();
    for class in fs::read_dir(root.join("class")).into_iter().flatten() {
        for link in fs::read_dir(class.unwrap().path()).unwrap() {
            let link = link.unwrap().path();
            if !link.exists() {
                fs::remove_file(link).unwrap();
            }
        }
    }
}

fn add_interface(root: &Path, device: &str, path: &str, interface: &Interface) {
    let dir = format!("{device}/{path}:1.{}", interface.number);
    let [class, sub, protocol] = interface.class;
    let hex = |value: u8| format!("{value:02x}");
    fs::create_dir_all(root.join(&dir)).unwrap();
    attributes(
        &root.join(&dir),
        &[
            ("bInterfaceNumber", &hex(interface.number)),
            ("bInterfaceClass", &hex(class)),
            ("bInterfaceSubClass", &hex(sub)),
            ("bInterfaceProtocol", &hex(protocol)),
            ("uevent", "DEVTYPE=usb_interface"),
        ],
    );
    link(root, "bus/usb", &format!("{dir}/subsystem"));
    if let Some(driver) = interface.driver {
        let target = format!("bus/usb/drivers/{driver}");
        fs::create_dir_all(root.join(&target)).unwrap();
        link(root, &target, &format!("{dir}/driver"));
    }
    match &interface.child {
        Child::None => {}
        Child::Tty(name) => {
            let minor = name.trim_start_matches("ttyUSB");
            let uevent = format!("MAJOR=188\nMINOR={minor}\nDEVNAME={name}");
            class_device(root, &format!("{dir}/{name}/tty"), "tty", name, &uevent);
        }
        Child::Net(name) => network(root, &dir, name),
        Child::Qmi(net, control) => {
            network(root, &dir, net);
            let uevent = format!("MAJOR=180\nMINOR=0\nDEVNAME={control}");
            class_device(root, &format!("{dir}/usbmisc"), "usbmisc", control, &uevent);
        }
    }
}

fn network(root: &Path, dir: &str, name: &str) {
    // Distinct names have distinct last digits; the test in a real network
    // namespace makes devices of the same index.
    let index = (100 + u32::from(name.as_bytes()[name.len() - 1])).to_string();
    let uevent = format!("INTERFACE={name}\nIFINDEX={index}");
    class_device(root, &format!("{dir}/net"), "net", name, &uevent);
    let dir = root.join(format!("{dir}/net/{name}"));
    attributes(&dir, &[("ifindex", &index), ("address", "ae:0c:29:a3:9b:6d"), ("type", "1")]);
}

fn class_device(root: &Path, parent: &str, class: &str, name: &str, uevent: &str) {
    let dir = format!("{parent}/{name}");
    fs::create_dir_all(root.join(&dir)).unwrap();
    fs::create_dir_all(root.join("class").join(class)).unwrap();
    attributes(&root.join(&dir), &[("uevent", uevent)]);
    link(root, &format!("class/{class}"), &format!("{dir}/subsystem"));
    link(root, &dir, &format!("class/{class}/{name}"));
}

/// A relative link, so that the tree may be mounted elsewhere; both names are
/// relative to the root.
fn link(root: &Path, target: &str, name: &str) {
    let up = "../".repeat(name.split('/').count() - 1);
    symlink(format!("{up}{target}"), root.join(name)).unwrap();
}

fn attributes(dir: &Path, values: &[(&str, &str)]) {
    for (name, value) in values {
        fs::write(dir.join(name), format!("{value}\n")).unwrap();
    }
}

/// An A76XX in its ECM composition.
pub fn a76xx_ecm(first_tty: u8, net: &str) -> Vec<Interface> {
    let mut all = vec![
        bound(0, [2, 6, 0], "cdc_ether", Child::Net(net.into())),
        bound(1, [0x0a, 0, 0], "cdc_ether", Child::None),
    ];
    all.extend(serial(&[2, 4, 5], first_tty));
    all
}

/// An A76XX in its RNDIS composition, with the port that only some have.
pub fn a76xx_rndis_extra(first_tty: u8, net: &str) -> Vec<Interface> {
    let mut all = vec![
        bound(0, [0xe0, 1, 3], "rndis_host", Child::Net(net.into())),
        bound(1, [0x0a, 0, 0], "rndis_host", Child::None),
    ];
    all.extend(serial(&[2, 3, 4, 5], first_tty));
    all
}

/// A SIM7600 at the A76XX's ids.
pub fn sim7600_rndis(first_tty: u8, net: &str) -> Vec<Interface> {
    let mut all = vec![
        bound(0, [2, 2, 0xff], "rndis_host", Child::Net(net.into())),
        bound(1, [0x0a, 0, 0], "rndis_host", Child::None),
    ];
    all.extend(serial(&[2, 3, 4, 5, 6], first_tty));
    all.push(Interface { number: 7, class: [0xff, 0x42, 1], driver: None, child: Child::None });
    all
}

/// A SIM7600 with QMI (9001), or raw IP (9025) when `control` is empty.
pub fn sim7600_vendor(first_tty: u8, net: &str, control: &str) -> Vec<Interface> {
    let mut all = serial(&[0, 1, 2, 3, 4], first_tty);
    all.push(if control.is_empty() {
        bound(5, [0xff, 0xff, 0xff], "simcom_wwan", Child::Net(net.into()))
    } else {
        bound(5, [0xff, 0xff, 0xff], "qmi_wwan", Child::Qmi(net.into(), control.into()))
    });
    all.push(Interface { number: 6, class: [0xff, 0x42, 1], driver: None, child: Child::None });
    all
}

fn bound(number: u8, class: [u8; 3], driver: &'static str, child: Child) -> Interface {
    Interface { number, class, driver: Some(driver), child }
}

fn serial(numbers: &[u8], first_tty: u8) -> Vec<Interface> {
    (first_tty..)
        .zip(numbers)
        .map(|(tty, &number)| {
            bound(number, [0xff, 0, 0], "option", Child::Tty(format!("ttyUSB{tty}")))
        })
        .collect()
}
