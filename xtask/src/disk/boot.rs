//! The files of the boot partition.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::mbr::Mbr;
use crate::context::Context;
use crate::process;

/// The kernel's name on the boot partition. The firmware unpacks gzip.
pub const KERNEL: &str = "kernel8.img";
/// The device tree's name.
pub const DEVICE_TREE: &str = "bcm2711-rpi-4-b.dtb";
/// What the Pi 4B's boot ROM and EEPROM start, and its counterpart.
pub const FIRMWARE: [&str; 2] = ["start4.elf", "fixup4.dat"];

/// Files that `station provision` fills in for each card, with the bytes that
/// are kept free for them: what the service reads beneath `/etc/a7670e.toml`
/// (of which it takes 64 KiB at most), and all else that makes a card one of a
/// fleet. Empty lines mean nothing in both.
pub const RESERVED: [(&str, usize); 2] = [("a7670e.toml", 16 << 10), ("unit.toml", 48 << 10)];

/// Stands for the root partition in `images/boot/cmdline.txt`.
const ROOT: &str = "@ROOT@";

/// Content by path on the boot partition.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Gathers the files: `kernel` is the kernel stage's folder, `firmware` the
/// package raspi-firmware, `scratch` an empty folder.
pub fn files(
    ctx: &Context,
    mbr: &Mbr,
    kernel: &Path,
    firmware: &Path,
    scratch: &Path,
) -> Result<Files> {
    let mut files = from_package(firmware, scratch)?;
    for (name, source) in [(KERNEL, "Image.gz"), (DEVICE_TREE, DEVICE_TREE)] {
        files.insert(name.to_owned(), read(&kernel.join(source))?);
    }
    let config = ctx.path("images/boot/config.txt");
    let text =
        fs::read_to_string(&config).with_context(|| format!("cannot read {}", config.display()))?;
    for line in [format!("kernel={KERNEL}"), format!("device_tree={DEVICE_TREE}")] {
        if !text.lines().any(|l| l == line) {
            bail!("{}: the line {line:?} is missing", config.display());
        }
    }
    files.insert("config.txt".into(), text.into_bytes());
    files.insert("cmdline.txt".into(), command_line(&ctx.repo, &mbr.partuuid(2))?.into_bytes());
    for (name, len) in RESERVED {
        files.insert(name.into(), vec![b'\n'; len]);
    }
    Ok(files)
}

/// The kernel's command line: the words of `images/boot/cmdline.txt`, whose
/// comments the firmware would not understand, with the root partition's PARTUUID.
pub fn command_line(repo: &Path, root: &str) -> Result<String> {
    let path = repo.join("images/boot/cmdline.txt");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    if !text.contains(ROOT) {
        bail!("{} does not say root={ROOT}", path.display());
    }
    Ok(words(&text).replace(ROOT, &format!("PARTUUID={root}")) + "\n")
}

fn words(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The Pi 4B's firmware, its overlays for mainline kernels and its licence.
fn from_package(package: &Path, scratch: &Path) -> Result<Files> {
    process::output(Command::new("dpkg-deb").arg("--extract").args([package, scratch]))?;
    let dir = scratch.join("usr/lib/raspi-firmware");
    let mut files = Files::new();
    for name in FIRMWARE {
        files.insert(name.to_owned(), read(&dir.join(name))?);
    }
    let overlays = dir.join("overlays");
    if overlays.is_dir() {
        for entry in overlays.read_dir()? {
            let entry = entry?;
            if let Some(name) = entry.file_name().to_str().filter(|n| n.ends_with(".dtbo")) {
                files.insert(format!("overlays/{name}"), read(&entry.path())?);
            }
        }
    }
    let licence = scratch.join("usr/share/doc/raspi-firmware/copyright");
    files.insert("LICENCE.broadcom".into(), read(&licence)?);
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read the boot file {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_line_breaks_leave_one_line() {
        assert_eq!(words("# why\nconsole=tty0  quiet\n\nroot=x\n"), "console=tty0 quiet root=x");
    }
}
