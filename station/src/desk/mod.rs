//! A desk: writes cards as they come, for the page, the terminal and cards that
//! are put in while others are written.
//!
//! Cards that are started together share one unpacking of the image; those that
//! come later have one of their own, so that nobody waits for anybody.

pub mod check;
pub mod enrol;
pub mod hot;
pub mod look;
pub mod rate;
mod start;
pub mod state;
pub mod units;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::device::slots::Pattern;
use crate::device::{Rules, Target};
use crate::flash::Outcome;
use crate::progress::Progress;
use crate::records::RecordsError;
use crate::source::Source;
use check::{CheckError, Identity};
use rate::Rate;
use state::{CardState, FleetState, ImageState, JobState, State};
use units::{Units, lock, record};

/// So many notes are kept.
const NOTES: usize = 20;

/// What a desk is for.
pub struct Work {
    /// The image.
    pub source: Source,
    /// Files besides it that are read and must be no target.
    pub inputs: Vec<PathBuf>,
    /// The fleet, unless all cards become the same.
    pub units: Option<Units>,
    /// Targets that the user named, which may be files and fixed disks.
    pub named: Vec<PathBuf>,
    /// The user insists on large disks, of those named.
    pub yes_really: bool,
    /// Take cards that are put in later; in these slots whatever they hold.
    pub hot_add: Option<Vec<Pattern>>,
}

/// A card that somebody wants written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Device or file.
    pub path: PathBuf,
    /// The mark that it was seen with ([`CardState::mark`]).
    pub mark: String,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// A target cannot be looked at or opened.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// Some targets must not be written.
    #[error("nothing was written:\n  {}", .0.join("\n  "))]
    Refused(Vec<String>),
    /// No unit goes onto the cards.
    #[error("no unit goes onto any of these cards{}", listed(.0))]
    NoUnit(Vec<String>),
    /// A unit's files cannot be made.
    #[error("{0}")]
    Unit(String),
    /// The records cannot be kept.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The computer cannot.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

fn listed(notes: &[String]) -> String {
    notes.iter().map(|note| format!("\n  {note}")).collect()
}

/// A card that is being, or was, written.
struct Job {
    target: Target,
    identities: Vec<Identity>,
    unit: Option<String>,
    /// Its number in the records.
    line: Option<i64>,
    progress: Arc<Progress>,
    rate: Rate,
    end: Option<Result<String, String>>,
}

#[derive(Default)]
struct Inner {
    jobs: Vec<Job>,
    cards: Vec<CardState>,
    fleet: Option<FleetState>,
    history: Vec<state::Past>,
    notes: Vec<String>,
}

/// A desk at work.
pub struct Desk {
    work: Work,
    inner: Mutex<Inner>,
    /// Held while cards are being started: one after another gets its unit.
    starting: Mutex<()>,
}

impl Desk {
    /// A desk for this work, with nothing begun.
    ///
    /// # Errors
    /// The records cannot be read.
    pub fn new(work: Work) -> Result<Arc<Self>, DeskError> {
        let desk = Self { work, inner: Mutex::default(), starting: Mutex::default() };
        desk.refresh()?;
        Ok(Arc::new(desk))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked has at worst left out a line.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is for.
    #[must_use]
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// The rules for a target: large disks only where the user named them.
    fn rules(&self, named: bool) -> Rules {
        Rules { image: self.work.source.size(), yes_really: named && self.work.yes_really }
    }

    /// Tells the operator something.
    pub fn note(&self, note: String) {
        let mut inner = self.inner();
        if inner.notes.last() == Some(&note) {
            return;
        }
        inner.notes.push(note);
        let surplus = inner.notes.len().saturating_sub(NOTES);
        inner.notes.drain(..surplus);
    }

    /// Reads the records anew.
    fn refresh(&self) -> Result<(), RecordsError> {
        let Some(units) = &self.work.units else { return Ok(()) };
        // Held until it is kept: of two who read the later would else be undone.
        let records = lock(&units.records);
        let left = units::left(units.units.iter(), &records)?;
        let fleet = FleetState { units: units.units.len(), left };
        let history = state::history(&records.all()?);
        let mut inner = self.inner();
        inner.fleet = Some(fleet);
        inner.history = history;
        Ok(())
    }

    /// Reads the records anew, while cards are being written.
    fn reread(&self) {
        if let Err(error) = self.refresh() {
            self.note(format!("the records cannot be read: {error}"));
        }
    }

    /// What is to be shown at `now`.
    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        let source = &self.work.source;
        let mut inner = self.inner();
        let jobs = inner.jobs.iter_mut().enumerate().map(|(number, job)| job.state(number, now));
        let jobs = jobs.collect();
        State {
            image: ImageState {
                name: source.path().file_name().unwrap_or_default().to_string_lossy().into(),
                size: source.size(),
                signed: source.checks().signature.is_some(),
            },
            fleet: inner.fleet.clone(),
            cards: inner.cards.clone(),
            jobs,
            history: inner.history.clone(),
            hot_add: self
                .work
                .hot_add
                .as_ref()
                .map(|slots| slots.iter().map(ToString::to_string).collect()),
            notes: inner.notes.clone(),
        }
    }

    /// How many cards are being written, are right, and are not.
    #[must_use]
    pub fn count(&self) -> [usize; 3] {
        let inner = self.inner();
        let count = |wanted: fn(&Job) -> bool| inner.jobs.iter().filter(|it| wanted(it)).count();
        [
            count(|job| job.end.is_none()),
            count(|job| matches!(job.end, Some(Ok(_)))),
            count(|job| matches!(job.end, Some(Err(_)))),
        ]
    }

    /// What is being written now.
    fn busy(&self) -> (BTreeSet<Identity>, BTreeSet<String>) {
        let inner = self.inner();
        let busy = || inner.jobs.iter().filter(|job| job.end.is_none());
        (
            busy().flat_map(|job| job.identities.iter().copied()).collect(),
            busy().filter_map(|job| job.unit.clone()).collect(),
        )
    }

    /// Takes down what became of a card.
    fn ended(&self, number: usize, outcome: &Outcome) {
        let line = self.inner().jobs[number].line;
        let mut end = match outcome {
            Ok(it) => Ok(format!(
                "{:.1} s written, {:.1} s read back",
                it.writing.as_secs_f64(),
                it.verifying.as_secs_f64()
            )),
            Err(error) => Err(error.to_string()),
        };
        if let (Some(units), Some(line)) = (&self.work.units, line) {
            if let Err(error) = record(&lock(&units.records), line, outcome) {
                end = Err(format!("its end could not be recorded, its unit is unclear: {error}"));
            }
        }
        // Who sees that it is over sees what that makes of the fleet, too.
        self.reread();
        self.inner().jobs[number].end = Some(end);
    }
}

impl Job {
    fn state(&mut self, number: usize, now: Instant) -> JobState {
        let (phase, done, total) = self.progress.get();
        let phase = match &self.end {
            Some(Ok(_)) => crate::progress::Phase::Done,
            Some(Err(_)) => crate::progress::Phase::Failed,
            // Its end is being recorded.
            None => phase,
        };
        let speed = self.end.is_none().then(|| self.rate.sample(now, phase, done)).flatten();
        JobState {
            number: number + 1,
            path: self.target.path.display().to_string(),
            unit: self.unit.clone(),
            phase,
            done,
            total,
            speed,
            remaining: rate::remaining(done, total, speed),
            end: self.end.as_ref().map(|end| match end {
                Ok(text) | Err(text) => text.clone(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
