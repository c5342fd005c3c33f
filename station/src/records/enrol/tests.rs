//! Tests of reports.

use a7670e_unit::{CardToken, Iccid, Imei, UnitId};

use super::*;
use crate::records::tests::{new, start, written};

const ONE: &str = "490154203237518";
const TWO: &str = "352099001761481";

fn report(unit: &str, imei: &str) -> Enrolment {
    let unit = UnitId::try_from(unit.to_owned()).unwrap();
    Enrolment { imei: Some(Imei::try_from(imei.to_owned()).unwrap()), ..Enrolment::new(unit) }
}

fn from_card(mut report: Enrolment, token: &str) -> Enrolment {
    report.card = Some(CardToken::try_from(token.to_owned()).unwrap());
    report
}

/// Units 1 and 2, each on a card.
fn records(dir: &tempfile::TempDir) -> Records {
    let mut records = new(dir);
    for (unit, token) in [("1", "aaaaaaaaa1"), ("2", "bbbbbbbbb2")] {
        let number = start(&mut records, unit, token, None);
        records.closing(number).unwrap();
        records.right(number, &written(), 5).unwrap();
    }
    records
}

fn imeis(records: &Records) -> Vec<Option<String>> {
    records.all().unwrap().into_iter().map(|card| card.imei).collect()
}

#[test]
fn a_report_joins_its_unit() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = records(&dir);
    let one = from_card(report("1", ONE), "aaaaaaaa");
    assert_eq!(records.enrol(&one, "file", false, 9).unwrap(), Enrolled::New);
    assert_eq!(records.enrol(&one, "http", false, 10).unwrap(), Enrolled::Known);
    // The second says less of the modem and more of the SIM.
    let mut more = report("1", ONE);
    more.imei = None;
    more.iccid = Some(Iccid::try_from("8949020000123456789".to_owned()).unwrap());
    assert_eq!(records.enrol(&more, "file", false, 11).unwrap(), Enrolled::Changed);
    let card = records.all().unwrap().remove(0);
    assert_eq!((card.enrolled, card.imei.as_deref()), (Some(11), Some(ONE)));
    assert_eq!(card.iccid.as_deref(), Some("8949020000123456789"));
    assert_eq!(imeis(&records), [Some(ONE.to_owned()), None]);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = records(&dir);
    records.enrol(&report("1", ONE), "file", false, 9).unwrap();
    let mut refused = |report: &Enrolment, want: &str| {
        let error = records.enrol(report, "file", false, 10).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
        assert_eq!(imeis(&records), [Some(ONE.to_owned()), None]);
    };
    refused(&report("9", TWO), "the unit \"9\" is on no card");
    refused(&report("1", TWO), "reported imei 490154203237518 before, and now 352099001761481");
    refused(&report("2", ONE), "is that of the unit \"1\"");
    refused(&from_card(report("2", TWO), "cccccccc"), "cccccccc…, which is not in these records");
    refused(&from_card(report("2", TWO), "aaaaaaaaa1"), "is that of the unit \"1\"");
}

#[test]
fn parts_are_exchanged_and_moved_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = records(&dir);
    records.enrol(&report("1", ONE), "file", false, 9).unwrap();
    assert_eq!(records.enrol(&report("1", TWO), "file", true, 10).unwrap(), Enrolled::Changed);
    records.enrol(&report("2", ONE), "file", false, 11).unwrap();
    // The modem of unit 1 is moved to unit 2.
    assert_eq!(records.enrol(&report("2", TWO), "file", true, 12).unwrap(), Enrolled::Changed);
    assert_eq!(imeis(&records), [None, Some(TWO.to_owned())]);
    records.enrol(&report("1", ONE), "file", false, 13).unwrap();
    assert_eq!(imeis(&records), [Some(ONE.to_owned()), Some(TWO.to_owned())]);
}

#[test]
fn an_old_card_in_the_unit_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = records(&dir);
    let again = start(&mut records, "1", "dddddddd", Some("aaaaaaaaa1"));
    records.beheaded(again, Some("aaaaaaaaa1")).unwrap();
    records.closing(again).unwrap();
    let old = from_card(report("1", ONE), "aaaaaaaa");
    let error = records.enrol(&old, "file", true, 9).unwrap_err().to_string();
    assert!(error.contains("is of a writing that is overwritten"), "{error}");
    let new = from_card(report("1", ONE), "dddddddd");
    assert_eq!(records.enrol(&new, "file", false, 9).unwrap(), Enrolled::New);
    assert_eq!(imeis(&records), [None, None, Some(ONE.to_owned())]);
}

#[test]
fn of_tokens_that_begin_alike_the_one_that_fits_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = records(&dir);
    for (unit, token, fails) in
        [("3", "aaaaaaaac3", true), ("3", "aaaaaaaad3", false), ("3", "aaaaaaaae3", true)]
    {
        let number = start(&mut records, unit, token, None);
        if fails {
            records.failed(number, "worn out", false, 5).unwrap();
        } else {
            records.closing(number).unwrap();
            records.right(number, &written(), 5).unwrap();
        }
    }
    let three = from_card(report("3", TWO), "aaaaaaaa");
    assert_eq!(records.enrol(&three, "file", false, 9).unwrap(), Enrolled::New);
    let one = from_card(report("1", ONE), "aaaaaaaa");
    assert_eq!(records.enrol(&one, "file", false, 9).unwrap(), Enrolled::New);
    // With more digits it is plain.
    let failed = from_card(report("3", TWO), "aaaaaaaac");
    let error = records.enrol(&failed, "file", false, 9).unwrap_err().to_string();
    assert!(error.contains("is of a writing that is failed"), "{error}");
}

#[test]
fn reports_are_taken_while_cards_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut writing = records(&dir);
    let number = start(&mut writing, "3", "eeeeeeee", None);
    let mut other = Records::reports(&dir.path().join("records")).unwrap();
    other.enrol(&report("1", ONE), "file", false, 9).unwrap();
    // The writing was not taken for an interrupted one.
    writing.closing(number).unwrap();
    assert_eq!(imeis(&writing)[0].as_deref(), Some(ONE));
    Records::reports(&dir.path().join("none")).unwrap_err();
}
