//! The root file system, made by mke2fs from a tar.

use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::mbr::ALIGN;
use crate::sandbox::Sandbox;

/// Bytes of a block. Also the page of the Pi 4B's kernel.
pub const BLOCK: u64 = 4096;

/// Journal: what mke2fs takes for file systems up to 4 GiB. It cannot grow
/// with the file system, so a smaller one would stay small.
const JOURNAL: u64 = 16 << 20;

/// mke2fs's own ratio. Every block group that is added at first boot has it.
const BYTES_PER_INODE: u64 = 16_384;
const INODE: u64 = 256;

/// Group descriptors are reserved for this size, so that cards up to 1 TB grow
/// without a change of the layout.
const GROWS_TO: u64 = 1 << 40;

/// What a tar takes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Blocks of files, folders and long links.
    pub blocks: u64,
    /// Files, folders, links, devices.
    pub inodes: u64,
}

/// Counts what the tar `path` takes. An error when it is no tar.
pub fn measure(path: &Path) -> Result<Content> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 16, file));
    let mut content = Content::default();
    let entries = archive.entries_with_seek().context("unreadable tar")?;
    for entry in entries {
        let entry = entry.with_context(|| format!("{} is damaged", path.display()))?;
        let kind = entry.header().entry_type();
        if kind.is_hard_link() {
            continue;
        }
        content.inodes += 1;
        content.blocks += if kind.is_dir() {
            1
        } else if kind.is_symlink() {
            // Up to 59 bytes are kept in the inode.
            u64::from(entry.link_name_bytes().is_some_and(|link| link.len() > 59))
        } else {
            entry.size().div_ceil(BLOCK)
        };
    }
    Ok(content)
}

/// Bytes of a file system for `content` with about `free` bytes left: a
/// multiple of [`ALIGN`].
pub fn size(content: Content, free: u64) -> u64 {
    let needed = content.blocks * BLOCK + JOURNAL + free;
    // Inode tables are 1/64 of the whole; bitmaps, descriptors and what is
    // reserved for their growth are below 1 %; large folders and files in many
    // pieces take a little more than was counted.
    let total = needed * 64 / 63 * 102 / 100 + (4 << 20);
    total.next_multiple_of(ALIGN)
}

/// One inode for so many bytes: the usual ratio, or less when the tar has more
/// files than that leaves room for.
fn ratio(content: Content, size: u64) -> u64 {
    let wanted = content.inodes + content.inodes / 4 + 1024;
    let mut ratio = BYTES_PER_INODE;
    while size / ratio < wanted && ratio > BLOCK {
        ratio /= 2;
    }
    ratio
}

/// What [`make`] needs to know.
pub struct Root<'a> {
    /// The content.
    pub tar: &'a Path,
    /// What it takes.
    pub content: Content,
    /// Bytes of the partition.
    pub size: u64,
    /// Identifies the file system; also seeds the hash of folders.
    pub uuid: &'a str,
    /// Label.
    pub label: &'a str,
    /// Time of creation, seconds since 1970.
    pub epoch: u64,
}

impl Root<'_> {
    /// Writes the file system into `image`, an empty file of its size.
    pub fn make(&self, tools: &Sandbox, image: &Path, log: &Path) -> Result<()> {
        let extended = [
            format!("hash_seed={}", self.uuid),
            format!("resize={}", GROWS_TO / BLOCK),
            // Nothing is left for the first boot to initialise.
            "lazy_itable_init=0,lazy_journal_init=0".to_owned(),
            "root_owner=0:0".to_owned(),
        ];
        let argv = [
            "mke2fs",
            "-q",
            "-F",
            "-t",
            "ext4",
            // Not readable by e2fsck before 1.47, which many desks still have.
            "-O",
            "^orphan_file",
            "-b",
            &BLOCK.to_string(),
            "-I",
            &INODE.to_string(),
            "-i",
            &ratio(self.content, self.size).to_string(),
            "-J",
            &format!("size={}", JOURNAL >> 20),
            // Reserved for root: 5 % of a large card would be lost.
            "-m",
            "1",
            "-L",
            self.label,
            "-U",
            self.uuid,
            // A second -E would replace the first.
            "-E",
            &extended.join(","),
            "-d",
            "/work/root.tar",
            "/work/root.img",
            &format!("{}k", self.size >> 10),
        ];
        tools
            .clone()
            .bind(self.tar, "root.tar")
            .bind_writable(image, "root.img")
            .env("SOURCE_DATE_EPOCH", &self.epoch.to_string())
            .run(&argv, log)
            .context("cannot make the root file system")
    }
}

/// Byte ranges that the file system `image` of `size` bytes uses: all but its
/// free blocks. Unlike the file's holes these say what a flasher must write:
/// a block of zeros in the journal or an inode table is no hole to a card that
/// held something else before.
pub fn used(tools: &Sandbox, image: &Path, size: u64) -> Result<Vec<Range<u64>>> {
    let text = tools
        .clone()
        .bind(image, "root.img")
        .text(&["dumpe2fs", "/work/root.img"])
        .context("cannot list the free blocks")?;
    let mut used = Vec::new();
    let mut next = 0;
    for free in free_blocks(&text)? {
        if next < free.start {
            used.push(next * BLOCK..free.start * BLOCK);
        }
        next = free.end;
    }
    if next * BLOCK < size {
        used.push(next * BLOCK..size);
    }
    Ok(used)
}

/// The groups' free blocks, in order, from what dumpe2fs prints.
fn free_blocks(text: &str) -> Result<Vec<Range<u64>>> {
    let mut free = Vec::new();
    for list in text.lines().filter_map(|line| line.strip_prefix("  Free blocks: ")) {
        for part in list.split(", ").filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| {
                text.trim()
                    .parse::<u64>()
                    .with_context(|| format!("dumpe2fs: free blocks {part:?}"))
            };
            free.push(number(first)?..number(last)? + 1);
        }
    }
    Ok(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dumpe2fs() {
        let text = "Free blocks:              9\nGroup 0: (Blocks 0-32767)\n  Free blocks: 10-19, 30\n\
                    Group 1:\n  Free blocks: \nGroup 2:\n  Free blocks: 65536-65537\n";
        assert_eq!(free_blocks(text).unwrap(), [10..20, 30..31, 65_536..65_538]);
        assert!(free_blocks("  Free blocks: x\n").is_err());
    }

    #[test]
    fn counts_what_a_tar_takes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.tar");
        let mut tar = tar::Builder::new(File::create(&path).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_size(4097);
        tar.append_data(&mut header.clone(), "file", &[0; 4097][..]).unwrap();
        header.set_size(0);
        header.set_entry_type(tar::EntryType::Directory);
        tar.append_data(&mut header.clone(), "dir", &[][..]).unwrap();
        header.set_entry_type(tar::EntryType::Symlink);
        tar.append_link(&mut header.clone(), "short", "file").unwrap();
        tar.append_link(&mut header.clone(), "long", "x".repeat(60)).unwrap();
        header.set_entry_type(tar::EntryType::Link);
        tar.append_link(&mut header, "hard", "file").unwrap();
        tar.finish().unwrap();
        assert_eq!(measure(&path).unwrap(), Content { blocks: 4, inodes: 4 });
    }

    #[test]
    fn many_small_files_get_inodes() {
        let content = Content { blocks: 20_000, inodes: 20_000 };
        let size = size(content, 16 << 20);
        assert!(size / ratio(content, size) > content.inodes);
    }
}
