//! Part `artefacts`: what is published, judged by other people's programs.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::Checks;
use crate::artefacts::{mapped, sbom, zst};
use crate::context::Context;
use crate::digest;
use crate::sandbox::Sandbox;
use crate::tools::{Set, Tools};

/// Where the partition of a test's disk starts, in bytes.
const START: u64 = 1 << 20;

/// What fills a card that had another life.
const RUBBISH: u8 = 0xE5;

/// File systems that differ in all that the map depends on: name, size in MiB,
/// how to make one from the tree at /work/tree.
const EXT4: &[(&str, u64, &str)] = &[
    ("ext4 as we make it", 300, "-t ext4 -b 4096"),
    ("ext4 of 1 KiB blocks", 100, "-t ext4 -b 1024"),
    ("ext4 with 32 bits", 300, "-t ext4 -b 4096 -O ^64bit"),
    ("ext4 without flex_bg", 300, "-t ext4 -b 4096 -O ^flex_bg"),
    ("ext4 without checksums", 300, "-t ext4 -b 4096 -O ^metadata_csum,^uninit_bg"),
    ("ext4 with two backups", 700, "-t ext4 -b 4096 -O sparse_super2"),
    ("ext2", 50, "-t ext2 -b 2048"),
];

const FAT: &[(&str, u64, &str)] =
    &[("FAT12", 5, "-F 12 -s 4"), ("FAT16", 32, "-F 16 -s 1"), ("FAT32", 64, "-F 32 -s 1")];

/// Runs the part.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let tools = Tools::get(ctx, Set::Build)?.sandbox();
    let dir = tempfile::tempdir_in(&ctx.cache)?;
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("folder"))?;
    fs::write(tree.join("noise"), noise(3 << 20))?;
    for i in 0..40 {
        fs::write(tree.join(format!("folder/file-{i}")), vec![b'a'; i * 500])?;
    }
    let bench = Bench { dir: dir.path(), tools: &tools, tree: &tree };
    for (name, mib, options) in EXT4 {
        checks
            .check(&format!("{name}: outside the map nothing matters"), bench.ext4(*mib, options));
    }
    for (name, mib, options) in FAT {
        checks.check(&format!("{name}: outside the map nothing matters"), bench.fat(*mib, options));
    }
    checks.check("zstd unpacks what we compress", bench.zstd(ctx.jobs));
    checks.check("cargo names the crates of the device's program", crates(ctx));
    Ok(())
}

struct Bench<'a> {
    dir: &'a Path,
    tools: &'a Sandbox,
    tree: &'a Path,
}

impl Bench<'_> {
    fn new_part(&self, mib: u64) -> Result<PathBuf> {
        let part = self.dir.join("part");
        // From nothing, so that no file system stands where the last one was.
        File::create(&part)?.set_len(mib << 20)?;
        Ok(part)
    }

    /// Runs a shell line with the partition at /work/part.
    fn shell(&self, part: &Path, line: &str) -> Result<String> {
        let tools = self.tools.clone().bind_writable(part, "part").bind(self.tree, "tree");
        tools.text(&["sh", "-ec", line])
    }

    fn ext4(&self, mib: u64, options: &str) -> Result<()> {
        let part = self.new_part(mib)?;
        self.shell(&part, &format!("mke2fs -q {options} -d /work/tree /work/part"))?;
        let ranges = spoil(&part)?;
        // Says so when a bitmap, an inode or a folder is damaged.
        self.shell(&part, "e2fsck -fn /work/part >&2")?;
        let read = self.shell(&part, "debugfs -R 'cat /noise' /work/part | sha256sum")?;
        same(&read, &digest::file(&self.tree.join("noise"))?)?;
        // Not too much either: dumpe2fs must count as many blocks in use.
        let head = self.shell(&part, "dumpe2fs -h /work/part")?;
        let number = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            let text = line.with_context(|| format!("dumpe2fs says no {name}"))?;
            Ok::<u64, anyhow::Error>(text.trim().parse()?)
        };
        let block = number("Block size:")?;
        let used = (number("Block count:")? - number("Free blocks:")?) * block;
        let mapped: u64 = ranges.iter().map(|r| r.end - r.start).sum();
        // Blocks of less than 4 KiB are mapped by fours or twos.
        let slack =
            if block == mapped::BLOCK { 0 } else { ranges.len() as u64 * 2 * mapped::BLOCK };
        ensure!(
            (used..=used + slack).contains(&mapped),
            "{mapped} bytes are mapped, {used} are in use"
        );
        Ok(())
    }

    fn fat(&self, mib: u64, options: &str) -> Result<()> {
        let part = self.new_part(mib)?;
        let make = format!(
            "mkfs.fat {options} /work/part >&2; mcopy -s -i /work/part /work/tree/* ::/; \
             mdel -i /work/part ::/folder/file-7"
        );
        self.shell(&part, &make)?;
        let ranges = spoil(&part)?;
        self.shell(&part, "fsck.fat -n /work/part >&2")?;
        let read = self.shell(&part, "mcopy -i /work/part ::/noise - | sha256sum")?;
        same(&read, &digest::file(&self.tree.join("noise"))?)?;
        let mapped: u64 = ranges.iter().map(|r| r.end - r.start).sum();
        ensure!(mapped < mib << 20, "all {mapped} bytes are mapped");
        Ok(())
    }

    fn zstd(&self, jobs: usize) -> Result<()> {
        let size = 2 * zst::FRAME + 12_345;
        let part = self.new_part(0)?;
        fs::write(&part, noise(size))?;
        let packed = self.dir.join("packed.zst");
        zst::compress(&File::open(&part)?, size, File::create(&packed)?, jobs, |_| {})?;
        let read = self.shell(&packed, "zstd -dc /work/part | sha256sum")?;
        same(&read, &digest::file(&part)?)
    }
}

/// Puts the file system `part` into a disk, asks for its map, and fills what
/// that leaves out with rubbish. Gives the ranges inside of the partition.
fn spoil(part: &Path) -> Result<Vec<Range<u64>>> {
    let bytes = fs::read(part)?;
    let size = bytes.len() as u64;
    let disk = tempfile::tempfile_in(part.parent().context("the file has no folder")?)?;
    disk.set_len(START + size)?;
    let mut entry = [0; 16];
    entry[4] = 0x83;
    entry[8..12].copy_from_slice(&u32::try_from(START / 512)?.to_le_bytes());
    entry[12..].copy_from_slice(&u32::try_from(size / 512)?.to_le_bytes());
    disk.write_all_at(&entry, 446)?;
    disk.write_all_at(&[0x55, 0xAA], 510)?;
    disk.write_all_at(&bytes, START)?;
    let mut ranges = mapped::ranges(&disk, Vec::new())?;
    // The first runs from the boot record into the partition.
    let first = ranges.first_mut().context("nothing is mapped")?;
    ensure!(first.start == 0 && first.end > START, "the start of the disk is not mapped");
    first.start = START;
    let ranges: Vec<_> = ranges.into_iter().map(|r| r.start - START..r.end - START).collect();
    let mut card = vec![RUBBISH; bytes.len()];
    for range in &ranges {
        let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
        card[range.clone()].copy_from_slice(&bytes[range]);
    }
    fs::write(part, card)?;
    Ok(ranges)
}

/// Compares what `sha256sum` printed.
fn same(printed: &str, sha256: &str) -> Result<()> {
    if printed.split_whitespace().next() != Some(sha256) {
        bail!("the content differs: {sha256} became {printed}");
    }
    Ok(())
}

/// Bytes in which nothing repeats, always the same.
fn noise(len: u64) -> Vec<u8> {
    let mut x = 1_u64;
    (0..len)
        .map(|_| {
            // Knuth's MMIX generator.
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 56) as u8
        })
        .collect()
}

/// Spot checks of the list that goes into the SBOM.
fn crates(ctx: &Context) -> Result<()> {
    let crates = sbom::read_crates(ctx)?;
    let ours =
        crates.iter().find(|c| c.name == "a7670e").context("the program itself is missing")?;
    ensure!(ours.sha256.is_none(), "our own crate is said to be from crates.io");
    let anyhow = crates.iter().find(|c| c.name == "anyhow").context("anyhow is missing")?;
    ensure!(anyhow.sha256.is_some() && anyhow.licence.is_some(), "{anyhow:?}");
    // What only the build tool uses is not in the program.
    ensure!(crates.iter().all(|c| c.name != "minisign"), "minisign is listed");
    Ok(())
}
