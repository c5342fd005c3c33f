//! Messages go with their modem, wherever it is plugged in.
//!
//! What is kept is kept by the place on the bus, which is there before the modem
//! has said a word. But messages belong to the SIM, whose number answers and
//! reports come to, or else to the stick: when either turns up at another place, it
//! takes them along, unless another modem is where they are. So:
//!
//! | what changes | the messages |
//! |---|---|
//! | the place | go along |
//! | the stick, or the SIM, not the place | stay at the place, so with the other |
//! | the SIM moves to another stick at another place | go along |
//! | all of it at once | stay until `a7670e sms adopt`; the log tells of them |
//!
//! A message is one file and moves by one rename(2), so that it is never at two
//! places, of which both would send it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::state::{Loaded, StateError, StateFile};

/// Whose the messages of a place are.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The SIM's number.
    pub iccid: Option<String>,
    /// The stick's.
    pub imei: Option<String>,
}

impl Owner {
    fn is_of(&self, other: &Owner) -> bool {
        let same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
        same(&self.iccid, &other.iccid) || same(&self.imei, &other.imei)
    }
}

/// Why messages were not taken over.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The folders cannot be read or changed.
    #[error("messages cannot be taken over: {0}")]
    Disk(#[from] io::Error),
    /// A small file cannot be.
    #[error("messages cannot be taken over: {0}")]
    State(#[from] StateError),
}

fn owner_file(messages: &Path) -> StateFile {
    StateFile::new(messages, "owner", 1)
}

fn kept<T: serde::de::DeserializeOwned + Default>(file: &StateFile) -> Result<T, StateError> {
    Ok(match file.load()? {
        Loaded::Kept(value) => value,
        Loaded::Nothing | Loaded::Damaged { .. } => T::default(),
    })
}

/// Notes whose the messages at `place` below `state` are, after it has taken over
/// those of this owner from places that are `free`; the number of files.
///
/// # Errors
/// The disk; what was not taken over is where it was.
pub fn claim(
    state: &Path,
    place: &str,
    owner: &Owner,
    free: impl Fn(&str) -> bool,
) -> Result<usize, AdoptError> {
    let own = folder(state, place);
    let mut taken = 0;
    for other in places(state)?.iter().filter(|other| *other != place && free(other)) {
        let from = folder(state, other);
        let file = owner_file(&from);
        if kept::<Owner>(&file)?.is_of(owner) {
            taken += take_over(&from, &own, usize::MAX)?;
            file.save(&Owner::default())?;
        }
    }
    let file = owner_file(&own);
    if kept::<Owner>(&file)? != *owner {
        file.save(owner)?;
    }
    Ok(taken)
}

/// Takes over all messages of the place `from`, whosever they are; how many.
///
/// # Errors
/// The disk; what was not taken over is where it was.
pub fn all_of(state: &Path, from: &str, place: &str) -> Result<usize, AdoptError> {
    let from = folder(state, from);
    if !from.is_dir() {
        return Ok(0);
    }
    take_over(&from, &folder(state, place), usize::MAX)
}

/// Messages that lie at places that are free: the place and how many files.
///
/// # Errors
/// The folders cannot be read.
pub fn left(state: &Path, free: impl Fn(&str) -> bool) -> io::Result<Vec<(String, usize)>> {
    let mut found = Vec::new();
    for place in places(state)? {
        let count = files(&folder(state, &place))?.len();
        if count > 0 && free(&place) {
            found.push((place, count));
        }
    }
    Ok(found)
}

fn folder(state: &Path, place: &str) -> PathBuf {
    state.join(place).join("sms")
}

/// The places that have messages.
fn places(state: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(state)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if folder(state, &name).is_dir() {
            found.push(name.into_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// The files of messages: how they begin, and their numbers.
fn files(messages: &Path) -> io::Result<Vec<(&'static str, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(messages)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        for start in ["in-", "out-"] {
            let number = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(".json"));
            found.extend(number.and_then(|number| Some((start, number.parse().ok()?))));
        }
    }
    found.sort_by_key(|file| file.1);
    Ok(found)
}

/// Moves the messages of one folder to another, `most` of them. Numbers stay unless
/// they are in use there; the store takes a message's number from its file's name.
fn take_over(from: &Path, to: &Path, most: usize) -> Result<usize, AdoptError> {
    let moving = files(from)?;
    let mut used: BTreeSet<u64> = files(to)?.into_iter().map(|file| file.1).collect();
    let (here, there) = (StateFile::new(to, "numbers", 1), StateFile::new(from, "numbers", 1));
    let mut next = kept::<u64>(&here)?.max(kept::<u64>(&there)?);
    for number in used.iter().chain(moving.iter().map(|(_, number)| number)) {
        next = next.max(number.saturating_add(1));
    }
    let mut names = Vec::new();
    for (start, number) in moving {
        let new = if used.insert(number) {
            number
        } else {
            next = next.saturating_add(1);
            next - 1
        };
        names.push((format!("{start}{number}.json"), format!("{start}{new}.json")));
    }
    // A number is given out to nobody else from the moment that it is used.
    here.save(&next)?;
    for (old, new) in names.iter().take(most) {
        fs::rename(from.join(old), to.join(new))?;
    }
    for folder in [to, from] {
        File::open(folder)?.sync_all()?;
    }
    Ok(names.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sms::pdu::Address;
    use crate::sms::spool::{Folder, Outbox, Record, SendRequest, Settings, Store};

    fn owner(iccid: &str, imei: &str) -> Owner {
        Owner { iccid: Some(iccid.to_owned()), imei: Some(imei.to_owned()) }
    }

    fn store(state: &Path, place: &str) -> Store<Folder> {
        Store::new(Folder::new(folder(state, place)).unwrap())
    }

    /// Accepts texts with these numbers at a place.
    fn accept(state: &Path, place: &str, texts: &[(u64, &str)]) {
        let mut outbox = Outbox::new(Settings::default(), []);
        for (id, text) in texts {
            let request = SendRequest {
                to: Address::number("+254700000001").unwrap(),
                text: (*text).to_owned(),
                class: None,
                report: false,
                validity: None,
                priority: Default::default(),
            };
            let parts = outbox.check(&request).unwrap();
            let message = outbox.accept(2_000_000_000, *id, parts, request).clone();
            store(state, place).keep(&Record::Outgoing(message)).unwrap();
        }
        let last = texts.iter().map(|text| text.0).max().unwrap_or(0);
        store(state, place).keep(&Record::Numbers(last + 1)).unwrap();
    }

    fn texts(state: &Path, place: &str) -> Vec<(u64, String)> {
        let kept = store(state, place).load().unwrap();
        assert!(kept.damaged.is_empty());
        let mut all: Vec<_> = kept.outgoing.into_iter().map(|one| (one.id, one.text)).collect();
        all.sort();
        assert!(all.iter().all(|one| one.0 < kept.numbers), "{all:?} {}", kept.numbers);
        all
    }

    #[test]
    fn messages_go_with_the_sim_or_the_stick() {
        for (new, goes) in [
            (owner("sim", "stick"), true),
            (owner("sim", "other"), true),
            (owner("other", "stick"), true),
            (owner("other", "other"), false),
            (Owner::default(), false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let state = folder.path();
            fs::create_dir(state.join("no place")).unwrap();
            accept(state, "1-1", &[(3, "one"), (4, "two")]);
            assert_eq!(claim(state, "1-1", &owner("sim", "stick"), |_| true).unwrap(), 0);
            accept(state, "1-2", &[]);
            // Somebody else is there.
            assert_eq!(claim(state, "1-2", &new, |_| false).unwrap(), 0);
            let taken = claim(state, "1-2", &new, |_| true).unwrap();
            assert_eq!(taken, if goes { 2 } else { 0 });
            let place = if goes { "1-2" } else { "1-1" };
            let all = [(3, "one".to_owned()), (4, "two".to_owned())];
            assert_eq!(texts(state, place), all);
            assert_eq!(left(state, |place| place == "1-1").unwrap().len(), usize::from(!goes));
            // And back again.
            if goes {
                assert_eq!(claim(state, "1-1", &new, |_| true).unwrap(), 2);
                assert_eq!(texts(state, "1-1"), all);
            }
        }
    }

    /// The power goes after each number of renames; the next start goes on.
    #[test]
    fn cut_anywhere_each_message_is_at_one_place() {
        let long = "long ".repeat(60);
        for cut in 0..4 {
            let folder_ = tempfile::tempdir().unwrap();
            let state = folder_.path();
            accept(state, "1-1", &[(1, &long), (2, "two"), (3, "three")]);
            accept(state, "1-2", &[(1, "here"), (3, "too")]);
            claim(state, "1-1", &owner("sim", "stick"), |_| true).unwrap();
            take_over(&folder(state, "1-1"), &folder(state, "1-2"), cut).unwrap();
            let both = texts(state, "1-1").len() + texts(state, "1-2").len();
            assert_eq!(both, 5, "after {cut}");
            claim(state, "1-2", &owner("sim", "stick"), |_| true).unwrap();
            let mut all: Vec<String> = texts(state, "1-2").into_iter().map(|one| one.1).collect();
            all.sort();
            assert_eq!(all, ["here", &long, "three", "too", "two"], "after {cut}");
            // Parts that are sent already must fit those that are not.
            let kept = store(state, "1-2").load().unwrap();
            let mut outbox = Outbox::new(Settings::default(), kept.outgoing);
            let sent = std::iter::from_fn(|| outbox.next(2_000_000_000));
            let concat = sent.filter(|send| send.pdu.contains("050003"));
            let references: BTreeSet<_> = concat
                .map(|send| send.pdu.split("050003").nth(1).unwrap()[..2].to_owned())
                .collect();
            assert_eq!(references, BTreeSet::from(["01".to_owned()]), "after {cut}");
        }
    }
}
