//! `station provision`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;

use super::flash::{Image, Targets};
use super::hot::{self, Hot, Idle};
use super::show;
use crate::boot::{Place, places};
use crate::card::Device;
use crate::desk::Work;
use crate::desk::check::{open, still};
use crate::desk::units::{Line, Shared, Units, left, lock, new_keys, now, patches, record};
use crate::device::Target;
use crate::flash::{Order, flash};
use crate::fleet::{Fleet, Unit, render};
use crate::progress::Progress;
use crate::provision::{Candidate, Plan, assign, read_token, token};
use crate::records::{Card, Records, Start};
use crate::source::Source;

/// What is written where, and who the cards become.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    image: Image,
    /// The units: TOML, or CSV when it is called so.
    #[arg(long, value_name = "FILE")]
    fleet: PathBuf,
    /// Write these units only, in this order.
    #[arg(long = "unit", value_name = "ID")]
    units: Vec<String>,
    /// Write the named units even if they are on a card already, and over cards
    /// that are done.
    #[arg(long, requires = "units", conflicts_with = "hot_add")]
    again: bool,
    /// Where it is recorded which unit is on which card [default: beside the
    /// fleet's file].
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// Who is at the desk, for the records.
    #[arg(long, value_name = "NAME", env = "SUDO_USER")]
    operator: Option<String>,
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    hot: Hot,
    #[command(flatten)]
    idle: Idle,
}

/// The records of a fleet, when no others are named.
pub fn records_of(fleet: &Path) -> PathBuf {
    fleet.with_extension("records.sqlite")
}

/// A card and what was on it until now.
struct Seat {
    target: Target,
    device: Device,
    held: Option<Card>,
}

/// Runs the command; gives whether every card that was to be written is right.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let fleet = Fleet::load(&arguments.fleet)?;
    let units = chosen(&fleet, &arguments.units)?;
    let source = arguments.image.open()?;
    show::source(&source);
    let places = places(&source, &render::NAMES)?;
    let path = arguments.records.clone().unwrap_or_else(|| records_of(&arguments.fleet));
    let mut inputs = fleet.files.clone();
    inputs.extend([arguments.fleet.clone(), path.clone()]);
    let targets = arguments.targets.look(&source, &inputs)?;
    let opened =
        if arguments.targets.dry_run { Records::preview(&path) } else { Records::open(&path) };
    let records: Shared = Arc::new(Mutex::new(opened?));
    if let Some(slots) = arguments.hot.slots() {
        if arguments.targets.dry_run {
            say!("nothing was written: this is a dry run");
            return Ok(true);
        }
        arguments.targets.confirm(&targets)?;
        let units = units.into_iter().cloned().collect();
        let operator = arguments.operator.clone();
        let work = Work {
            source,
            inputs,
            units: Some(Units { units, places, records, path, operator }),
            named: arguments.targets.paths.clone(),
            yes_really: arguments.targets.yes_really,
            hot_add: Some(slots),
        };
        return hot::run(work, &targets, arguments.targets.json, &arguments.idle);
    }
    let mut seats = Vec::new();
    for target in targets {
        let mut device = open(&target)?;
        let held = match read_token(&mut device, places[1]) {
            Some(token) => lock(&records).by_token(&token)?,
            None => None,
        };
        seats.push(Seat { target, device, held });
    }
    let plan = plan(arguments, &units, &records, &seats)?;
    for note in &plan.notes {
        say!("note: {note}");
    }
    for (card, unit) in &plan.pairs {
        say!("  {}  becomes  {}", seats[*card].target.path.display(), units[*unit].id.as_str());
    }
    if plan.pairs.is_empty() {
        bail!("no unit goes onto any of these cards");
    }
    if arguments.targets.dry_run {
        say!("nothing was written: this is a dry run");
        return Ok(true);
    }
    let chosen: Vec<_> = plan.pairs.iter().map(|(card, _)| seats[*card].target.clone()).collect();
    arguments.targets.confirm(&chosen)?;
    chosen.iter().try_for_each(still)?;
    write(arguments, &source, &places, &units, seats, &plan, &records)
}

/// The units that are meant, in order.
pub fn chosen<'a>(fleet: &'a Fleet, ids: &[String]) -> Result<Vec<&'a Unit>> {
    if ids.is_empty() {
        return Ok(fleet.units.iter().collect());
    }
    ids.iter()
        .enumerate()
        .map(|(number, id)| {
            if ids[..number].contains(id) {
                bail!("the unit {id:?} is named twice");
            }
            let unit = fleet.units.iter().find(|unit| unit.id.as_str() == id);
            unit.ok_or_else(|| anyhow!("the fleet has no unit {id:?}"))
        })
        .collect()
}

fn plan(arguments: &Arguments, units: &[&Unit], records: &Shared, seats: &[Seat]) -> Result<Plan> {
    let records = lock(records);
    let mut candidates = Vec::new();
    for unit in units {
        let id = unit.id.as_str();
        candidates.push(Candidate { id, standing: records.standing(id)? });
    }
    let holds: Vec<_> = seats.iter().map(|seat| seat.held.clone()).collect();
    Ok(assign(&candidates, &holds, !arguments.units.is_empty(), arguments.again))
}

#[allow(clippy::too_many_arguments, reason = "they are the run's whole state, used once")]
fn write(
    arguments: &Arguments,
    source: &Source,
    places: &[Place],
    units: &[&Unit],
    seats: Vec<Seat>,
    plan: &Plan,
    records: &Shared,
) -> Result<bool> {
    // All secrets first: a card must not wait half-written for one.
    let mut prepared = Vec::new();
    for (_, unit) in &plan.pairs {
        let token = token().context("no token for the card")?;
        let own = patches(units[*unit], &token, places).map_err(anyhow::Error::msg)?;
        prepared.push((own, token));
    }
    let image = source.path().file_name().unwrap_or_default().to_string_lossy();
    let mut seats: Vec<_> = seats.into_iter().map(Some).collect();
    let mut orders = Vec::new();
    let mut labels = Vec::new();
    let mut numbers = Vec::new();
    for ((card, unit), ((patches, keys), token)) in plan.pairs.iter().zip(prepared) {
        let unit = units[*unit];
        let seat = seats[*card].take().context("a card was given two units")?;
        let Seat { target, device, held } = seat;
        let old = held.map(|line| line.token);
        let number = lock(records).start(Start {
            unit: unit.id.as_str(),
            token: &token,
            old: old.as_deref(),
            target: &target,
            image: &image,
            operator: arguments.operator.as_deref(),
            keys: &keys,
            now: now(),
        })?;
        if lock(records).by_token(&token)?.is_some_and(|it| it.has_new_keys()) {
            say!("note: {}", new_keys(unit.id.as_str()));
        }
        let progress = Arc::new(Progress::default());
        labels.push((format!("{} {}", target.path.display(), unit.id.as_str()), progress.clone()));
        orders.push(Order {
            card: Box::new(device),
            patches,
            progress,
            notes: Box::new(Line { records: records.clone(), number, old }),
        });
        numbers.push(number);
    }
    let mut right = 0;
    let mut trouble: Result<()> = Ok(());
    let screen = show::Screen::new(labels, arguments.targets.json);
    screen.during(|screen| {
        flash(source, orders, |card, outcome| {
            match record(&lock(records), numbers[card], &outcome) {
                Ok(()) if outcome.is_ok() => right += 1,
                Ok(()) => {}
                Err(error) => trouble = Err(error.into()),
            }
            screen.outcome(card, &outcome);
        });
    });
    trouble.context("a card's end could not be recorded; its unit counts as unclear")?;
    say!(
        "{right} of {} right; {} units are left",
        numbers.len(),
        left(units.iter().copied(), &lock(records))?
    );
    Ok(right == numbers.len())
}
