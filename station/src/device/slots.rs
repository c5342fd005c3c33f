//! Which cards are in this computer's readers, and in which slot.
//!
//! A slot is a way to a reader: its hub, port and place on the reader, as udev
//! names it in `/dev/disk/by-path`. Unlike `sdb` it stays what it is whatever is
//! put in where.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A disk in sysfs, unopened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    /// Kernel name.
    pub name: String,
    /// Whether it takes cards, rather than being fixed in the computer or in a
    /// case of its own.
    pub takes_cards: bool,
    /// Names of its slot; a loop device's own name, which is all that it has.
    pub slots: Vec<String>,
}

impl Drive {
    /// Its device file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// Whether it is a loop device.
    #[must_use]
    pub fn is_loop(&self) -> bool {
        self.name.starts_with("loop")
    }

    /// Whether one of the patterns means its slot.
    #[must_use]
    pub fn is_in(&self, patterns: &[Pattern]) -> bool {
        patterns.iter().any(|pattern| self.slots.iter().any(|slot| pattern.fits(slot)))
    }
}

/// All disks that may be or take cards; optical drives, memory and what is made
/// of other disks are left out.
#[must_use]
pub fn drives(sys: &Path, by_path: &Path) -> Vec<Drive> {
    let mut slots: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for link in fs::read_dir(by_path).into_iter().flatten().flatten() {
        if let Ok(device) = link.path().canonicalize() {
            let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
            slots.entry(name).or_default().push(link.file_name().to_string_lossy().into_owned());
        }
    }
    let mut drives = Vec::new();
    for entry in fs::read_dir(sys.join("block")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let dir = entry.path();
        let is_loop = dir.join("loop/backing_file").exists();
        // Of those without a device only loop devices in use.
        let other = !is_loop && !dir.join("device").exists();
        if other || ["sr", "fd"].iter().any(|it| name.starts_with(it)) {
            continue;
        }
        let says = |file: &str, what: &str| {
            fs::read_to_string(dir.join(file)).is_ok_and(|text| text.trim() == what)
        };
        // A slot for SD cards on the mainboard calls itself fixed, but tells the
        // card's type (Linux, `drivers/mmc/core/bus.c`); an eMMC is "MMC".
        let takes_cards = says("removable", "1") || says("device/type", "SD");
        let mut slots = slots.remove(&name).unwrap_or_default();
        slots.sort();
        if is_loop {
            slots.push(name.clone());
        }
        drives.push(Drive { name, takes_cards, slots });
    }
    drives.sort_by(|one, two| one.name.cmp(&two.name));
    drives
}

/// A slot's name in which `*` stands for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// Fewer letters than this could mean any disk.
const LETTERS: usize = 5;

impl std::str::FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let letters = text.chars().filter(char::is_ascii_alphanumeric).count();
        if letters < LETTERS {
            return Err(format!(
                "{text:?} could be any slot: name a hub or a port as in /dev/disk/by-path, such \
                 as `pci-0000:00:14.0-usb-0:2.*`"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// Whether it means this slot.
    #[must_use]
    pub fn fits(&self, slot: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| slot.strip_prefix(first)) else {
            return false;
        };
        let mut parts: Vec<_> = parts.collect();
        // Without any star nothing may follow.
        let Some(last) = parts.pop() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_slots_and_never_all() {
        let fits = |pattern: &str, slot| pattern.parse::<Pattern>().unwrap().fits(slot);
        let slot = "pci-0000:00:14.0-usb-0:2.3:1.0-scsi-0:0:0:1";
        assert!(fits(slot, slot));
        assert!(fits("pci-0000:00:14.0-usb-0:2.*", slot));
        assert!(fits("*usb-0:2.*scsi-0:0:0:1", slot));
        assert!(!fits("*usb-0:2.*scsi-0:0:0:2", slot));
        assert!(!fits("pci-0000:00:14.0-usb-0:2", slot));
        assert!(!fits("usb-0:2.*", slot));
        // An end must not be found within what was used up already.
        assert!(!fits("loop1*loop1", "loop1"));
        for any in ["", "*", "**", "sd*", "*usb*"] {
            assert!(any.parse::<Pattern>().unwrap_err().contains("any slot"), "{any}");
        }
    }

    #[test]
    fn readers_are_told_from_what_is_fixed() {
        let dir = tempfile::tempdir().unwrap();
        let (sys, by_path) = (dir.path().join("sys"), dir.path().join("by-path"));
        let disk = |name: &str, files: &[(&str, &str)]| {
            for (file, text) in files {
                let file = sys.join("block").join(name).join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
        };
        disk("sda", &[("removable", "0\n"), ("device/model", "SSD")]);
        disk("sdb", &[("removable", "1\n"), ("device/model", "Reader")]);
        disk("mmcblk0", &[("removable", "0\n"), ("device/type", "SD\n")]);
        disk("mmcblk1", &[("removable", "0\n"), ("device/type", "MMC\n")]);
        disk("sr0", &[("removable", "1\n"), ("device/model", "DVD")]);
        disk("dm-0", &[("removable", "0\n")]);
        disk("loop0", &[("removable", "0\n")]);
        disk("loop1", &[("removable", "0\n"), ("loop/backing_file", "/x\n")]);
        let devices = dir.path().join("dev");
        fs::create_dir_all(&devices).unwrap();
        fs::create_dir_all(&by_path).unwrap();
        fs::write(devices.join("sdb"), "").unwrap();
        std::os::unix::fs::symlink(devices.join("sdb"), by_path.join("usb-0:2")).unwrap();
        let drive = |name: &str, takes_cards, slots: &[&str]| Drive {
            name: name.into(),
            takes_cards,
            slots: slots.iter().map(|&it| it.to_owned()).collect(),
        };
        let want = [
            drive("loop1", false, &["loop1"]),
            drive("mmcblk0", true, &[]),
            drive("mmcblk1", false, &[]),
            drive("sda", false, &[]),
            drive("sdb", true, &["usb-0:2"]),
        ];
        assert_eq!(drives(&sys, &by_path), want);
    }
}
