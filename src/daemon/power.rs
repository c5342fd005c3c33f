//! Cuts the modem's power: by its USB port, or by a GPIO line.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::cut::Cut;
use crate::config::{PowerGpio, Recovery, UsbPower};
use crate::modem::usb_path::UsbPath;

/// How long a port is without power: what is in the capacitors of a stick that
/// draws 0.5 A lasts for less than a second, and hubs take a moment to switch.
const OFF: Duration = Duration::from_secs(3);

/// What the power can be cut by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Supply {
    /// The hub that the modem is plugged into.
    Usb {
        /// All its ports at once.
        whole_hub: bool,
    },
    /// A line.
    Gpio(PowerGpio),
}

impl Supply {
    /// As configured; `None` when the power is not to be cut.
    pub fn of(recovery: &Recovery) -> Option<Supply> {
        match (&recovery.power_gpio, recovery.usb_power) {
            (Some(gpio), _) => Some(Supply::Gpio(gpio.clone())),
            (None, UsbPower::Off) => None,
            (None, UsbPower::Port) => Some(Supply::Usb { whole_hub: false }),
            (None, UsbPower::Hub) => Some(Supply::Usb { whole_hub: true }),
        }
    }
}

/// What takes the power from the modem's port, or from all of its hub, by the
/// ports' `disable` (Documentation/ABI/testing/sysfs-bus-usb, Linux 6.0). The
/// modem itself need not be there.
///
/// # Errors
/// The hub is not there, or its ports have no such file.
pub fn usb(sysfs: &Path, modem: &UsbPath, whole_hub: bool) -> Result<Cut> {
    let (hub, interface) = (modem.hub(), modem.hub_interface());
    let prefix = format!("{hub}-port");
    let own = format!("{prefix}{}", modem.port());
    let interfaces = sysfs.join("bus/usb/devices");
    let mut ports: Vec<PathBuf> = Vec::new();
    for entry in entries(&interfaces)?.iter().filter(|path| named(path, &interface)) {
        let wanted = |path: &&PathBuf| {
            if whole_hub { named(path, &prefix) } else { path.file_name() == Some(own.as_ref()) }
        };
        ports.extend(entries(entry)?.iter().filter(wanted).cloned());
    }
    ports.sort();
    ensure!(!ports.is_empty(), "{}: no port of hub {hub} is here", interfaces.display());
    let mut files = Vec::new();
    for port in ports {
        let file = port.join("disable");
        ensure!(file.exists(), "{}: not there; it needs Linux 6.0 or later", file.display());
        files.push(file);
        // The same socket's port on the hub for SuperSpeed keeps its power too.
        files.extend(Some(port.join("peer/disable")).filter(|peer| peer.exists()));
    }
    Ok(Cut { files, away: "1", back: "0", pause: OFF })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    let list: std::io::Result<Vec<PathBuf>> = list();
    list.with_context(|| folder.display().to_string())
}

fn named(path: &Path, prefix: &str) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root hub with the port of a hub, which has four, of which the first has a
    /// peer; links as the kernel makes them.
    fn tree(root: &Path) {
        let bus = root.join("bus/usb/devices");
        for port in
            ["1-0:1.0/usb1-port1", "1-1:1.0/1-1-port1", "1-1:1.0/1-1-port2", "1-1:1.0/1-1-port10"]
        {
            fs::create_dir_all(bus.join(port)).unwrap();
            fs::write(bus.join(port).join("disable"), "0").unwrap();
        }
        fs::create_dir_all(bus.join("2-0:1.0/usb2-port1")).unwrap();
        fs::write(bus.join("2-0:1.0/usb2-port1/disable"), "0").unwrap();
        std::os::unix::fs::symlink("../../2-0:1.0/usb2-port1", bus.join("1-1:1.0/1-1-port1/peer"))
            .unwrap();
    }

    fn files(root: &Path, modem: &str, whole_hub: bool) -> Vec<String> {
        let cut = usb(root, &modem.parse().unwrap(), whole_hub).unwrap();
        assert_eq!((cut.away, cut.back), ("1", "0"));
        let bus = root.join("bus/usb/devices");
        let name = |file: &PathBuf| file.strip_prefix(&bus).unwrap().display().to_string();
        cut.files.iter().map(name).collect()
    }

    #[test]
    fn the_modems_port_is_found_and_no_other() {
        let root = tempfile::tempdir().unwrap();
        tree(root.path());
        assert_eq!(files(root.path(), "1-1", false), ["1-0:1.0/usb1-port1/disable"]);
        assert_eq!(
            files(root.path(), "1-1.1", false),
            ["1-1:1.0/1-1-port1/disable", "1-1:1.0/1-1-port1/peer/disable"]
        );
        let all = files(root.path(), "1-1.2", true);
        assert_eq!(all.len(), 4, "{all:?}");
        assert!(all.iter().all(|file| file.starts_with("1-1:1.0/1-1-port")), "{all:?}");
        let error = usb(root.path(), &"3-1".parse().unwrap(), false).unwrap_err().to_string();
        assert!(error.ends_with("no port of hub usb3 is here"), "{error}");
        fs::remove_file(root.path().join("bus/usb/devices/1-0:1.0/usb1-port1/disable")).unwrap();
        let error = usb(root.path(), &"1-1".parse().unwrap(), false).unwrap_err().to_string();
        assert!(error.ends_with("disable: not there; it needs Linux 6.0 or later"), "{error}");
    }
}
