//! The records as files: who may read them, and what a crash leaves of them.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, ffi};
use rustix::fs::{Access, FlockOperation, access, flock};

use super::{RecordsError, schema};

/// The owner's alone: the cards' tokens are in the records, and who knows a token
/// may report as that unit.
const MODE: u32 = 0o600;

/// What SQLite puts beside a file, by ending (SQLite, "Temporary Files Used By
/// SQLite"). It makes them with the file's own mode.
const BESIDE: [&str; 4] = ["", "-journal", "-wal", "-shm"];

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn io(path: &Path) -> impl FnOnce(io::Error) -> RecordsError {
    let path = path.to_owned();
    move |error| RecordsError::Io { path, error }
}

/// Makes sure that nobody else writes cards by these records, as long as the
/// file is kept open.
pub(super) fn lock(path: &Path) -> Result<File, RecordsError> {
    let name = with(path, ".lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(MODE)
        .open(&name)
        .map_err(io(&name))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| RecordsError::Busy(path.to_owned()))?;
    Ok(lock)
}

/// Makes an empty file where there is none.
pub(super) fn make(path: &Path) -> Result<(), RecordsError> {
    match File::options().create_new(true).write(true).mode(MODE).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(io(path)(error)),
        _ => Ok(()),
    }
}

/// Takes away what others may do with the files, which are known to be ours.
pub(super) fn close(path: &Path) -> Result<(), RecordsError> {
    // By name: closing a file would undo SQLite's locks on it (SQLite, "How To
    // Corrupt An SQLite Database File", section 2.2).
    for name in BESIDE.map(|ending| with(path, ending)) {
        match fs::metadata(&name) {
            Ok(meta) if meta.permissions().mode() & 0o077 == 0 => {}
            Ok(_) => fs::set_permissions(&name, Permissions::from_mode(MODE))
                .map_err(|error| RecordsError::Shared { path: name.clone(), error })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(&name)(error)),
        }
    }
    Ok(())
}

/// Whether the file is there, and can be read: SQLite would not say why not.
pub(super) fn readable(path: &Path) -> Result<(), RecordsError> {
    access(path, Access::READ_OK).map_err(|error| io(path)(error.into()))
}

/// Opens the file for reading. What a crash left half-written is taken back for
/// that, as the next who writes would do.
pub(super) fn look(path: &Path) -> Result<Connection, RecordsError> {
    readable(path)?;
    let open = |flags| -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        // Now it looks whether there is anything to take back.
        schema::is_empty(&connection)?;
        Ok(connection)
    };
    match open(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        Err(error) if is_cut(&error) => {}
        other => return Ok(other?),
    }
    // Where it may not be written SQLite opens it for reading all the same.
    open(OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| {
        if is_cut(&error) { RecordsError::Cut(path.to_owned()) } else { error.into() }
    })?;
    Ok(open(OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

/// Whether the file waits for somebody who may write to it.
fn is_cut(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|it| it.extended_code == ffi::SQLITE_READONLY_ROLLBACK)
}

#[cfg(test)]
mod tests;
