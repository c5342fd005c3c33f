//! The units that a desk gives to cards, and how each card's steps come into
//! the records.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::boot::Place;
use crate::flash::Outcome;
use crate::fleet::{Unit, render};
use crate::keys::Public;
use crate::provision::{Candidate, Plan, assign};
use crate::records::{Card, Records, RecordsError, Standing};
use crate::write::{CardError, Notes, Patch};

/// Records that several cards' threads write to.
pub type Shared = Arc<Mutex<Records>>;

/// The records for oneself alone.
pub fn lock(records: &Shared) -> MutexGuard<'_, Records> {
    // SQLite's own transactions keep the file whole.
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A fleet at work.
pub struct Units {
    /// Its units, in order.
    pub units: Vec<Unit>,
    /// Where the image has their files.
    pub places: Vec<Place>,
    /// Which of them is on which card.
    pub records: Shared,
    /// The file of the records.
    pub path: PathBuf,
    /// Who is at the desk.
    pub operator: Option<String>,
}

impl Units {
    /// Which unit goes onto which card, without those in `busy`, which are
    /// being written; `held` has for each card the line that its token leads to.
    ///
    /// # Errors
    /// The records cannot be read.
    pub fn plan(
        &self,
        held: &[Option<Card>],
        busy: &BTreeSet<String>,
    ) -> Result<(Plan, Vec<&Unit>), RecordsError> {
        let records = lock(&self.records);
        let free: Vec<_> =
            self.units.iter().filter(|unit| !busy.contains(unit.id.as_str())).collect();
        let mut candidates = Vec::new();
        for unit in &free {
            let id = unit.id.as_str();
            candidates.push(Candidate { id, standing: records.standing(id)? });
        }
        Ok((assign(&candidates, held, false, false), free))
    }
}

/// How many of the units no card has for certain.
///
/// # Errors
/// The records cannot be read.
pub fn left<'a>(
    units: impl Iterator<Item = &'a Unit>,
    records: &Records,
) -> Result<usize, RecordsError> {
    let mut left = 0;
    for unit in units {
        left += usize::from(!matches!(records.standing(unit.id.as_str())?, Standing::Right(_)));
    }
    Ok(left)
}

/// The unit's own bytes of the image, and what may be known of its keys.
///
/// # Errors
/// A secret cannot be had, or it does not fit; in a sentence.
pub fn patches(unit: &Unit, token: &str, places: &[Place]) -> Result<(Vec<Patch>, Public), String> {
    let about = |error: String| format!("unit {}: {error}", unit.id.as_str());
    let files = render::render(unit, token).map_err(about)?;
    let mut patches = Vec::new();
    for ((name, text), place) in render::NAMES.iter().zip(&files.texts).zip(places) {
        let bytes = render::padded(name, text, place.len).map_err(about)?;
        patches.push(Patch { offset: place.offset, bytes });
    }
    Ok((patches, files.keys))
}

/// What the operator is to know when a card is begun whose unit had other keys.
#[must_use]
pub fn new_keys(unit: &str) -> String {
    format!("unit {unit} gets new keys: those of its card before count no longer")
}

/// Puts a card's steps into the records.
pub struct Line {
    /// The records.
    pub records: Shared,
    /// The card's number in them.
    pub number: i64,
    /// The token that the card had until now.
    pub old: Option<String>,
}

impl Notes for Line {
    fn beheaded(&mut self) -> Result<(), String> {
        let done = lock(&self.records).beheaded(self.number, self.old.as_deref());
        done.map_err(|it| it.to_string())
    }

    fn closing(&mut self) -> Result<(), String> {
        lock(&self.records).closing(self.number).map_err(|it| it.to_string())
    }
}

/// Records what became of a card.
///
/// # Errors
/// The records cannot be written; the unit counts as unclear.
pub fn record(records: &Records, number: i64, outcome: &Outcome) -> Result<(), RecordsError> {
    match outcome {
        Ok(written) => records.right(number, written, now()),
        Err(error) => {
            let boots = matches!(error, CardError::Unclear(_) | CardError::Thread);
            records.failed(number, &error.to_string(), boots, now())
        }
    }
}
