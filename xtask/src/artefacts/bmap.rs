//! The bmap file, version 2.0: which blocks of the image to write to a card,
//! with their checksums, as bmaptool and bmap-rs read it.
//!
//! bmap's own generator asks the file system for holes of the image file. Ours
//! lists what [`super::mapped`] finds, because a tool that follows a bmap
//! leaves everything else on the card as it was.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};

use super::mapped::BLOCK;
use crate::digest;

/// The comment by which `station` knows that the blocks which are not listed
/// need no defined content. Other tools pass over it.
const FREE: &str = "unlisted blocks are free space";

/// Stands in the file while its own checksum is taken (bmap 2.0: "the file
/// with the checksum replaced by zeros").
const NO_CHECKSUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The bmap of an image of `size` bytes of which `ranges` (bytes, whole
/// blocks, ascending, apart from each other) are to be written.
pub fn generate(image: &File, size: u64, ranges: &[Range<u64>]) -> Result<String> {
    check(size, ranges)?;
    let mapped: u64 = ranges.iter().map(|r| (r.end - r.start) / BLOCK).sum();
    let mut text = format!(
        "<?xml version=\"1.0\" ?>\n\
         <bmap version=\"2.0\">\n\
         \x20   <!-- {FREE} -->\n\
         \x20   <ImageSize>{size}</ImageSize>\n\
         \x20   <BlockSize>{BLOCK}</BlockSize>\n\
         \x20   <BlocksCount>{}</BlocksCount>\n\
         \x20   <MappedBlocksCount>{mapped}</MappedBlocksCount>\n\
         \x20   <ChecksumType>sha256</ChecksumType>\n\
         \x20   <BmapFileChecksum>{NO_CHECKSUM}</BmapFileChecksum>\n\
         \x20   <BlockMap>\n",
        size / BLOCK,
    );
    for range in ranges {
        let (digest, _) = digest::reader(Section { image, range: range.clone() })
            .with_context(|| format!("cannot read the image at {}", range.start))?;
        let (first, last) = (range.start / BLOCK, range.end / BLOCK - 1);
        // Writing to a String does not fail.
        let _ = if first == last {
            writeln!(text, "        <Range chksum=\"{digest}\">{first}</Range>")
        } else {
            writeln!(text, "        <Range chksum=\"{digest}\">{first}-{last}</Range>")
        };
    }
    text.push_str("    </BlockMap>\n</bmap>\n");
    let checksum = digest::bytes(text.as_bytes());
    Ok(text.replacen(NO_CHECKSUM, &checksum, 1))
}

fn check(size: u64, ranges: &[Range<u64>]) -> Result<()> {
    // Tools disagree about a last block that is not whole.
    if size % BLOCK != 0 {
        bail!("the image has {size} bytes, not a multiple of {BLOCK}: make it end on a block");
    }
    let mut end = None;
    for range in ranges {
        let whole = range.start % BLOCK == 0 && range.end % BLOCK == 0;
        if !whole || range.is_empty() || range.end > size || end.is_some_and(|e| range.start <= e) {
            bail!("bytes {range:?} are not whole blocks of the image behind the previous range");
        }
        end = Some(range.end);
    }
    Ok(())
}

/// Reads a part of a file without moving its position.
struct Section<'a> {
    image: &'a File,
    range: Range<u64>,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.range.end - self.range.start;
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let got = self.image.read_at(&mut buffer[..want], self.range.start)?;
        if got == 0 && want != 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.range.start += got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Seek};

    use super::*;

    /// Six blocks of which 0, 2, 3 and 5 are mapped; block 3 is zero.
    fn example() -> (File, Vec<u8>, Vec<Range<u64>>) {
        let mut bytes = vec![0; 6 * 4096];
        for block in [0, 2, 5] {
            bytes[block * 4096..][..4096].fill(block as u8 + 1);
        }
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        (file, bytes, vec![0..4096, 8192..16_384, 20_480..24_576])
    }

    #[test]
    fn another_implementation_copies_by_it() {
        let (file, bytes, ranges) = example();
        let text = generate(&file, bytes.len() as u64, &ranges).unwrap();
        let bmap = bmap_parser::Bmap::from_xml(&text).unwrap();
        assert_eq!((bmap.image_size(), bmap.blocks(), bmap.mapped_blocks()), (24_576, 6, 4));
        // A used card, full of something else.
        let mut card = Cursor::new(vec![0xEE; bytes.len()]);
        bmap_parser::copy(&mut Cursor::new(&bytes), &mut card, &bmap).unwrap();
        let card = card.into_inner();
        for range in &ranges {
            let range = range.start as usize..range.end as usize;
            assert!(card[range.clone()] == bytes[range.clone()], "{range:?}");
        }
        assert!(card[4096..8192].iter().all(|&b| b == 0xEE));
    }

    #[test]
    fn another_implementation_notices_damage() {
        let (mut file, mut bytes, ranges) = example();
        let text = generate(&file, bytes.len() as u64, &ranges).unwrap();
        bytes[9000] ^= 1;
        file.rewind().unwrap();
        let bmap = bmap_parser::Bmap::from_xml(&text).unwrap();
        let mut card = Cursor::new(vec![0; bytes.len()]);
        assert!(bmap_parser::copy(&mut Cursor::new(&bytes), &mut card, &bmap).is_err());
    }

    #[test]
    fn the_file_has_its_own_checksum() {
        let (file, bytes, ranges) = example();
        let text = generate(&file, bytes.len() as u64, &ranges).unwrap();
        let (_, rest) = text.split_once("<BmapFileChecksum>").unwrap();
        let (checksum, _) = rest.split_once('<').unwrap();
        let blank = text.replace(checksum, &"0".repeat(64));
        assert_eq!(digest::bytes(blank.as_bytes()), checksum);
    }

    #[test]
    fn bad_ranges_are_refused() {
        let (file, bytes, _) = example();
        let size = bytes.len() as u64;
        for ranges in [vec![1..4096], vec![0..28_672], vec![4096..8192, 0..4096], vec![0..0]] {
            assert!(generate(&file, size, &ranges).is_err(), "{ranges:?}");
        }
        assert!(generate(&file, size - 1, &[]).is_err());
    }
}
