//! The compressed image: zstd in the seekable format, so that any place of it
//! can be read without unpacking all that stands before.
//!
//! The format is that of zstd's `contrib/seekable_format` (specification
//! 0.1.0): independent frames, followed by a skippable frame that lists their
//! sizes. A plain `zstd -d` reads it as well. Frames are cut at fixed places,
//! so the bytes do not depend on how many threads made them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use anyhow::{Context, Result, bail};
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

/// Bytes of the image in one frame (the last may have fewer).
///
/// Measured on a 450 MiB ext4 file system with 238 MiB of Debian in it, level
/// 9: frames of 1, 4, 8 and 16 MiB give 78.2, 72.5, 71.1 and 70.4 MB (one
/// stream: 70.8 MB), at the same cost. 8 MiB keeps the cost of reading one
/// place low and gives every core work to the end.
pub const FRAME: u64 = 8 << 20;

/// Compression level: the last that is cheap.
///
/// Measured as above with 4 MiB frames, MB and CPU seconds: level 3: 78.8,
/// 1.0; 6: 74.5, 2.5; 9: 72.5, 4.5; 10: 72.2, 6.2; 12: 72.1, 9.8; 15: 71.6,
/// 38.
pub const LEVEL: i32 = 9;

/// Magic number of the skippable frame that holds the seek table.
const SKIPPABLE: u32 = 0x184D_2A5E;

/// Magic number at the very end.
const SEEKABLE: u32 = 0x8F92_EAB1;

/// Bit 7 of the descriptor: every entry has a checksum.
const CHECKSUMS: u8 = 1 << 7;

/// Bytes of a table's entry: compressed size, size, checksum.
const ENTRY: usize = 12;

/// Bytes of the table's footer: number of frames, descriptor, magic number.
const FOOTER: usize = 9;

/// What the compressed bytes depend on besides the image; for a stage's key.
pub fn recipe() -> String {
    format!("zstd {} level {LEVEL} frame {FRAME}", zstd::zstd_safe::version_string())
}

/// Compresses `size` bytes of `image` into `out` by `jobs` threads.
///
/// `progress` is told how many bytes of the image are done. Every frame
/// carries the checksum of its content.
pub fn compress(
    image: &File,
    size: u64,
    mut out: impl Write,
    jobs: usize,
    progress: impl Fn(u64),
) -> Result<()> {
    let count = size.div_ceil(FRAME);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        // The bound keeps quick workers from running far ahead of the writer.
        let (sender, receiver) = mpsc::sync_channel(2 * jobs.max(1));
        for _ in 0..jobs.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || worker(image, size, count, next, &sender));
        }
        drop(sender);
        let mut table = Vec::new();
        let mut waiting = BTreeMap::new();
        for (index, frame) in receiver {
            waiting.insert(index, frame?);
            while let Some(frame) = waiting.remove(&(table.len() as u64)) {
                let start = table.len() as u64 * FRAME;
                table.push(Entry::of(&frame, FRAME.min(size - start))?);
                out.write_all(&frame).context("cannot write the compressed image")?;
                progress((start + FRAME).min(size));
            }
        }
        if table.len() as u64 != count {
            bail!("a compressing thread died: {} of {count} frames were made", table.len());
        }
        out.write_all(&seek_table(&table)?).context("cannot write the compressed image")?;
        out.flush().context("cannot write the compressed image")
    })
}

type Frame = (u64, Result<Vec<u8>>);

/// Makes frames until there are none left, or nobody wants them any more.
fn worker(image: &File, size: u64, count: u64, next: &AtomicU64, sender: &mpsc::SyncSender<Frame>) {
    let mut buffer = Vec::new();
    let mut compressor = compressor();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= count {
            return;
        }
        let frame = match &mut compressor {
            Ok(compressor) => frame(image, size, index, compressor, &mut buffer),
            Err(error) => Err(anyhow::anyhow!("cannot set up zstd: {error:#}")),
        };
        if sender.send((index, frame)).is_err() {
            return;
        }
    }
}

fn compressor() -> std::io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
    Ok(compressor)
}

fn frame(
    image: &File,
    size: u64,
    index: u64,
    compressor: &mut Compressor<'_>,
    buffer: &mut Vec<u8>,
) -> Result<Vec<u8>> {
    let start = index * FRAME;
    buffer.resize(usize::try_from(FRAME.min(size - start))?, 0);
    image
        .read_exact_at(buffer, start)
        .with_context(|| format!("cannot read the image at {start}"))?;
    compressor.compress(buffer).with_context(|| format!("cannot compress the image at {start}"))
}

/// One line of the seek table.
struct Entry {
    compressed: u32,
    size: u32,
    checksum: [u8; 4],
}

impl Entry {
    /// A frame ends with the lower half of its content's XXH64 (RFC 8878,
    /// section 3.1.1), which is the checksum that the table wants too.
    fn of(frame: &[u8], size: u64) -> Result<Self> {
        let checksum = frame.last_chunk::<4>().context("zstd gave an empty frame")?;
        Ok(Self {
            compressed: u32::try_from(frame.len())?,
            size: u32::try_from(size)?,
            checksum: *checksum,
        })
    }
}

fn seek_table(entries: &[Entry]) -> Result<Vec<u8>> {
    let content = entries.len() * ENTRY + FOOTER;
    let mut table = Vec::with_capacity(content + 8);
    table.extend(SKIPPABLE.to_le_bytes());
    table.extend(u32::try_from(content)?.to_le_bytes());
    for entry in entries {
        table.extend(entry.compressed.to_le_bytes());
        table.extend(entry.size.to_le_bytes());
        table.extend(entry.checksum);
    }
    table.extend(u32::try_from(entries.len())?.to_le_bytes());
    table.push(CHECKSUMS);
    table.extend(SEEKABLE.to_le_bytes());
    Ok(table)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;

    /// Two and a half frames: text-like, zero, and noise.
    fn image() -> (File, Vec<u8>) {
        let frame = FRAME as usize;
        let mut bytes: Vec<u8> = (0..frame).map(|i| b"a7670e image "[i % 13]).collect();
        bytes.resize(2 * frame, 0);
        let mut x = 1_u32;
        bytes.extend((0..frame / 2).map(|_| {
            // Numerical Recipes' generator: noise that is always the same.
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 24) as u8
        }));
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    fn compressed(jobs: usize) -> (Vec<u8>, Vec<u8>) {
        let (file, bytes) = image();
        let mut out = Vec::new();
        compress(&file, bytes.len() as u64, &mut out, jobs, |_| {}).unwrap();
        (out, bytes)
    }

    #[test]
    fn thread_count_does_not_show() {
        assert_eq!(compressed(1).0, compressed(5).0);
    }

    #[test]
    fn a_plain_decoder_reads_it() {
        let (out, bytes) = compressed(2);
        let mut back = Vec::new();
        // Reads frame after frame and skips what is skippable, as `zstd -d`.
        zstd::Decoder::new(&out[..]).unwrap().read_to_end(&mut back).unwrap();
        assert!(back == bytes);
    }

    #[test]
    fn another_seekable_decoder_reads_any_place() {
        let (out, bytes) = compressed(2);
        let table = zeekstd::SeekTable::from_seekable(&mut Cursor::new(&out)).unwrap();
        assert_eq!(table.num_frames(), 3);
        assert_eq!(table.frame_start_decomp(2).unwrap(), 2 * FRAME);
        for offset in [0, FRAME + 5000, 2 * FRAME + 777_777] {
            let mut decoder = zeekstd::DecodeOptions::new(Cursor::new(&out))
                .offset(offset)
                .offset_limit(offset + 1000)
                .into_decoder()
                .unwrap();
            let mut part = Vec::new();
            decoder.read_to_end(&mut part).unwrap();
            assert!(part == bytes[offset as usize..][..1000], "at {offset}");
        }
    }

    #[test]
    fn damage_is_noticed() {
        let (mut out, _) = compressed(1);
        // Inside the noise, which zstd stores as it is: only the checksum can tell.
        let place = out.len() - 1000;
        out[place] ^= 1;
        let result = zstd::Decoder::new(&out[..]).unwrap().read_to_end(&mut Vec::new());
        assert!(result.is_err());
    }

    #[test]
    fn an_image_shorter_than_said_is_an_error_not_a_hang() {
        let (file, bytes) = image();
        let error = compress(&file, bytes.len() as u64 + FRAME, Vec::new(), 2, |_| {}).unwrap_err();
        assert!(format!("{error:#}").contains("cannot read the image"), "{error:#}");
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let (file, bytes) = image();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let error = compress(&file, bytes.len() as u64, full, 2, |_| {}).unwrap_err();
        assert!(format!("{error:#}").contains("No space left"), "{error:#}");
    }
}
