//! The kernel as it was built elsewhere, at another time.
//!
//! Compiling the kernel is most of a build. `images/kernel.built` keeps the
//! digest of what came of it, so that a second build of the same inputs need
//! not be made to see that their result is the same bytes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::context::Context;
use crate::digest;

/// The record, below the repository.
pub const FILE: &str = "images/kernel.built";

/// A kernel that was built: stage key and digest of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Stands for all inputs ([`crate::stage::Inputs`]).
    pub key: String,
    /// [`digest::tree`] of the stage's folder.
    pub digest: String,
}

impl Built {
    /// What the repository has on record.
    ///
    /// # Errors
    /// The file cannot be read or is not a record.
    pub fn recorded(ctx: &Context) -> Result<Self> {
        let path = ctx.path(FILE);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// What was built into the stage's `folder`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(folder: &Path) -> Result<Self> {
        let key = folder.file_name().context("no stage")?.to_string_lossy().into_owned();
        Ok(Self { key, digest: digest::tree(folder)? })
    }

    fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let [key, digest] = words[..] else { bail!("a line KEY DIGEST is wanted") };
        let hexadecimal = |word: &str, digits| {
            word.len() == digits && word.bytes().all(|b| b.is_ascii_hexdigit())
        };
        ensure!(hexadecimal(key, 32), "no stage key: {key:?}");
        ensure!(hexadecimal(digest, 64), "no SHA-256: {digest:?}");
        ensure!(lines.next().is_none(), "more than one line");
        Ok(Self { key: key.to_owned(), digest: digest.to_owned() })
    }
}

/// The folder of the only kernel in `cache`.
///
/// # Errors
/// There is none, or more than one.
pub fn kernel_in(cache: &Path) -> Result<PathBuf> {
    let home = cache.join("stages/kernel");
    let mut found: Vec<PathBuf> = fs::read_dir(&home)
        .and_then(|items| items.map(|item| Ok(item?.path())).collect())
        .with_context(|| format!("cannot list {}", home.display()))?;
    found.retain(|path| path.is_dir() && path.extension().is_none());
    match &found[..] {
        [one] => Ok(one.clone()),
        _ => bail!("{} has {} kernels, not one", home.display(), found.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_has_a_record() {
        let text = include_str!("../../../images/kernel.built");
        Built::parse(text).unwrap();
        for bad in ["", "# only words\n", "12 34\n", &format!("{text}{text}")] {
            assert!(Built::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_kernel_is_found_beside_its_lock() {
        let cache = tempfile::tempdir().unwrap();
        let key = "0123456789abcdef0123456789abcdef";
        assert!(kernel_in(cache.path()).is_err());
        let home = cache.path().join("stages/kernel");
        fs::create_dir_all(home.join(key)).unwrap();
        fs::create_dir_all(home.join(format!("{key}.scratch"))).unwrap();
        fs::write(home.join(format!("{key}.lock")), "").unwrap();
        fs::write(home.join(key).join("Image"), "kernel").unwrap();
        let folder = kernel_in(cache.path()).unwrap();
        let built = Built::of(&folder).unwrap();
        assert_eq!(built.key, key);
        fs::write(folder.join("Image"), "another").unwrap();
        assert_ne!(Built::of(&folder).unwrap().digest, built.digest);
    }
}
