//! What outlives the service, per modem: files below the state folder.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::modem::machine::Memory;
use crate::modem::usb_path::UsbPath;
use crate::policy::budget::Usage;
use crate::policy::ladder::History;
use crate::session::Kept;
use crate::sms::spool::{Folder, Store};
use crate::state::{Loaded, StateFile};

/// The files of one modem. The place on the bus names it, as nothing else of a
/// stick is its own.
pub struct Files {
    memory: StateFile,
    history: StateFile,
    usage: StateFile,
    messages: Store<Folder>,
}

impl Files {
    /// The files below `folder`, which is made when it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(folder: &Path, modem: &UsbPath) -> Result<Files> {
        let folder: PathBuf = folder.join(modem.to_string());
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Files {
            memory: StateFile::new(&folder, "memory", 1),
            history: StateFile::new(&folder, "history", 1),
            usage: StateFile::new(&folder, "usage", 1),
            messages: Store::new(
                Folder::new(folder.join("sms"))
                    .with_context(|| format!("cannot make {}/sms", folder.display()))?,
            ),
        })
    }

    /// What earlier runs kept.
    ///
    /// # Errors
    /// A file is there but cannot be read.
    pub fn load(&mut self) -> Result<Kept> {
        Ok(Kept {
            memory: load(&self.memory)?,
            history: load(&self.history)?,
            usage: load(&self.usage)?,
            messages: self.messages.load()?,
            boot: boot(),
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

    /// The messages' files.
    pub fn messages(&mut self) -> &mut Store<Folder> {
        &mut self.messages
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
