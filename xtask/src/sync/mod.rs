//! `cargo xtask sync`: the trees for Buildroot and Yocto carry what stands
//! elsewhere in the repository once (ADR 0023).
//!
//! A tree is used on its own, as a submodule or out of a tarball, so it cannot
//! point at files beside it. Its copies are listed in [`TREES`], written by
//! `sync`, and compared by `sync --check` and by the tests.

mod buildroot;
mod made;
mod patches;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

/// A file, or some files, of a tree.
pub struct Row {
    /// Its place in the tree; a folder for [`From::Patches`].
    pub to: &'static str,
    /// What it is made from.
    pub from: From,
}

/// What a row is made from; paths are relative to the repository.
pub enum From {
    /// The same bytes as this file.
    File(&'static str),
    /// The patches that `kernel-patches/series` lists, with this line among the
    /// trailers of each: both trees want to be told what became of it upstream.
    Patches(&'static str),
    /// What this makes of the repository.
    Made(fn(&Path) -> Result<String>),
}

/// The trees' folders, and what is made in each. One more file is one more row.
const TREES: &[(&str, &[Row])] = &[("buildroot-ext", buildroot::ROWS)];

/// How a file differs from what it should be.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Drift {
    Missing,
    Differs,
    /// A patch that the series does not list.
    LeftOver,
}

/// What the trees should hold.
#[derive(Default)]
struct Wanted {
    /// Content by path in the repository.
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// Folders in which no other patch may lie.
    patch_folders: Vec<PathBuf>,
}

/// Writes what differs and says so; with `check`, fails instead and names it.
pub fn run(repo: &Path, check: bool) -> Result<()> {
    let wanted = wanted(repo, TREES)?;
    if check {
        return in_step(repo, &wanted);
    }
    let drifted = drift(repo, &wanted)?;
    for (path, kind) in &drifted {
        write(repo, path, kind, &wanted)?;
        let done = if *kind == Drift::LeftOver { "removed" } else { "wrote" };
        println!("{done} {}", path.display());
    }
    println!("{} files of the trees are in step, {} were not", wanted.files.len(), drifted.len());
    Ok(())
}

fn wanted(repo: &Path, trees: &[(&str, &[Row])]) -> Result<Wanted> {
    let mut wanted = Wanted::default();
    for (tree, rows) in trees {
        for row in *rows {
            let to = Path::new(tree).join(row.to);
            let mut add = |path: PathBuf, bytes: Vec<u8>| {
                let before = wanted.files.insert(path.clone(), bytes);
                ensure!(before.is_none(), "two rows make {}", path.display());
                Ok(())
            };
            match &row.from {
                From::File(from) => {
                    let bytes = fs::read(repo.join(from)).with_context(|| {
                        format!("cannot read {from}, of which {} is a copy", to.display())
                    })?;
                    add(to, bytes)?;
                }
                From::Made(make) => {
                    let text =
                        make(repo).with_context(|| format!("cannot make {}", to.display()))?;
                    add(to, text.into_bytes())?;
                }
                From::Patches(trailer) => {
                    for (name, text) in patches::with_trailer(repo, trailer)? {
                        add(to.join(name), text.into_bytes())?;
                    }
                    wanted.patch_folders.push(to);
                }
            }
        }
    }
    Ok(wanted)
}

/// Files that are not as they should be, by path in the repository.
fn drift(repo: &Path, wanted: &Wanted) -> Result<Vec<(PathBuf, Drift)>> {
    let mut found = Vec::new();
    for (path, bytes) in &wanted.files {
        match fs::read(repo.join(path)) {
            Ok(have) if have == *bytes => {}
            Ok(_) => found.push((path.clone(), Drift::Differs)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                found.push((path.clone(), Drift::Missing));
            }
            Err(error) => bail!("cannot read {}: {error}", path.display()),
        }
    }
    for folder in &wanted.patch_folders {
        // None at all: the patches are reported as missing.
        let Ok(entries) = fs::read_dir(repo.join(folder)) else { continue };
        for entry in entries {
            let path = folder.join(entry?.file_name());
            let patch = path.extension().is_some_and(|ending| ending == "patch");
            if patch && !wanted.files.contains_key(&path) {
                found.push((path, Drift::LeftOver));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn in_step(repo: &Path, wanted: &Wanted) -> Result<()> {
    let lines: Vec<String> = drift(repo, wanted)?
        .iter()
        .map(|(path, kind)| {
            let what = match kind {
                Drift::Missing => "is missing",
                Drift::Differs => "differs from what it is made from",
                Drift::LeftOver => "is not in kernel-patches/series",
            };
            format!("  {} {what}", path.display())
        })
        .collect();
    ensure!(
        lines.is_empty(),
        "the trees are out of step:\n{}\nChange the source, never the copy \
         (xtask/src/sync), then run `cargo xtask sync`.",
        lines.join("\n")
    );
    Ok(())
}

fn write(repo: &Path, path: &Path, kind: &Drift, wanted: &Wanted) -> Result<()> {
    let at = repo.join(path);
    let done = match (kind, wanted.files.get(path)) {
        (Drift::LeftOver, _) | (_, None) => fs::remove_file(&at),
        (_, Some(bytes)) => {
            at.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&at, bytes))
        }
    };
    done.with_context(|| format!("cannot change {}", path.display()))
}
