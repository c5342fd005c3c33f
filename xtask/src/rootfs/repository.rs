//! An archive of exactly the chosen packages, for a tool that wants one.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Chosen;
use super::packages::{ARCH, SUITE};
use crate::{digest, process};

/// Writes it to the new folder `dir`. Package files are links to `pool`, the
/// place at which the tool will see the cache's package files.
pub fn write(chosen: &Chosen, dir: &Path, pool: &str) -> Result<()> {
    let lists = dir.join(format!("dists/{SUITE}/main/binary-{ARCH}"));
    fs::create_dir_all(&lists).with_context(|| format!("cannot make {}", lists.display()))?;
    fs::create_dir_all(dir.join("local"))?;
    symlink(pool, dir.join("pool"))?;
    let mut list = String::new();
    for (name, file) in chosen.files() {
        let local = chosen.locals.iter().any(|l| l.file == file);
        let base = file.file_name().and_then(|n| n.to_str()).context("a package without a name")?;
        if local {
            fs::copy(&file, dir.join("local").join(base))?;
        }
        let folder = if local { "local" } else { "pool" };
        let control = process::text(Command::new("dpkg-deb").arg("--field").arg(&file))
            .with_context(|| format!("cannot read the package {name}"))?;
        // Writing to a String does not fail.
        let _ = write!(
            list,
            "{}\nFilename: {folder}/{base}\nSize: {}\nSHA256: {}\n\n",
            control.trim_end(),
            file.metadata()?.len(),
            digest::file(&file)?
        );
    }
    fs::write(lists.join("Packages"), &list)?;
    let release = format!(
        "Suite: {SUITE}\nCodename: {SUITE}\nDate: Thu, 01 Jan 1970 00:00:00 UTC\n\
         Architectures: {ARCH}\nComponents: main\nSHA256:\n {} {} main/binary-{ARCH}/Packages\n",
        digest::bytes(list.as_bytes()),
        list.len()
    );
    fs::write(dir.join(format!("dists/{SUITE}/Release")), release)?;
    Ok(())
}
