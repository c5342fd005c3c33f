//! The power goes at every step, with every kind of half-written file, and once
//! more while the damage is being repaired.

use super::memory::{Dice, Memory};
use super::*;

/// Ways in which what was not on the card yet comes out, for each step.
const WAYS: u64 = 6;

/// Runs until the power goes after so many calls; gives the disk as it then
/// boots, and whether it had finished before.
fn cut(mut disk: Memory, calls: usize, dice: &mut Dice) -> Memory {
    disk.left = Some(calls);
    let before = disk.calls;
    if run(&mut disk, false).is_ok() {
        assert!(disk.calls - before <= calls, "a failed call was passed over");
    }
    let disk = disk.cut(dice);
    assert!(disk.open().is_empty(), "after {calls} calls anybody may read {:?}", disk.open());
    disk
}

fn every_step(files: &[(&'static str, String)]) {
    let mut whole = card(files);
    made(&mut whole);
    let steps = whole.calls;
    assert!(steps > 50, "{steps} steps");
    let wanted = whole.state();
    for calls in 0..=steps {
        for way in 0..WAYS {
            let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ (calls as u64) << 8 ^ way);
            let mut disk = cut(card(files), calls, &mut dice);
            if way % 2 == 1 {
                let again = dice.roll() as usize % (steps + 1);
                disk = cut(disk, again, &mut dice);
            }
            run(&mut disk, false).unwrap();
            // A third cut, at once: all of it must be on the card.
            let mut disk = disk.cut(&mut dice);
            let about = format!("cut after {calls} of {steps} calls, way {way}");
            let state = disk.state();
            for (path, entry) in &wanted {
                assert_eq!(state.get(path), Some(entry), "{about}: {path}");
            }
            let more: Vec<_> = state.keys().filter(|path| !wanted.contains_key(*path)).collect();
            assert!(more.is_empty(), "{about}: {more:?} is left");
            assert_eq!(disk.on_boot(), [""; 0], "{about}");
            assert_eq!(run(&mut disk, false).unwrap(), Done::Nothing, "{about}");
            assert_eq!(disk.host_name().unwrap(), whole.host_name().unwrap(), "{about}");
        }
    }
}

#[test]
fn the_desks_card_outlives_a_cut_at_every_step() {
    every_step(&by_desk());
}

#[test]
fn imagers_card_outlives_a_cut_at_every_step() {
    every_step(&by_imager());
}

#[test]
fn a_preseeded_card_outlives_a_cut_at_every_step() {
    every_step(&by_preseed());
}

#[test]
fn another_file_put_there_while_one_is_wiped_is_not_wiped() {
    let files = by_desk();
    let mut whole = card(&files);
    made(&mut whole);
    // The last cut after which the note of what is to be wiped is there.
    let noted = |calls: &usize| cut(card(&files), *calls, &mut Dice(7)).has(PENDING);
    let calls = (0..whole.calls).rev().find(noted).unwrap();
    let mut disk = cut(card(&files), calls, &mut Dice(7));
    let text = "[unit]\nhostname = \"new\"\n";
    disk.put("/boot/firmware/unit.toml", Kind::File, text, Owner::root(0o700));
    made(&mut disk);
    assert_eq!(disk.text("/etc/hostname"), "new\n");
}
