//! Which blocks of an ext2, ext3 or ext4 file system are in use, after the
//! kernel's `Documentation/filesystems/ext4`.

use std::ops::Range;

use anyhow::{Context, Result, bail};

use super::{Part, u16_at, u32_at};

/// Offset and size of the superblock.
const SUPER: (u64, usize) = (1024, 1024);
const MAGIC: u64 = 0xEF53;

const COMPAT_SPARSE_SUPER2: u64 = 0x200;
const INCOMPAT_JOURNAL_DEV: u64 = 0x8;
const INCOMPAT_META_BG: u64 = 0x10;
const INCOMPAT_64BIT: u64 = 0x80;
const RO_COMPAT_SPARSE_SUPER: u64 = 0x1;
const RO_COMPAT_GDT_CSUM: u64 = 0x10;
const RO_COMPAT_BIGALLOC: u64 = 0x200;
const RO_COMPAT_METADATA_CSUM: u64 = 0x400;

/// The group's block bitmap was never written: it has no block but its own
/// metadata.
const BLOCK_UNINIT: u64 = 0x2;

/// What is needed of a superblock. Block numbers and counts are in blocks.
struct Super {
    block: u64,
    blocks: u64,
    first: u64,
    per_group: u64,
    /// Bytes of a group descriptor.
    descriptor: u64,
    /// Blocks of a group's inode table.
    inode_table: u64,
    /// Blocks kept for descriptors of a grown file system.
    reserved: u64,
    backups: Backups,
    /// Group descriptors have flags.
    flags: bool,
}

/// Which groups have a copy of the superblock.
enum Backups {
    All,
    Powers,
    Two([u64; 2]),
}

/// Whether the partition holds such a file system.
pub fn is(part: &Part<'_>) -> Result<bool> {
    if part.len < SUPER.0 + SUPER.1 as u64 {
        return Ok(false);
    }
    Ok(u16_at(&part.read(SUPER.0, SUPER.1)?, 56)? == MAGIC)
}

/// Bytes of all blocks in use, and of what stands before the first block.
pub fn used(part: &Part<'_>) -> Result<Vec<Range<u64>>> {
    let sb = Super::parse(&part.read(SUPER.0, SUPER.1)?).context("ext4 superblock")?;
    if sb.blocks * sb.block > part.len {
        bail!("ext4 has {} blocks of {} bytes, more than its partition", sb.blocks, sb.block);
    }
    let groups = (sb.blocks - sb.first).div_ceil(sb.per_group);
    let table = part.read((sb.first + 1) * sb.block, usize::try_from(groups * sb.descriptor)?)?;
    // Blocks of less than 4 KiB start at block 1; the boot sectors count too.
    let mut used = vec![0..sb.first * sb.block];
    let mut add = |blocks: Range<u64>| used.push(blocks.start * sb.block..blocks.end * sb.block);
    for (index, descriptor) in table.chunks_exact(usize::try_from(sb.descriptor)?).enumerate() {
        let group = Group::parse(descriptor, &sb)?;
        let start = sb.first + index as u64 * sb.per_group;
        let count = sb.per_group.min(sb.blocks - start);
        // A bitmap that was never written lists nothing, so the metadata of
        // all groups (which lie anywhere, with flex_bg) are added by name.
        add(start..start + sb.copies(index as u64, groups));
        add(group.block_bitmap..group.block_bitmap + 1);
        add(group.inode_bitmap..group.inode_bitmap + 1);
        add(group.inode_table..group.inode_table + sb.inode_table);
        if sb.flags && group.flags & BLOCK_UNINIT != 0 {
            continue;
        }
        let bitmap = part
            .read(group.block_bitmap * sb.block, usize::try_from(sb.block)?)
            .with_context(|| format!("ext4 block bitmap of group {index}"))?;
        runs(&bitmap, count, |run| add(start + run.start..start + run.end));
    }
    if used.iter().any(|r| r.end > part.len) {
        bail!("ext4 metadata lies behind the end of the partition");
    }
    Ok(used)
}

/// Calls `found` with each run of ones among the first `count` bits.
fn runs(bitmap: &[u8], count: u64, mut found: impl FnMut(Range<u64>)) {
    let set = |bit: u64| bitmap.get((bit / 8) as usize).is_some_and(|b| b >> (bit % 8) & 1 != 0);
    let mut start = None;
    for bit in 0..=count {
        match (start, bit < count && set(bit)) {
            (None, true) => start = Some(bit),
            (Some(first), false) => {
                found(first..bit);
                start = None;
            }
            _ => {}
        }
    }
}

impl Super {
    fn parse(sb: &[u8]) -> Result<Self> {
        let compat = u32_at(sb, 92)?;
        let incompat = u32_at(sb, 96)?;
        let ro_compat = u32_at(sb, 100)?;
        for (set, feature) in [
            (incompat & INCOMPAT_JOURNAL_DEV, "journal_dev"),
            (incompat & INCOMPAT_META_BG, "meta_bg"),
            (ro_compat & RO_COMPAT_BIGALLOC, "bigalloc"),
        ] {
            if set != 0 {
                bail!("the feature {feature} is not supported: make the file system without it");
            }
        }
        let log = u32_at(sb, 24)?;
        if log > 6 {
            bail!("s_log_block_size is {log}, at most 6 is defined");
        }
        let block = 1024 << log;
        let wide = incompat & INCOMPAT_64BIT != 0;
        let high = |low: u64, offset| {
            Ok::<_, anyhow::Error>(if wide { low | u32_at(sb, offset)? << 32 } else { low })
        };
        // Revision 0 had inodes of 128 bytes and no field for that.
        let inode = if u32_at(sb, 76)? == 0 { 128 } else { u16_at(sb, 88)? };
        let parsed = Self {
            block,
            blocks: high(u32_at(sb, 4)?, 0x150)?,
            first: u32_at(sb, 20)?,
            per_group: u32_at(sb, 32)?,
            descriptor: if wide { u16_at(sb, 254)? } else { 32 },
            inode_table: (u32_at(sb, 40)? * inode).div_ceil(block),
            reserved: u16_at(sb, 206)?,
            backups: if compat & COMPAT_SPARSE_SUPER2 != 0 {
                Backups::Two([u32_at(sb, 0x24C)?, u32_at(sb, 0x250)?])
            } else if ro_compat & RO_COMPAT_SPARSE_SUPER != 0 {
                Backups::Powers
            } else {
                Backups::All
            },
            flags: ro_compat & (RO_COMPAT_GDT_CSUM | RO_COMPAT_METADATA_CSUM) != 0,
        };
        if parsed.per_group == 0 || parsed.per_group > 8 * block {
            bail!("s_blocks_per_group is {}", parsed.per_group);
        }
        if parsed.descriptor < 32 || (wide && parsed.descriptor < 64) {
            bail!("s_desc_size is {}", parsed.descriptor);
        }
        if parsed.first >= parsed.blocks || parsed.blocks > u64::MAX / block {
            bail!("s_blocks_count is {}", parsed.blocks);
        }
        Ok(parsed)
    }

    /// Blocks at the start of a group that hold copies of the superblock and
    /// the descriptors, with room for more of these.
    fn copies(&self, group: u64, groups: u64) -> u64 {
        let has = group == 0
            || match &self.backups {
                Backups::All => true,
                Backups::Powers => [3, 5, 7].iter().any(|&base| is_power(group, base)),
                Backups::Two(two) => two.contains(&group),
            };
        if !has {
            return 0;
        }
        1 + (groups * self.descriptor).div_ceil(self.block) + self.reserved
    }
}

/// Whether `n` is 1 or a power of `base`.
fn is_power(mut n: u64, base: u64) -> bool {
    while n > 1 && n % base == 0 {
        n /= base;
    }
    n == 1
}

struct Group {
    block_bitmap: u64,
    inode_bitmap: u64,
    inode_table: u64,
    flags: u64,
}

impl Group {
    fn parse(descriptor: &[u8], sb: &Super) -> Result<Self> {
        let block = |low, high| {
            let low = u32_at(descriptor, low)?;
            let high = if sb.descriptor >= 64 { u32_at(descriptor, high)? } else { 0 };
            let block = low | high << 32;
            if block >= sb.blocks {
                bail!("an ext4 group descriptor names block {block} of {}", sb.blocks);
            }
            Ok(block)
        };
        Ok(Self {
            block_bitmap: block(0, 32)?,
            inode_bitmap: block(4, 36)?,
            inode_table: block(8, 40)?,
            flags: u16_at(descriptor, 18)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_bits() {
        let mut found = Vec::new();
        runs(&[0b1000_0110, 0b0000_0001, 0xFF], 20, |run| found.push(run));
        assert_eq!(found, [1..3, 7..9, 16..20]);
    }

    #[test]
    fn backup_groups() {
        // Documentation/filesystems/ext4/super.rst: groups 0, 1 and powers of
        // 3, 5 and 7.
        let powers = |n: &u64| [3, 5, 7].iter().any(|&base| is_power(*n, base));
        let groups: Vec<_> = (1..130).filter(powers).collect();
        assert_eq!(groups, [1, 3, 5, 7, 9, 25, 27, 49, 81, 125]);
    }

    #[test]
    fn unsupported_features_and_nonsense_are_named() {
        let mut sb = vec![0; SUPER.1];
        sb[96] = 0x10;
        let error = Super::parse(&sb).err().map(|e| e.to_string()).unwrap();
        assert!(error.contains("meta_bg"), "{error}");
        sb[96] = 0;
        let error = Super::parse(&sb).err().map(|e| e.to_string()).unwrap();
        assert!(error.contains("s_blocks_per_group is 0"), "{error}");
    }
}
