//! Which bytes of a FAT12, FAT16 or FAT32 file system are in use, after
//! Microsoft's "FAT: General Overview of On-Disk Format" 1.03.

use std::ops::Range;

use anyhow::{Context, Result, bail};

use super::{Part, u16_at, u32_at};

/// Most clusters of FAT12 and FAT16 (the overview, "FAT Type Determination").
const FAT12: u64 = 4085;
const FAT16: u64 = 65_525;

/// Bytes of an entry of the root folder of FAT12 and FAT16.
const DIR_ENTRY: u64 = 32;

/// Where the parts of the file system are, in bytes from its start.
struct Layout {
    /// First file allocation table.
    fat: u64,
    /// First cluster.
    data: u64,
    /// Bytes of a cluster.
    cluster: u64,
    /// Number of clusters.
    count: u64,
}

/// Whether the partition starts like a FAT file system.
pub fn is(part: &Part<'_>) -> Result<bool> {
    if part.len < 512 {
        return Ok(false);
    }
    let sector = part.read(0, 512)?;
    let jump = sector[0] == 0xE9 || (sector[0] == 0xEB && sector[2] == 0x90);
    Ok(jump && u16_at(&sector, 510)? == 0xAA55 && layout(&sector).is_ok())
}

/// What stands before the clusters (boot sectors, tables, root folder) and
/// every cluster that is not marked as free.
pub fn used(part: &Part<'_>) -> Result<Vec<Range<u64>>> {
    let layout = layout(&part.read(0, 512)?)?;
    let bits = match layout.count {
        n if n < FAT12 => 12,
        n if n < FAT16 => 16,
        _ => 32,
    };
    // Clusters are numbered from 2.
    let len = ((layout.count + 2) * bits).div_ceil(8);
    let table = part.read(layout.fat, usize::try_from(len)?).context("the FAT is too long")?;
    let mut used = vec![0..layout.data];
    for index in 0..layout.count {
        if entry(&table, index + 2, bits)? != 0 {
            let start = layout.data + index * layout.cluster;
            let end = start + layout.cluster;
            match used.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => used.push(start..end),
            }
        }
    }
    if let Some(last) = used.last().filter(|last| last.end > part.len) {
        bail!("a cluster in use ends at byte {}, behind the end of the partition", last.end);
    }
    Ok(used)
}

fn layout(sector: &[u8]) -> Result<Layout> {
    let bytes = u16_at(sector, 11)?;
    let cluster = u64::from(sector[13]) * bytes;
    if !matches!(bytes, 512 | 1024 | 2048 | 4096) || cluster == 0 {
        bail!("{bytes} bytes in a sector, {cluster} in a cluster: no FAT file system");
    }
    let either = |small, large| {
        Ok::<_, anyhow::Error>(match small {
            0 => u32_at(sector, large)?,
            n => n,
        })
    };
    let sectors = either(u16_at(sector, 19)?, 32)?;
    let fat_sectors = either(u16_at(sector, 22)?, 36)?;
    let root = (u16_at(sector, 17)? * DIR_ENTRY).div_ceil(bytes);
    let reserved = u16_at(sector, 14)?;
    let before = reserved + u64::from(sector[16]) * fat_sectors + root;
    if reserved == 0 || sector[16] == 0 || fat_sectors == 0 || before > sectors {
        bail!("the FAT's boot sector contradicts itself");
    }
    Ok(Layout {
        fat: reserved * bytes,
        data: before * bytes,
        cluster,
        count: (sectors - before) * bytes / cluster,
    })
}

/// The entry of a cluster; the upper four bits of a FAT32 entry are not its.
fn entry(table: &[u8], cluster: u64, bits: u64) -> Result<u64> {
    let offset = usize::try_from(cluster * bits / 8)?;
    Ok(match bits {
        12 if cluster % 2 == 0 => u16_at(table, offset)? & 0xFFF,
        12 => u16_at(table, offset)? >> 4,
        16 => u16_at(table, offset)?,
        _ => u32_at(table, offset)? & 0x0FFF_FFFF,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    /// An empty file system: sectors of 512 bytes, clusters of 1 KiB, two
    /// tables.
    fn image(clusters: u32, bits: u32) -> (File, Layout, u64) {
        let fat_sectors = ((clusters + 2) * bits).div_ceil(8 * 512);
        let root = if bits == 32 { 0_u16 } else { 512 };
        let sectors = 8 + 2 * fat_sectors + u32::from(root) / 16 + 2 * clusters;
        let mut boot = vec![0; 512];
        boot[..3].copy_from_slice(&[0xEB, 0x3C, 0x90]);
        boot[11..13].copy_from_slice(&512_u16.to_le_bytes());
        boot[13] = 2;
        boot[14..16].copy_from_slice(&8_u16.to_le_bytes());
        boot[16] = 2;
        boot[17..19].copy_from_slice(&root.to_le_bytes());
        boot[32..36].copy_from_slice(&sectors.to_le_bytes());
        if bits == 32 {
            boot[36..40].copy_from_slice(&fat_sectors.to_le_bytes());
        } else {
            boot[22..24].copy_from_slice(&u16::try_from(fat_sectors).unwrap().to_le_bytes());
        }
        boot[510..].copy_from_slice(&[0x55, 0xAA]);
        let file = tempfile::tempfile().unwrap();
        let size = u64::from(sectors) * 512;
        file.set_len(size).unwrap();
        file.write_all_at(&boot, 0).unwrap();
        let layout = layout(&boot).unwrap();
        assert_eq!(layout.count, u64::from(clusters));
        (file, layout, size)
    }

    #[test]
    fn each_width_of_entries() {
        for (clusters, bits) in [(1000, 12), (5000, 16), (70_000, 32)] {
            let (file, layout, size) = image(clusters, bits);
            // Clusters 2, 3 and 7 are in use; 6 is not, though in FAT12 it
            // shares a byte with 7. In FAT32 cluster 9 has only reserved bits.
            let (entries, at): (Vec<u8>, u64) = match bits {
                12 => (vec![3, 0xF0, 0xFF, 0, 0, 0, 0, 0xF0, 0xFF], 3),
                16 => (vec![3, 0, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], 4),
                _ => {
                    let mut entries = [3_u32, 0x0FFF_FFFF, 0, 0, 0, 0x0FFF_FFF8, 0, 0xF000_0000];
                    entries.iter_mut().for_each(|e| *e = e.to_le());
                    (entries.iter().flat_map(|e| e.to_ne_bytes()).collect(), 8)
                }
            };
            file.write_all_at(&entries, layout.fat + at).unwrap();
            let part = Part { image: &file, start: 0, len: size };
            assert!(is(&part).unwrap());
            let d = layout.data;
            assert_eq!(used(&part).unwrap(), [0..d + 2048, d + 5120..d + 6144], "FAT{bits}");
        }
    }

    #[test]
    fn other_content_is_none() {
        let (file, _, size) = image(1000, 12);
        file.write_all_at(&[0], 16).unwrap();
        assert!(!is(&Part { image: &file, start: 0, len: size }).unwrap());
    }
}
