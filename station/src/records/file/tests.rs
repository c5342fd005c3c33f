//! Tests of the records' files.

use super::*;
use crate::records::Records;
use crate::records::tests::{new, start};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn nobody_but_the_owner_reads_the_records() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    let mut records = Records::open(&path).unwrap();
    start(&mut records, "1", "a", None);
    assert_eq!([&path, &with(&path, ".lock")].map(|it| mode(it)), [0o600; 2]);
    // While a change is under way its journal is there, and has old lines.
    records.connection.execute_batch("BEGIN; DELETE FROM card").unwrap();
    assert_eq!(mode(&with(&path, "-journal")), 0o600);
    records.connection.execute_batch("ROLLBACK").unwrap();
    drop(records);

    // As an earlier version made it, with what SQLite may put beside.
    for open in [Records::open, Records::reports] {
        open_to_all(&path);
        drop(open(&path).unwrap());
        assert_eq!(mode(&path), 0o600);
    }
    for ending in BESIDE {
        fs::write(with(&path, ending), "").unwrap();
        open_to_all(&with(&path, ending));
    }
    close(&path).unwrap();
    assert_eq!(BESIDE.map(|ending| mode(&with(&path, ending))), [0o600; 4]);

    // Somebody else's stays as it is.
    let other = dir.path().join("places.sqlite");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE place (id)").unwrap();
    open_to_all(&other);
    assert!(matches!(Records::open(&other), Err(RecordsError::Foreign(_))));
    assert!(matches!(Records::reports(&other), Err(RecordsError::Foreign(_))));
    assert_eq!(mode(&other), 0o644);
}

/// A copy of records, as a crash leaves them: a change is half-written, and its
/// journal has what was there before.
fn cut(dir: &tempfile::TempDir) -> PathBuf {
    let mut records = new(dir);
    start(&mut records, "1", "a", None);
    let connection = &records.connection;
    connection
        .execute_batch(
            "PRAGMA cache_size = 1; BEGIN; UPDATE card SET unit = '2';
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
             INSERT INTO enrolment (unit, received, via, serial)
             SELECT '2', i, 'file', hex(zeroblob(500)) FROM n",
        )
        .unwrap();
    let (path, copy) = (dir.path().join("records"), dir.path().join("copy"));
    for ending in ["", "-journal"] {
        fs::copy(with(&path, ending), with(&copy, ending)).unwrap();
    }
    copy
}

#[test]
fn what_a_crash_left_half_written_is_taken_back_to_look() {
    for look in [Records::view, Records::preview] {
        let dir = tempfile::tempdir().unwrap();
        let path = cut(&dir);
        // Else nothing would be tried here.
        let plain = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        assert!(is_cut(&schema::is_empty(&plain).unwrap_err()));
        drop(plain);
        let cards = look(&path).unwrap().all().unwrap();
        let units: Vec<_> = cards.iter().map(|card| (card.unit.as_str(), card.enrolled)).collect();
        assert_eq!(units, [("1", None)]);
        assert!(!with(&path, "-journal").exists());
    }
}

#[test]
fn records_that_a_crash_left_empty_are_those_of_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    make(&path).unwrap();
    assert_eq!(Records::view(&path).unwrap().all().unwrap(), []);
    assert!(fs::read(&path).unwrap().is_empty());
}
