//! The four entries of a master boot record (as in the kernel's
//! `block/partitions/msdos.c`).

use std::ops::Range;

use anyhow::{Result, bail};

use super::{u16_at, u32_at};

/// Bytes in a sector.
pub const SECTOR: usize = 512;

/// Offset of the first entry, and bytes in each.
const TABLE: usize = 446;
const ENTRY: usize = 16;

/// Ranges of the partitions in bytes, ascending, from the first sector of a
/// disk of `size` bytes. An extended partition is one range.
pub fn partitions(sector: &[u8], size: u64) -> Result<Vec<Range<u64>>> {
    if u16_at(sector, 510)? != 0xAA55 {
        bail!("the image has no partition table: no 55 AA at byte 510");
    }
    let mut partitions = Vec::new();
    for number in 1..=4 {
        let entry = &sector[TABLE + (number - 1) * ENTRY..][..ENTRY];
        let start = u32_at(entry, 8)? * SECTOR as u64;
        let len = u32_at(entry, 12)? * SECTOR as u64;
        if entry[4] == 0 || len == 0 {
            continue;
        }
        if start + len > size {
            bail!(
                "partition {number} ends at byte {}, behind the image's end at {size}",
                start + len
            );
        }
        partitions.push(start..start + len);
    }
    partitions.sort_by_key(|p| p.start);
    if let Some(pair) = partitions.windows(2).find(|pair| pair[0].end > pair[1].start) {
        bail!("partitions overlap: bytes {:?} and {:?}", pair[0], pair[1]);
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(entries: &[(u32, u32)]) -> Vec<u8> {
        let mut sector = vec![0; SECTOR];
        for (index, (start, len)) in entries.iter().enumerate() {
            let entry = &mut sector[TABLE + index * ENTRY..][..ENTRY];
            entry[4] = 0x83;
            entry[8..12].copy_from_slice(&start.to_le_bytes());
            entry[12..].copy_from_slice(&len.to_le_bytes());
        }
        sector[510..].copy_from_slice(&[0x55, 0xAA]);
        sector
    }

    #[test]
    fn entries_in_any_order() {
        let sector = sector(&[(20, 10), (1, 2), (5, 0)]);
        assert_eq!(partitions(&sector, 1 << 20).unwrap(), [512..1536, 10_240..15_360]);
    }

    #[test]
    fn nonsense_is_named() {
        for (entries, size, said) in [
            (&[(1, 100)][..], 512 * 50, "partition 1 ends at byte 51712"),
            (&[(1, 10), (5, 10)][..], 1 << 20, "overlap"),
        ] {
            let error = partitions(&sector(entries), size).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
