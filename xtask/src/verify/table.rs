//! The partition table.

use anyhow::{Result, bail, ensure};

use super::subject::Subject;
use crate::disk::mbr::{self, Mbr};

/// Partitions begin at multiples of this (1 MiB), or writes to the card cost
/// double.
const ALIGN: u64 = 1 << 20;

/// Two partitions of the right kinds, apart from each other and on the disk.
pub fn sound(subject: &Subject<'_>) -> Result<String> {
    check(&subject.mbr()?, subject.size)
}

fn check(mbr: &Mbr, size: u64) -> Result<String> {
    ensure!(mbr.signature != 0, "no disk signature: PARTUUIDs would not exist");
    let [Some(boot), Some(root), None, None] = mbr.slots else {
        bail!("expected partitions 1 and 2 alone, found {}", mbr.slots.iter().flatten().count());
    };
    ensure!(
        boot.kind == mbr::FAT32_LBA,
        "partition 1 is of type {:#04x}, not FAT32 (0x0c)",
        boot.kind
    );
    ensure!(root.kind == mbr::LINUX, "partition 2 is of type {:#04x}, not Linux (0x83)", root.kind);
    ensure!(boot.active && !root.active, "not partition 1 alone is marked active");
    for (number, partition) in [(1, boot), (2, root)] {
        ensure!(partition.size > 0, "partition {number} is empty");
        ensure!(
            partition.start % ALIGN == 0,
            "partition {number} begins at byte {}, off 1 MiB",
            partition.start
        );
        ensure!(partition.start >= ALIGN, "partition {number} overlaps the boot record");
        ensure!(
            partition.end() <= size,
            "partition {number} ends at byte {}, the image at {size}",
            partition.end()
        );
    }
    ensure!(
        boot.end() <= root.start,
        "partition 2 begins at byte {}, within partition 1 that ends at {}",
        root.start,
        boot.end()
    );
    Ok(format!(
        "{:08x}: FAT32 {} MiB, Linux {} MiB",
        mbr.signature,
        boot.size >> 20,
        root.size >> 20
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_named() {
        let good = mbr::for_pi(128 << 20, 64 << 20);
        let size = 196 << 20;
        check(&good, size).unwrap();
        let said = |change: &dyn Fn(&mut Mbr)| {
            let mut mbr = good.clone();
            change(&mut mbr);
            check(&mbr, size).unwrap_err().to_string()
        };
        assert!(said(&|m| m.signature = 0).contains("signature"));
        assert!(said(&|m| m.slots[1] = None).contains("found 1"));
        assert!(said(&|m| m.slots[0].as_mut().unwrap().kind = 0x83).contains("type 0x83"));
        assert!(said(&|m| m.slots[0].as_mut().unwrap().active = false).contains("active"));
        assert!(said(&|m| m.slots[1].as_mut().unwrap().start -= 4 << 20).contains("within"));
        assert!(said(&|m| m.slots[1].as_mut().unwrap().size += 512).contains("the image at"));
        assert!(said(&|m| m.slots[0].as_mut().unwrap().start = 512).contains("off 1 MiB"));
    }
}
