//! Keeps messages on the disk, a file each.
//!
//! As in [`crate::state`], a file is written whole beside the old one, synced,
//! and takes its name; then the folder is synced. So a loss of power leaves
//! either what was or what is. A damaged file is set aside and told of.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::{Outgoing, Record};
use crate::sms::assembly::Incoming;

/// The shape of the files. Another one's files are set aside.
const VERSION: u32 = 1;

const NUMBERS: &str = "numbers.json";
const NEW: &str = "new";

/// Why something was not kept.
#[derive(Debug, thiserror::Error)]
#[error("the message store: {what}: {source}")]
pub struct StoreError {
    what: String,
    source: io::Error,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    version: u32,
    data: T,
}

/// What was kept.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Messages from us.
    pub outgoing: Vec<Outgoing>,
    /// Messages to us.
    pub incoming: Vec<Incoming>,
    /// All numbers below may have been given out.
    pub numbers: u64,
    /// Files that cannot be read, under their new names, and why.
    pub damaged: Vec<(String, String)>,
}

/// The store.
#[derive(Debug)]
pub struct Store<D> {
    disk: D,
}

impl<D: Disk> Store<D> {
    /// A store on this disk.
    pub fn new(disk: D) -> Store<D> {
        Store { disk }
    }

    /// The disk, for a test that cuts its power.
    pub fn disk(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Reads everything, and sweeps away what a loss of power left half done.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn load(&mut self) -> Result<Kept, StoreError> {
        let mut kept = Kept::default();
        for name in self.disk.list().map_err(|source| failed("its folder", source))? {
            if name == NEW {
                // The next that is kept takes its place, if anything can be kept.
                _ = self.disk.remove(&name);
                continue;
            }
            let Some(stem) = name.strip_suffix(".json") else { continue };
            let bytes = self.disk.read(&name).map_err(|source| failed(&name, source))?;
            let problem = if name == NUMBERS {
                read(&bytes).map(|numbers| kept.numbers = numbers)
            } else if let Some(number) = stem.strip_prefix("out-") {
                read(&bytes).map(|message| kept.outgoing.push(renumbered(message, number)))
            } else if let Some(number) = stem.strip_prefix("in-") {
                read(&bytes).map(|message: Incoming| {
                    let id = number.parse().unwrap_or(message.id);
                    kept.incoming.push(Incoming { id, ..message });
                })
            } else {
                continue;
            };
            if let Err(why) = problem {
                let aside = format!("{name}.damaged");
                self.disk.rename(&name, &aside).map_err(|source| failed(&name, source))?;
                kept.damaged.push((aside, why));
            }
        }
        // Should the count be lost, numbers in use are still not given out again.
        let used =
            kept.outgoing.iter().map(|one| one.id).chain(kept.incoming.iter().map(|one| one.id));
        let after = used.max().map_or(0, |last| last.saturating_add(1));
        kept.numbers = kept.numbers.max(after);
        Ok(kept)
    }

    /// Keeps a record; when this returns, a loss of power does not lose it.
    ///
    /// # Errors
    /// The disk is full or broken. What was kept before still is.
    pub fn keep(&mut self, record: &Record) -> Result<(), StoreError> {
        let (name, bytes) = match record {
            Record::Outgoing(message) => (out_name(message.id), bytes(message)),
            Record::Incoming(message) => (in_name(message.id), bytes(message)),
            Record::Numbers(next) => (NUMBERS.to_owned(), bytes(next)),
        };
        bytes
            .and_then(|bytes| self.disk.write(NEW, &bytes))
            .and_then(|()| self.disk.rename(NEW, &name))
            .and_then(|()| self.disk.sync())
            .map_err(|source| failed(&name, source))
    }

    /// Forgets a message.
    ///
    /// # Errors
    /// The disk is broken.
    pub fn forget(&mut self, id: u64) -> Result<(), StoreError> {
        for name in [out_name(id), in_name(id)] {
            self.disk.remove(&name).map_err(|source| failed(&name, source))?;
        }
        self.disk.sync().map_err(|source| failed("its folder", source))
    }
}

/// With the number of its file, which may have been taken over from another store;
/// what its parts are numbered by stays.
fn renumbered(mut message: Outgoing, number: &str) -> Outgoing {
    let old = message.id;
    message.id = number.parse().unwrap_or(old);
    if message.id != old {
        message.reference.get_or_insert((old & 0xff) as u8);
    }
    message
}

fn out_name(id: u64) -> String {
    format!("out-{id}.json")
}

fn in_name(id: u64) -> String {
    format!("in-{id}.json")
}

fn failed(what: &str, source: io::Error) -> StoreError {
    StoreError { what: what.to_owned(), source }
}

fn bytes<T: Serialize>(data: &T) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(&Envelope { version: VERSION, data })?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let envelope: Envelope<T> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if envelope.version != VERSION {
        return Err(format!("version {} instead of {VERSION}", envelope.version));
    }
    Ok(envelope.data)
}
