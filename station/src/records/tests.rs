//! Tests of the records.

use std::time::Duration;

use super::*;
use crate::cut::Whole;
use crate::device::Kind;
use crate::source::Verdict;

fn target() -> Target {
    Target {
        path: "/dev/sdb".into(),
        name: "sdb".into(),
        kind: Kind::Disk,
        instance: (0, 0),
        size: 8 << 30,
        read_only: false,
        removable: true,
        model: Some("SC32G".into()),
        serial: None,
        cid: None,
        uses: Vec::new(),
    }
}

pub(super) fn start(records: &mut Records, unit: &str, token: &str, old: Option<&str>) -> i64 {
    let target = target();
    records.start(it(unit, token, old, &target)).unwrap()
}

fn it<'a>(unit: &'a str, token: &'a str, old: Option<&'a str>, target: &'a Target) -> Start<'a> {
    let operator = Some("me");
    const NONE: &Public = &Public { host_key: None, wireguard_key: None, made: false };
    Start { unit, token, old, target, image: "pi4b.img.zst", operator, keys: NONE, now: 100 }
}

/// Records in a folder.
pub(super) fn new(dir: &tempfile::TempDir) -> Records {
    Records::open(&dir.path().join("records")).unwrap()
}

fn states(records: &Records) -> Vec<String> {
    records.all().unwrap().into_iter().map(|card| card.state).collect()
}

pub(super) fn written() -> Written {
    let file = Verdict { sha256: "f".into(), checksum: true, signed: None };
    Written {
        whole: Whole { size: 9, sha256: "ab".into(), file },
        bytes: 7,
        writing: Duration::from_millis(1500),
        verifying: Duration::from_millis(900),
    }
}

#[test]
fn a_unit_is_free_until_its_card_may_boot() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    let mut records = Records::open(&path).unwrap();
    assert!(matches!(Records::open(&path), Err(RecordsError::Busy(_))));
    assert_eq!(records.standing("1").unwrap(), Standing::Free);
    let first = start(&mut records, "1", "t1", None);
    assert_eq!(records.standing("1").unwrap(), Standing::Free);
    // Not onto a second card meanwhile.
    let again = records.start(it("1", "t0", None, &target()));
    assert!(matches!(again, Err(RecordsError::Writing(unit)) if unit == "1"));
    assert_eq!(records.all().unwrap().len(), 1);

    // The desk loses power; the card does not boot.
    drop(records);
    let mut records = Records::open(&path).unwrap();
    assert_eq!(records.all().unwrap()[0].state, "interrupted");
    // An interrupted card cannot go on.
    records.closing(first).unwrap_err();

    let second = start(&mut records, "1", "t2", None);
    records.closing(second).unwrap();
    drop(records);
    let mut records = Records::open(&path).unwrap();
    match records.standing("1").unwrap() {
        Standing::Unclear(card) => assert_eq!(card.token, "t2"),
        other => panic!("{other:?}"),
    }
    // The same card again.
    let third = start(&mut records, "1", "t3", Some("t2"));
    // It may boot until its first block is gone for certain.
    assert!(matches!(records.standing("1").unwrap(), Standing::Unclear(_)));
    records.beheaded(third, Some("t2")).unwrap();
    assert_eq!(records.standing("1").unwrap(), Standing::Free);
    assert_eq!(states(&records), ["interrupted", "overwritten", "writing"]);
    records.closing(third).unwrap();
    records.right(third, &written(), 200).unwrap();
    let Standing::Right(card) = records.standing("1").unwrap() else { panic!() };
    assert_eq!((card.number, card.ended, card.bytes), (third, Some(200), Some(7)));
    assert_eq!((card.write_ms, card.model.as_deref()), (Some(1500), Some("SC32G")));
}

#[test]
fn failures_free_a_unit_unless_the_card_may_boot() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = Records::open(&dir.path().join("records")).unwrap();
    let one = start(&mut records, "1", "a", None);
    records.failed(one, "worn out", false, 5).unwrap();
    assert_eq!(records.standing("1").unwrap(), Standing::Free);
    let two = start(&mut records, "2", "b", None);
    records.closing(two).unwrap();
    records.failed(two, "removed", true, 5).unwrap();
    assert!(matches!(records.standing("2").unwrap(), Standing::Unclear(_)));
    assert_eq!(records.all().unwrap()[0].why.as_deref(), Some("worn out"));
}

/// Goes on after a power cut.
fn reopen(records: Records, path: &Path) -> Records {
    drop(records);
    Records::open(path).unwrap()
}

#[test]
fn a_card_that_is_written_once_more_keeps_its_unit_until_it_is_beheaded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    let mut records = Records::open(&path).unwrap();
    let one = start(&mut records, "1", "a", None);
    records.closing(one).unwrap();
    records.right(one, &written(), 5).unwrap();

    // Another unit goes onto it, and the desk loses power before that happens.
    start(&mut records, "2", "b", Some("a"));
    let mut records = reopen(records, &path);
    let Standing::Unclear(card) = records.standing("1").unwrap() else { panic!() };
    assert_eq!(card.token, "a");
    // It cannot be written at all.
    let failing = start(&mut records, "1", "c", Some("a"));
    records.failed(failing, "worn out", false, 5).unwrap();
    assert!(matches!(records.standing("1").unwrap(), Standing::Unclear(_)));
    // Its first block goes.
    let two = start(&mut records, "2", "d", Some("a"));
    records.beheaded(two, Some("a")).unwrap();
    assert_eq!(records.standing("1").unwrap(), Standing::Free);
    records.closing(two).unwrap();
    records.right(two, &written(), 9).unwrap();
    assert_eq!(states(&records), ["overwritten", "interrupted", "failed", "right"]);
}

#[test]
fn a_lost_card_is_overruled_when_another_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    let mut records = Records::open(&path).unwrap();
    let lost = start(&mut records, "1", "a", None);
    records.closing(lost).unwrap();
    let other = start(&mut records, "2", "b", None);
    records.closing(other).unwrap();
    start(&mut records, "1", "c", None);
    let mut records = reopen(records, &path);
    assert_eq!(states(&records), ["closing", "closing", "interrupted"]);
    let again = start(&mut records, "1", "d", None);
    records.beheaded(again, None).unwrap();
    assert_eq!(states(&records), ["interrupted", "closing", "interrupted", "writing"]);
}

#[test]
fn records_of_others_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    assert!(matches!(Records::view(&path), Err(RecordsError::Io { .. })));
    assert!(!path.exists());
    drop(Records::open(&path).unwrap());
    assert_eq!(Records::view(&path).unwrap().all().unwrap(), []);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Records::open(&path), Err(RecordsError::Version(_, 99))));
    // A browser's bookmarks, say.
    let path = dir.path().join("places.sqlite");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE card (id); PRAGMA user_version = 1").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(Records::open(&path), Err(RecordsError::Foreign(_))));
    assert!(matches!(Records::view(&path), Err(RecordsError::Foreign(_))));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    std::fs::write(&path, "no database, but long enough to be one").unwrap();
    assert!(Records::open(&path).is_err());
}

#[test]
fn records_say_whose_keys_count() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = Records::open(&dir.path().join("records")).unwrap();
    let line =
        |made| Public { host_key: Some("pump ssh-ed25519 AA".into()), made, ..Public::default() };
    let (made, given, target) = (line(true), line(false), target());
    let mut add = |token, keys, ends: &str| {
        let number = records.start(Start { keys, ..it("1", token, None, &target) }).unwrap();
        match ends {
            "failed" => records.failed(number, "worn out", false, 5).unwrap(),
            _ => {
                records.closing(number).unwrap();
                records.right(number, &written(), 5).unwrap();
            }
        }
        records.by_token(token).unwrap().unwrap()
    };
    let none = Public::default();
    assert_eq!(add("a", &none, "right").keys, None);
    assert_eq!(add("b", &made, "failed").keys.as_deref(), Some("made"));
    let first = add("c", &made, "right");
    assert_eq!((first.keys.as_deref(), first.has_new_keys()), (Some("made"), false));
    assert_eq!(first.host_key, made.host_key);
    assert!(add("d", &made, "failed").has_new_keys());
    assert!(add("e", &made, "right").has_new_keys());
    assert_eq!(add("f", &given, "right").keys.as_deref(), Some("given"));
}

#[test]
fn records_of_an_earlier_version_are_read_and_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(schema::STEPS[0]).unwrap();
    // As the program of that time did.
    old.execute_batch(
        "PRAGMA application_id = 0x61373637; PRAGMA user_version = 1;
         INSERT INTO card (unit, state, token, started, target, size, image)
         VALUES ('1', 'right', 'a', 7, '/dev/sdb', 9, 'x.img'), ('2', 'writing', 'b', 8, 'c', 9, 'x')",
    )
    .unwrap();
    drop(old);
    let before = std::fs::read(&path).unwrap();
    // Whoever only looks changes nothing.
    for records in [Records::view(&path).unwrap(), Records::preview(&path).unwrap()] {
        let cards = records.all().unwrap();
        assert_eq!((cards.len(), cards[0].token.as_str(), &cards[0].keys), (2, "a", &None));
        assert!(matches!(records.standing("1").unwrap(), Standing::Right(_)));
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let mut records = Records::open(&path).unwrap();
    assert_eq!(states(&records), ["right", "interrupted"]);
    start(&mut records, "3", "c", None);
    let version: i64 =
        records.connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, schema::VERSION);
    drop(records);
    assert_eq!(Records::view(&path).unwrap().all().unwrap().len(), 3);
}

#[test]
fn a_commit_outlasts_a_power_cut() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(&dir.path().join("records")).unwrap();
    let pragma = |name: &str| -> rusqlite::types::Value {
        records.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
    };
    // EXTRA, which is what the journal of this kind needs.
    assert_eq!(pragma("synchronous"), 3.into());
    assert_eq!(pragma("journal_mode"), "delete".to_owned().into());
}

#[test]
fn a_card_that_is_begun_waits_for_reports_that_are_written() {
    use std::sync::atomic::{AtomicBool, Ordering};

    static WAITS: AtomicBool = AtomicBool::new(false);
    fn wait(_tries: i32) -> bool {
        WAITS.store(true, Ordering::Relaxed);
        std::thread::yield_now();
        true
    }
    let dir = tempfile::tempdir().unwrap();
    let mut records = new(&dir);
    records.connection.busy_handler(Some(wait)).unwrap();
    let other = Connection::open(dir.path().join("records")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = std::thread::spawn(move || {
        let target = target();
        records.start(it("1", "a", None, &target)).map(|_| ())
    });
    while !WAITS.load(Ordering::Relaxed) && !begun.is_finished() {
        std::thread::yield_now();
    }
    other.execute_batch("COMMIT").unwrap();
    begun.join().unwrap().unwrap();
}
