//! Reads what a target is from sysfs, proc and the device itself.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::mounts::{self, Mount};
use super::{Kind, Target, Use, signature};

/// Bytes of a sector in sysfs, whatever the device's own are (Linux,
/// `Documentation/ABI/stable/sysfs-block`).
const SECTOR: u64 = 512;

/// Why nothing can be said about a target.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct FactsError {
    path: PathBuf,
    why: String,
}

/// Where the kernel tells of itself.
#[derive(Clone, Debug)]
pub struct System {
    sys: PathBuf,
    mounts: Vec<Mount>,
    swaps: Vec<String>,
}

impl System {
    /// Of the running kernel.
    ///
    /// # Errors
    /// The tables in proc cannot be read.
    pub fn read() -> io::Result<Self> {
        Self::at(Path::new("/sys"), Path::new("/proc"))
    }

    /// As the trees `sys` and `proc` tell.
    ///
    /// # Errors
    /// The tables in proc cannot be read.
    pub fn at(sys: &Path, proc: &Path) -> io::Result<Self> {
        let mounts = mounts::mounts(&fs::read_to_string(proc.join("self/mountinfo"))?);
        // A kernel without swap has no such file.
        let swaps = fs::read_to_string(proc.join("swaps")).unwrap_or_default();
        Ok(Self { sys: sys.to_owned(), mounts, swaps: mounts::swaps(&swaps) })
    }

    /// All that is known of the target at `path`.
    ///
    /// # Errors
    /// There is nothing there, or it is neither block device nor file.
    pub fn target(&self, path: &Path) -> Result<Target, FactsError> {
        let error = |why: String| FactsError { path: path.to_owned(), why };
        let meta = path.metadata().map_err(|it| error(it.to_string()))?;
        if meta.is_file() {
            // A slip of the finger in /dev makes a file in memory.
            if path.canonicalize().is_ok_and(|path| path.starts_with("/dev")) {
                return Err(error("is a plain file in /dev, no device: delete it".into()));
            }
            return Ok(file(path, &meta));
        }
        if !meta.file_type().is_block_device() {
            return Err(error("is neither a block device nor a file".into()));
        }
        let device = meta.rdev();
        let number = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
        self.opened(path, &number, File::open(path)).map_err(error)
    }

    /// All that is known of the block device `number`, which was opened: that
    /// makes the kernel look for a card in the reader, and for its size.
    fn opened(
        &self,
        path: &Path,
        number: &str,
        device: io::Result<File>,
    ) -> Result<Target, String> {
        let mut target = self.block(path, number).map_err(|it| it.to_string())?;
        match device {
            Ok(device) => target.uses.extend(self.members(number, &device)),
            Err(error) if error.raw_os_error() == Some(libc::ENOMEDIUM) => target.size = 0,
            // It may bear a mark that cannot be seen.
            Err(error) => return Err(format!("cannot be opened: {error}; are you root?")),
        }
        Ok(target)
    }

    /// What sysfs says of the block device `number` (`major:minor`).
    ///
    /// # Errors
    /// It is not in sysfs.
    pub fn block(&self, path: &Path, number: &str) -> io::Result<Target> {
        let dir = self.sys.join("dev/block").join(number).canonicalize()?;
        let name = file_name(&dir);
        let kind = if dir.join("partition").exists() {
            let disk = dir.parent().map(file_name).unwrap_or_default();
            Kind::Partition(format!("/dev/{disk}"))
        } else if let Some(backing) = text(&dir.join("loop/backing_file")) {
            if is_device(&backing) { Kind::Nested(backing) } else { Kind::Loop(backing) }
        } else if name.starts_with("loop") || dir.join("device").exists() {
            Kind::Disk
        } else if dir.components().any(|it| it.as_os_str() == "virtual") {
            Kind::Virtual
        } else {
            Kind::Disk
        };
        let instance = device_number(number).unwrap_or(0);
        let number = |file: &str| text(&dir.join(file)).and_then(|it| it.parse::<u64>().ok());
        let device = |file: &str| text(&dir.join("device").join(file));
        let mut uses = Vec::new();
        self.uses(&dir, &mut BTreeSet::new(), &mut uses);
        Ok(Target {
            path: path.to_owned(),
            kind,
            instance: (instance, number("diskseq").unwrap_or(0)),
            size: number("size").unwrap_or(0) * SECTOR,
            read_only: number("ro") == Some(1),
            removable: number("removable") == Some(1),
            model: device("model").or_else(|| device("name")),
            serial: device("serial").or_else(|| usb_serial(&dir)),
            cid: device("cid").filter(|it| it.len() == 32),
            uses,
            name,
        })
    }

    /// What uses the device in `dir`, its partitions, and what is made of them.
    fn uses(&self, dir: &Path, seen: &mut BTreeSet<PathBuf>, uses: &mut Vec<Use>) {
        if !seen.insert(dir.to_owned()) {
            return;
        }
        let device = file_name(dir);
        let number = text(&dir.join("dev")).unwrap_or_default();
        let is = |path: &str| {
            let path = Path::new(path);
            // By way of /dev/mapper and /dev/disk too.
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            real.strip_prefix("/dev").is_ok_and(|it| it == Path::new(&device))
        };
        for mount in &self.mounts {
            if mount.number == number || is(&mount.source) {
                uses.push(Use::Mounted { device: device.clone(), at: mount.at.clone() });
            }
        }
        if self.swaps.iter().any(|path| is(path)) {
            uses.push(Use::Swap { device: device.clone() });
        }
        for holder in names(&dir.join("holders")) {
            uses.push(Use::Held { device: device.clone(), by: holder.clone() });
            if let Ok(dir) = self.sys.join("class/block").join(&holder).canonicalize() {
                self.uses(&dir, seen, uses);
            }
        }
        for partition in names(dir).iter().map(|name| dir.join(name)) {
            if partition.join("partition").exists() {
                self.uses(&partition, seen, uses);
            }
        }
    }

    /// The disk and its partitions that bear the mark of a set of disks.
    fn members(&self, number: &str, device: &File) -> Vec<Use> {
        let Ok(dir) = self.sys.join("dev/block").join(number).canonicalize() else {
            return Vec::new();
        };
        let number = |path: &Path| text(path).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
        let mut parts = vec![(file_name(&dir), 0, number(&dir.join("size")) * SECTOR)];
        for name in names(&dir) {
            let part = dir.join(&name);
            if part.join("partition").exists() {
                let start = number(&part.join("start")) * SECTOR;
                parts.push((name, start, number(&part.join("size")) * SECTOR));
            }
        }
        parts
            .into_iter()
            .filter_map(|(name, start, len)| {
                Some(Use::Member { of: signature::read(device, start, len)?, device: name })
            })
            .collect()
    }
}

/// The number of a device from the form `major:minor`.
fn device_number(text: &str) -> Option<u64> {
    let (major, minor) = text.split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// Whether what is behind a loop device is a device itself.
fn is_device(backing: &str) -> bool {
    let path = Path::new(backing);
    match path.metadata() {
        Ok(meta) => meta.file_type().is_block_device(),
        // Deleted or in another namespace; files in memory are in /dev/shm.
        Err(_) => path.starts_with("/dev") && !path.starts_with("/dev/shm"),
    }
}

fn file(path: &Path, meta: &fs::Metadata) -> Target {
    Target {
        path: path.to_owned(),
        name: file_name(path),
        kind: Kind::File,
        instance: (meta.dev(), meta.ino()),
        size: meta.len(),
        read_only: false,
        removable: false,
        model: None,
        serial: None,
        cid: None,
        uses: Vec::new(),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// An attribute's text, if it has any.
fn text(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The names in a folder, sorted.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The serial number of the USB device that a disk is behind: the nearest
/// folder upwards with a `idVendor`.
fn usb_serial(dir: &Path) -> Option<String> {
    let usb = dir.ancestors().find(|dir| dir.join("idVendor").exists())?;
    text(&usb.join("serial"))
}

#[cfg(test)]
mod tests;
