//! The image as a stream: unpacked by its content, checked while it flows.
//!
//! An image may be opened more than once in a run (a slow card gets a stream
//! of its own); every stream makes the same checks.

mod beside;
mod tally;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;

use crate::bmap::Bmap;
pub use beside::{Checks, Options};
use tally::Tally;
pub use tally::Verdict;

/// How the image is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Not at all.
    Raw,
    /// Zstandard (RFC 8878), of one or many frames.
    Zstd,
    /// xz, of one or many streams.
    Xz,
    /// gzip (RFC 1952), of one or many members.
    Gzip,
}

/// What is wrong with an image or what lies beside it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A file cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
}

impl SourceError {
    fn wrong(path: &Path, why: impl Into<String>) -> Self {
        Self::Wrong { path: path.to_owned(), why: why.into() }
    }

    fn unreadable(path: &Path, error: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), error }
    }
}

/// An image that may be written: its file, and what lies beside it.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    format: Format,
    bytes: u64,
    /// The map, if there is one.
    pub map: Option<Bmap>,
    checks: Checks,
    files: Vec<PathBuf>,
}

impl Source {
    /// Looks at the image and reads what lies beside it.
    ///
    /// # Errors
    /// A file cannot be read, or one beside the image is no such file.
    pub fn new(path: &Path, options: &Options) -> Result<Self, SourceError> {
        let mut file = File::open(path).map_err(|error| SourceError::unreadable(path, error))?;
        let mut head = Vec::new();
        Read::by_ref(&mut file)
            .take(8)
            .read_to_end(&mut head)
            .map_err(|error| SourceError::unreadable(path, error))?;
        let bytes = file.metadata().map_err(|error| SourceError::unreadable(path, error))?.len();
        let format = Format::of(&head).map_err(|why| SourceError::wrong(path, why))?;
        let (map, checks) = beside::read(path, options)?;
        let mut files = beside::files(path, options);
        files.push(path.to_owned());
        let source = Self { path: path.to_owned(), format, bytes, map, checks, files };
        let size = source.map.as_ref().map(|map| map.size);
        if format == Format::Raw && size.is_some_and(|size| size != bytes) {
            return Err(SourceError::wrong(path, "it has another size than its bmap says"));
        }
        Ok(source)
    }

    /// The image's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The image's file and those that may lie beside it.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Bytes of the unpacked image, where that is known beforehand.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match (&self.map, self.format) {
            (Some(map), _) => Some(map.size),
            (None, Format::Raw) => Some(self.bytes),
            (None, _) => None,
        }
    }

    /// What is checked while the image streams, for the user.
    #[must_use]
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// A stream from the image's start.
    ///
    /// # Errors
    /// The file cannot be read, or is not in the form that it had.
    pub fn stream(&self) -> Result<Stream<'_>, SourceError> {
        let unreadable = |error| SourceError::unreadable(&self.path, error);
        let file = File::open(&self.path).map_err(unreadable)?;
        let tally = Tally::new(file, &self.path, &self.checks)?;
        let reader: Box<dyn Read + Send + '_> = match self.format {
            Format::Raw => Box::new(tally.clone()),
            Format::Zstd => Box::new(
                zstd::Decoder::with_buffer(BufReader::with_capacity(1 << 18, tally.clone()))
                    .map_err(unreadable)?,
            ),
            Format::Xz => Box::new(XzDecoder::new_multi_decoder(BufReader::with_capacity(
                1 << 18,
                tally.clone(),
            ))),
            Format::Gzip => {
                Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 18, tally.clone())))
            }
        };
        Ok(Stream { reader, tally, path: &self.path })
    }
}

impl Format {
    /// The format by the first bytes of a file.
    fn of(head: &[u8]) -> Result<Self, &'static str> {
        // Zstandard's own magic number, or that of a skippable frame.
        let skippable = head.len() > 3 && head[0] >> 4 == 5 && head[1..4] == [0x2A, 0x4D, 0x18];
        if head.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) || skippable {
            Ok(Self::Zstd)
        } else if head.starts_with(&[0xFD, b'7', b'z', b'X', b'Z', 0]) {
            Ok(Self::Xz)
        } else if head.starts_with(&[0x1F, 0x8B]) {
            Ok(Self::Gzip)
        } else if head.starts_with(b"PK\x03\x04") {
            Err("a zip archive: unpack it and give the image in it")
        } else if head.starts_with(b"BZh") {
            Err("bzip2: unpack it, or pack it as .zst or .xz")
        } else if head.is_empty() {
            Err("it is empty")
        } else {
            Ok(Self::Raw)
        }
    }
}

/// The unpacked image.
pub struct Stream<'a> {
    reader: Box<dyn Read + Send + 'a>,
    tally: Tally<'a>,
    path: &'a Path,
}

impl Stream<'_> {
    /// Reads until `buffer` is full or the image ends; gives how much.
    ///
    /// # Errors
    /// The file cannot be read or unpacked.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SourceError::unreadable(self.path, error)),
            }
        }
        Ok(filled)
    }

    /// Ends the stream: reads what is left of the file and judges it.
    ///
    /// # Errors
    /// Checksum or signature do not fit, or the file cannot be read.
    pub fn finish(self) -> Result<Verdict, SourceError> {
        drop(self.reader);
        self.tally.finish(self.path)
    }
}

#[cfg(test)]
mod tests;
