//! Cuts an image's stream into pieces for the cards, by its map.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::aligned::{Aligned, is_zero};
use crate::bmap::{Holes, Mapped};
use crate::source::{Source, SourceError, Stream, Verdict};

/// Bytes of a piece with data, and where pieces are cut. Larger ones are not
/// faster: no card reader takes more than 1 MiB in one command (Linux,
/// `max_sectors_kb` of usb-storage and mmc).
pub const PIECE: usize = 1 << 20;

/// Most bytes of a piece without data.
const STRETCH: u64 = 16 << 20;

/// A part of the image.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes to be written.
    Data {
        /// Where, in bytes.
        offset: u64,
        /// What; a buffer for direct I/O, zero behind `len`.
        bytes: Arc<Aligned>,
        /// How many of them belong to the image.
        len: usize,
        /// SHA-256 of these.
        sha256: [u8; 32],
    },
    /// A stretch that must read zero.
    Zero {
        /// Where it begins, in bytes.
        offset: u64,
        /// Its bytes.
        len: u64,
    },
    /// A stretch whose content does not matter.
    Free {
        /// Where it begins, in bytes.
        offset: u64,
        /// Its bytes.
        len: u64,
    },
}

impl Piece {
    /// Bytes of the image that the piece stands for.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Data { len, .. } => *len as u64,
            Self::Zero { len, .. } | Self::Free { len, .. } => *len,
        }
    }

    /// Whether it stands for none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a whole image came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Bytes of the unpacked image.
    pub size: u64,
    /// SHA-256 of the unpacked image, lower-case hexadecimal.
    pub sha256: String,
    /// Of its file.
    pub file: Verdict,
}

/// A stretch of the image that is mapped or not.
struct Stretch {
    end: u64,
    mapped: bool,
    sha256: Option<[u8; 32]>,
}

/// Gives one piece after the other, always the same ones.
pub struct Cutter<'a> {
    source: &'a Source,
    stream: Stream<'a>,
    /// What is still to come, in reverse order; without a map there is one
    /// mapped stretch without end.
    stretches: Vec<Stretch>,
    holes: Holes,
    at: u64,
    image: Sha256,
    range: Sha256,
}

impl<'a> Cutter<'a> {
    /// Begins at the image's start.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn new(source: &'a Source) -> Result<Self, SourceError> {
        let (mut stretches, holes) = match &source.map {
            None => (vec![Stretch { end: u64::MAX, mapped: true, sha256: None }], Holes::Zero),
            Some(map) => (stretches(&map.ranges, map.size), map.holes),
        };
        stretches.reverse();
        let stream = source.stream()?;
        let (image, range) = (Sha256::new(), Sha256::new());
        Ok(Self { source, stream, stretches, holes, at: 0, image, range })
    }

    /// The next piece, or `None` behind the last.
    ///
    /// # Errors
    /// The image cannot be read, or is not what its map says.
    pub fn piece(&mut self) -> Result<Option<Piece>, SourceError> {
        let Some(stretch) = self.stretches.last() else { return Ok(None) };
        if stretch.mapped { self.data() } else { self.hole() }
    }

    fn data(&mut self) -> Result<Option<Piece>, SourceError> {
        let Some(&Stretch { end, sha256, .. }) = self.stretches.last() else { return Ok(None) };
        let mut bytes = Aligned::zeroed(PIECE);
        // Cut at fixed places, so that most writes are aligned.
        let room = PIECE - usize::try_from(self.at % PIECE as u64).unwrap_or(0);
        let want = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(room);
        let len = self.stream.fill(&mut bytes.bytes_mut()[..want])?;
        let offset = self.at;
        self.at += len as u64;
        if len < want {
            if self.source.map.is_some() {
                return Err(self.wrong("it is shorter than its bmap says"));
            }
            self.stretches.pop();
            if len == 0 {
                return Ok(None);
            }
        }
        let content = &bytes.bytes()[..len];
        self.image.update(content);
        if sha256.is_some() {
            self.range.update(content);
        }
        if self.at == end {
            self.stretches.pop();
            let sum: [u8; 32] = std::mem::take(&mut self.range).finalize().into();
            if sha256.is_some_and(|want| want != sum) {
                return Err(self.wrong(&format!(
                    "the range of its bmap that ends at byte {end} has another checksum: one of \
                     the two is damaged, or they do not belong together"
                )));
            }
        }
        if is_zero(content) {
            return Ok(Some(Piece::Zero { offset, len: len as u64 }));
        }
        let sha256 = Sha256::digest(content).into();
        Ok(Some(Piece::Data { offset, bytes: Arc::new(bytes), len, sha256 }))
    }

    /// What the map leaves out has to be zero in the image, or the card would
    /// not become what the image is.
    fn hole(&mut self) -> Result<Option<Piece>, SourceError> {
        let Some(&Stretch { end, .. }) = self.stretches.last() else { return Ok(None) };
        let offset = self.at;
        let stop = end.min(offset + STRETCH);
        let mut buffer = vec![0; PIECE];
        while self.at < stop {
            let want = usize::try_from(stop - self.at).unwrap_or(PIECE).min(PIECE);
            let part = &mut buffer[..want];
            let len = self.stream.fill(part)?;
            if len < want {
                return Err(self.wrong("it is shorter than its bmap says"));
            }
            self.image.update(&*part);
            if !is_zero(part) {
                return Err(self.wrong(&format!(
                    "near byte {} there is data that its bmap leaves out: they do not belong \
                     together; write all of it with --no-bmap",
                    self.at
                )));
            }
            self.at += len as u64;
        }
        if stop == end {
            self.stretches.pop();
        }
        let len = stop - offset;
        Ok(Some(match self.holes {
            Holes::Free => Piece::Free { offset, len },
            Holes::Zero => Piece::Zero { offset, len },
        }))
    }

    /// Judges the image after its last piece.
    ///
    /// # Errors
    /// It goes on behind its map's end; checksum or signature do not fit.
    pub fn finish(mut self) -> Result<Whole, SourceError> {
        let mut one = [0];
        if self.stream.fill(&mut one)? != 0 {
            return Err(self.wrong("it is longer than its bmap says"));
        }
        let file = self.stream.finish()?;
        Ok(Whole { size: self.at, sha256: hex::encode(self.image.finalize()), file })
    }

    fn wrong(&self, why: &str) -> SourceError {
        SourceError::Wrong { path: self.source.path().to_owned(), why: why.to_owned() }
    }
}

/// All of an image, mapped or not, in order.
fn stretches(ranges: &[Mapped], size: u64) -> Vec<Stretch> {
    let mut all = Vec::new();
    let mut at = 0;
    for Mapped { range, sha256 } in ranges {
        if at < range.start {
            all.push(Stretch { end: range.start, mapped: false, sha256: None });
        }
        all.push(Stretch { end: range.end, mapped: true, sha256: *sha256 });
        at = range.end;
    }
    if at < size {
        all.push(Stretch { end: size, mapped: false, sha256: None });
    }
    all
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::source::Options;

    /// Three pieces and a bit: data at 0..2 MiB but for zeros at 1 MiB, a hole
    /// up to 3 MiB, data to the end.
    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 3 * PIECE + 8192];
        for at in (0..PIECE).chain(3 * PIECE..3 * PIECE + 8192) {
            bytes[at] = (at % 251) as u8 + 1;
        }
        bytes
    }

    fn bmap(image: &[u8], ranges: &[(usize, usize)], comment: &str) -> String {
        let list: Vec<_> = ranges
            .iter()
            .map(|(first, last)| {
                let sum = hex::encode(Sha256::digest(&image[first * 4096..(last + 1) * 4096]));
                format!("<Range chksum=\"{sum}\">{first}-{last}</Range>")
            })
            .collect();
        format!(
            "<bmap version=\"2.0\"><!-- {comment} --><ImageSize>{}</ImageSize><BlockSize>4096\
             </BlockSize><BlocksCount>{}</BlocksCount><ChecksumType>sha256</ChecksumType>\
             <BlockMap>{}</BlockMap></bmap>",
            image.len(),
            image.len() / 4096,
            list.concat()
        )
    }

    fn all(dir: &Path) -> Result<(Vec<String>, Whole), SourceError> {
        let source = Source::new(&dir.join("a.img"), &Options::default())?;
        let mut cutter = Cutter::new(&source)?;
        let mut seen = Vec::new();
        while let Some(piece) = cutter.piece()? {
            seen.push(match piece {
                Piece::Data { offset, len, .. } => format!("data {offset} {len}"),
                Piece::Zero { offset, len } => format!("zero {offset} {len}"),
                Piece::Free { offset, len } => format!("free {offset} {len}"),
            });
        }
        Ok((seen, cutter.finish()?))
    }

    #[test]
    fn pieces_follow_the_map() {
        let dir = tempfile::tempdir().unwrap();
        let image = image();
        fs::write(dir.path().join("a.img"), &image).unwrap();
        let (seen, whole) = all(dir.path()).unwrap();
        let without =
            ["data 0 1048576", "zero 1048576 1048576", "zero 2097152 1048576", "data 3145728 8192"];
        assert_eq!(seen, without);
        assert_eq!(whole.sha256, hex::encode(Sha256::digest(&image)));
        assert_eq!(whole.size, image.len() as u64);

        let ranges = [(0, 511), (768, 769)];
        fs::write(dir.path().join("a.bmap"), bmap(&image, &ranges, crate::bmap::FREE)).unwrap();
        let (seen, whole) = all(dir.path()).unwrap();
        assert_eq!(seen[2], "free 2097152 1048576");
        assert_eq!(whole.sha256, hex::encode(Sha256::digest(&image)));
        fs::write(dir.path().join("a.bmap"), bmap(&image, &ranges, "by somebody else")).unwrap();
        assert_eq!(all(dir.path()).unwrap().0, without);
    }

    #[test]
    fn a_map_that_does_not_fit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let image = image();
        let path = dir.path().join("a.img");
        let ranges = [(0, 511), (768, 769)];
        let good = bmap(&image, &ranges, "");
        fs::write(dir.path().join("a.bmap"), &good).unwrap();
        let check = |bytes: &[u8], want: &str| {
            fs::write(&path, bytes).unwrap();
            let error = all(dir.path()).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        };
        let mut flipped = image.clone();
        flipped[70_000] ^= 1;
        check(&flipped, "another checksum");
        let mut outside = image.clone();
        outside[2 * PIECE + 5] = 1;
        check(&outside, "leaves out");
        check(&image[..image.len() - 4096], "another size");
        check(&zstd::encode_all(&image[..image.len() - 4096], 1).unwrap(), "shorter");
        check(&zstd::encode_all(&[&image[..], b"x"].concat()[..], 1).unwrap(), "longer");
    }
}
