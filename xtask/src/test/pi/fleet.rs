//! A fleet on cards that are as slow as real ones: 24 units in three rounds of
//! eight, each card inspected, two of them booted.

use std::fs::{self, File};
use std::io::{Cursor, Read as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::first_boot::{boot, boot_partition, is_online, options};
use crate::context::Context;
use crate::emulate::{self, Modem};
use crate::slow_cards::{self, Card, Limit};
use crate::test::Checks;
use crate::{flash, process};

/// Its name.
pub const NAME: &str = "fleet";

/// Cards that are written at once.
const CARDS: usize = 8;

/// How often.
const ROUNDS: usize = 3;

/// A usual card's, bytes in a second.
const SPEED: u64 = 20_000_000;

/// A card is larger than the image, bytes.
const SPARE: u64 = 64 << 20;

/// Room of the image for a unit's files, bytes (`crate::disk`): all else is the
/// same on each card.
const RESERVED: usize = 64 << 10;

/// Units that are booted, of the first round and the last.
const BOOTED: [usize; 2] = [3, 24];

/// Writes, inspects and boots.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let image = crate::test::image(ctx)?;
    let room = slow_cards::room()?;
    let size = fs::metadata(&image)?.len() + SPARE;
    let cards = (0..CARDS)
        .map(|number| Card::new(&room.path().join(format!("card{number}")), size))
        .collect::<Result<Vec<_>>>()?;
    let limit = Limit::new(SPEED, &cards)?;
    let fleet = room.path().join("fleet.toml");
    fs::write(&fleet, units())?;
    let station = flash::station(ctx)?;
    let (boot, _) = boot_partition(&image)?;
    let mut kept = Vec::new();
    for round in 0..ROUNDS {
        for card in &cards {
            another(&card.device, boot.start + boot.size)?;
        }
        let start = Instant::now();
        let fixed = [
            station.as_path(),
            Path::new("provision"),
            Path::new("--yes"),
            Path::new("--operator=test"),
            &image,
            Path::new("--fleet"),
            &fleet,
        ];
        let words: Vec<&Path> =
            fixed.into_iter().chain(cards.iter().map(|card| card.device.as_path())).collect();
        let written = process::output(&mut slow_cards::command(Some(&limit), &words)).map(drop);
        let seconds = start.elapsed().as_secs_f64();
        println!("        round {}: {CARDS} cards in {seconds:.1} s", round + 1);
        checks.check(&format!("fleet: round {} is written and read back", round + 1), written);
        for (card, unit) in cards.iter().zip(round * CARDS + 1..) {
            let result = inspect(&card.file, &image, unit);
            checks.check(&format!("fleet: a card is unit {unit}, and else the image"), result);
            if BOOTED.contains(&unit) {
                let copy = room.path().join(format!("unit{unit}"));
                fs::copy(&card.file, &copy)?;
                kept.push((unit, copy));
            }
        }
    }
    checks.check("fleet: all units are on record, each once", on_record(&station, &fleet));
    for (unit, card) in kept {
        let result = emulate::retry(ctx, || is_itself(ctx, room.path(), &card, unit));
        checks.check(&format!("fleet: unit {unit} is online by its own access point"), result);
    }
    Ok(())
}

/// Makes the card that is in this slot another one to the desk, which would not write
/// over a unit that it has made: one that was used for something else, with the data
/// of before everywhere but in the image's first bytes, so many.
fn another(device: &Path, bytes: u64) -> Result<()> {
    let device = File::options().write(true).open(device)?;
    device.write_all_at(&vec![0xA5; usize::try_from(bytes)?], 0)?;
    Ok(device.sync_all()?)
}

fn hostname(unit: usize) -> String {
    format!("pump-{unit:02}")
}

fn apn(unit: usize) -> String {
    format!("site{unit:02}.example")
}

fn units() -> String {
    let unit = |unit| {
        format!(
            "[[unit]]\nid = '{unit:02}'\nhostname = '{}'\n[unit.cellular]\napn = '{}'\n",
            hostname(unit),
            apn(unit)
        )
    };
    (1..=CARDS * ROUNDS).map(unit).collect()
}

/// Whether a card is this unit by its files, and differs from the image in their
/// room alone, holes included: each round finds the data of the one before.
fn inspect(card: &Path, image: &Path, unit: usize) -> Result<()> {
    let (boot, bytes) = boot_partition(card)?;
    let mut different = 0;
    let (card, image) = (File::open(card)?, File::open(image)?);
    let mut pieces = [vec![0; 1 << 20], vec![0; 1 << 20]];
    for at in (0..image.metadata()?.len()).step_by(1 << 20) {
        let [one, two] = &mut pieces;
        let len = (image.metadata()?.len() - at).min(1 << 20) as usize;
        image.read_exact_at(&mut one[..len], at)?;
        card.read_exact_at(&mut two[..len], at)?;
        if one[..len] != two[..len] {
            let place = at..at + (1 << 20);
            let inside = place.end > boot.start && place.start < boot.start + boot.size;
            ensure!(inside, "it differs from the image at byte {at}");
            different += one.iter().zip(&two[..len]).filter(|(one, two)| one != two).count();
        }
    }
    ensure!(different > 0 && different <= RESERVED, "{different} bytes differ from the image");
    let system = fatfs::FileSystem::new(Cursor::new(bytes), fatfs::FsOptions::new())?;
    let read = |name: &str| -> Result<toml::Table> {
        let mut text = String::new();
        system.root_dir().open_file(name)?.read_to_string(&mut text)?;
        Ok(toml::from_str(&text)?)
    };
    let (own, config) = (read("unit.toml")?, read("a7670e.toml")?);
    for (found, want) in [
        (&own["unit"]["id"], format!("{unit:02}")),
        (&own["unit"]["hostname"], hostname(unit)),
        (&config["cellular"]["apn"], apn(unit)),
    ] {
        ensure!(found.as_str() == Some(&want), "{found} instead of {want}");
    }
    Ok(())
}

fn on_record(station: &Path, fleet: &Path) -> Result<()> {
    let mut command = std::process::Command::new(station);
    let said = process::text(command.args(["report", "--form=json", "--fleet"]).arg(fleet))?;
    let lines: Vec<Value> = serde_json::from_str(&said)?;
    let mut units: Vec<_> = lines.iter().filter_map(|line| line["unit"].as_str()).collect();
    units.sort_unstable();
    let all: Vec<_> = (1..=CARDS * ROUNDS).map(|unit| format!("{unit:02}")).collect();
    ensure!(units == all, "the records have {units:?}");
    Ok(())
}

/// Boots the card beside a modem whose network knows this unit's access point
/// alone.
fn is_itself(ctx: &Context, room: &Path, card: &Path, unit: usize) -> Result<()> {
    let name = "emulator/profiles/a7670e-ecm.toml";
    let text = fs::read_to_string(ctx.path(name))?;
    let line = text.lines().find(|line| line.starts_with("apns = "));
    let line = line.with_context(|| format!("{name} has no line `apns`"))?;
    let profile: PathBuf = room.join(format!("unit{unit}.toml"));
    fs::write(&profile, text.replace(line, &format!("apns = [\"{}\"]", apn(unit))))?;
    let modem = Modem::Ours { profile: profile.display().to_string(), faults: None };
    let mut machine = boot(ctx, &options(card, Some(modem)))?;
    is_online(&mut machine)?;
    let said = machine.run("uname -n; a7670e at 'AT+CGDCONT?'", super::first_boot::DEADLINE)?;
    let said = said.text()?;
    let is = said.starts_with(&hostname(unit)) && said.contains(&format!("\"{}\"", apn(unit)));
    ensure!(is, "it is {said}");
    machine.kill()
}
