//! The card in the emulated slot: a sparse copy of the image, so that the
//! image itself is never written.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::fs::{SeekFrom, ftruncate, ioctl_ficlone, seek};

/// Size of the card unless the image is larger. QEMU's SD card wants a power
/// of two (`sd_realize`, hw/sd/sd.c); the smallest card that one can buy today
/// is larger still.
const SIZE: u64 = 4 << 30;

/// Writes a card with `image` at its beginning to `card`.
///
/// Where the file system can share blocks between files nothing is copied,
/// elsewhere only what holds data is.
pub fn make(image: &Path, card: &Path) -> Result<()> {
    let what = || format!("cannot copy {} to {}", image.display(), card.display());
    let from = File::open(image).with_context(what)?;
    let to =
        File::options().read(true).write(true).create_new(true).open(card).with_context(what)?;
    let length = from.metadata()?.len();
    if ioctl_ficlone(&to, &from).is_err() {
        copy_data(&from, &to, length).with_context(what)?;
    }
    ftruncate(&to, size_for(length)).with_context(what)
}

fn size_for(image: u64) -> u64 {
    image.next_power_of_two().max(SIZE)
}

/// Copies the parts that are no holes to the same places.
fn copy_data(mut from: &File, mut to: &File, length: u64) -> io::Result<()> {
    let mut at = 0;
    while at < length {
        let data = match seek(from, SeekFrom::Data(at)) {
            Ok(data) => data,
            // Nothing but a hole up to the end.
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        at = seek(from, SeekFrom::Hole(data))?;
        seek(from, SeekFrom::Start(data))?;
        seek(to, SeekFrom::Start(data))?;
        io::copy(&mut io::Read::take(&mut from, at - data), &mut to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    #[test]
    fn card_holds_the_image_and_takes_no_more_room() {
        let dir = tempfile::tempdir().unwrap();
        let (image, card) = (dir.path().join("image"), dir.path().join("card"));
        let file = File::create(&image).unwrap();
        file.write_all_at(b"head", 0).unwrap();
        file.write_all_at(b"tail", (64 << 20) - 4).unwrap();
        make(&image, &card).unwrap();

        let copy = File::open(&card).unwrap();
        let mut bytes = vec![0; 64 << 20];
        copy.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!((&bytes[..4], &bytes[bytes.len() - 4..]), (&b"head"[..], &b"tail"[..]));
        assert!(bytes[4..bytes.len() - 4].iter().all(|b| *b == 0));
        let meta = copy.metadata().unwrap();
        assert_eq!(meta.len(), SIZE);
        assert!(meta.blocks() * 512 < 1 << 20, "{} blocks", meta.blocks());
    }

    #[test]
    fn an_existing_card_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let (image, card) = (dir.path().join("image"), dir.path().join("card"));
        std::fs::write(&image, b"new").unwrap();
        std::fs::write(&card, b"old").unwrap();
        assert!(make(&image, &card).is_err());
        assert_eq!(std::fs::read(&card).unwrap(), b"old");
    }

    #[test]
    fn size_is_a_power_of_two_that_holds_the_image() {
        assert_eq!(size_for(1), 4 << 30);
        assert_eq!(size_for((4 << 30) + 1), 8 << 30);
        assert_eq!(size_for(8 << 30), 8 << 30);
    }
}
