//! The tables, and how those of an earlier version become those of this one.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::RecordsError;

/// Says that a SQLite file is ours (`PRAGMA application_id`): "a767" in ASCII.
const APPLICATION: i64 = 0x6137_3637;

/// What each version adds to the one before. How many of them a file has had is
/// its `PRAGMA user_version`; those that were ever released never change.
pub(super) const STEPS: [&str; 3] = [
    "CREATE TABLE card (
        number INTEGER PRIMARY KEY,
        unit TEXT NOT NULL,
        state TEXT NOT NULL
            CHECK (state IN ('writing', 'closing', 'right', 'failed', 'interrupted',
                             'overwritten')),
        token TEXT NOT NULL UNIQUE,
        started INTEGER NOT NULL,
        ended INTEGER,
        operator TEXT,
        target TEXT NOT NULL,
        model TEXT,
        serial TEXT,
        cid TEXT,
        size INTEGER NOT NULL,
        image TEXT NOT NULL,
        image_sha256 TEXT,
        bytes INTEGER,
        write_ms INTEGER,
        verify_ms INTEGER,
        why TEXT
    ) STRICT;
    CREATE INDEX card_unit ON card (unit, state);",
    "ALTER TABLE card ADD COLUMN keys TEXT CHECK (keys IN ('given', 'made', 'made anew'));
    ALTER TABLE card ADD COLUMN host_key TEXT;
    ALTER TABLE card ADD COLUMN wireguard_key TEXT;",
    "CREATE TABLE enrolment (
        number INTEGER PRIMARY KEY,
        unit TEXT NOT NULL,
        received INTEGER NOT NULL,
        via TEXT NOT NULL,
        imei TEXT,
        iccid TEXT,
        mac TEXT,
        serial TEXT
    ) STRICT;
    CREATE INDEX enrolment_unit ON enrolment (unit, number);
    CREATE VIEW enrolled AS SELECT * FROM enrolment AS it
        WHERE number = (SELECT max(number) FROM enrolment WHERE unit = it.unit);
    CREATE VIEW line AS
        SELECT card.*, it.received AS enrolled, it.imei AS imei, it.iccid AS iccid,
               it.mac AS mac, it.serial AS board
        FROM card LEFT JOIN enrolled AS it
            ON it.unit = card.unit AND card.state IN ('closing', 'right');",
];

/// Goes up when the tables change.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Makes the tables in an empty file.
pub(super) fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION)?;
    upgrade(connection)
}

/// Brings the tables to this version, all of it or nothing.
pub(super) fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    let change = connection.transaction()?;
    let had = usize::try_from(version(&change)?).unwrap_or(usize::MAX);
    for step in STEPS.iter().skip(had) {
        change.execute_batch(step)?;
    }
    change.pragma_update(None, "user_version", VERSION)?;
    change.commit()
}

/// A copy in memory, in this version: of records that may not be changed.
pub(super) fn copy(from: &Connection) -> rusqlite::Result<Connection> {
    /// Pages at once; records have a few hundred.
    const PAGES: i32 = 1000;
    let mut copy = Connection::open_in_memory()?;
    Backup::new(from, &mut copy)?.run_to_completion(PAGES, Duration::ZERO, None)?;
    upgrade(&mut copy)?;
    Ok(copy)
}

/// Whether nobody has put anything into the file yet.
pub(super) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// Whether the file is ours, and of a version that is known; gives that.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<i64, RecordsError> {
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != APPLICATION {
        return Err(RecordsError::Foreign(path.display().to_string()));
    }
    match version(connection)? {
        known @ 1..=VERSION => Ok(known),
        other => Err(RecordsError::Version(path.display().to_string(), other)),
    }
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
