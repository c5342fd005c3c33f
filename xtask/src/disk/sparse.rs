//! Writes that leave holes where a new file is to be zero anyway.

use std::fs::File;
use std::io::Result;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Bytes that are looked at together: the block of most file systems.
const BLOCK: usize = 4096;
/// Bytes that are read together.
const BUFFER: u64 = 1 << 20;

/// Writes `bytes` at `offset` of `file`, which is zero there, without the
/// blocks that are all zeros.
pub fn write(file: &File, bytes: &[u8], offset: u64) -> Result<()> {
    // Neighbours go out in one call.
    let mut start = 0;
    for (index, block) in bytes.chunks(BLOCK).enumerate() {
        let at = index * BLOCK;
        if is_zero(block) {
            file.write_all_at(&bytes[start..at], offset + start as u64)?;
            start = at + block.len();
        }
    }
    file.write_all_at(&bytes[start..], offset + start as u64)
}

/// Copies `range` of `from` to `offset` of `to`, as [`write`] does. Holes of
/// `from` are not even read.
pub fn copy(from: &File, range: Range<u64>, to: &File, offset: u64) -> Result<()> {
    let mut buffer = vec![0; BUFFER.min(range.end - range.start) as usize];
    let mut at = range.start;
    while at < range.end {
        let data = match seek(from, SeekFrom::Data(at)) {
            Ok(data) => data,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => break,
            // A file system that knows no holes.
            Err(Errno::INVAL) => at,
            Err(error) => return Err(error.into()),
        };
        let hole = seek(from, SeekFrom::Hole(data)).unwrap_or(range.end).min(range.end);
        at = data;
        while at < hole {
            let length = BUFFER.min(hole - at) as usize;
            let part = &mut buffer[..length];
            from.read_exact_at(part, at)?;
            write(to, part, offset + (at - range.start))?;
            at += length as u64;
        }
        at = at.max(hole);
    }
    Ok(())
}

/// By one comparison of memory, which is fast without optimisation too.
fn is_zero(block: &[u8]) -> bool {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    block == &ZEROS[..block.len()]
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn content_is_whole_and_zeros_take_no_room() {
        let mut bytes = vec![0; 40 * BLOCK + 7];
        for at in [0, 5 * BLOCK, 6 * BLOCK, 40 * BLOCK + 3] {
            bytes[at] = 1;
        }
        let from = tempfile::tempfile().unwrap();
        from.write_all_at(&bytes, 100).unwrap();
        let to = tempfile::tempfile().unwrap();
        to.set_len(1 << 20).unwrap();
        copy(&from, 100..100 + bytes.len() as u64, &to, 4096).unwrap();
        let mut got = vec![9; bytes.len()];
        to.read_exact_at(&mut got, 4096).unwrap();
        assert!(got == bytes);
        assert!(to.metadata().unwrap().blocks() * 512 <= 8 * BLOCK as u64);
    }
}
