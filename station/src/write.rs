//! Writes an image to one card, reads it back, and gives it its boot sector.
//!
//! The first block is taken away before anything else and put there after
//! everything else was read back: a card that is not right does not boot.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use zeroize::Zeroize as _;

use crate::aligned::{Aligned, PAGE, is_zero};
use crate::card::Card;
use crate::cut::{PIECE, Piece, Whole};
use crate::progress::{Phase, Progress};
use crate::source::SourceError;

/// Bytes that come last: the partition table with its signature, which the
/// Pi's boot loader needs, and nothing of a file system.
pub const HEAD: usize = PAGE;

/// Bytes of the image that are different on this card.
#[derive(Clone)]
pub struct Patch {
    /// Where, in bytes.
    pub offset: u64,
    /// What stands there on this card. May hold secrets.
    pub bytes: Vec<u8>,
}

impl Drop for Patch {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// Where a card's pieces come from.
pub trait Feed {
    /// The next piece, or `None` behind the last.
    ///
    /// # Errors
    /// The image is bad.
    fn piece(&mut self) -> Result<Option<Piece>, Arc<SourceError>>;

    /// What the image came to, behind its last piece.
    ///
    /// # Errors
    /// The image is bad.
    fn whole(&mut self) -> Result<Whole, Arc<SourceError>>;
}

/// Notes what a card's writing has come to, before the next step. When that
/// fails the card is left as it is.
pub trait Notes: Send {
    /// The card does not boot any more.
    ///
    /// # Errors
    /// It cannot be noted; why.
    fn beheaded(&mut self) -> Result<(), String>;

    /// All but the first block is verified; the card may boot from now on.
    ///
    /// # Errors
    /// It cannot be noted; why.
    fn closing(&mut self) -> Result<(), String>;
}

/// Notes nothing.
impl Notes for () {
    fn beheaded(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn closing(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Why a card is not right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// Not the card's fault.
    #[error("the image: {0}")]
    Source(Arc<SourceError>),
    /// It was taken out, or its reader was.
    #[error("it was removed at byte {0}: put it in and write it again")]
    Removed(u64),
    /// The image ends behind the card's end.
    #[error("it has {card} bytes, the image needs more")]
    Small {
        /// Bytes of the card.
        card: u64,
    },
    /// It refuses.
    #[error("{what} at byte {offset} failed: {error}; the card or its reader is broken")]
    Io {
        /// What was done.
        what: &'static str,
        /// Where.
        offset: u64,
        /// What it said.
        error: io::Error,
    },
    /// It gives back something else than was written.
    #[error(
        "bytes {offset} to {} are not what was written: the card is worn out, a fake, or badly \
         seated; do not use it", offset + len
    )]
    Differs {
        /// Where the piece begins.
        offset: u64,
        /// Bytes of the piece.
        len: u64,
    },
    /// The place for this card's own data is not one.
    #[error("the image has no room for a unit's data at byte {0}")]
    Patch(u64),
    /// What must be noted could not be noted.
    #[error("cannot record it: {0}")]
    Record(String),
    /// It failed so late that it may boot.
    #[error("{0}; it may boot all the same: write it again, or destroy it")]
    Unclear(Box<CardError>),
    /// The program itself failed.
    #[error("its thread ended unexpectedly")]
    Thread,
}

/// A card that is right.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// What the image is.
    pub whole: Whole,
    /// Bytes that were written and read back.
    pub bytes: u64,
    /// How long writing took.
    pub writing: Duration,
    /// How long reading back took.
    pub verifying: Duration,
}

/// What a stretch of the card must give back.
struct Expected {
    offset: u64,
    len: u64,
    /// `None`: zeros.
    sha256: Option<[u8; 32]>,
}

/// Writes one card.
///
/// `total` is how many bytes there will be, or 0.
///
/// # Errors
/// The card is not right. Unless it is [`CardError::Unclear`], it does not
/// boot.
pub fn write(
    card: &mut dyn Card,
    feed: &mut dyn Feed,
    patches: &[Patch],
    progress: &Progress,
    total: u64,
    notes: &mut dyn Notes,
) -> Result<Written, CardError> {
    let mut writer = Writer {
        card,
        patches,
        patched: vec![0; patches.len()],
        progress,
        expected: Vec::new(),
        head: Aligned::zeroed(HEAD),
        bytes: 0,
    };
    let start = Instant::now();
    progress.begin(Phase::Writing, total);
    writer.behead()?;
    notes.beheaded().map_err(CardError::Record)?;
    while let Some(piece) = feed.piece().map_err(CardError::Source)? {
        writer.piece(piece)?;
    }
    let whole = feed.whole().map_err(CardError::Source)?;
    writer.all_patched()?;
    writer.flush(whole.size)?;
    let writing = start.elapsed();

    let start = Instant::now();
    progress.begin(Phase::Verifying, writer.bytes);
    writer.verify()?;
    progress.begin(Phase::Closing, 0);
    notes.closing().map_err(CardError::Record)?;
    writer.crown()?;
    Ok(Written { whole, bytes: writer.bytes, writing, verifying: start.elapsed() })
}

struct Writer<'a> {
    card: &'a mut dyn Card,
    patches: &'a [Patch],
    /// How many bytes of each patch are used.
    patched: Vec<usize>,
    progress: &'a Progress,
    expected: Vec<Expected>,
    /// What the image has below [`HEAD`], as far as it has come; the card has
    /// zeros there.
    head: Aligned,
    bytes: u64,
}

impl Writer<'_> {
    /// From here on the card does not boot.
    fn behead(&mut self) -> Result<(), CardError> {
        if self.card.size().is_some_and(|size| size < HEAD as u64) {
            return Err(CardError::Small { card: self.card.size().unwrap_or(0) });
        }
        let blank = Aligned::zeroed(HEAD);
        let done = self.card.write(0, blank.bytes()).and_then(|()| self.card.flush());
        done.map_err(|error| self.failed("writing", 0, error))
    }

    fn piece(&mut self, piece: Piece) -> Result<(), CardError> {
        match piece {
            Piece::Data { offset, bytes, len, sha256 } => self.data(offset, bytes, len, sha256)?,
            Piece::Zero { offset, len } => self.zero(offset, len)?,
            Piece::Free { offset, len } => {
                self.fits(offset, len)?;
                self.no_patch(offset, len)?;
                let (offset, len) = behind_head(offset, len);
                if len > 0 {
                    self.card.free(offset, len);
                }
            }
        }
        Ok(())
    }

    fn fits(&self, offset: u64, len: u64) -> Result<(), CardError> {
        match self.card.size() {
            Some(card) if offset + len > card => Err(CardError::Small { card }),
            _ => Ok(()),
        }
    }

    fn no_patch(&self, offset: u64, len: u64) -> Result<(), CardError> {
        match self.overlaps(offset, len).next() {
            Some((patch, _)) => Err(CardError::Patch(self.patches[patch].offset)),
            None => Ok(()),
        }
    }

    /// Numbers of the patches within `offset..offset + len`, and what they cover
    /// of it.
    fn overlaps(
        &self,
        offset: u64,
        len: u64,
    ) -> impl Iterator<Item = (usize, Range<u64>)> + use<'_> {
        self.patches.iter().enumerate().filter_map(move |(number, patch)| {
            let start = patch.offset.max(offset);
            let end = (patch.offset + patch.bytes.len() as u64).min(offset + len);
            (start < end).then_some((number, start..end))
        })
    }

    /// A patch that the image has no bytes for was not written.
    fn all_patched(&self) -> Result<(), CardError> {
        let mut patches = self.patches.iter().zip(&self.patched);
        match patches.find(|(patch, used)| patch.bytes.len() != **used) {
            Some((patch, _)) => Err(CardError::Patch(patch.offset)),
            None => Ok(()),
        }
    }

    fn data(
        &mut self,
        offset: u64,
        bytes: Arc<Aligned>,
        len: usize,
        mut sha256: [u8; 32],
    ) -> Result<(), CardError> {
        self.fits(offset, len as u64)?;
        let mut own = None;
        let overlaps: Vec<_> = self.overlaps(offset, len as u64).collect();
        for (number, range) in overlaps {
            let patch = &self.patches[number];
            self.patched[number] += (range.end - range.start) as usize;
            let copy = own.get_or_insert_with(|| {
                let mut copy = Aligned::zeroed(bytes.bytes().len());
                copy.bytes_mut().copy_from_slice(bytes.bytes());
                copy
            });
            // Within both by the definition of an overlap; pieces are small.
            let to = (range.start - offset) as usize..(range.end - offset) as usize;
            let from = (range.start - patch.offset) as usize..(range.end - patch.offset) as usize;
            copy.bytes_mut()[to].copy_from_slice(&patch.bytes[from]);
        }
        let patched = own.is_some();
        let buffer = own.as_ref().unwrap_or(&bytes);
        // A map's first ranges may be smaller than the head.
        let (at, rest) = behind_head(offset, len as u64);
        let rest = rest as usize;
        let skip = len - rest;
        if skip > 0 {
            // Below HEAD, so it fits.
            let from = offset as usize;
            self.head.bytes_mut()[from..from + skip].copy_from_slice(&buffer.bytes()[..skip]);
        }
        if patched || skip > 0 {
            sha256 = Sha256::digest(&buffer.bytes()[skip..len]).into();
        }
        let sector = self.card.sector();
        if rest > 0 {
            // Zeros behind the image's end, up to a whole sector.
            let whole = (rest as u64).next_multiple_of(sector) as usize;
            let moved;
            let content = if skip % PAGE == 0 {
                &buffer.bytes()[skip..]
            } else {
                // What goes to the device begins on a page.
                let mut to = Aligned::zeroed(PIECE);
                to.bytes_mut()[..rest].copy_from_slice(&buffer.bytes()[skip..len]);
                moved = to;
                moved.bytes()
            };
            self.card
                .write(at, &content[..whole.min(content.len())])
                .map_err(|error| self.failed("writing", at, error))?;
            self.expected.push(Expected { offset: at, len: rest as u64, sha256: Some(sha256) });
        }
        self.count(len as u64);
        Ok(())
    }

    fn zero(&mut self, offset: u64, len: u64) -> Result<(), CardError> {
        self.fits(offset, len)?;
        self.no_patch(offset, len)?;
        self.count(len);
        let (offset, len) = behind_head(offset, len);
        if len == 0 {
            return Ok(());
        }
        let whole = len.next_multiple_of(self.card.sector());
        self.card
            .zero(offset, whole)
            .map_err(|error| self.failed("writing zeros", offset, error))?;
        self.expected.push(Expected { offset, len, sha256: None });
        Ok(())
    }

    fn count(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.progress.add(bytes);
    }

    fn flush(&mut self, end: u64) -> Result<(), CardError> {
        self.card.flush().map_err(|error| self.failed("writing", end, error))
    }

    fn verify(&mut self) -> Result<(), CardError> {
        let mut buffer = Aligned::zeroed(PIECE);
        for item in std::mem::take(&mut self.expected) {
            let mut at = item.offset;
            let end = item.offset + item.len;
            while at < end {
                let len = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
                self.read(at, len, &mut buffer)?;
                let got = &buffer.bytes()[..len];
                let same = match item.sha256 {
                    // Data comes in pieces of one buffer at most.
                    Some(want) => want == <[u8; 32]>::from(Sha256::digest(got)),
                    None => is_zero(got),
                };
                if !same {
                    return Err(CardError::Differs { offset: at, len: len as u64 });
                }
                at += len as u64;
                self.progress.add(len as u64);
            }
        }
        Ok(())
    }

    fn read(&mut self, at: u64, len: usize, buffer: &mut Aligned) -> Result<(), CardError> {
        let whole = (len as u64).next_multiple_of(self.card.sector()) as usize;
        self.card
            .read(at, &mut buffer.bytes_mut()[..whole])
            .map_err(|error| self.failed("reading back", at, error))
    }

    /// Writes the first block and reads it back; takes it away again when it is
    /// not right.
    fn crown(&mut self) -> Result<(), CardError> {
        let head = std::mem::replace(&mut self.head, Aligned::zeroed(HEAD));
        let Err(error) = self.try_crown(&head) else { return Ok(()) };
        match self.behead() {
            Ok(()) => Err(error),
            Err(_) => Err(CardError::Unclear(Box::new(error))),
        }
    }

    fn try_crown(&mut self, head: &Aligned) -> Result<(), CardError> {
        self.card
            .write(0, head.bytes())
            .and_then(|()| self.card.flush())
            .map_err(|error| self.failed("writing", 0, error))?;
        let mut buffer = Aligned::zeroed(HEAD);
        self.read(0, HEAD, &mut buffer)?;
        if buffer.bytes() == head.bytes() {
            return Ok(());
        }
        Err(CardError::Differs { offset: 0, len: HEAD as u64 })
    }

    fn failed(&self, what: &'static str, offset: u64, error: io::Error) -> CardError {
        if self.card.present() {
            CardError::Io { what, offset, error }
        } else {
            CardError::Removed(offset)
        }
    }
}

/// The part of a stretch that does not belong to the first block.
fn behind_head(offset: u64, len: u64) -> (u64, u64) {
    let skip = (HEAD as u64).saturating_sub(offset).min(len);
    (offset + skip, len - skip)
}

#[cfg(test)]
mod tests;
