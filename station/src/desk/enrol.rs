//! Takes units' reports while the desk is open: its records are nobody else's
//! then.

use a7670e_unit::Enrolment;

use super::Desk;
use super::units::{lock, now};
use crate::records::EnrolError;

/// Digits of a card's whole token; a report by text message has less.
const WHOLE: usize = 32;

/// Why a report is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// This desk has no fleet.
    #[error("this desk keeps no records: it was opened without --fleet")]
    NoRecords,
    /// A stranger's, or a mistake; who says so little is not told which.
    #[error("the report of {0:?} does not come from its card by these records")]
    Stranger(String),
    /// It does not fit what is known.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
}

impl Desk {
    /// Takes reports; gives the units. `trusted` are those whom the operator let
    /// in; all others have to know their card's whole token.
    ///
    /// # Errors
    /// The first that is not taken. Those before it are.
    pub fn enrol(&self, reports: &[Enrolment], trusted: bool) -> Result<Vec<String>, ReportError> {
        let units = self.work.units.as_ref().ok_or(ReportError::NoRecords)?;
        let mut taken = Vec::new();
        for report in reports {
            let unit = report.unit.as_str().to_owned();
            let whole = report.card.as_ref().is_some_and(|it| it.as_str().len() == WHOLE);
            if !trusted && !whole {
                return Err(ReportError::Stranger(unit));
            }
            // What was exchanged is for the operator to say, with `station enrol`.
            match lock(&units.records).enrol(report, "http", false, now()) {
                Ok(_) => {}
                Err(EnrolError::Unknown(_) | EnrolError::Card { .. }) if !trusted => {
                    return Err(ReportError::Stranger(unit));
                }
                Err(error) => return Err(error.into()),
            }
            self.note(format!("unit {unit} has reported"));
            taken.push(unit);
        }
        Ok(taken)
    }
}
