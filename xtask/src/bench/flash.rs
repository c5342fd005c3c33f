//! Writing cards: `station` beside dd, bmaptool, bmap-rs and caligula, on loop
//! devices that are as slow as cards. Every card that anybody wrote is compared with
//! the image afterwards.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::rivals::{self, Rivals};
use super::table::Table;
use super::{Time, desk, measure, peak};
use crate::artefacts::{bmap, zst};
use crate::context::Context;
use crate::dist::program;
use crate::slow_cards::{self, Card, Limit, Moved};

/// Bytes that are mapped at the image's start, and as many again that are not.
const MAPPED: u64 = 160 << 20;

/// Cards that are written at once.
const CARDS: usize = 8;

/// Speeds of a card, bytes in a second: none but memory's, a usual card's, and the
/// most that the Pi 4B's and most readers' bus (UHS-I, SDR104) gives. How often each
/// is measured: the best counts, and where nothing is slow a moment matters.
const SPEEDS: [(Option<u64>, &str, usize); 3] = [
    (None, "memory's speed", 3),
    (Some(20_000_000), "20 MB/s", 1),
    (Some(90_000_000), "90 MB/s", 1),
];

/// Bytes that the image is compared by.
const PIECE: usize = 1 << 20;

/// Measures.
pub fn run(ctx: &Context, table: &mut Table) -> Result<()> {
    // What is measured is what is released.
    let station = program::build(ctx)?;
    let rivals = Rivals::get(ctx)?;
    let dir = slow_cards::room()?;
    make_image(ctx, dir.path())?;
    let cards = (0..CARDS)
        .map(|number| Card::new(&dir.path().join(format!("card{number}")), 3 * MAPPED))
        .collect::<Result<Vec<_>>>()?;
    let bench = Bench { dir: dir.path(), station: &station, rivals: &rivals };
    for (speed, name, tries) in SPEEDS {
        let limit = speed.map(|speed| Limit::new(speed, &cards)).transpose()?;
        let pace = Pace { speed, limit: limit.as_ref(), name, tries };
        bench.at(&pace, &cards, table)?;
    }
    desk::run(ctx, &station, &cards, table)
}

/// How fast the cards are.
struct Pace<'a> {
    speed: Option<u64>,
    limit: Option<&'a Limit>,
    name: &'a str,
    tries: usize,
}

/// One writing.
#[derive(Clone, Copy)]
struct Run {
    time: Time,
    /// Of the first card.
    moved: Moved,
}

impl Run {
    fn text(&self, dd: f64) -> String {
        let megabytes = |bytes: u64| bytes as f64 * 1e-6;
        format!(
            "{} = {:.2} x dd; {:.0} MB written, {:.0} MB read",
            seconds(self.time.wall),
            self.time.wall / dd,
            megabytes(self.moved.written),
            megabytes(self.moved.read),
        )
    }
}

fn seconds(value: f64) -> String {
    format!("{value:.2} s")
}

/// A packed image with its map beside it, made as `cargo xtask image` does, and the
/// same unpacked.
fn make_image(ctx: &Context, dir: &Path) -> Result<()> {
    let raw = File::create_new(dir.join("image.img"))?;
    let size = 2 * MAPPED;
    raw.set_len(size)?;
    // Half noise, half text: it packs as an image of programs does.
    let mut x = 1_u64;
    let mut piece = vec![0; PIECE];
    for at in (0..MAPPED).step_by(piece.len()) {
        for (number, word) in piece.chunks_exact_mut(8).enumerate() {
            // Knuth's MMIX generator.
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bytes = if number % 2 == 0 { x.to_le_bytes() } else { *b"a7670e! " };
            word.copy_from_slice(&bytes);
        }
        raw.write_all_at(&piece, at)?;
    }
    let raw = File::open(dir.join("image.img"))?;
    zst::compress(&raw, size, File::create(dir.join("image.img.zst"))?, ctx.jobs, |_| {})?;
    fs::write(dir.join("image.bmap"), bmap::generate(&raw, size, &[0..MAPPED])?)?;
    Ok(())
}

struct Bench<'a> {
    /// Where the image is.
    dir: &'a Path,
    station: &'a Path,
    rivals: &'a Rivals,
}

impl Bench<'_> {
    /// Everybody at one speed.
    fn at(&self, pace: &Pace<'_>, cards: &[Card], table: &mut Table) -> Result<()> {
        let (name, one) = (pace.name, &cards[..1]);
        let dd = self.with_read_back(pace, &cards[0], &self.dd(&cards[0]))?.time.wall;
        table.row(&format!("dd, write and read, {name}"), "", &seconds(dd));
        let mut caligula = None;
        for rival in rivals::NAMES {
            let words = self.rivals.words(rival, self.dir, &cards[0].device)?;
            let run = self.best(pace, one, &words).with_context(|| rival.to_owned())?;
            if run.moved.read >= MAPPED {
                table.row(&format!("{rival}, {name}"), "a rival", &run.text(dd));
                caligula = Some(run.time.wall).filter(|_| rival == "caligula").or(caligula);
            } else {
                // It did not look at what it wrote.
                let what = format!("{rival}, then dd's read, {name}");
                let run = self.with_read_back(pace, &cards[0], &words)?;
                table.row(&what, "does not verify", &run.text(dd));
            }
        }
        let ours = self.best(pace, one, &self.station(one))?;
        let (target, more) = match caligula {
            _ if pace.speed.is_some() => ("<= 1.15 x dd", String::new()),
            Some(rival) => ("<= caligula", format!(" = {:.2} x caligula", ours.time.wall / rival)),
            None => anyhow::bail!("caligula did not read back what it wrote"),
        };
        table.row(&format!("station, {name}"), target, &(ours.text(dd) + &more));

        let pid = self.dir.join("pid");
        let words = peak::words(&pid, &self.station(cards));
        let run = || self.run(pace, cards, &words);
        let (all, memory) = peak::during(&pid, "station", run)?;
        fs::remove_file(&pid)?;
        let share = 100.0 * ours.time.wall / all.time.wall;
        let (target, what) = match pace.speed {
            Some(_) => (">= 95 %", format!("station, {CARDS} cards at once, {name}")),
            None => ("", format!("station, {CARDS} cards at once, {name}")),
        };
        let text = format!("{} = {share:.0} % of one's speed", seconds(all.time.wall));
        table.row(&what, target, &text);
        table.row(
            "  its memory (peak RSS)",
            "<= 100 MB",
            &format!("{:.1} MB", memory as f64 * 1e-6),
        );
        table.row("  its processor time", "", &seconds(all.time.cpu));
        Ok(())
    }

    /// The words by which dd writes what is mapped.
    fn dd(&self, card: &Card) -> Vec<String> {
        let (from, to) = (self.dir.join("image.img"), &card.device);
        vec![
            "dd".into(),
            format!("if={}", from.display()),
            format!("of={}", to.display()),
            "bs=1M".into(),
            format!("count={}", MAPPED >> 20),
            "oflag=direct".into(),
        ]
    }

    fn station(&self, cards: &[Card]) -> Vec<String> {
        let fixed = [self.station, Path::new("flash"), Path::new("--yes")];
        let image = self.dir.join("image.img.zst");
        let paths = fixed.into_iter().chain([image.as_path()]);
        let paths = paths.chain(cards.iter().map(|card| card.device.as_path()));
        paths.map(|path| path.to_string_lossy().into_owned()).collect()
    }

    /// The quickest of several writings.
    fn best(&self, pace: &Pace<'_>, cards: &[Card], words: &[String]) -> Result<Run> {
        quickest(pace.tries, || self.run(pace, cards, words))
    }

    /// As [`Self::best`], and dd reads again what is mapped.
    fn with_read_back(&self, pace: &Pace<'_>, card: &Card, words: &[String]) -> Result<Run> {
        let from = format!("if={}", card.device.display());
        let count = format!("count={}", MAPPED >> 20);
        let read = ["dd", &from, "of=/dev/null", "bs=1M", &count, "iflag=direct"];
        quickest(pace.tries, || {
            let mut run = self.run(pace, std::slice::from_ref(card), words)?;
            let before = card.moved()?.read;
            let time = measure(&slow_cards::command(pace.limit, &read), &self.log())?;
            run.time = Time { wall: run.time.wall + time.wall, cpu: run.time.cpu + time.cpu };
            run.moved.read += card.moved()?.read - before;
            Ok(run)
        })
    }

    /// Runs what writes the cards, which are empty before; an error when one is not
    /// the image afterwards.
    fn run(&self, pace: &Pace<'_>, cards: &[Card], words: &[String]) -> Result<Run> {
        cards.iter().try_for_each(Card::clear)?;
        let before = cards.iter().map(Card::moved).collect::<Result<Vec<_>>>()?;
        let time = measure(&slow_cards::command(pace.limit, words), &self.log())?;
        let mut moved = Vec::new();
        for (card, before) in cards.iter().zip(before) {
            let after = card.moved()?;
            let both =
                Moved { written: after.written - before.written, read: after.read - before.read };
            // What goes around the limit looks fast. A tenth is the throttling's own.
            let most = pace.speed.map_or(f64::MAX, |speed| speed as f64 * time.wall * 1.1);
            ensure!((both.written + both.read) as f64 <= most, "the card was not slow: {both:?}");
            ensure!(both.written >= MAPPED, "not all of the image was written: {both:?}");
            self.compare(card)?;
            moved.push(both);
        }
        Ok(Run { time, moved: moved[0] })
    }

    /// Whether the card's file has the image's bytes, holes included.
    fn compare(&self, card: &Card) -> Result<()> {
        let (image, written) = (File::open(self.dir.join("image.img"))?, File::open(&card.file)?);
        let mut pieces = [vec![0; PIECE], vec![0; PIECE]];
        for at in (0..2 * MAPPED).step_by(PIECE) {
            let [one, two] = &mut pieces;
            image.read_exact_at(one, at)?;
            written.read_exact_at(two, at)?;
            ensure!(one == two, "the card is not the image at byte {at} and behind");
        }
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
}

fn quickest(tries: usize, mut run: impl FnMut() -> Result<Run>) -> Result<Run> {
    let mut best = run()?;
    for _ in 1..tries {
        let next = run()?;
        if next.time.wall < best.time.wall {
            best = next;
        }
    }
    Ok(best)
}
