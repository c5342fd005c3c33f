//! Takes what the Pi's firmware would load out of an image's boot partition.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::disk::mbr::{self, Mbr};
use crate::sandbox::Sandbox;

/// What the firmware loads, as far as QEMU needs it.
pub struct BootFiles {
    /// The kernel; gzip-compressed ones stay so, QEMU unpacks them.
    pub kernel: Vec<u8>,
    /// The device tree of the Pi 4B.
    pub devicetree: Vec<u8>,
    /// The kernel command line.
    pub cmdline: String,
}

/// Reads them from `image` with mtools of `rig`.
pub fn read(rig: &Sandbox, image: &Path) -> Result<BootFiles> {
    let start = boot_partition(image)?;
    let sandbox = rig.clone().bind(image, "image");
    let drive = format!("/work/image@@{start}");
    let get = |name: &str| {
        sandbox
            .output(&["mtype", "-i", &drive, &format!("::{name}")])
            .with_context(|| format!("{}: no {name} on the boot partition", image.display()))
    };
    let config = String::from_utf8(get("config.txt")?)
        .with_context(|| format!("{}: config.txt is no UTF-8", image.display()))?;
    let named = |key: &str, default: &str| setting(&config, key).unwrap_or(default).to_owned();
    let cmdline = String::from_utf8(get(&named("cmdline", "cmdline.txt"))?)
        .with_context(|| format!("{}: the kernel command line is no UTF-8", image.display()))?;
    let cmdline = cmdline.trim().to_owned();
    if cmdline.is_empty() || cmdline.contains('\n') {
        bail!(
            "{}: the firmware reads one line of cmdline.txt, which has another number",
            image.display()
        );
    }
    Ok(BootFiles {
        kernel: get(&named("kernel", "kernel8.img"))?,
        devicetree: get(&named("device_tree", "bcm2711-rpi-4-b.dtb"))?,
        cmdline,
    })
}

/// Byte at which the first partition starts; it must be a FAT one.
fn boot_partition(image: &Path) -> Result<u64> {
    let mut sector = [0; mbr::SECTOR as usize];
    let what = || format!("{} is no Pi image", image.display());
    File::open(image).and_then(|file| file.read_exact_at(&mut sector, 0)).with_context(what)?;
    match Mbr::decode(&sector).with_context(what)?.slots[0] {
        Some(part) if part.kind == mbr::FAT32_LBA => Ok(part.start),
        Some(part) => {
            bail!("{}: its first partition is of type {:#04x}, not FAT32", what(), part.kind)
        }
        None => bail!("{}: it has no first partition", what()),
    }
}

/// The last value of `key` among the lines of config.txt that hold for a
/// Pi 4B.
fn setting<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    let mut holds = true;
    let mut value = None;
    for line in config.lines().map(str::trim) {
        if let Some(filter) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            holds = matches!(filter, "all" | "pi4");
        } else if let Some((name, text)) = line.split_once('=') {
            if holds && name.trim() == key {
                value = Some(text.trim());
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pi_image_is_refused_by_name() {
        let image = tempfile::NamedTempFile::new().unwrap();
        let error = |bytes: &[u8]| {
            std::fs::write(image.path(), bytes).unwrap();
            format!("{:#}", boot_partition(image.path()).unwrap_err())
        };
        let name = image.path().display().to_string();
        assert!(error(b"short").contains(&name));
        assert!(error(&[0; 512]).contains(&name));
        let mut pi = mbr::for_pi(mbr::ALIGN, mbr::ALIGN);
        if let Some(part) = &mut pi.slots[0] {
            part.kind = mbr::LINUX;
        }
        assert!(error(&pi.encode().unwrap()).contains("0x83"));
    }

    #[test]
    fn the_boot_partition_is_found() {
        let image = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(image.path(), mbr::for_pi(mbr::ALIGN, mbr::ALIGN).encode().unwrap())
            .unwrap();
        assert_eq!(boot_partition(image.path()).unwrap(), mbr::ALIGN);
    }

    #[test]
    fn settings_of_other_boards_do_not_count() {
        let config =
            "kernel=a\n[pi3]\nkernel=b\n[pi4]\nkernel = c \n[cm4]\nkernel=d\n[all]\n#kernel=e\n";
        assert_eq!(setting(config, "kernel"), Some("c"));
        assert_eq!(setting(config, "cmdline"), None);
    }
}
