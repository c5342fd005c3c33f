//! The master boot record: one sector that names two partitions.
//!
//! Layout: UEFI specification 2.10, section 5.2.1; the types' meaning: the
//! Pi's boot ROM and Linux.

use anyhow::{Result, bail};

/// Bytes of a sector, as the record counts them.
pub const SECTOR: u64 = 512;

/// Partitions begin and end at multiples of this many bytes: the erase blocks
/// of SD cards are 4 MiB or divide it (SD specification, allocation unit).
pub const ALIGN: u64 = 4 << 20;

/// Identifies the disk. Linux makes the partitions' PARTUUIDs from it:
/// `a7670e01-01` and `a7670e01-02`.
pub const SIGNATURE: u32 = 0xa767_0e01;

/// FAT32 with LBA addressing, where the Pi's firmware looks for its files.
pub const FAT32_LBA: u8 = 0x0c;

/// Linux file system.
pub const LINUX: u8 = 0x83;

const SIGNATURE_AT: usize = 440;
const TABLE_AT: usize = 446;
const ENTRY: usize = 16;
const MAGIC: [u8; 2] = [0x55, 0xaa];

/// "Does not fit into cylinder, head and sector": so readers use the LBA.
const NO_CHS: [u8; 3] = [0xfe, 0xff, 0xff];

/// One partition; places in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Kind of content.
    pub kind: u8,
    /// Marked as the one to boot from.
    pub active: bool,
    /// First byte on the disk.
    pub start: u64,
    /// Length in bytes.
    pub size: u64,
}

impl Partition {
    /// First byte after it.
    pub fn end(&self) -> u64 {
        self.start + self.size
    }
}

/// What the record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mbr {
    /// Disk signature.
    pub signature: u32,
    /// The four slots of the table.
    pub slots: [Option<Partition>; 4],
}

/// The record with partition 1 for the Pi's firmware and partition 2 for Linux.
/// Sizes in bytes, both multiples of [`ALIGN`].
pub fn for_pi(boot: u64, root: u64) -> Mbr {
    let first = Partition { kind: FAT32_LBA, active: true, start: ALIGN, size: boot };
    let second = Partition { kind: LINUX, active: false, start: first.end(), size: root };
    Mbr { signature: SIGNATURE, slots: [Some(first), Some(second), None, None] }
}

impl Mbr {
    /// The sector, 512 bytes. An error when a partition does not lie on
    /// sectors that 32 bits can count (2 TiB).
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut sector = vec![0; SECTOR as usize];
        sector[SIGNATURE_AT..SIGNATURE_AT + 4].copy_from_slice(&self.signature.to_le_bytes());
        for (index, slot) in self.slots.iter().enumerate() {
            let Some(partition) = slot else { continue };
            let entry = &mut sector[TABLE_AT + index * ENTRY..][..ENTRY];
            entry[0] = if partition.active { 0x80 } else { 0 };
            entry[1..4].copy_from_slice(&NO_CHS);
            entry[4] = partition.kind;
            entry[5..8].copy_from_slice(&NO_CHS);
            entry[8..12].copy_from_slice(&sectors(partition.start)?.to_le_bytes());
            entry[12..16].copy_from_slice(&sectors(partition.size)?.to_le_bytes());
        }
        sector[510..].copy_from_slice(&MAGIC);
        Ok(sector)
    }

    /// Reads the record; an error when `sector` is shorter than 512 bytes, has
    /// no signature at its end, or an entry that is neither active nor not.
    pub fn decode(sector: &[u8]) -> Result<Self> {
        let Some(sector) = sector.get(..SECTOR as usize) else {
            bail!("the disk is shorter than a sector");
        };
        if sector[510..] != MAGIC {
            bail!(
                "no boot signature 55 aa at byte 510, but {:02x} {:02x}",
                sector[510],
                sector[511]
            );
        }
        let mut slots = [None; 4];
        for (index, slot) in slots.iter_mut().enumerate() {
            let entry = &sector[TABLE_AT + index * ENTRY..][..ENTRY];
            if entry.iter().all(|byte| *byte == 0) {
                continue;
            }
            if entry[0] & 0x7f != 0 {
                bail!("partition {}: status {:#04x} is neither 0x00 nor 0x80", index + 1, entry[0]);
            }
            *slot = Some(Partition {
                active: entry[0] == 0x80,
                kind: entry[4],
                start: u64::from(word(&entry[8..])) * SECTOR,
                size: u64::from(word(&entry[12..])) * SECTOR,
            });
        }
        Ok(Self { signature: word(&sector[SIGNATURE_AT..]), slots })
    }

    /// How Linux names partition `number` (1 to 4) in `root=PARTUUID=`.
    pub fn partuuid(&self, number: u8) -> String {
        format!("{:08x}-{number:02x}", self.signature)
    }
}

fn sectors(bytes: u64) -> Result<u32> {
    match u32::try_from(bytes / SECTOR) {
        Ok(count) if bytes % SECTOR == 0 => Ok(count),
        _ => bail!("{bytes} bytes cannot be given in 32 bits of 512-byte sectors"),
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let mbr = for_pi(128 << 20, 300 << 20);
        assert_eq!(Mbr::decode(&mbr.encode().unwrap()).unwrap(), mbr);
        assert_eq!(mbr.partuuid(2), "a7670e01-02");
    }

    #[test]
    fn bytes_are_where_the_specification_puts_them() {
        let sector = for_pi(128 << 20, 300 << 20).encode().unwrap();
        assert_eq!(sector[440..444], [0x01, 0x0e, 0x67, 0xa7]);
        // Active, type 0x0c, from sector 8192, 262144 sectors.
        assert_eq!(sector[446], 0x80);
        assert_eq!(sector[450], 0x0c);
        assert_eq!(sector[454..462], [0x00, 0x20, 0, 0, 0, 0, 0x04, 0]);
        assert_eq!(sector[466], 0x83);
        assert_eq!(sector[510..], [0x55, 0xaa]);
    }

    #[test]
    fn refuses_what_is_none() {
        assert!(Mbr::decode(&[0; 100]).is_err());
        assert!(Mbr::decode(&[0; 512]).unwrap_err().to_string().contains("55 aa"));
        let mut sector = for_pi(ALIGN, ALIGN).encode().unwrap();
        sector[446] = 0x01;
        assert!(Mbr::decode(&sector).unwrap_err().to_string().contains("partition 1"));
        assert!(for_pi(4 << 40, ALIGN).encode().is_err());
    }
}
