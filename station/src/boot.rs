//! Finds the files on an image's boot partition that are kept free for a
//! unit's own data, in the stream of the image and without changing it.
//!
//! Layout: Microsoft, "FAT: General Overview of On-Disk Format", 1.03.

use std::collections::BTreeMap;

use crate::source::{Source, SourceError, Stream};

/// Most bytes of an image in which the tables and the root directory of the
/// boot partition are looked for. Ours are within 10 MiB.
const HEAD: u64 = 256 << 20;

/// Why there is no place for a unit's data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// The image cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It has no boot partition as ours.
    #[error("the image has no FAT32 boot partition: {0}")]
    NoFat(&'static str),
    /// A file is not there or in pieces.
    #[error("the image's boot partition {0}; was it made by `cargo xtask image`?")]
    NoPlace(String),
}

/// Where a file lies in the image, in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the image's start.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// The places of these files of the root directory.
///
/// # Errors
/// The image cannot be read, has no FAT32 partition, or a file is not there or
/// not in one run.
pub fn places(source: &Source, names: &[&str]) -> Result<Vec<Place>, BootError> {
    let mut head = Head { stream: source.stream()?, bytes: Vec::new() };
    let volume = Volume::find(&mut head)?;
    let files = volume.root(&mut head)?;
    let mut places = Vec::new();
    for name in names {
        let &(first, len) =
            files.get(*name).ok_or_else(|| BootError::NoPlace(format!("has no file {name}")))?;
        places.push(volume.run(&mut head, name, first, len)?);
    }
    Ok(places)
}

/// The image from its start up to the last byte that was asked for.
struct Head<'a> {
    stream: Stream<'a>,
    bytes: Vec<u8>,
}

impl Head<'_> {
    fn get(&mut self, offset: u64, len: u64) -> Result<&[u8], BootError> {
        let end = offset.checked_add(len).filter(|&end| end <= HEAD);
        let end = end.ok_or(BootError::NoFat("its tables lie too far behind"))?;
        // Below HEAD, so it fits.
        let (start, end) = (offset as usize, end as usize);
        if self.bytes.len() < end {
            let old = self.bytes.len();
            self.bytes.resize(end, 0);
            let got = self.stream.fill(&mut self.bytes[old..])?;
            if old + got < end {
                return Err(BootError::NoFat("it ends before its tables do"));
            }
        }
        Ok(&self.bytes[start..end])
    }

    fn u32(&mut self, offset: u64) -> Result<u32, BootError> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.get(offset, 4)?);
        Ok(u32::from_le_bytes(bytes))
    }
}

/// The boot partition's division; all in bytes, from the image's start.
struct Volume {
    fat: u64,
    data: u64,
    cluster: u64,
    clusters: u32,
    root: u32,
}

impl Volume {
    /// The first partition of a FAT32 type (0x0B, 0x0C) in the boot record.
    fn find(head: &mut Head<'_>) -> Result<Self, BootError> {
        let record = head.get(0, 512)?;
        if record[510..] != [0x55, 0xAA] {
            return Err(BootError::NoFat("it has no partition table"));
        }
        let entry = record[446..510]
            .chunks(16)
            .find(|entry| matches!(entry[4], 0x0B | 0x0C))
            .ok_or(BootError::NoFat("no partition has its type"))?;
        let start = u64::from(u32_of(&entry[8..])) * 512;
        let boot = head.get(start, 512)?.to_vec();
        let word = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let (sector, per_cluster, reserved, tables) =
            (word(11), u64::from(boot[13]), word(14), u64::from(boot[16]));
        let table = u64::from(u32_of(&boot[36..]));
        // FAT12 and FAT16 have the size of their tables elsewhere.
        if boot[510..] != [0x55, 0xAA] || word(22) != 0 || table == 0 {
            return Err(BootError::NoFat("its file system is another"));
        }
        if !matches!(sector, 512 | 1024 | 2048 | 4096) || !per_cluster.is_power_of_two() {
            return Err(BootError::NoFat("its boot sector is damaged"));
        }
        let fat = start + reserved * sector;
        Ok(Self {
            fat,
            data: fat + tables * table * sector,
            cluster: per_cluster * sector,
            clusters: u32::try_from(table * sector / 4).unwrap_or(u32::MAX),
            root: u32_of(&boot[44..]),
        })
    }

    fn offset(&self, cluster: u32) -> u64 {
        self.data + u64::from(cluster.saturating_sub(2)) * self.cluster
    }

    /// The cluster behind this one in its chain, if there is one.
    fn next(&self, head: &mut Head<'_>, cluster: u32) -> Result<Option<u32>, BootError> {
        // The upper four bits are reserved.
        let next = head.u32(self.fat + u64::from(cluster) * 4)? & 0x0FFF_FFFF;
        match next {
            0x0FFF_FFF8.. => Ok(None),
            2.. if next < self.clusters => Ok(Some(next)),
            _ => Err(BootError::NoFat("its table is damaged")),
        }
    }

    /// First cluster and length of each file in the root directory.
    fn root(&self, head: &mut Head<'_>) -> Result<BTreeMap<String, (u32, u64)>, BootError> {
        let mut bytes = Vec::new();
        let mut cluster = Some(self.root);
        while let Some(at) = cluster {
            // Microsoft, section 6: at most 65,536 entries of 32 bytes.
            if bytes.len() > 65_536 * 32 {
                return Err(BootError::NoFat("its root directory has no end"));
            }
            bytes.extend_from_slice(head.get(self.offset(at), self.cluster)?);
            cluster = self.next(head, at)?;
        }
        Ok(entries(&bytes))
    }

    /// The run of a file; an error when it is in pieces.
    fn run(
        &self,
        head: &mut Head<'_>,
        name: &str,
        first: u32,
        len: u64,
    ) -> Result<Place, BootError> {
        let more = len.div_ceil(self.cluster).saturating_sub(1);
        let end = u64::from(first) + more;
        let last = u32::try_from(end).map_err(|_| BootError::NoFat("its table is damaged"))?;
        for cluster in first..last {
            if self.next(head, cluster)? != Some(cluster + 1) {
                return Err(BootError::NoPlace(format!("has {name} in several pieces")));
            }
        }
        if len == 0 || first < 2 {
            return Err(BootError::NoPlace(format!("has an empty {name}")));
        }
        Ok(Place { offset: self.offset(first), len })
    }
}

fn u32_of(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// Reads directory entries; files without a long name go by their short one.
fn entries(bytes: &[u8]) -> BTreeMap<String, (u32, u64)> {
    let mut files = BTreeMap::new();
    let mut long: Vec<u16> = Vec::new();
    for entry in bytes.chunks_exact(32) {
        match (entry[0], entry[11]) {
            (0, _) => break,
            (0xE5, _) => long.clear(),
            (_, 0x0F) => {
                // The last part of the name stands first.
                let places = [1..11, 14..26, 28..32];
                let mut part: Vec<u16> = places
                    .into_iter()
                    .flat_map(|range| entry[range].chunks_exact(2))
                    .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                    .take_while(|&unit| unit != 0)
                    .collect();
                part.append(&mut long);
                long = part;
            }
            // Volume label or folder.
            (_, kind) if kind & 0x18 != 0 => long.clear(),
            _ => {
                let name =
                    if long.is_empty() { short(entry) } else { String::from_utf16_lossy(&long) };
                long.clear();
                let first = (u32_of(&entry[20..]) & 0xFFFF) << 16 | (u32_of(&entry[26..]) & 0xFFFF);
                files.insert(name, (first, u64::from(u32_of(&entry[28..]))));
            }
        }
    }
    files
}

fn short(entry: &[u8]) -> String {
    let part = |range: std::ops::Range<usize>| {
        String::from_utf8_lossy(&entry[range]).trim_end().to_ascii_lowercase()
    };
    let (stem, extension) = (part(0..8), part(8..11));
    if extension.is_empty() { stem } else { format!("{stem}.{extension}") }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Seek, SeekFrom, Write};

    use super::*;
    use crate::source::Options;

    const START: usize = 1 << 20;
    const SIZE: usize = 40 << 20;

    /// A disk whose FAT32 partition was made by somebody else's code.
    fn image(write: impl FnOnce(&fatfs::Dir<'_, &mut Cursor<Vec<u8>>>)) -> Vec<u8> {
        let mut volume = Cursor::new(vec![0; SIZE]);
        let options = fatfs::FormatVolumeOptions::new()
            .fat_type(fatfs::FatType::Fat32)
            .bytes_per_cluster(512);
        fatfs::format_volume(&mut volume, options).unwrap();
        volume.seek(SeekFrom::Start(0)).unwrap();
        {
            let system = fatfs::FileSystem::new(&mut volume, fatfs::FsOptions::new()).unwrap();
            write(&system.root_dir());
            system.unmount().unwrap();
        }
        let mut disk = vec![0; START];
        disk[446 + 4] = 0x0C;
        disk[446 + 8..446 + 12].copy_from_slice(&(START as u32 / 512).to_le_bytes());
        disk[510..512].copy_from_slice(&[0x55, 0xAA]);
        disk.extend(volume.into_inner());
        disk
    }

    fn find(image: &[u8], names: &[&str]) -> Result<Vec<Place>, BootError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.img.zst");
        std::fs::write(&path, zstd::encode_all(image, 1).unwrap()).unwrap();
        places(&Source::new(&path, &Options::default()).unwrap(), names)
    }

    #[test]
    fn files_are_found_where_they_lie() {
        let content: Vec<u8> = (0..20_000).map(|at| (at % 251) as u8).collect();
        let image = image(|root| {
            root.create_dir("overlays").unwrap();
            // More entries than one cluster holds.
            for number in 0..40 {
                let name = format!("a rather long name, number {number}.dtbo");
                root.create_file(&name).unwrap().write_all(b"x").unwrap();
            }
            root.create_file("unit.toml").unwrap().write_all(&content).unwrap();
            root.create_file("CONFIG.TXT").unwrap().write_all(b"arm").unwrap();
        });
        let places = find(&image, &["unit.toml", "CONFIG.TXT"]).unwrap();
        let at = |place: Place| &image[place.offset as usize..][..place.len as usize];
        assert!(at(places[0]) == content);
        assert_eq!(at(places[1]), b"arm");
        let error = find(&image, &["none.toml"]).unwrap_err().to_string();
        assert!(error.contains("no file none.toml"), "{error}");
    }

    #[test]
    fn a_file_in_pieces_is_refused() {
        let image = image(|root| {
            let mut one = root.create_file("unit.toml").unwrap();
            one.write_all(&[1; 512]).unwrap();
            root.create_file("between").unwrap().write_all(&[2; 512]).unwrap();
            one.write_all(&[1; 512]).unwrap();
        });
        let error = find(&image, &["unit.toml"]).unwrap_err().to_string();
        assert!(error.contains("several pieces"), "{error}");
    }

    #[test]
    fn other_images_are_no_boot_partitions() {
        let good = image(|_| {});
        let mut other = good.clone();
        other[446 + 4] = 0x83;
        let mut damaged = good.clone();
        damaged[START + 11] = 7;
        let short = good[..START + 4096].to_vec();
        for (image, want) in [
            (vec![1; 4096], "no partition table"),
            (other, "its type"),
            (damaged, "damaged"),
            (short, "ends"),
        ] {
            let error = find(&image, &["unit.toml"]).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
