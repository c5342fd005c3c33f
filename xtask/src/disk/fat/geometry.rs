//! How a FAT32 volume of a given size is divided.

use anyhow::{Result, bail};

/// Bytes of a sector.
pub const SECTOR: u64 = 512;
/// The root directory's first cluster; clusters are counted from 2.
pub const ROOT_CLUSTER: u32 = 2;

/// Below this many clusters a volume is FAT16 by definition (Microsoft,
/// section 3.5). Sixteen more, as the specification advises.
const LEAST_CLUSTERS: u32 = 65_525 + 16;
/// Clusters beyond 4 KiB (8 sectors) make nothing faster at these sizes.
const MOST_SECTORS: u32 = 8;
/// Sectors before the first table: what mkfs.fat takes.
const LEAST_RESERVED: u32 = 32;
/// Tables and clusters begin at multiples of 4 KiB (8 sectors), the page in
/// which cards and Linux like to write.
const GRAIN: u32 = 8;

/// Sizes in sectors, where no other unit is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// The whole volume.
    pub sectors: u32,
    /// Sectors of a cluster.
    pub cluster_sectors: u32,
    /// Before the first table.
    pub reserved: u32,
    /// Each of the two tables.
    pub fat_sectors: u32,
    /// Number of clusters.
    pub clusters: u32,
}

impl Geometry {
    /// The division of `size` bytes with the largest clusters up to 4 KiB that
    /// leave enough of them. An error when even 512-byte clusters are too few
    /// (less than about 33 MiB).
    pub fn of(size: u64) -> Result<Self> {
        let Ok(sectors) = u32::try_from(size / SECTOR) else {
            bail!("{size} bytes are too many for FAT32");
        };
        let mut cluster = MOST_SECTORS;
        while cluster >= 1 {
            if let Some(geometry) = Self::with(sectors, cluster) {
                return Ok(geometry);
            }
            cluster /= 2;
        }
        bail!("{size} bytes are too few for FAT32: at least 33 MiB are needed");
    }

    fn with(sectors: u32, cluster_sectors: u32) -> Option<Self> {
        // Four bytes of table for each cluster, counted as if the tables took
        // no room: a little generous, never short.
        let entries = (sectors / cluster_sectors) + 2;
        let fat_sectors = (entries * 4).div_ceil(SECTOR as u32).next_multiple_of(GRAIN);
        let reserved = LEAST_RESERVED.next_multiple_of(GRAIN);
        let data = sectors.checked_sub(reserved + 2 * fat_sectors)?;
        let clusters = data / cluster_sectors;
        (clusters >= LEAST_CLUSTERS).then_some(Self {
            sectors,
            cluster_sectors,
            reserved,
            fat_sectors,
            clusters,
        })
    }

    /// Bytes of a cluster.
    pub fn cluster_bytes(&self) -> u32 {
        self.cluster_sectors * SECTOR as u32
    }

    /// Where table `copy` (0 or 1) begins, in bytes.
    pub fn fat_offset(&self, copy: u32) -> u64 {
        u64::from(self.reserved + copy * self.fat_sectors) * SECTOR
    }

    /// Where a cluster begins, in bytes.
    pub fn cluster_offset(&self, cluster: u32) -> u64 {
        let data = u64::from(self.reserved + 2 * self.fat_sectors) * SECTOR;
        data + u64::from(cluster - ROOT_CLUSTER) * u64::from(self.cluster_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_clusters_at_every_size_that_a_definition_may_ask_for() {
        for mib in 64..=4096_u64 {
            let geometry = Geometry::of(mib << 20).unwrap();
            assert!(geometry.clusters >= LEAST_CLUSTERS, "{mib}");
            assert!(geometry.fat_sectors * 128 >= geometry.clusters + 2, "{mib}");
            let end = geometry.cluster_offset(geometry.clusters + ROOT_CLUSTER);
            assert!(end <= mib << 20, "{mib}");
            assert_eq!(geometry.cluster_offset(ROOT_CLUSTER) % 4096, 0);
        }
    }

    #[test]
    fn cluster_sizes() {
        for (mib, sectors) in [(64, 1), (128, 2), (256, 4), (512, 8), (4096, 8)] {
            let got = Geometry::of(mib << 20).unwrap().cluster_sectors;
            // Tables take a little, so a power of two just misses the next size.
            assert!(got == sectors || got == sectors / 2, "{mib} MiB: {got}");
        }
        assert!(Geometry::of(30 << 20).is_err());
    }
}
