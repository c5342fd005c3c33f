//! The working folder of one emulated machine: card, sockets, logs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::context::Context;

/// A folder that goes when the machine goes.
pub struct Room {
    dir: TempDir,
    /// Held as long as the folder is in use.
    _lock: File,
}

impl Room {
    /// Makes a folder in the cache, and removes those whose owners were killed.
    pub fn new(ctx: &Context) -> Result<Self> {
        let home = ctx.cache_dir("machines")?;
        sweep(&home)?;
        let dir = tempfile::Builder::new()
            .prefix("m")
            .rand_bytes(4)
            .tempdir_in(&home)
            .with_context(|| format!("cannot make a folder in {}", home.display()))?;
        let lock = File::create(dir.path().join("lock"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { dir, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Removes the folders that nobody holds.
fn sweep(home: &Path) -> Result<()> {
    for entry in fs::read_dir(home).with_context(|| format!("cannot read {}", home.display()))? {
        let dir = entry?.path();
        // One without a lock file is being made at this moment, or was made by
        // somebody else.
        let Ok(lock) = File::open(dir.join("lock")) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // Another sweep may be quicker; what stays goes the next time.
            let _ = fs::remove_dir_all(&dir);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_dead_go_and_those_of_the_living_stay() {
        let home = tempfile::tempdir().unwrap();
        let (dead, living) = (home.path().join("dead"), home.path().join("living"));
        for dir in [&dead, &living] {
            fs::create_dir(dir).unwrap();
            File::create(dir.join("lock")).unwrap();
        }
        let held = File::open(living.join("lock")).unwrap();
        flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
        sweep(home.path()).unwrap();
        assert!(!dead.exists() && living.exists());
    }
}
