//! Which unit went onto which card: a SQLite file, and the rules by which no
//! unit is written twice, whatever is interrupted when.
//!
//! A card's line is `writing` until all but its first block is verified, then
//! `closing` while the first block is written, then `right`. Before `closing` a
//! card does not boot, so its unit is free again after an interruption. While
//! `closing` it may: such a unit goes onto that very card again, which is known
//! by a token that only it has, or nowhere.
//!
//! A card that is written once more has an older line too. That becomes
//! `closing` before the card is touched, and `overwritten` when its first block
//! is gone for certain.

mod enrol;
mod file;
mod schema;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub use enrol::{EnrolError, Enrolled};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};
use serde::{Serialize, Serializer};

use crate::device::Target;
use crate::keys::Public;
use crate::write::Written;

/// Digits of a token that anybody may see; a unit's text message has as many.
const SHORT: usize = 8;

/// Why records cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// The file cannot be opened.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody else writes cards by these records.
    #[error("{}: another station is writing cards by these records: wait for it", .0.display())]
    Busy(PathBuf),
    /// The file is somebody else's.
    #[error("{0}: no records of a station: name another file with --records")]
    Foreign(String),
    /// The file is of a later version of this program.
    #[error("{0}: its version is {1}, this program knows {known}: update it", known = schema::VERSION)]
    Version(String, i64),
    /// The file is open to others, and belongs to one of them.
    #[error(
        "{}: others may read it, and its owner alone can change that ({error}): `chmod 600` it",
        path.display()
    )]
    Shared {
        /// The file.
        path: PathBuf,
        /// Why it stays so.
        error: io::Error,
    },
    /// A crash left something half-written, and it may only be read here.
    #[error(
        "{}: a desk was cut off while it wrote here, and what it left can be taken back only by \
         who may write here: ask once more as its owner or root", .0.display()
    )]
    Cut(PathBuf),
    /// A card is being given the unit already.
    #[error("the unit {0:?} is being written to another card")]
    Writing(String),
    /// SQLite refuses.
    #[error("the records: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// What the records say of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No card has it.
    Free,
    /// A card has it.
    Right(Card),
    /// A card may have it: its writing was cut short at the very end.
    Unclear(Card),
}

/// A line of the records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Card {
    /// Counts from 1.
    pub number: i64,
    /// The unit's id.
    pub unit: String,
    /// `writing`, `closing`, `right`, `failed`, `interrupted`, `overwritten`.
    pub state: String,
    /// Stands on this card only. Who knows it may report as the unit, so others
    /// are shown its first digits, as a text message of the unit's has them.
    #[serde(serialize_with = "shortened")]
    pub token: String,
    /// Seconds since 1970.
    pub started: i64,
    /// Seconds since 1970.
    pub ended: Option<i64>,
    /// Who wrote it.
    pub operator: Option<String>,
    /// Path of the device.
    pub target: String,
    /// The card's or its reader's model.
    pub model: Option<String>,
    /// The card's or its reader's serial number.
    pub serial: Option<String>,
    /// The card's identification register.
    pub cid: Option<String>,
    /// Bytes of the card.
    pub size: i64,
    /// Name of the image's file.
    pub image: String,
    /// SHA-256 of the unpacked image.
    pub image_sha256: Option<String>,
    /// Bytes written and read back.
    pub bytes: Option<i64>,
    /// How long writing took.
    pub write_ms: Option<i64>,
    /// How long reading back took.
    pub verify_ms: Option<i64>,
    /// Why it is not right.
    pub why: Option<String>,
    /// Where the unit's own keys are from: `given`, `made` for this card, or
    /// `made anew`, where an earlier card of the unit has others.
    pub keys: Option<String>,
    /// By which its SSH server is known: a line of `known_hosts`.
    pub host_key: Option<String>,
    /// Public half of its tunnel's key.
    pub wireguard_key: Option<String>,
    /// When the unit reported the rest, in seconds since 1970.
    pub enrolled: Option<i64>,
    /// Its modem's number.
    pub imei: Option<String>,
    /// Its SIM's number.
    pub iccid: Option<String>,
    /// Its Ethernet address.
    pub mac: Option<String>,
    /// Its board's serial number.
    pub board: Option<String>,
}

fn shortened<S: Serializer>(token: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(token.get(..SHORT).unwrap_or(token))
}

impl Card {
    /// Whether an earlier card of the unit has other keys.
    #[must_use]
    pub fn has_new_keys(&self) -> bool {
        self.keys.as_deref() == Some("made anew")
    }
}

/// What is known of a card before it is written.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The unit's id.
    pub unit: &'a str,
    /// Stands on this card only.
    pub token: &'a str,
    /// The token that the card has from an earlier writing.
    pub old: Option<&'a str>,
    /// The card.
    pub target: &'a Target,
    /// The image's file.
    pub image: &'a str,
    /// Who writes it.
    pub operator: Option<&'a str>,
    /// What may be known of the unit's keys.
    pub keys: &'a Public,
    /// Seconds since 1970.
    pub now: i64,
}

/// The records of a fleet. While one is open for writing nobody else's is.
#[derive(Debug)]
pub struct Records {
    connection: Connection,
    _lock: Option<File>,
}

impl Records {
    /// Opens the records for writing; makes them when there are none. What an
    /// earlier run left unfinished is marked as interrupted.
    ///
    /// # Errors
    /// The file cannot be used, or somebody else is using it.
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        let lock = file::lock(path)?;
        file::make(path)?;
        let mut connection = Connection::open(path)?;
        // A line that is committed has to outlast a power cut. FULL leaves out
        // the folder: the journal, deleted to commit, may come back and undo
        // the line (SQLite, "PRAGMA synchronous").
        connection.pragma_update(None, "synchronous", "EXTRA")?;
        if schema::is_empty(&connection)? {
            schema::make(&mut connection)?;
        }
        let version = schema::check(&connection, path)?;
        file::close(path)?;
        if version < schema::VERSION {
            schema::upgrade(&mut connection)?;
        }
        connection.execute("UPDATE card SET state = 'interrupted' WHERE state = 'writing'", [])?;
        Ok(Self { connection, _lock: Some(lock) })
    }

    /// Opens the records for reading, while another may write them. Changes nothing
    /// but what a crash left half-written, which is taken back.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub fn view(path: &Path) -> Result<Self, RecordsError> {
        let connection = file::look(path)?;
        // Somebody was cut off before anything was in it.
        if schema::is_empty(&connection)? {
            return Self::none();
        }
        let current = schema::check(&connection, path)? == schema::VERSION;
        let connection = if current { connection } else { schema::copy(&connection)? };
        Ok(Self { connection, _lock: None })
    }

    /// Opens the records for [`Records::enrol`] alone, while another may write
    /// cards by them.
    ///
    /// # Errors
    /// There are none, or they cannot be used.
    pub fn reports(path: &Path) -> Result<Self, RecordsError> {
        file::readable(path)?;
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if schema::check(&connection, path)? < schema::VERSION {
            // That nobody else may do meanwhile.
            return Self::open(path);
        }
        file::close(path)?;
        connection.pragma_update(None, "synchronous", "EXTRA")?;
        Ok(Self { connection, _lock: None })
    }

    /// The records as [`Records::open`] would find them, for reading as by
    /// [`Records::view`]; makes no file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn preview(path: &Path) -> Result<Self, RecordsError> {
        if path.exists() { Self::view(path) } else { Self::none() }
    }

    /// Records of nothing, in memory.
    fn none() -> Result<Self, RecordsError> {
        let mut connection = Connection::open_in_memory()?;
        schema::make(&mut connection)?;
        Ok(Self { connection, _lock: None })
    }

    /// Whether a card has the unit.
    ///
    /// # Errors
    /// SQLite's.
    pub fn standing(&self, unit: &str) -> Result<Standing, RecordsError> {
        let last = |state: &str| {
            self.connection
                .query_row(
                    "SELECT * FROM line WHERE unit = ?1 AND state = ?2 ORDER BY number DESC LIMIT 1",
                    params![unit, state],
                    card,
                )
                .optional()
        };
        if let Some(card) = last("closing")? {
            return Ok(Standing::Unclear(card));
        }
        Ok(last("right")?.map_or(Standing::Free, Standing::Right))
    }

    /// Notes that a card is about to be written; gives its number. What was on
    /// it until now may or may not boot from now on.
    ///
    /// # Errors
    /// A card of this run is being given the unit already; SQLite's.
    pub fn start(&mut self, it: Start<'_>) -> Result<i64, RecordsError> {
        // Reports may come in meanwhile. A transaction that reads before it writes
        // would be refused at once instead of waiting for them.
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Those of earlier runs are `interrupted` since the records were opened.
        let writing = "SELECT EXISTS (SELECT 1 FROM card WHERE unit = ?1 AND state = 'writing')";
        if change.query_row(writing, [it.unit], |row| row.get(0))? {
            return Err(RecordsError::Writing(it.unit.to_owned()));
        }
        if let Some(old) = it.old {
            let unclear = "UPDATE card SET state = 'closing' WHERE token = ?1 AND state = 'right'";
            change.execute(unclear, [old])?;
        }
        // A card that was never closed was never anybody.
        let before = "SELECT EXISTS (SELECT 1 FROM card WHERE unit = ?1
                          AND (host_key IS NOT NULL OR wireguard_key IS NOT NULL)
                          AND (state IN ('right', 'closing', 'overwritten') OR keys = 'made anew'))";
        let before: bool = change.query_row(before, [it.unit], |row| row.get(0))?;
        let keys = match (it.keys.made, before) {
            (true, true) => Some("made anew"),
            (true, false) => Some("made"),
            (false, _) if it.keys.host_key.is_some() || it.keys.wireguard_key.is_some() => {
                Some("given")
            }
            (false, _) => None,
        };
        change.execute(
            "INSERT INTO card (unit, state, token, started, operator, target, model, serial, cid,
                               size, image, keys, host_key, wireguard_key)
             VALUES (?1, 'writing', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                it.unit,
                it.token,
                it.now,
                it.operator,
                it.target.path.display().to_string(),
                it.target.model,
                it.target.serial,
                it.target.cid,
                i64::try_from(it.target.size).unwrap_or(i64::MAX),
                it.image,
                keys,
                it.keys.host_key,
                it.keys.wireguard_key,
            ],
        )?;
        let number = change.last_insert_rowid();
        change.commit()?;
        Ok(number)
    }

    /// Notes that the card does not boot any more, so that nothing is left of
    /// what the token `old` stood for. Other cards that may have the unit are
    /// taken as overruled: the user has asked for that.
    ///
    /// # Errors
    /// SQLite's.
    pub fn beheaded(&mut self, number: i64, old: Option<&str>) -> Result<(), RecordsError> {
        let change = self.connection.transaction()?;
        change.execute(
            "UPDATE card SET state = 'overwritten' WHERE token = ?1 AND state = 'closing'",
            [old],
        )?;
        change.execute(
            "UPDATE card SET state = 'interrupted' WHERE state = 'closing'
             AND unit = (SELECT unit FROM card WHERE number = ?1)",
            [number],
        )?;
        change.commit()?;
        Ok(())
    }

    /// Notes that the card may boot from now on.
    ///
    /// # Errors
    /// SQLite's; then the card must not be closed.
    pub fn closing(&self, number: i64) -> Result<(), RecordsError> {
        self.set(number, "closing", "state = 'writing'")
    }

    fn set(&self, number: i64, state: &str, from: &str) -> Result<(), RecordsError> {
        let sql = format!("UPDATE card SET state = ?1 WHERE number = ?2 AND {from}");
        match self.connection.execute(&sql, params![state, number])? {
            1 => Ok(()),
            _ => Err(rusqlite::Error::QueryReturnedNoRows.into()),
        }
    }

    /// Notes that the card is right.
    ///
    /// # Errors
    /// SQLite's.
    pub fn right(&self, number: i64, it: &Written, now: i64) -> Result<(), RecordsError> {
        let millis =
            |time: std::time::Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.connection.execute(
            "UPDATE card SET state = 'right', ended = ?2, image_sha256 = ?3, bytes = ?4,
                             write_ms = ?5, verify_ms = ?6
             WHERE number = ?1",
            params![
                number,
                now,
                it.whole.sha256,
                i64::try_from(it.bytes).unwrap_or(i64::MAX),
                millis(it.writing),
                millis(it.verifying),
            ],
        )?;
        Ok(())
    }

    /// Notes that the card is not right; when it may boot all the same its
    /// unit stays unclear.
    ///
    /// # Errors
    /// SQLite's.
    pub fn failed(
        &self,
        number: i64,
        why: &str,
        boots: bool,
        now: i64,
    ) -> Result<(), RecordsError> {
        let state = if boots { "closing" } else { "failed" };
        self.connection.execute(
            "UPDATE card SET state = ?2, ended = ?3, why = ?4 WHERE number = ?1",
            params![number, state, now, why],
        )?;
        Ok(())
    }

    /// The line of the card with this token.
    ///
    /// # Errors
    /// SQLite's.
    pub fn by_token(&self, token: &str) -> Result<Option<Card>, RecordsError> {
        let sql = "SELECT * FROM line WHERE token = ?1";
        Ok(self.connection.query_row(sql, [token], card).optional()?)
    }

    /// All lines, the oldest first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn all(&self) -> Result<Vec<Card>, RecordsError> {
        let mut query = self.connection.prepare("SELECT * FROM line ORDER BY number")?;
        let cards = query.query_map([], card)?.collect::<Result<_, _>>()?;
        Ok(cards)
    }
}

fn card(row: &Row<'_>) -> rusqlite::Result<Card> {
    Ok(Card {
        number: row.get("number")?,
        unit: row.get("unit")?,
        state: row.get("state")?,
        token: row.get("token")?,
        started: row.get("started")?,
        ended: row.get("ended")?,
        operator: row.get("operator")?,
        target: row.get("target")?,
        model: row.get("model")?,
        serial: row.get("serial")?,
        cid: row.get("cid")?,
        size: row.get("size")?,
        image: row.get("image")?,
        image_sha256: row.get("image_sha256")?,
        bytes: row.get("bytes")?,
        write_ms: row.get("write_ms")?,
        verify_ms: row.get("verify_ms")?,
        why: row.get("why")?,
        keys: row.get("keys")?,
        host_key: row.get("host_key")?,
        wireguard_key: row.get("wireguard_key")?,
        enrolled: row.get("enrolled")?,
        imei: row.get("imei")?,
        iccid: row.get("iccid")?,
        mac: row.get("mac")?,
        board: row.get("board")?,
    })
}

#[cfg(test)]
mod tests;
