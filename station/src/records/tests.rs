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
        size: 8 << 30,
        read_only: false,
        removable: true,
        model: Some("SC32G".into()),
        serial: None,
        cid: None,
        uses: Vec::new(),
    }
}

fn start(records: &mut Records, unit: &str, token: &str) -> i64 {
    let target = target();
    let operator = Some("me");
    let it = Start { unit, token, target: &target, image: "pi4b.img.zst", operator, now: 100 };
    records.start(it).unwrap()
}

fn written() -> Written {
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
    let first = start(&mut records, "1", "t1");
    assert_eq!(records.standing("1").unwrap(), Standing::Free);
    // Not onto a second card meanwhile.
    let target = target();
    let again = Start {
        unit: "1",
        token: "t0",
        target: &target,
        image: "pi4b.img.zst",
        operator: None,
        now: 100,
    };
    assert!(matches!(records.start(again), Err(RecordsError::Writing(unit)) if unit == "1"));
    assert_eq!(records.all().unwrap().len(), 1);

    // The desk loses power; the card does not boot.
    drop(records);
    let mut records = Records::open(&path).unwrap();
    assert_eq!(records.all().unwrap()[0].state, "interrupted");
    // An interrupted card cannot go on.
    records.closing(first).unwrap_err();

    let second = start(&mut records, "1", "t2");
    records.closing(second).unwrap();
    drop(records);
    let mut records = Records::open(&path).unwrap();
    match records.standing("1").unwrap() {
        Standing::Unclear(card) => assert_eq!(card.token, "t2"),
        other => panic!("{other:?}"),
    }
    // The same card again.
    let third = start(&mut records, "1", "t3");
    assert_eq!(records.standing("1").unwrap(), Standing::Free);
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
    let one = start(&mut records, "1", "a");
    records.failed(one, "worn out", false, 5).unwrap();
    assert_eq!(records.standing("1").unwrap(), Standing::Free);
    let two = start(&mut records, "2", "b");
    records.closing(two).unwrap();
    records.failed(two, "removed", true, 5).unwrap();
    assert!(matches!(records.standing("2").unwrap(), Standing::Unclear(_)));
    assert_eq!(records.all().unwrap()[0].why.as_deref(), Some("worn out"));
}

#[test]
fn records_of_others_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    assert!(matches!(Records::view(&path), Err(RecordsError::Io { .. })));
    assert!(!path.exists());
    drop(Records::open(&path).unwrap());
    assert_eq!(Records::view(&path).unwrap().all().unwrap(), []);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    assert!(matches!(Records::open(&path), Err(RecordsError::Version(_, 7))));
    std::fs::write(&path, "no database, but long enough to be one").unwrap();
    assert!(Records::open(&path).is_err());
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
