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

/// Where version 1 of control groups has its limits of block devices.
const GROUPS: &str = "/sys/fs/cgroup/blkio";

/// A folder for the cards' files, in a file system in memory that every Linux has.
pub fn room() -> Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").context("no room in memory for the cards")
}

/// What runs `words` in the group.
pub fn command(group: Option<&Group>, words: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new("sh");
    let place = group.map_or(PathBuf::from("/dev/null"), |it| it.0.join("cgroup.procs"));
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

impl Card {
    /// Makes `file`, of so many bytes, and its device.
    pub fn new(file: &Path, size: u64) -> Result<Self> {
        File::create(file)?.set_len(size)?;
        let mut losetup = Command::new("losetup");
        let name = process::text(losetup.args(["--find", "--show"]).arg(file))
            .context("this needs root and free loop devices")?;
        Ok(Self { device: name.trim().into(), file: file.to_owned() })
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let detach = process::output(Command::new("losetup").arg("--detach").arg(&self.device));
        if let Err(error) = detach {
            eprintln!("{} is left: {error:#}", self.device.display());
        }
    }
}

/// A control group in which the cards have a speed.
pub struct Group(PathBuf);

impl Group {
    /// So many bytes in a second, each way.
    pub fn new(speed: u64, cards: &[Card]) -> Result<Self> {
        if !Path::new(GROUPS).is_dir() {
            bail!("{GROUPS} is not there: cards are slowed down by version 1 of control groups");
        }
        let dir = Path::new(GROUPS).join(format!("a7670e-cards-{}", std::process::id()));
        fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let group = Self(dir);
        for card in cards {
            let device = fs::metadata(&card.device)?.rdev();
            let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
            for way in ["read", "write"] {
                let file = group.0.join(format!("blkio.throttle.{way}_bps_device"));
                fs::write(file, format!("{major}:{minor} {speed}"))?;
            }
        }
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            eprintln!("{} is left: {error}", self.0.display());
        }
    }
}
