//! Remembers what was published where, so that an unchanged build need not
//! read hundreds of megabytes to learn that they are still there.
//!
//! The memory is in the cache; a file that was touched since (its size, time
//! of change or inode differ) counts as unknown and is published again.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::atomic;
use crate::context::Context;
use crate::{digest, stage};

/// What is known of the files in one folder.
pub struct Records {
    out: PathBuf,
    memory: PathBuf,
    known: BTreeMap<String, Record>,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Record {
    source: String,
    state: State,
}

/// Changes when the file does.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct State {
    size: u64,
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl State {
    fn of(path: &Path) -> Option<Self> {
        let meta = path.symlink_metadata().ok().filter(|meta| meta.is_file())?;
        Some(Self {
            size: meta.len(),
            inode: meta.ino(),
            // Unlike the time of modification it cannot be set back.
            seconds: meta.ctime(),
            nanoseconds: meta.ctime_nsec(),
        })
    }
}

impl Records {
    /// The records for the folder `out`, which is made when absent. Other
    /// builds wait until these are dropped.
    pub fn open(ctx: &Context, out: &Path) -> Result<Self> {
        std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        let out = out.canonicalize()?;
        let dir = ctx.cache_dir("published")?;
        let key = &digest::bytes(out.as_os_str().as_encoded_bytes())[..32];
        let lock = stage::lock(ctx, &dir.join(format!("{key}.lock")), "writing its results")?;
        atomic::sweep(&out)?;
        let memory = dir.join(format!("{key}.json"));
        // Without a memory, or with a damaged one, everything is published.
        let known = std::fs::read(&memory)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Ok(Self { out, memory, known, _lock: lock })
    }

    /// Path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// The source that the file was last published from, if it is untouched.
    pub fn source(&self, name: &str) -> Option<&str> {
        let record = self.known.get(name)?;
        (State::of(&self.path(name))? == record.state).then_some(record.source.as_str())
    }

    /// Notes that the file was published from `source`.
    pub fn note(&mut self, name: &str, source: &str) -> Result<()> {
        let path = self.path(name);
        let state = State::of(&path).with_context(|| format!("{} is gone", path.display()))?;
        self.known.insert(name.to_owned(), Record { source: source.to_owned(), state });
        Ok(())
    }

    /// Keeps the records for the next build.
    pub fn save(&self) -> Result<()> {
        atomic::bytes(&self.memory, &serde_json::to_vec_pretty(&self.known)?)
    }
}
