//! The marks that LVM, Linux RAID and ZFS leave on their disks: a set that is
//! not running has no other sign.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes at a partition's start in which the marks are.
const HEAD: usize = 132 << 10;

/// What the `len` bytes of `device` at `start` are a member of.
pub fn read(device: &File, start: u64, len: u64) -> Option<&'static str> {
    let mut head = vec![0; usize::try_from(len).unwrap_or(HEAD).min(HEAD)];
    // What cannot be read can have no mark; writing it will fail by itself.
    device.read_exact_at(&mut head, start).ok()?;
    find(&head).or_else(|| {
        // mdadm, `super1.c`: version 1.0 has its superblock 8 KiB from the end,
        // at a multiple of 4 KiB; `super0.c`: version 0.90 at the last
        // multiple of 64 KiB that has 64 KiB behind it.
        let v10 = len.checked_sub(8 << 10)? & !0xFFF;
        let v090 = (len & !0xFFFF).checked_sub(64 << 10);
        [Some(v10), v090].into_iter().flatten().find_map(|at| {
            let mut magic = [0; 4];
            device.read_exact_at(&mut magic, start + at).ok()?;
            (u32::from_le_bytes(magic) == RAID).then_some("Linux RAID")
        })
    })
}

/// mdadm, `md_p.h`: `MD_SB_MAGIC`.
const RAID: u32 = 0xA92B_4EFC;

/// OpenZFS, `uberblock_impl.h`: `UBERBLOCK_MAGIC`.
const ZFS: u64 = 0x00BA_B10C;

fn find(head: &[u8]) -> Option<&'static str> {
    let at = |at: usize, len: usize| head.get(at..at + len);
    // LVM2, `label.h`: in one of the first four sectors.
    if (0..4).any(|sector| at(sector * 512, 8) == Some(b"LABELONE")) {
        return Some("LVM");
    }
    // Version 1.1 at the start, 1.2 behind 4 KiB.
    if [0, 4096].iter().any(|&place| at(place, 4) == Some(&RAID.to_le_bytes())) {
        return Some("Linux RAID");
    }
    // The first uberblocks, in the byte order of the host that wrote them.
    let uberblock = |place: usize| {
        at(place, 8).is_some_and(|it| it == ZFS.to_le_bytes() || it == ZFS.to_be_bytes())
    };
    (128 << 10..HEAD).step_by(1024).any(uberblock).then_some("ZFS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_they_are() {
        const LEN: usize = 1 << 20;
        let mut marks: Vec<(usize, Vec<u8>, &str)> = vec![(512, b"LABELONE".to_vec(), "LVM")];
        for at in [0, 4096, LEN - (8 << 10), LEN - (64 << 10)] {
            marks.push((at, RAID.to_le_bytes().to_vec(), "Linux RAID"));
        }
        marks.push((129 << 10, ZFS.to_be_bytes().to_vec(), "ZFS"));
        for (at, bytes, want) in marks {
            let file = tempfile::tempfile().unwrap();
            file.set_len(2 * LEN as u64).unwrap();
            assert_eq!(read(&file, 4096, LEN as u64), None);
            file.write_all_at(&bytes, 4096 + at as u64).unwrap();
            assert_eq!(read(&file, 4096, LEN as u64), Some(want), "at {at}");
        }
        assert_eq!(read(&tempfile::tempfile().unwrap(), 0, 1000), None);
    }
}
