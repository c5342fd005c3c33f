//! What units report once they run, joined to their cards.
//!
//! Reports are kept one behind the other; the last of a unit counts. One that says
//! less than the last takes over what it does not say.

use a7670e_unit::Enrolment;
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::{Records, RecordsError, SHORT};

/// The columns of a report, by the names of its fields.
const FIELDS: [&str; 4] = ["imei", "iccid", "mac", "serial"];

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// It is the unit's first.
    New,
    /// It says more than the last, or other things with `replace`.
    Changed,
    /// It says nothing that was not known.
    Known,
}

/// Why a report is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// No card of these records was ever this unit.
    #[error("the unit {0:?} is on no card of these records: are they the right ones?")]
    Unknown(String),
    /// It comes from another card than the unit's.
    #[error(
        "the unit {unit:?} reports from a card with the token {token}…, which {why}: was an old \
         card put in?"
    )]
    Card {
        /// The unit.
        unit: String,
        /// Begin of the token.
        token: String,
        /// What is known of the card.
        why: String,
    },
    /// It contradicts the last.
    #[error(
        "the unit {unit:?} reported {field} {old} before, and now {new}: say --replace when it was \
         exchanged"
    )]
    Other {
        /// The unit.
        unit: String,
        /// In which field.
        field: &'static str,
        /// What was known.
        old: String,
        /// What is told now.
        new: String,
    },
    /// Another unit has this part already.
    #[error(
        "the unit {unit:?} reports {field} {value}, which is that of the unit {other:?}: say \
         --replace when it was moved"
    )]
    Twice {
        /// The unit.
        unit: String,
        /// In which field.
        field: &'static str,
        /// What is told.
        value: String,
        /// Who told so before.
        other: String,
    },
    /// The records cannot be kept.
    #[error(transparent)]
    Records(#[from] RecordsError),
}

impl From<rusqlite::Error> for EnrolError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Records(error.into())
    }
}

impl Records {
    /// Takes a unit's report, which came by `via` (such as `file`, `http`). With
    /// `replace` parts may be exchanged, and be another unit's until now, which
    /// then has none. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// The report does not fit the records, which then stay as they are.
    pub fn enrol(
        &mut self,
        report: &Enrolment,
        via: &str,
        replace: bool,
        now: i64,
    ) -> Result<Enrolled, EnrolError> {
        // As for a card that is begun: it waits for whoever else writes.
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let unit = report.unit.as_str();
        card(&change, report)?;
        let last = last(&change, unit)?;
        let told = [
            report.imei.as_ref().map(|it| it.as_str()),
            report.iccid.as_ref().map(|it| it.as_str()),
            report.mac.as_ref().map(|it| it.as_str()),
            report.serial.as_ref().map(|it| it.as_str()),
        ];
        let mut whole = last.clone().unwrap_or_default();
        for ((field, told), known) in FIELDS.into_iter().zip(told).zip(&mut whole) {
            let Some(told) = told else { continue };
            if let Some(old) = known.as_deref().filter(|old| *old != told && !replace) {
                let (unit, old, new) = (unit.to_owned(), old.to_owned(), told.to_owned());
                return Err(EnrolError::Other { unit, field, old, new });
            }
            for other in holders(&change, field, told, unit)? {
                if !replace {
                    let (unit, value) = (unit.to_owned(), told.to_owned());
                    return Err(EnrolError::Twice { unit, field, value, other });
                }
                let mut left = self::last(&change, &other)?.unwrap_or_default();
                for (name, value) in FIELDS.iter().zip(&mut left) {
                    if *name == field {
                        *value = None;
                    }
                }
                add(&change, &other, via, &left, now)?;
            }
            *known = Some(told.to_owned());
        }
        if last.as_ref() == Some(&whole) {
            return Ok(Enrolled::Known);
        }
        add(&change, unit, via, &whole, now)?;
        change.commit()?;
        Ok(if last.is_some() { Enrolled::Changed } else { Enrolled::New })
    }
}

/// In the order of [`FIELDS`].
type Parts = [Option<String>; 4];

fn last(change: &Transaction<'_>, unit: &str) -> rusqlite::Result<Option<Parts>> {
    let sql = "SELECT imei, iccid, mac, serial FROM enrolled WHERE unit = ?1";
    let parts = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]);
    change.query_row(sql, [unit], parts).optional()
}

fn add(
    change: &Transaction<'_>,
    unit: &str,
    via: &str,
    parts: &Parts,
    now: i64,
) -> rusqlite::Result<()> {
    let [imei, iccid, mac, serial] = parts;
    change.execute(
        "INSERT INTO enrolment (unit, received, via, imei, iccid, mac, serial)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![unit, now, via, imei, iccid, mac, serial],
    )?;
    Ok(())
}

/// Other units whose last report has this part.
fn holders(
    change: &Transaction<'_>,
    field: &str,
    value: &str,
    unit: &str,
) -> rusqlite::Result<Vec<String>> {
    // `field` is one of FIELDS.
    let sql = format!("SELECT unit FROM enrolled WHERE {field} = ?1 AND unit <> ?2");
    let mut query = change.prepare(&sql)?;
    let units = query.query_map([value, unit], |row| row.get(0))?;
    units.collect()
}

/// Whether the unit is on a card, and reports from that.
fn card(change: &Transaction<'_>, report: &Enrolment) -> Result<(), EnrolError> {
    let unit = report.unit.as_str();
    let known = "SELECT EXISTS (SELECT 1 FROM card WHERE unit = ?1)";
    if !change.query_row(known, [unit], |row| row.get::<_, bool>(0))? {
        return Err(EnrolError::Unknown(unit.to_owned()));
    }
    // A report may leave it out.
    let Some(token) = &report.card else { return Ok(()) };
    let token = token.as_str();
    // Of several tokens that begin so the one that fits counts.
    let sql = "SELECT unit, state FROM card WHERE substr(token, 1, length(?1)) = ?1
               ORDER BY unit = ?2 DESC, state IN ('right', 'closing') DESC, number DESC LIMIT 1";
    let line = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let why = match change.query_row(sql, [token, unit], line).optional()? {
        None => "is not in these records".to_owned(),
        Some((other, _)) if other != unit => format!("is that of the unit {other:?}"),
        Some((_, state)) if state == "right" || state == "closing" => return Ok(()),
        Some((_, state)) => format!("is of a writing that is {state}"),
    };
    let (unit, token) = (unit.to_owned(), token.chars().take(SHORT).collect());
    Err(EnrolError::Card { unit, token, why })
}

#[cfg(test)]
mod tests;
