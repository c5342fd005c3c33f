//! Which bytes of a disk image mean something, and so must be written to a
//! card even when they are zero.
//!
//! Whether a block is zero, or a hole of the image file, does not tell: a
//! block that a file system has taken into use and that must read zero (an
//! inode table, the journal, a directory) would keep what was on the card
//! before. So two are asked: the builder, what it wrote, and the file systems
//! in the finished image, what they use, which is everything but what ext4 and
//! FAT mark as free. What either names counts. Space outside of partitions
//! counts too, as an old GPT there can mislead, and so does the whole of a
//! partition with any other content.

mod ext4;
mod fat;
mod mbr;

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};

/// Ranges are rounded outwards to blocks of so many bytes, the block size of a
/// bmap and of ext4.
pub const BLOCK: u64 = 4096;

/// Bytes of a partition, at offsets that start with it.
struct Part<'a> {
    image: &'a File,
    /// Offset of the partition in the image, in bytes.
    start: u64,
    /// Its length in bytes.
    len: u64,
}

impl Part<'_> {
    /// Reads `len` bytes at `offset`.
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.len) {
            bail!("{len} bytes at {offset} lie outside of the partition of {} bytes", self.len);
        }
        let mut bytes = vec![0; len];
        self.image
            .read_exact_at(&mut bytes, self.start + offset)
            .with_context(|| format!("cannot read {len} bytes at {}", self.start + offset))?;
        Ok(bytes)
    }
}

/// The ranges of a disk image (in bytes, ascending, apart from each other,
/// whole blocks) that must be written: what is in use, and `written`, the
/// ranges that the image's builder names.
pub fn ranges(image: &File, written: Vec<Range<u64>>) -> Result<Vec<Range<u64>>> {
    let size = image.metadata().context("cannot look at the image")?.len();
    let disk = Part { image, start: 0, len: size };
    if let Some(range) = written.iter().find(|range| range.end > size) {
        bail!("the map names bytes {range:?} of an image of {size} bytes");
    }
    let mut all = written;
    let mut end = 0;
    for partition in mbr::partitions(&disk.read(0, mbr::SECTOR)?, size)? {
        all.push(end..partition.start);
        end = partition.end;
        let part = Part { image, start: partition.start, len: partition.end - partition.start };
        let used =
            used(&part).with_context(|| format!("in the partition at byte {}", partition.start))?;
        all.extend(used.into_iter().map(|r| part.start + r.start..part.start + r.end));
    }
    all.push(end..size);
    Ok(blocks(all, size))
}

fn used(part: &Part<'_>) -> Result<Vec<Range<u64>>> {
    if ext4::is(part)? {
        ext4::used(part)
    } else if fat::is(part)? {
        fat::used(part)
    } else {
        Ok(vec![0..part.len])
    }
}

/// Sorts, rounds outwards to blocks (not beyond `size`) and joins what touches.
fn blocks(mut ranges: Vec<Range<u64>>, size: u64) -> Vec<Range<u64>> {
    ranges.retain(|r| !r.is_empty());
    ranges.sort_by_key(|r| r.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        let start = range.start / BLOCK * BLOCK;
        let end = range.end.next_multiple_of(BLOCK).min(size);
        match joined.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => joined.push(start..end),
        }
    }
    joined
}

/// Little-endian number of `N` bytes at `offset` of a structure.
fn bytes<const N: usize>(structure: &[u8], offset: usize) -> Result<[u8; N]> {
    structure
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .with_context(|| format!("a structure of {} bytes ends before {offset}", structure.len()))
}

fn u16_at(structure: &[u8], offset: usize) -> Result<u64> {
    Ok(u16::from_le_bytes(bytes(structure, offset)?).into())
}

fn u32_at(structure: &[u8], offset: usize) -> Result<u64> {
    Ok(u32::from_le_bytes(bytes(structure, offset)?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_whole_blocks_that_do_not_touch() {
        let ranges = vec![9000..9001, 0..1, 4096..4097, 20_000..20_000, 40_000..41_000];
        assert_eq!(blocks(ranges, 41_000), [0..12_288, 36_864..41_000]);
    }

    /// A disk with one partition of 1 MiB at 1 MiB, and 1 MiB behind it.
    fn disk(content: &[u8]) -> File {
        let image = tempfile::tempfile().unwrap();
        image.set_len(3 << 20).unwrap();
        let mut entry = [0; 16];
        entry[4] = 0x83;
        entry[8..12].copy_from_slice(&2048_u32.to_le_bytes());
        entry[12..].copy_from_slice(&2048_u32.to_le_bytes());
        image.write_all_at(&entry, 446).unwrap();
        image.write_all_at(&[0x55, 0xAA], 510).unwrap();
        image.write_all_at(content, 1 << 20).unwrap();
        image
    }

    #[test]
    fn unknown_content_counts_as_a_whole() {
        assert_eq!(ranges(&disk(b"squash"), vec![]).unwrap(), [0..3 << 20]);
    }

    #[test]
    fn an_image_without_partitions_is_an_error() {
        let image = tempfile::tempfile().unwrap();
        image.set_len(1 << 20).unwrap();
        let error = ranges(&image, vec![]).unwrap_err();
        assert!(format!("{error:#}").contains("partition table"), "{error:#}");
        let beyond = ranges(&image, vec![0..(1 << 20) + 1]).unwrap_err();
        assert!(format!("{beyond:#}").contains("map names"), "{beyond:#}");
    }
}
