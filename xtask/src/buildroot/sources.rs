//! The program's sources with their crates, as Buildroot builds them without a
//! network: `VENDOR/`, and a configuration of cargo's that leads there.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::{process, program};

/// Licences, which Buildroot collects.
const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// The folder that Buildroot's own vendoring makes, too
/// (support/download/cargo-post-process).
const VENDOR: &str = "VENDOR";

/// Brings `dir` to the repository's present state. What has not changed is not
/// written, so that cargo builds no more than it must.
pub fn gather(ctx: &Context, dir: &Path) -> Result<()> {
    let parts = program::sources(ctx)?;
    let mut list = Command::new("git");
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"])
        .args(&parts)
        .args(LICENCES)
        .current_dir(&ctx.repo);
    let names = process::text(&mut list)?;
    let names: Vec<&str> = names.split('\0').filter(|name| !name.is_empty()).collect();
    for part in &parts {
        clear(&dir.join(part), dir, &names)?;
    }
    for name in &names {
        let from = ctx.path(name);
        // Removed, and git was not told yet.
        if from.exists() {
            put(&dir.join(name), &fs::read(&from).with_context(|| format!("cannot read {name}"))?)?;
        }
    }
    let vendor = dir.join(VENDOR);
    let lock = dir.join("VENDOR.lock");
    let wanted = fs::read(ctx.path("Cargo.lock"))?;
    if fs::read(&lock).ok().as_ref() != Some(&wanted) {
        program::vendor_crates(ctx, &vendor)?;
        // Last: a run that was cut off is done again.
        put(&lock, &wanted)?;
    }
    let text = format!(
        "[source.crates-io]\nreplace-with = \"vendored-sources\"\n\n\
         [source.vendored-sources]\ndirectory = \"{VENDOR}\"\n"
    );
    put(&dir.join(".cargo/config.toml"), text.as_bytes())
}

/// Removes files beneath `folder` that are not among `names` (relative to `top`):
/// cargo takes a file that is gone from the repository for a target.
fn clear(folder: &Path, top: &Path, names: &[&str]) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            clear(&path, top, names)?;
        } else if !names.iter().any(|name| top.join(name) == path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|have| have == bytes) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_from_the_repository_goes_and_the_rest_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["src/kept.rs", "src/old/gone.rs", "VENDOR/crate/lib.rs"] {
            put(&at(name), b"1").unwrap();
        }
        let before = fs::metadata(at("src/kept.rs")).unwrap().modified().unwrap();
        clear(&at("src"), dir.path(), &["src/kept.rs"]).unwrap();
        assert!(!at("src/old/gone.rs").exists());
        assert!(at("VENDOR/crate/lib.rs").exists());
        put(&at("src/kept.rs"), b"1").unwrap();
        assert_eq!(fs::metadata(at("src/kept.rs")).unwrap().modified().unwrap(), before);
        put(&at("src/kept.rs"), b"2").unwrap();
        assert_eq!(fs::read(at("src/kept.rs")).unwrap(), b"2");
    }
}
