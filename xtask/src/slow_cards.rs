//! Loop devices that are as slow as cards. Their files are in memory, and the
//! kernel's throttling makes them slow: a card's speed is the same for all who
//! write to it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;

/// Where version 1 of control groups has its limits of block devices: those of the
/// topmost group. What a program leaves to the kernel to write is written by the
/// kernel's own threads, which are in that group and pass by any other's limits.
const GROUP: &str = "/sys/fs/cgroup/blkio";

/// Bytes of a sector in the kernel's counters, whatever the device's own has
/// (Documentation/block/stat.rst).
const SECTOR: u64 = 512;

/// A folder for the cards' files, in a file system in memory that every Linux has.
pub fn room() -> Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").context("no room in memory for the cards")
}

/// What runs `words` where the limit holds.
pub fn command(limit: Option<&Limit>, words: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new("sh");
    let place = limit.map_or(PathBuf::from("/dev/null"), |_| file("cgroup.procs"));
    command.args(["-c", "echo $$ > \"$1\"; shift; exec \"$@\"", "sh"]).arg(place).args(words);
    command
}

/// A loop device, and its file.
pub struct Card {
    /// The device.
    pub device: PathBuf,
    /// What it shows.
    pub file: PathBuf,
}

/// Bytes that went to a device and came from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// To the device.
    pub written: u64,
    /// From the device: what a program read out of the kernel's memory is not in it.
    pub read: u64,
}

impl Card {
    /// Makes `file`, of so many bytes, and its device.
    pub fn new(file: &Path, size: u64) -> Result<Self> {
        File::create(file)?.set_len(size)?;
        let mut losetup = Command::new("losetup");
        let name = process::text(losetup.args(["--find", "--show"]).arg(file))
            .context("this needs root and free loop devices")?;
        Ok(Self { device: name.trim().into(), file: file.to_owned() })
    }

    /// Takes all content away: the card reads zeros.
    pub fn clear(&self) -> Result<()> {
        process::output(Command::new("blkdiscard").arg(&self.device)).map(drop)
    }

    /// What went to it and came from it since the kernel knows the device.
    pub fn moved(&self) -> Result<Moved> {
        let name = self.device.file_name().context("a device without a name")?;
        let path = Path::new("/sys/block").join(name).join("stat");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("no counters in {}", path.display()))?;
        counted(&text).with_context(|| format!("{} has {text:?}", path.display()))
    }
}

/// The third and the seventh number (Documentation/block/stat.rst).
fn counted(stat: &str) -> Option<Moved> {
    let bytes = |field| Some(stat.split_whitespace().nth(field)?.parse::<u64>().ok()? * SECTOR);
    Some(Moved { read: bytes(2)?, written: bytes(6)? })
}

impl Drop for Card {
    fn drop(&mut self) {
        let detach = process::output(Command::new("losetup").arg("--detach").arg(&self.device));
        if let Err(error) = detach {
            eprintln!("{} is left: {error:#}", self.device.display());
        }
    }
}

/// The cards have a speed as long as this is there. The devices are numbers as the
/// kernel has them.
pub struct Limit(Vec<String>);

impl Limit {
    /// So many bytes in a second, each way.
    pub fn new(speed: u64, cards: &[Card]) -> Result<Self> {
        if !file("blkio.throttle.write_bps_device").exists() {
            bail!("{GROUP} is not there: cards are slowed down by version 1 of control groups");
        }
        // What was set is taken back when a later one fails.
        let mut limit = Self(Vec::new());
        for card in cards {
            let device = fs::metadata(&card.device)?.rdev();
            let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
            limit.0.push(device.clone());
            set(&device, speed)?;
        }
        Ok(limit)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        for device in &self.0 {
            // 0 is no limit.
            if let Err(error) = set(device, 0) {
                eprintln!("the device {device} is left slow: {error:#}");
            }
        }
    }
}

fn set(device: &str, speed: u64) -> Result<()> {
    for way in ["read", "write"] {
        let path = file(&format!("blkio.throttle.{way}_bps_device"));
        fs::write(&path, format!("{device} {speed}"))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn file(name: &str) -> PathBuf {
    Path::new(GROUP).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_counters_are_read() {
        // A loop device's, after 40 MiB were written to it and read again.
        let stat = "  320  0  81920  2100  41  5079  81920  2800  0  4200  4900  0  0  0  0  0  0";
        let moved = Moved { written: 40 << 20, read: 40 << 20 };
        assert_eq!(counted(stat), Some(moved));
        assert_eq!(counted("1 2 3 4 5 6"), None);
    }
}
