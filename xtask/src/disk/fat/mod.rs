//! Writes FAT32 file systems: a fixed function of the files and a few numbers.
//!
//! Every file is one run of clusters, directories come first, and nothing
//! depends on clock, host or order of calls, so a flasher can find a file's
//! bytes in the image and replace them. Why not mtools: docs/adr/0005.
//! Layout: Microsoft, "FAT: General Overview of On-Disk Format", 1.03.

mod geometry;
mod name;
mod tree;

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use geometry::Geometry;
use name::Stamp;
use tree::Tree;

/// A file system to be.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Bytes of the partition, a multiple of 512.
    pub size: u64,
    /// Where the partition begins on the disk, in bytes ("hidden sectors").
    pub start: u64,
    /// Up to 11 characters of A-Z, 0-9, `-`, `_`.
    pub label: String,
    /// Serial number of the volume.
    pub id: u32,
    /// Time of every file, seconds since 1970, UTC; before 1980 counts as 1980.
    pub epoch: u64,
    /// Content by path, `/` between the parts.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Bytes to be written at a place of the partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Bytes from the partition's start.
    pub offset: u64,
    /// What stands there.
    pub bytes: Vec<u8>,
}

const RESERVED_MARK: u32 = 0x0fff_fff8;
const END_OF_CHAIN: u32 = 0x0fff_ffff;
const BACKUP_BOOT: usize = 6;
const SECTOR: usize = geometry::SECTOR as usize;

impl Volume {
    /// The file system as pieces in order of place. All else of the partition
    /// is free space, whose content does not matter. An error when the files
    /// do not fit or a name cannot be written.
    pub fn pieces(&self) -> Result<Vec<Piece>> {
        let geometry = Geometry::of(self.size)?;
        let label = label(&self.label)?;
        let tree = Tree::new(&self.files)?;
        let placed = tree.place(&geometry)?;
        let mut fat = vec![RESERVED_MARK, END_OF_CHAIN];
        for run in &placed.runs {
            fat.extend((1..run.count).map(|i| run.first + i));
            fat.push(END_OF_CHAIN);
        }
        let used = fat.len() as u32 - 2;

        let mut pieces = vec![Piece { offset: 0, bytes: self.reserved(&geometry, &label, used) }];
        let mut table: Vec<u8> = fat.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        // Zeros here say "free": they matter as much as the rest.
        table.resize(geometry.fat_sectors as usize * SECTOR, 0);
        for copy in 0..2 {
            pieces.push(Piece { offset: geometry.fat_offset(copy), bytes: table.clone() });
        }
        for (run, node) in placed.runs.iter().zip(&placed.nodes) {
            let mut bytes = match node {
                tree::Node::Dir(dir) => {
                    tree.directory(*dir, &placed, &label, Stamp::new(self.epoch))
                }
                tree::Node::File(content) => content.to_vec(),
            };
            bytes.resize((run.count * geometry.cluster_bytes()) as usize, 0);
            pieces.push(Piece { offset: geometry.cluster_offset(run.first), bytes });
        }
        Ok(pieces)
    }

    /// Boot sector, file system information, their copies, and zeros up to the
    /// first table.
    fn reserved(&self, geometry: &Geometry, label: &[u8; 11], used: u32) -> Vec<u8> {
        let mut area = vec![0; geometry.reserved as usize * SECTOR];
        let boot = self.boot_sector(geometry, label);
        let info = information(geometry.clusters - used, used + 2);
        for at in [0, BACKUP_BOOT] {
            area[at * SECTOR..][..SECTOR].copy_from_slice(&boot);
            area[(at + 1) * SECTOR..][..SECTOR].copy_from_slice(&info);
            // Third boot sector: no code, but the mark of a boot sector.
            area[(at + 2) * SECTOR + 510..][..2].copy_from_slice(&[0x55, 0xaa]);
        }
        area
    }

    fn boot_sector(&self, geometry: &Geometry, label: &[u8; 11]) -> Vec<u8> {
        let mut sector = vec![0; SECTOR];
        let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
        // A jump to itself: there is nothing to run here.
        put(0, &[0xeb, 0xfe, 0x90]);
        // The name that every reader accepts.
        put(3, b"MSWIN4.1");
        put(11, &(SECTOR as u16).to_le_bytes());
        put(13, &[geometry.cluster_sectors as u8]);
        put(14, &(geometry.reserved as u16).to_le_bytes());
        put(16, &[2]); // tables
        put(21, &[0xf8]); // fixed disk
        // Sectors per track and heads, which nothing reads with LBA.
        put(24, &63u16.to_le_bytes());
        put(26, &255u16.to_le_bytes());
        put(28, &((self.start / geometry::SECTOR) as u32).to_le_bytes());
        put(32, &geometry.sectors.to_le_bytes());
        put(36, &geometry.fat_sectors.to_le_bytes());
        put(44, &geometry::ROOT_CLUSTER.to_le_bytes());
        put(48, &1u16.to_le_bytes()); // file system information
        put(50, &(BACKUP_BOOT as u16).to_le_bytes());
        put(64, &[0x80, 0, 0x29]); // drive number; serial, label and kind follow
        put(67, &self.id.to_le_bytes());
        put(71, label);
        put(82, b"FAT32   ");
        put(510, &[0x55, 0xaa]);
        sector
    }
}

fn information(free: u32, next: u32) -> Vec<u8> {
    let mut sector = vec![0; SECTOR];
    for (at, word) in
        [(0, 0x4161_5252_u32), (484, 0x6141_7272), (488, free), (492, next), (508, 0xaa55_0000)]
    {
        sector[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    sector
}

fn label(text: &str) -> Result<[u8; 11]> {
    let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if text.is_empty() || text.len() > 11 || !text.bytes().all(legal) {
        bail!("{text:?} is no FAT label: 1 to 11 of A-Z, 0-9, '-', '_'");
    }
    let mut label = [b' '; 11];
    label[..text.len()].copy_from_slice(text.as_bytes());
    Ok(label)
}

#[cfg(test)]
mod tests;
