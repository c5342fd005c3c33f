//! The kernel patches as Buildroot and Yocto want them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::patches;

/// Where they are, in the repository.
const FOLDER: &str = "kernel-patches";

/// What `git format-patch` closes the message with.
const SIGNED: &str = "Signed-off-by: ";

/// Name and text of each patch of the series, with `trailer` before the first
/// `Signed-off-by:`.
pub fn with_trailer(repo: &Path, trailer: &str) -> Result<Vec<(String, String)>> {
    let folder = repo.join(FOLDER);
    // One series for all kernels: the trees could not choose between several.
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {FOLDER}"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(
            !name.starts_with("series-"),
            "{FOLDER}/{name} is for some kernels only, and the trees take one series for all: \
             say in xtask/src/sync/patches.rs which patches go where"
        );
    }
    let mut found = Vec::new();
    for name in patches::list(&folder, "any")? {
        let text = fs::read_to_string(folder.join(&name))
            .with_context(|| format!("cannot read {FOLDER}/{name}, which series lists"))?;
        let text = insert(&text, trailer)
            .with_context(|| format!("{FOLDER}/{name}: no line {SIGNED:?} before the changes"))?;
        found.push((name, text));
    }
    Ok(found)
}

/// `patch` with `trailer` as a line before its first `Signed-off-by:`, which
/// must come before the changes.
fn insert(patch: &str, trailer: &str) -> Option<String> {
    let message = patch.find("\n---\n")?;
    let at = patch[..message].find(&format!("\n{SIGNED}"))? + 1;
    Some(format!("{}{trailer}\n{}", &patch[..at], &patch[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trailer_stands_above_the_signature() {
        let patch = "Subject: x\n\nWhy.\n\nSigned-off-by: A\n---\n a | 1 +\n";
        assert_eq!(
            insert(patch, "Upstream: no").unwrap(),
            "Subject: x\n\nWhy.\n\nUpstream: no\nSigned-off-by: A\n---\n a | 1 +\n"
        );
        let late = "Subject: x\n---\n a | 1 +\n\nSigned-off-by: A\n";
        assert_eq!(insert(late, "Upstream: no"), None);
    }
}
