//! The disk image: boot record, boot partition, root partition.
//!
//! Everything is written from user space: no loop device, no mount, no
//! privilege. The record and the FAT are this program's own bytes; the root is
//! made by mke2fs.

pub mod boot;
mod ext4;
pub mod fat;
pub mod mbr;
pub mod sparse;

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::archive::Request;
use crate::context::Context;
use crate::definition::Definition;
use crate::digest;
use crate::stage::{self, Inputs, Room, Stage};
use crate::tools::Tools;

pub use boot::DEVICE_TREE;

/// Labels of the two file systems.
pub const BOOT_LABEL: &str = "A7670E-BOOT";
/// See [`BOOT_LABEL`].
pub const ROOT_LABEL: &str = "a7670e-root";

/// The package that [`DiskInputs::firmware`] is.
pub const FIRMWARE_PACKAGE: &str = "raspi-firmware";

/// The stage's file that lists the parts of the image which must be written.
pub const MAP: &str = "map.json";

/// Asks for the Pi's firmware. Sid's: the older ones know no boot partition
/// filter (`[boot_partition=N]` in config.txt), and the package is the same
/// for every suite, for it holds no program of Debian's.
pub fn firmware_request() -> Request {
    Request::new("firmware", "arm64", "sid", &[FIRMWARE_PACKAGE]).alone()
}

/// What the image is made from.
pub struct DiskInputs<'a> {
    /// Name and sizes.
    pub definition: &'a Definition,
    /// The root tree, as one tar with owners and attributes.
    pub root_tar: &'a Path,
    /// Folder with `Image.gz` and the device tree.
    pub kernel: &'a Path,
    /// Debian's package raspi-firmware.
    pub firmware: &'a Path,
    /// Time of all that has one, seconds since 1970.
    pub epoch: u64,
}

/// Makes `<name>.img`, a sparse file, and [`MAP`]: a JSON list of `[start,
/// end)` byte ranges, ascending, whose content matters. What lies between them
/// is free space; the file's own holes are no substitute, for they may be
/// zeros that must be written.
pub fn build(ctx: &Context, tools: &Tools, inputs: &DiskInputs<'_>) -> Result<Stage> {
    let sizes = &inputs.definition.disk;
    let root = digest::file(inputs.root_tar)?;
    let key = Inputs::new()
        .value("layout", "2")
        .value("name", &inputs.definition.name)
        .value("boot_mib", sizes.boot_mib.get_ref().to_string())
        .value("free_mib", sizes.free_mib.get_ref().to_string())
        .value("epoch", inputs.epoch.to_string())
        .value("root", &root)
        .path("kernel", &inputs.kernel.join("Image.gz"))?
        .path("device tree", &inputs.kernel.join(DEVICE_TREE))?
        .path("firmware", inputs.firmware)?
        .path("boot files", &ctx.path("images/boot"))?
        .value("tools", tools.digest());
    stage::run(ctx, "disk", key, |room| assemble(ctx, tools, inputs, &root, room))
}

fn assemble(
    ctx: &Context,
    tools: &Tools,
    inputs: &DiskInputs<'_>,
    root_digest: &str,
    room: &Room<'_>,
) -> Result<()> {
    let content = ext4::measure(inputs.root_tar)?;
    let sizes = &inputs.definition.disk;
    let boot_size = (u64::from(*sizes.boot_mib.get_ref()) << 20).next_multiple_of(mbr::ALIGN);
    let root_size = ext4::size(content, u64::from(*sizes.free_mib.get_ref()) << 20);
    let mbr = mbr::for_pi(boot_size, root_size);
    let boot_start = mbr::ALIGN;
    let root_start = boot_start + boot_size;

    room.step.message("root file system");
    let sandbox = tools.sandbox();
    let root_path = room.scratch.join("root.img");
    let root_image = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&root_path)
        .with_context(|| format!("cannot write {}", root_path.display()))?;
    root_image.set_len(root_size)?;
    let root = ext4::Root {
        tar: inputs.root_tar,
        content,
        size: root_size,
        uuid: &uuid(root_digest),
        label: ROOT_LABEL,
        epoch: inputs.epoch,
    };
    root.make(&sandbox, &root_path, &room.scratch.join("mke2fs.log"))?;
    let used = ext4::used(&sandbox, &root_path, root_size)?;

    room.step.message("boot files");
    let unpacked = room.scratch.join("firmware");
    stage::remove_tree(&unpacked)?;
    fs::create_dir(&unpacked)?;
    let volume = fat::Volume {
        size: boot_size,
        start: boot_start,
        label: BOOT_LABEL.into(),
        id: mbr::SIGNATURE,
        epoch: inputs.epoch,
        files: boot::files(ctx, &mbr, inputs.kernel, inputs.firmware, &unpacked)?,
    };
    let pieces = volume.pieces()?;

    room.step.message("image");
    let path = room.out.join(format!("{}.img", inputs.definition.name));
    let image =
        File::create_new(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let full = || format!("cannot write {}; is the disk full?", path.display());
    image.set_len(root_start + root_size).with_context(full)?;
    image.write_all_at(&mbr.encode()?, 0).with_context(full)?;
    let mut map = Vec::new();
    map.push(0..mbr::SECTOR);
    for piece in pieces {
        let start = boot_start + piece.offset;
        sparse::write(&image, &piece.bytes, start).with_context(full)?;
        map.push(start..start + piece.bytes.len() as u64);
    }
    for range in used {
        sparse::copy(&root_image, range.clone(), &image, root_start + range.start)
            .with_context(full)?;
        map.push(root_start + range.start..root_start + range.end);
    }
    image.sync_all().with_context(full)?;
    fs::write(room.out.join(MAP), to_json(&join(map))?)?;
    Ok(())
}

/// A UUID that is the same for the same content (version 8 of RFC 9562: bits
/// of the maker's choice). Two builds that differ never share one, so what an
/// earlier image left on a card is not taken for part of this one.
fn uuid(digest: &str) -> String {
    format!(
        "{}-{}-8{}-8{}-{}",
        &digest[..8],
        &digest[8..12],
        &digest[13..16],
        &digest[17..20],
        &digest[20..32]
    )
}

/// Ranges that touch become one.
fn join(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

fn to_json(map: &[Range<u64>]) -> Result<String> {
    let pairs: Vec<_> = map.iter().map(|range| [range.start, range.end]).collect();
    Ok(serde_json::to_string(&pairs)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_the_form() {
        let uuid = uuid(&digest::bytes(b""));
        assert_eq!(uuid, "e3b0c442-98fc-8c14-8afb-f4c8996fb924");
    }

    #[test]
    fn ranges_that_touch_become_one() {
        assert_eq!(join(vec![0..1, 1..4, 5..6]), [0..4, 5..6]);
    }
}
