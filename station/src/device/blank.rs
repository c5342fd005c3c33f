//! Whether a card holds anything.

use crate::aligned::Aligned;
use crate::card::Card;

/// Bytes at the start that are all read: partition tables, boot sectors, and
/// where the first partition of any usual card begins.
const START: u64 = 8 << 20;

/// Bytes at the end: backups of tables, marks of RAID.
const END: u64 = 1 << 20;

/// Bytes that are read at once.
const CHUNK: u64 = 1 << 20;

/// So many places between are looked at too.
const PLACES: u64 = 64;

/// Bytes at each of them.
const PLACE: u64 = 4096;

/// Whether a card has nothing but zeros, or nothing but ones as flash memory
/// that was never written has: at its start, at its end, and at places between.
/// What cannot be read counts as data.
pub fn is_blank(card: &mut dyn Card) -> bool {
    let Some(size) = card.size().filter(|&size| size > 0) else { return false };
    let start = START.min(size);
    let end = size.saturating_sub(END) / PLACE * PLACE;
    let stretches = (0..start)
        .step_by(CHUNK as usize)
        .map(|at| (at, CHUNK.min(size - at)))
        .chain((1..=PLACES).map(|place| (size / (PLACES + 1) * place / PLACE * PLACE, PLACE)))
        .chain([(end, size - end)]);
    let mut fill = None;
    let mut buffer = Aligned::zeroed(CHUNK as usize + PLACE as usize);
    for (at, len) in stretches {
        // Below CHUNK + PLACE by the constants.
        let bytes = &mut buffer.bytes_mut()[..len.min(size - at) as usize];
        if card.read(at, bytes).is_err() {
            return false;
        }
        let first = *fill.get_or_insert(bytes[0]);
        if !matches!(first, 0 | 0xFF) || bytes.iter().any(|&byte| byte != first) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    struct Fake(Vec<u8>);

    impl Card for Fake {
        fn size(&self) -> Option<u64> {
            Some(self.0.len() as u64)
        }

        fn sector(&self) -> u64 {
            512
        }

        fn write(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::PermissionDenied.into())
        }

        fn zero(&mut self, _: u64, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::PermissionDenied.into())
        }

        fn free(&mut self, _: u64, _: u64) {}

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            let from = offset as usize;
            let bytes = self.0.get(from..from + buffer.len());
            buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }

        fn present(&self) -> bool {
            true
        }
    }

    #[test]
    fn one_byte_is_data() {
        for size in [4096, 512 * 3, 1 << 20, (20 << 20) + 512] {
            assert!(is_blank(&mut Fake(vec![0; size])), "{size}");
            assert!(is_blank(&mut Fake(vec![0xFF; size])), "{size}");
            assert!(!is_blank(&mut Fake(vec![0xA5; size])), "{size}");
            for at in [0, size / 3 % (8 << 20), size - 1] {
                let mut card = vec![0; size];
                card[at] = 1;
                assert!(!is_blank(&mut Fake(card)), "{size} at {at}");
            }
        }
        assert!(!is_blank(&mut Fake(Vec::new())));
    }
}
