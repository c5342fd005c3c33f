//! What outlives the service, per modem: files below the state folder.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::adopt::{self, Owner};
use super::obey::Chosen;
use crate::modem::machine::Memory;
use crate::modem::usb_path::UsbPath;
use crate::policy::budget::Usage;
use crate::policy::ladder::History;
use crate::session::Kept;
use crate::sms::spool::{self, Folder, Record, Store};
use crate::state::{Loaded, StateFile};

/// The files of one modem. The place on the bus names it, as nothing else of a
/// stick is its own.
pub struct Files {
    memory: StateFile,
    history: StateFile,
    usage: StateFile,
    chosen: StateFile,
    /// Of messages, and where; not there until it could be opened.
    messages: Option<Store<Folder>>,
    place: PathBuf,
    state: PathBuf,
}

impl Files {
    /// The files below `folder`, which is made when it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(folder: &Path, modem: &UsbPath) -> Result<Files> {
        let state = folder.to_owned();
        let folder: PathBuf = folder.join(modem.to_string());
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Files {
            memory: StateFile::new(&folder, "memory", 1),
            history: StateFile::new(&folder, "history", 1),
            usage: StateFile::new(&folder, "usage", 1),
            chosen: StateFile::new(&folder, "chosen", 1),
            messages: None,
            place: folder.join("sms"),
            state,
        })
    }

    /// What earlier runs kept. That messages cannot be read is told in it: the
    /// modem can be online without them.
    ///
    /// # Errors
    /// Another file is there but cannot be read.
    pub fn load(&mut self) -> Result<Kept> {
        let (messages, unreadable) = match self.load_messages() {
            Ok(messages) => (messages, None),
            Err(error) => (spool::Kept::default(), Some(format!("{error:#}"))),
        };
        Ok(Kept {
            memory: load(&self.memory)?,
            history: load(&self.history)?,
            usage: load(&self.usage)?,
            messages,
            unreadable,
            boot: boot(),
        })
    }

    /// What is kept of messages.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load_messages(&mut self) -> Result<spool::Kept> {
        Ok(self.messages()?.load()?)
    }

    /// Keeps a message.
    ///
    /// # Errors
    /// The card is full or broken.
    pub fn keep_message(&mut self, record: &Record) -> Result<()> {
        Ok(self.messages()?.keep(record)?)
    }

    /// Forgets a message.
    ///
    /// # Errors
    /// The card is broken.
    pub fn forget_message(&mut self, id: u64) -> Result<()> {
        Ok(self.messages()?.forget(id)?)
    }

    fn messages(&mut self) -> Result<&mut Store<Folder>> {
        Ok(match &mut self.messages {
            Some(store) => store,
            none => {
                let folder = Folder::new(self.place.clone());
                let folder =
                    folder.with_context(|| format!("cannot make {}", self.place.display()))?;
                none.insert(Store::new(folder))
            }
        })
    }

    /// Keeps what the modem's machine must remember.
    ///
    /// # Errors
    /// The card is full or broken.
    pub fn remember(&self, memory: &Memory) -> Result<()> {
        Ok(self.memory.save(memory)?)
    }

    /// Keeps what the ladder tried.
    ///
    /// # Errors
    /// The card is full or broken.
    pub fn keep(&self, history: &History) -> Result<()> {
        Ok(self.history.save(history)?)
    }

    /// Takes over messages of this owner from places that are free; how many, and
    /// which are left at such places.
    ///
    /// # Errors
    /// The disk.
    pub fn claim(
        &mut self,
        modem: &UsbPath,
        owner: &Owner,
        free: impl Fn(&str) -> bool + Copy,
    ) -> Result<(usize, Vec<(String, usize)>)> {
        // The folder is there once the store is.
        self.messages()?;
        let taken = adopt::claim(&self.state, &modem.to_string(), owner, free)?;
        Ok((taken, adopt::left(&self.state, free)?))
    }

    /// Takes over all messages of another place; how many.
    ///
    /// # Errors
    /// The disk.
    pub fn adopt(&mut self, modem: &UsbPath, from: &UsbPath) -> Result<usize> {
        self.messages()?;
        Ok(adopt::all_of(&self.state, &from.to_string(), &modem.to_string())?)
    }

    /// Leaves the messages to whoever claims them.
    pub fn leave_messages(&mut self) {
        self.messages = None;
    }

    /// The access point that a command has chosen; the configuration's when it
    /// cannot be read.
    pub fn chosen(&self) -> Chosen {
        load(&self.chosen).unwrap_or_else(|error| {
            tracing::error!("{error:#}");
            Chosen::default()
        })
    }

    /// Keeps it.
    ///
    /// # Errors
    /// The card is full or broken.
    pub fn choose(&self, chosen: &Chosen) -> Result<()> {
        Ok(self.chosen.save(chosen)?)
    }

    /// Keeps the count of data. Told of, and no more, when it cannot be.
    pub fn count(&self, usage: &Usage) {
        save(&self.usage, usage);
    }
}

fn load<T: DeserializeOwned + Default>(file: &StateFile) -> Result<T> {
    Ok(match file.load()? {
        Loaded::Kept(value) => value,
        Loaded::Nothing => T::default(),
        Loaded::Damaged { aside, reason } => {
            tracing::warn!("a damaged file is now {}: {reason}", aside.display());
            T::default()
        }
    })
}

fn save<T: Serialize>(file: &StateFile, value: &T) {
    if let Err(error) = file.save(value) {
        tracing::error!("{error}");
    }
}

/// Tells one boot from another (random(4)); where the kernel does not, all are
/// one, and counters that fall tell.
fn boot() -> u64 {
    let mut hasher = DefaultHasher::new();
    fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Files {
        Files::new(folder, &"1-1".parse().unwrap()).unwrap()
    }

    #[test]
    fn messages_that_cannot_be_read_do_not_stop_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("1-1/sms");
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, "a file in the place of the folder").unwrap();
        let mut files = files(folder.path());
        let why = files.load().unwrap().unreadable.unwrap();
        assert!(why.contains("cannot make") && why.contains("1-1/sms"), "{why}");
        assert!(files.keep_message(&Record::Numbers(7)).is_err());
        // It is looked for again.
        fs::remove_file(&place).unwrap();
        files.keep_message(&Record::Numbers(7)).unwrap();
        let kept = files.load().unwrap();
        assert_eq!((kept.unreadable, kept.messages.numbers), (None, 7));
    }

    #[test]
    fn what_is_half_written_need_not_be_removable() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path());
        files.keep_message(&Record::Numbers(7)).unwrap();
        // As on a card that can only be read, where nothing can be removed.
        fs::create_dir(folder.path().join("1-1/sms/new")).unwrap();
        let kept = files.load().unwrap();
        assert_eq!((kept.unreadable, kept.messages.numbers), (None, 7));
        let error = files.keep_message(&Record::Numbers(8)).unwrap_err();
        assert!(error.to_string().contains("numbers.json"), "{error:#}");
    }
}
