//! Directory entries: short and long names, and times.

use anyhow::{Result, bail};

use crate::archive::date::civil;

/// Bytes of a directory entry.
pub const ENTRY: usize = 32;
/// Units of a long name in one entry.
const UNITS: usize = 13;
/// Longest name that VFAT allows.
const LONGEST: usize = 255;

const LONG_NAME: u8 = 0x0f;
const VOLUME_LABEL: u8 = 0x08;
/// Attribute of a directory.
pub const DIRECTORY: u8 = 0x10;
/// Attribute of a plain file.
pub const ARCHIVE: u8 = 0x20;

/// Date and time as FAT keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    date: u16,
    time: u16,
}

impl Stamp {
    /// From seconds since 1970, UTC; before 1980 counts as 1980.
    pub fn new(epoch: u64) -> Self {
        const DAY: u64 = 86_400;
        /// 1980-01-01.
        const FIRST: u64 = 315_532_800;
        let epoch = epoch.max(FIRST);
        let (year, month, day) = civil(epoch / DAY);
        let second = epoch % DAY;
        let date = ((year - 1980) << 9) | (month << 5) | day;
        let time = ((second / 3600) << 11) | ((second / 60 % 60) << 5) | (second % 60 / 2);
        Self { date: date as u16, time: time as u16 }
    }
}

/// The entry that holds the volume's label.
pub fn label_entry(label: &[u8; 11], stamp: Stamp) -> Vec<u8> {
    short_entry(label, VOLUME_LABEL, 0, 0, stamp)
}

/// A plain 8.3 entry.
pub fn short_entry(name: &[u8; 11], kind: u8, cluster: u32, size: u32, stamp: Stamp) -> Vec<u8> {
    let mut entry = vec![0; ENTRY];
    let mut put = |at: usize, word: u16| entry[at..at + 2].copy_from_slice(&word.to_le_bytes());
    put(14, stamp.time);
    put(16, stamp.date);
    put(18, stamp.date);
    put(20, (cluster >> 16) as u16);
    put(22, stamp.time);
    put(24, stamp.date);
    put(26, cluster as u16);
    entry[28..32].copy_from_slice(&size.to_le_bytes());
    entry[..11].copy_from_slice(name);
    entry[11] = kind;
    entry
}

/// The entries of a long name; its short one has to follow at once.
pub fn long_entries(name: &str, short: &[u8; 11]) -> Vec<u8> {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    if units.len() % UNITS != 0 {
        units.push(0);
        units.resize(units.len().next_multiple_of(UNITS), 0xffff);
    }
    let count = units.len() / UNITS;
    let mut entries = Vec::new();
    for (index, part) in units.chunks(UNITS).enumerate().rev() {
        let mut entry = [0; ENTRY];
        let last = if index + 1 == count { 0x40 } else { 0 };
        entry[0] = (index + 1) as u8 | last;
        entry[11] = LONG_NAME;
        entry[13] = checksum(short);
        let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
        for (unit, at) in part.iter().zip(places) {
            entry[at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        entries.extend(entry);
    }
    entries
}

fn checksum(short: &[u8; 11]) -> u8 {
    short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// An error when `name` cannot stand in a directory.
pub fn check(name: &str) -> Result<()> {
    const FORBIDDEN: &str = "\"*/:<>?\\|";
    if name.is_empty()
        || name.encode_utf16().count() > LONGEST
        || name.ends_with(['.', ' '])
        || name.chars().any(|c| c < ' ' || FORBIDDEN.contains(c))
    {
        bail!("{name:?} cannot be the name of a file on FAT");
    }
    Ok(())
}

/// A short name for `name` that `taken` does not have: `NAME~1.EXT`, unless
/// the name is a short one already.
pub fn short(name: &str, taken: impl Fn(&[u8; 11]) -> bool) -> Result<[u8; 11]> {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, extension),
        _ => (name, ""),
    };
    let (base, base_whole) = shorten(stem, 8);
    let (extension, extension_whole) = shorten(extension, 3);
    let plain = join(&base, &extension);
    if base_whole && extension_whole && !taken(&plain) {
        return Ok(plain);
    }
    for number in 1..1_000_000 {
        let tail = format!("~{number}");
        let mut base = base.clone();
        base.truncate(8 - tail.len());
        base.extend(tail.bytes());
        let candidate = join(&base, &extension);
        if !taken(&candidate) {
            return Ok(candidate);
        }
    }
    bail!("{name:?}: no short name is left in its folder")
}

/// Upper case, foreign characters as `_`, cut to `most`; and whether that kept
/// all but the case.
fn shorten(part: &str, most: usize) -> (Vec<u8>, bool) {
    let mut whole = true;
    let mut bytes = Vec::new();
    for c in part.chars() {
        match c {
            ' ' | '.' => whole = false,
            c if c.is_ascii_alphanumeric() || "$%'-_@~`!(){}^#&".contains(c) => {
                bytes.push(c.to_ascii_uppercase() as u8);
            }
            _ => {
                whole = false;
                bytes.push(b'_');
            }
        }
    }
    whole &= bytes.len() <= most;
    bytes.truncate(most);
    (bytes, whole)
}

fn join(base: &[u8], extension: &[u8]) -> [u8; 11] {
    let mut name = [b' '; 11];
    name[..base.len()].copy_from_slice(base);
    name[8..8 + extension.len()].copy_from_slice(extension);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        // 2026-08-23 17:05:31 UTC; FAT counts two seconds.
        let stamp = Stamp::new(1_787_504_731);
        assert_eq!(stamp.date, (46 << 9) | (8 << 5) | 23);
        assert_eq!(stamp.time, (17 << 11) | (5 << 5) | 15);
        assert_eq!(Stamp::new(0), Stamp { date: (1 << 5) | 1, time: 0 });
        // Leap day.
        assert_eq!(Stamp::new(951_782_400).date, (20 << 9) | (2 << 5) | 29);
    }

    #[test]
    fn short_names() {
        let free = |_: &[u8; 11]| false;
        assert_eq!(&short("config.txt", free).unwrap(), b"CONFIG  TXT");
        assert_eq!(&short("overlays", free).unwrap(), b"OVERLAYS   ");
        assert_eq!(&short("bcm2711-rpi-4-b.dtb", free).unwrap(), b"BCM271~1DTB");
        assert_eq!(&short("LICENCE.broadcom", free).unwrap(), b"LICENC~1BRO");
        assert_eq!(&short(".hidden", free).unwrap(), b"HIDDEN~1   ");
        assert_eq!(&short("a.b.c", free).unwrap(), b"AB~1    C  ");
        let first = |name: &[u8; 11]| name == b"BCM271~1DTB";
        assert_eq!(&short("bcm2711-rpi-400.dtb", first).unwrap(), b"BCM271~2DTB");
    }

    #[test]
    fn names_that_cannot_be() {
        for name in ["", "a/b", "a:b", "dot.", "new\nline", &"x".repeat(256)] {
            assert!(check(name).is_err(), "{name:?}");
        }
        check("bcm2711-rpi-4-b.dtb").unwrap();
    }

    #[test]
    fn checksum_of_the_specification() {
        // Example from Linux, fs/fat/namei_vfat.c: the sum rotates right.
        assert_eq!(checksum(b"A          "), {
            let mut sum = 0_u8;
            for byte in b"A          " {
                sum = ((sum & 1) << 7).wrapping_add(sum >> 1).wrapping_add(*byte);
            }
            sum
        });
    }
}
