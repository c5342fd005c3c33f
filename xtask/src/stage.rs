//! Stages: pure functions of their inputs, cached by the hash of these.
//!
//! A stage's result is a folder `<cache>/stages/<name>/<key>`. It is made under
//! a temporary name and renamed when whole, so an interrupted build leaves no
//! half result; a lock file keeps two builds from making the same one at once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::fs::{FlockOperation, flock};

use crate::context::Context;
use crate::digest;
use crate::report::Step;

/// What a stage depends on: names and the digests or values that stand for
/// them. The manifest lists these.
#[derive(Clone, Debug, Default)]
pub struct Inputs(BTreeMap<String, String>);

impl Inputs {
    /// No inputs yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A plain value.
    pub fn value(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// A file's or folder's content.
    pub fn path(self, name: &str, path: &Path) -> Result<Self> {
        let digest = digest::tree(path)?;
        Ok(self.value(name, digest))
    }

    /// Name and digest or value of each input, in name order.
    pub fn entries(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Hash over all of it, shortened to 32 hexadecimal digits for use in
    /// paths.
    fn key(&self, stage: &str) -> String {
        let mut text = format!("{stage}\n");
        for (name, value) in &self.0 {
            text.push_str(&format!("{}:{name}={}:{value}\n", name.len(), value.len()));
        }
        digest::bytes(text.as_bytes())[..32].to_owned()
    }
}

/// A finished stage.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The folder with its results; not to be changed.
    pub dir: PathBuf,
    /// What it was made from.
    pub inputs: Inputs,
    /// How long it took, when it ran now; `None` when it came from the cache.
    pub took: Option<Duration>,
}

impl Stage {
    /// A result of the stage.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// What the maker of a stage gets.
pub struct Room<'a> {
    /// Folder for the results.
    pub out: &'a Path,
    /// Folder for everything else. It survives an interrupted run of the same
    /// inputs, so that a long stage can go on; it is removed at success.
    pub scratch: &'a Path,
    /// Progress of the stage.
    pub step: &'a Step,
}

/// Gives the stage's result from the cache, or makes it.
pub fn run(
    ctx: &Context,
    name: &str,
    inputs: Inputs,
    make: impl FnOnce(&Room<'_>) -> Result<()>,
) -> Result<Stage> {
    let key = inputs.key(name);
    let home = ctx.stages_dir(name)?;
    let dir = home.join(&key);
    let done =
        |took| Stage { name: name.to_owned(), dir: dir.clone(), inputs: inputs.clone(), took };
    if dir.is_dir() {
        return Ok(done(None));
    }
    let _lock = lock(ctx, &home.join(format!("{key}.lock")), name)?;
    // Another build may have made it while we waited.
    if dir.is_dir() {
        return Ok(done(None));
    }
    let step = ctx.report.step(name);
    let part = home.join(format!("{key}.part"));
    let scratch = home.join(format!("{key}.scratch"));
    remove_tree(&part)?;
    for new in [&part, &scratch] {
        fs::create_dir_all(new).with_context(|| format!("cannot make {}", new.display()))?;
    }
    make(&Room { out: &part, scratch: &scratch, step: &step })
        .with_context(|| format!("stage {name} failed"))?;
    fs::rename(&part, &dir).with_context(|| format!("cannot finish {}", dir.display()))?;
    remove_tree(&scratch)?;
    let took = step.done("");
    Ok(done(Some(took)))
}

/// Takes an exclusive lock on `path`, saying so when another build holds it.
pub fn lock(ctx: &Context, path: &Path, what: &str) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        ctx.report.line(format!("waiting for another build to finish {what}"));
        flock(&file, FlockOperation::LockExclusive)
            .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

/// Removes a tree if it is there, even when folders in it are read-only or
/// belong to subordinate ids.
pub fn remove_tree(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    if fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    let mut command = crate::sandbox::namespaces(crate::sandbox::Ids::Range, true);
    command.args(["rm", "-rf", "--one-file-system"]).arg(path);
    crate::process::output(&mut command)
        .with_context(|| format!("cannot remove {}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_depends_on_every_part_and_on_their_borders() {
        let key = |inputs: Inputs| inputs.key("s");
        let a = key(Inputs::new().value("a", "bc"));
        assert_eq!(a, key(Inputs::new().value("a", "bc")));
        assert_ne!(a, key(Inputs::new().value("ab", "c")));
        assert_ne!(a, key(Inputs::new().value("a", "bc").value("d", "")));
        assert_ne!(a, Inputs::new().value("a", "bc").key("t"));
    }
}
