//! Takes cards that are put in while others are written.
//!
//! What may be taken is narrow, as nobody is asked: a card in a reader (never a
//! fixed disk), that was put in since the desk was opened, that passes all
//! checks, and that holds nothing, or is in a slot that the user gave over.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::look::Found;
use super::{Desk, DeskError, Wanted};
use crate::card::Device;
use crate::device::blank::is_blank;
use crate::device::slots::Pattern;

/// What tells one medium from the next: [`crate::device::Target::instance`] and
/// bytes.
pub type Medium = ((u64, u64), u64);

/// Which media were there, and which are new.
#[derive(Debug, Default)]
pub struct Book {
    begun: bool,
    /// By kernel name; with whether it was told of, or was there from the start.
    known: BTreeMap<String, (Medium, bool)>,
}

impl Book {
    /// Takes in which media are there; gives those that were put in since the
    /// first look and are the same for the second time: a reader that is just
    /// waking up says this and that.
    pub fn look(&mut self, seen: &BTreeMap<String, Medium>) -> Vec<String> {
        let mut new = Vec::new();
        let mut known = BTreeMap::new();
        for (name, medium) in seen {
            let told = match self.known.get(name) {
                Some((old, told)) if old == medium => {
                    if !told {
                        new.push(name.clone());
                    }
                    true
                }
                _ => !self.begun,
            };
            known.insert(name.clone(), (*medium, told));
        }
        self.known = known;
        self.begun = true;
        new
    }
}

/// Whether a card may be taken unasked; else why not. `blank` is asked last, and
/// only when it matters.
///
/// # Errors
/// It may not; why.
pub fn may_take(
    found: &Found,
    given: &[Pattern],
    blank: impl FnOnce() -> bool,
) -> Result<(), String> {
    if let Some(why) = found.card.against.first() {
        return Err(why.clone());
    }
    let Some(drive) = &found.drive else { return Err("it is no card in a reader".into()) };
    if !drive.takes_cards && !drive.is_loop() {
        return Err(super::look::FIXED.into());
    }
    if drive.is_in(given) {
        return Ok(());
    }
    if drive.is_loop() {
        return Err("loop devices are taken by their names alone".into());
    }
    if blank() {
        return Ok(());
    }
    let slot = match drive.slots.first() {
        Some(slot) => format!(", or give its slot over with --overwrite-in {slot}"),
        None => String::new(),
    };
    Err(format!("it holds data, and nobody was asked: choose it on the page{slot}"))
}

impl Desk {
    /// Looks at the cards, and starts those that were put in, when that is
    /// wanted. Gives how many were started.
    ///
    /// # Errors
    /// The kernel's tables cannot be read.
    pub fn watch(self: &Arc<Self>, book: &mut Book) -> Result<usize, DeskError> {
        let found = self.look()?;
        let Some(given) = &self.work.hot_add else { return Ok(0) };
        let media = found.iter().filter_map(|it| {
            let name = it.drive.as_ref()?.name.clone();
            if let Some(target) = it.target.as_ref().filter(|target| target.size > 0) {
                return Some((name, (target.instance, target.size)));
            }
            // The one that is being written is the one that was there.
            let (medium, _) = book.known.get(&name).filter(|_| it.card.busy)?;
            Some((name, *medium))
        });
        let media = media.collect();
        let new = book.look(&media);
        let mut wanted = Vec::new();
        for found in &found {
            let (Some(target), Some(drive)) = (&found.target, &found.drive) else { continue };
            if !new.contains(&drive.name) {
                continue;
            }
            let blank = || Device::open(&target.path).is_ok_and(|mut card| is_blank(&mut card));
            match may_take(found, given, blank) {
                Ok(()) => {
                    wanted.push(Wanted { path: target.path.clone(), mark: found.card.mark.clone() })
                }
                Err(why) => self.note(format!("{} was put in: {why}", found.card.path)),
            }
        }
        Ok(self.take(&wanted))
    }

    /// Starts cards, together if possible, else one by one: one that is refused
    /// must not hold up the others.
    fn take(self: &Arc<Self>, wanted: &[Wanted]) -> usize {
        if wanted.is_empty() {
            return 0;
        }
        let error = match self.start(wanted) {
            Ok(notes) => {
                notes.into_iter().for_each(|note| self.note(note));
                return wanted.len();
            }
            Err(error) => error,
        };
        if let [one] = wanted {
            self.note(format!("{} was put in: {error}", one.path.display()));
            return 0;
        }
        wanted.iter().map(|one| self.take(std::slice::from_ref(one))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::state::CardState;
    use crate::device::slots::Drive;

    fn found(takes_cards: bool, name: &str, against: &[&str]) -> Found {
        Found {
            card: CardState {
                path: format!("/dev/{name}"),
                slot: None,
                model: None,
                serial: None,
                size: 1 << 30,
                against: against.iter().map(|&it| it.to_owned()).collect(),
                busy: false,
                mark: "m".into(),
            },
            target: None,
            drive: Some(Drive {
                name: name.into(),
                takes_cards,
                slots: vec![format!("pci-usb-0:2.{name}")],
            }),
            named: false,
        }
    }

    #[test]
    fn only_what_is_put_in_and_stays_is_new() {
        let mut book = Book::default();
        let media = |list: &[(&str, u64)]| {
            list.iter().map(|&(name, seq)| (name.to_owned(), ((8, seq), 100))).collect()
        };
        let none: [&str; 0] = [];
        assert_eq!(book.look(&media(&[("sdb", 1)])), none);
        assert_eq!(book.look(&media(&[("sdb", 1), ("sdc", 2)])), none);
        assert_eq!(book.look(&media(&[("sdb", 1), ("sdc", 2)])), ["sdc"]);
        assert_eq!(book.look(&media(&[("sdb", 1), ("sdc", 2)])), none);
        // Another card in the first one's place; a reader that flickers.
        assert_eq!(book.look(&media(&[("sdb", 3), ("sdd", 4)])), none);
        assert_eq!(book.look(&media(&[("sdb", 3), ("sdd", 5)])), ["sdb"]);
        assert_eq!(book.look(&media(&[])), none);
        // The very card that was taken out comes again.
        assert_eq!(book.look(&media(&[("sdb", 3)])), none);
        assert_eq!(book.look(&media(&[("sdb", 3)])), ["sdb"]);
    }

    #[test]
    fn nothing_that_holds_data_is_taken_unless_its_slot_was_given() {
        let given: Vec<Pattern> = vec!["pci-usb-0:2.*".parse().unwrap()];
        let never = || panic!("was read though it did not matter");
        assert_eq!(may_take(&found(true, "sdb", &[]), &[], || true), Ok(()));
        let why = may_take(&found(true, "sdb", &[]), &[], || false).unwrap_err();
        assert!(why.contains("holds data") && why.contains("--overwrite-in pci-usb-0:2.sdb"));
        assert_eq!(may_take(&found(true, "sdb", &[]), &given, never), Ok(()));
        // A slot that was given makes no fixed disk a card, nor a refusal void.
        assert!(may_take(&found(false, "sda", &[]), &given, never).is_err());
        assert!(may_take(&found(true, "sdb", &["it is mounted"]), &given, never).is_err());
        // A blank loop device is somebody's file.
        assert!(may_take(&found(false, "loop1", &[]), &[], || true).is_err());
        assert_eq!(may_take(&found(false, "loop1", &[]), &given, never), Ok(()));
    }
}
