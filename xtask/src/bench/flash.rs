//! Writing cards: `station` beside `dd`, on loop devices that are as slow as cards.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::table::Table;
use super::{Time, measure};
use crate::artefacts::{bmap, zst};
use crate::context::Context;
use crate::process;
use crate::slow_cards::{self, Card, Group};
use crate::test::rust::cargo;

/// Bytes that are mapped at the image's start, and as many again that are not.
const MAPPED: u64 = 160 << 20;

/// Cards that are written at once.
const CARDS: usize = 8;

/// Speeds of a card, bytes in a second: a usual one, and the most that the
/// Pi 4B's and most readers' bus (UHS-I, SDR104) gives.
const SPEEDS: [(u64, &str); 2] = [(20_000_000, "20 MB/s"), (90_000_000, "90 MB/s")];

/// Measures.
pub fn run(ctx: &Context, table: &mut Table) -> Result<()> {
    // What is measured is what is released.
    let build = ["build", "--quiet", "--locked", "--release", "--package=station"];
    process::output(&mut cargo(ctx, &build))?;
    let station = std::env::current_exe()?.with_file_name("../release/station");
    let dir = slow_cards::room()?;
    let image = make_image(ctx, dir.path())?;
    let cards = (0..CARDS)
        .map(|number| Card::new(&dir.path().join(format!("card{number}")), 3 * MAPPED))
        .collect::<Result<Vec<_>>>()?;
    let bench = Bench { dir: dir.path(), station: &station, image: &image };

    let fast = bench.dd(&cards[0], None)?;
    let ours = bench.station(&cards[..1], None)?;
    table.row("dd, write and read, at memory's speed", "", &seconds(fast));
    table.row("station, the same", "", &seconds(ours.wall));
    for (speed, name) in SPEEDS {
        let group = Group::new(speed, &cards)?;
        let dd = bench.dd(&cards[0], Some(&group))?;
        table.row(&format!("dd, write and read, {name}"), "", &seconds(dd));
        let one = bench.station(&cards[..1], Some(&group))?.wall;
        let ratio = format!("{} = {:.2} x dd", seconds(one), one / dd);
        table.row(&format!("station, one card, {name}"), "<= 1.15 x dd", &ratio);
        let all = bench.station(&cards, Some(&group))?;
        let ratio =
            format!("{} = {:.0} % of one's speed", seconds(all.wall), 100.0 * one / all.wall);
        table.row(&format!("station, {CARDS} cards, {name}"), ">= 95 %", &ratio);
        table.row("  its processor time", "", &seconds(all.cpu));
    }
    Ok(())
}

fn seconds(value: f64) -> String {
    format!("{value:.1} s")
}

/// A packed image with its map beside it, made as `cargo xtask image` does.
fn make_image(ctx: &Context, dir: &Path) -> Result<PathBuf> {
    let raw = tempfile::tempfile_in(dir)?;
    let size = 2 * MAPPED;
    raw.set_len(size)?;
    // Half noise, half text: it packs as an image of programs does.
    let mut x = 1_u64;
    let mut piece = vec![0; 1 << 20];
    for at in (0..MAPPED).step_by(piece.len()) {
        for (number, word) in piece.chunks_exact_mut(8).enumerate() {
            // Knuth's MMIX generator.
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bytes = if number % 2 == 0 { x.to_le_bytes() } else { *b"a7670e! " };
            word.copy_from_slice(&bytes);
        }
        raw.write_all_at(&piece, at)?;
    }
    let image = dir.join("image.img.zst");
    zst::compress(&raw, size, File::create(&image)?, ctx.jobs, |_| {})?;
    fs::write(dir.join("image.bmap"), bmap::generate(&raw, size, &[0..MAPPED])?)?;
    Ok(image)
}

struct Bench<'a> {
    dir: &'a Path,
    station: &'a Path,
    image: &'a Path,
}

impl Bench<'_> {
    /// Seconds to write what is mapped and to read it back.
    fn dd(&self, card: &Card, group: Option<&Group>) -> Result<f64> {
        let of = format!("of={}", card.device.display());
        let count = format!("count={}", MAPPED >> 20);
        let write = ["dd", "if=/dev/zero", &of, "bs=1M", &count, "oflag=direct"];
        let from = format!("if={}", card.device.display());
        let read = ["dd", &from, "of=/dev/null", "bs=1M", &count, "iflag=direct"];
        Ok(self.run(&write, group)?.wall + self.run(&read, group)?.wall)
    }

    fn station(&self, cards: &[Card], group: Option<&Group>) -> Result<Time> {
        let (station, image) = (self.station.to_string_lossy(), self.image.to_string_lossy());
        let names: Vec<_> = cards.iter().map(|card| card.device.to_string_lossy()).collect();
        let mut words = vec![&*station, "flash", "--yes", &*image];
        words.extend(names.iter().map(|name| &**name));
        self.run(&words, group)
    }

    /// Runs a command in the group.
    fn run(&self, words: &[&str], group: Option<&Group>) -> Result<Time> {
        measure(&slow_cards::command(group, words), &self.dir.join("log"))
    }
}
