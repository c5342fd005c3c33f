//! Tests on cards in memory that misbehave in every way.

use std::sync::{Mutex, PoisonError};

use super::*;
use crate::bmap::FREE;
use crate::source::{Options, Source};

/// What a card does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Bytes from here on cannot be written.
    Broken(u64),
    /// As [`Fault::Broken`], and then it is gone.
    Pulled(u64),
    /// It has so many bytes; addresses beyond wrap around.
    Lying(u64),
    /// This byte changes by itself when all is written.
    Flips(u64),
}

/// Content that outlives the card.
type Memory = Arc<Mutex<Vec<u8>>>;

struct Fake {
    memory: Memory,
    fault: Fault,
    size: u64,
    gone: bool,
}

impl Fake {
    fn new(size: usize, fault: Fault) -> (Self, Memory) {
        // A card with a past.
        let memory = Arc::new(Mutex::new(vec![0xA5; size]));
        (Self { memory: memory.clone(), fault, size: size as u64, gone: false }, memory)
    }

    fn place(&self, offset: u64) -> usize {
        match self.fault {
            Fault::Lying(real) => (offset % real) as usize,
            _ => offset as usize,
        }
    }
}

impl Card for Fake {
    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    fn sector(&self) -> u64 {
        512
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        assert!(offset % 512 == 0 && bytes.len() % 512 == 0 && bytes.as_ptr() as usize % 4096 == 0);
        if let Fault::Broken(at) | Fault::Pulled(at) = self.fault {
            if offset + bytes.len() as u64 > at {
                self.gone = self.fault == Fault::Pulled(at);
                return Err(io::Error::other("no"));
            }
        }
        let start = self.place(offset);
        self.memory.lock().unwrap()[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let zeros = Aligned::zeroed(len as usize);
        self.write(offset, zeros.bytes())
    }

    fn free(&mut self, _: u64, _: u64) {}

    fn flush(&mut self) -> io::Result<()> {
        if let Fault::Flips(at) = self.fault {
            self.memory.lock().unwrap_or_else(PoisonError::into_inner)[at as usize] ^= 0x10;
        }
        Ok(())
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = self.place(offset);
        let len = buffer.len();
        buffer.copy_from_slice(&self.memory.lock().unwrap()[start..start + len]);
        Ok(())
    }

    fn present(&self) -> bool {
        !self.gone
    }
}

/// Straight from a cutter.
struct Alone<'a>(Option<crate::cut::Cutter<'a>>);

impl Feed for Alone<'_> {
    fn piece(&mut self) -> Result<Option<Piece>, Arc<SourceError>> {
        Ok(self.0.as_mut().unwrap().piece()?)
    }

    fn whole(&mut self) -> Result<Whole, Arc<SourceError>> {
        Ok(self.0.take().unwrap().finish()?)
    }
}

const SIZE: usize = 5 * PIECE + 1536;

/// Every block is another one, but for zeros in the third piece and nothing
/// that matters in the fourth.
fn image() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..SIZE).map(|at| (at / 512 + at % 7) as u8 | 1).collect();
    bytes[2 * PIECE..4 * PIECE].fill(0);
    bytes
}

fn source(dir: &std::path::Path) -> Source {
    mapped(dir, &image(), FREE, &[0..3 * PIECE, 4 * PIECE..SIZE])
}

fn mapped(
    dir: &std::path::Path,
    image: &[u8],
    comment: &str,
    ranges: &[std::ops::Range<usize>],
) -> Source {
    let path = dir.join("a.img");
    std::fs::write(&path, image).unwrap();
    let block = 512;
    let range = |it: &std::ops::Range<usize>| {
        format!("<Range>{}-{}</Range>", it.start / block, it.end / block - 1)
    };
    let ranges: String = ranges.iter().map(range).collect();
    let map = format!(
        "<bmap version=\"1.3\"><!-- {comment} --><ImageSize>{SIZE}</ImageSize><BlockSize>{block}\
         </BlockSize><BlocksCount>{}</BlocksCount><BlockMap>{ranges}</BlockMap></bmap>",
        SIZE / block,
    );
    std::fs::write(dir.join("a.bmap"), map).unwrap();
    Source::new(&path, &Options::default()).unwrap()
}

/// Notes that the card's memory is looked at for.
struct Look<F>(F, Memory);

impl<F: FnMut(Step, &[u8]) -> Result<(), String> + Send> Notes for Look<F> {
    fn beheaded(&mut self) -> Result<(), String> {
        (self.0)(Step::Beheaded, &self.1.lock().unwrap())
    }

    fn closing(&mut self) -> Result<(), String> {
        (self.0)(Step::Closing, &self.1.lock().unwrap())
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Beheaded,
    Closing,
}

fn try_one(
    size: usize,
    fault: Fault,
    patches: &[Patch],
    notes: impl FnMut(Step, &[u8]) -> Result<(), String> + Send,
) -> (Result<Written, CardError>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    try_source(&source(dir.path()), size, fault, patches, notes)
}

fn try_source(
    source: &Source,
    size: usize,
    fault: Fault,
    patches: &[Patch],
    notes: impl FnMut(Step, &[u8]) -> Result<(), String> + Send,
) -> (Result<Written, CardError>, Vec<u8>) {
    let (mut card, memory) = Fake::new(size, fault);
    let mut feed = Alone(Some(crate::cut::Cutter::new(source).unwrap()));
    let progress = Progress::default();
    let mut notes = Look(notes, memory.clone());
    let result = write(&mut card, &mut feed, patches, &progress, 0, &mut notes);
    let memory = memory.lock().unwrap().clone();
    (result, memory)
}

#[test]
fn the_card_becomes_the_image_and_its_first_block_comes_last() {
    let (result, memory) = try_one(8 * PIECE, Fault::None, &[], |step, memory| {
        assert!(is_zero(&memory[..HEAD]), "it boots before it is verified");
        if step == Step::Closing {
            assert!(memory[HEAD..2 * PIECE] == image()[HEAD..2 * PIECE]);
        } else {
            assert!(memory[HEAD..].iter().all(|&byte| byte == 0xA5));
        }
        Ok(())
    });
    let written = result.unwrap();
    assert_eq!(written.bytes, (4 * PIECE + 1536) as u64);
    assert!(memory[..3 * PIECE] == image()[..3 * PIECE]);
    // Free space keeps what it had; what must be zero is zero.
    assert!(memory[3 * PIECE..4 * PIECE].iter().all(|&byte| byte == 0xA5));
    assert!(memory[4 * PIECE..SIZE] == image()[4 * PIECE..]);
}

#[test]
fn a_patch_is_written_and_verified_wherever_it_lies() {
    for offset in [0, 100, HEAD - 10, PIECE - 10, 2 * PIECE - 40] {
        let patch = Patch { offset: offset as u64, bytes: vec![0xEE; 40] };
        let (result, memory) = try_one(8 * PIECE, Fault::None, &[patch], |_, _| Ok(()));
        result.unwrap();
        let mut want = image();
        want[offset..offset + 40].fill(0xEE);
        assert!(memory[..3 * PIECE] == want[..3 * PIECE], "at {offset}");
    }
    for offset in [2 * PIECE - 39, 3 * PIECE + 5] {
        let patch = Patch { offset: offset as u64, bytes: vec![0xEE; 40] };
        let (result, memory) = try_one(8 * PIECE, Fault::None, &[patch], |_, _| Ok(()));
        assert!(matches!(result, Err(CardError::Patch(at)) if at == offset as u64), "{result:?}");
        assert!(is_zero(&memory[..HEAD]));
    }
}

#[test]
fn a_first_block_of_several_ranges_comes_last_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut image = image();
    // Not listed, or zero.
    image[1024..1536].fill(0);
    image[2048..2560].fill(0);
    image[8192..12_288].fill(0);
    for (comment, free) in [(FREE, true), ("holes", false)] {
        let ranges = [0..512, 512..1024, 1536..3584, 3584..8192, 12_288..SIZE];
        let source = mapped(dir.path(), &image, comment, &ranges);
        let patch = Patch { offset: 500, bytes: vec![0xEE; 40] };
        let (result, memory) =
            try_source(&source, 8 * PIECE, Fault::None, &[patch], |_, memory| {
                assert!(is_zero(&memory[..HEAD]), "a part of it came early");
                Ok(())
            });
        result.unwrap();
        let mut want = image.clone();
        want[500..540].fill(0xEE);
        if free {
            want[8192..12_288].fill(0xA5);
        }
        assert!(memory[..SIZE] == want, "{comment}");
    }
}

#[test]
fn a_patch_behind_the_images_end_is_noticed() {
    for (offset, len) in [(SIZE as u64 + 100, 40), (SIZE as u64 - 1, 2)] {
        let patches =
            [Patch { offset: 5, bytes: vec![0xEE; 40] }, Patch { offset, bytes: vec![0xEE; len] }];
        let mut steps = Vec::new();
        let (result, memory) = try_one(8 * PIECE, Fault::None, &patches, |step, _| {
            steps.push(step);
            Ok(())
        });
        assert!(matches!(result, Err(CardError::Patch(at)) if at == offset), "{result:?}");
        assert!(is_zero(&memory[..HEAD]));
        assert_eq!(steps, [Step::Beheaded]);
    }
}

#[test]
fn every_fault_has_a_name_and_leaves_a_card_that_does_not_boot() {
    let piece = PIECE as u64;
    for (size, fault, want) in [
        (SIZE - 512, Fault::None, "the image needs more"),
        (8 * PIECE, Fault::Broken(piece + 512), "writing at byte 1048576 failed: no"),
        (8 * PIECE, Fault::Pulled(2 * piece + 512), "removed at byte 2097152"),
        (8 * PIECE, Fault::Lying(2 * piece), "not what was written"),
        (8 * PIECE, Fault::Flips(piece + 70_000), "bytes 1048576 to 2097152 are not"),
        (8 * PIECE, Fault::Flips(SIZE as u64 - 1), "are not what"),
        (8 * PIECE, Fault::Flips(2 * piece + 9), "are not what"),
    ] {
        let mut steps = Vec::new();
        let (result, memory) = try_one(size, fault, &[], |step, _| {
            steps.push(step);
            Ok(())
        });
        let error = result.unwrap_err().to_string();
        assert!(error.contains(want), "{fault:?}: {error}");
        assert_eq!(steps, [Step::Beheaded], "{fault:?}");
        if !matches!(fault, Fault::Lying(_)) {
            assert!(is_zero(&memory[..HEAD]), "{fault:?}");
        }
    }
}

#[test]
fn a_first_block_that_does_not_hold_and_a_failing_record() {
    // Two flushes end before the first block is written; the third flips it.
    let (result, memory) = try_one(8 * PIECE, Fault::Flips(3), &[], |_, _| Ok(()));
    assert!(matches!(result, Err(CardError::Differs { offset: 0, .. })), "{result:?}");
    assert!(memory[510..512] == [0, 0], "no boot signature");
    for failing in [Step::Beheaded, Step::Closing] {
        let (result, memory) = try_one(8 * PIECE, Fault::None, &[], |step, _| {
            if step == failing { Err("disk full".into()) } else { Ok(()) }
        });
        assert!(result.unwrap_err().to_string().contains("disk full"));
        assert!(is_zero(&memory[..HEAD]));
        assert_eq!(memory[HEAD] == 0xA5, failing == Step::Beheaded);
    }
}

#[test]
fn a_card_that_keeps_its_first_block_is_not_called_beheaded() {
    let (result, memory) = try_one(8 * PIECE, Fault::Broken(0), &[], |_, _| unreachable!());
    assert!(matches!(result, Err(CardError::Io { offset: 0, .. })), "{result:?}");
    assert!(memory[..HEAD].iter().all(|&byte| byte == 0xA5));
}

#[test]
fn a_bad_image_leaves_a_card_that_does_not_boot() {
    let dir = tempfile::tempdir().unwrap();
    source(dir.path());
    std::fs::write(dir.path().join("a.img.sha256"), "0".repeat(64)).unwrap();
    let source = Source::new(&dir.path().join("a.img"), &Options::default()).unwrap();
    let (mut card, memory) = Fake::new(8 * PIECE, Fault::None);
    let mut feed = Alone(Some(crate::cut::Cutter::new(&source).unwrap()));
    let progress = Progress::default();
    let result = write(&mut card, &mut feed, &[], &progress, 0, &mut ());
    assert!(result.unwrap_err().to_string().contains("SHA-256"));
    assert!(is_zero(&memory.lock().unwrap()[..HEAD]));
}
