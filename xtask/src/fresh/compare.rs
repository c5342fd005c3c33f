//! Are the results of two builds the same bytes, and if not, where?

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::tools::{Set, Tools};
use crate::{digest, process};

/// The published file that tells times and so may differ.
const TIMED: &str = ".manifest.json";

/// Compares all files of two result folders; the error says where they differ.
pub fn results(ctx: &Context, a: &Path, b: &Path) -> Result<()> {
    let (names, others) = (names(a)?, names(b)?);
    if names != others {
        bail!("different files: {names:?} and {others:?}");
    }
    let mut different = Vec::new();
    for name in names.iter().filter(|name| !name.ends_with(TIMED)) {
        let (one, two) = (digest::file(&a.join(name))?, digest::file(&b.join(name))?);
        if one == two {
            println!("same    {one}  {name}");
        } else {
            different.push(format!("{name}: {one} and {two}"));
        }
    }
    if names.len() < 4 {
        bail!("{} has too few results: {names:?}", a.display());
    }
    if different.is_empty() {
        return Ok(());
    }
    bail!("{}\n{}", different.join("\n"), explain(ctx, a, b)?)
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .with_context(|| format!("no results in {}", dir.display()))?
        .map(|item| Ok(item?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}

/// Results of the stages, in the order in which a difference spreads.
const STAGES: [(&str, &str); 5] = [
    ("program", "a7670e"),
    ("kernel", "Image"),
    ("kernel", "config"),
    ("rootfs", "rootfs.tar"),
    ("tree", "root.tar"),
];

/// The first stage whose results differ, as diffoscope sees them.
fn explain(ctx: &Context, a: &Path, b: &Path) -> Result<String> {
    for (stage, file) in STAGES {
        let (Some(one), Some(two)) = (find(a, stage, file)?, find(b, stage, file)?) else {
            continue;
        };
        if digest::file(&one)? != digest::file(&two)? {
            let rig = Tools::get(ctx, Set::Rig)?;
            let sandbox = rig.sandbox().bind(&one, "a").bind(&two, "b");
            let argv = ["diffoscope", "--max-report-size=20000", "/work/a", "/work/b"];
            // Status 1 means that there are differences.
            let output = process::any_output(&mut sandbox.command(&argv)?)?;
            let report = String::from_utf8_lossy(&output.stdout).into_owned();
            return Ok(format!("{stage}/{file} differs first:\n{report}"));
        }
    }
    Ok("all stages before the disk image are the same: the image writer differs".to_owned())
}

/// The stage's result in the cache beside a result folder.
fn find(out: &Path, stage: &str, file: &str) -> Result<Option<PathBuf>> {
    let dir = out.with_file_name("cache").join("stages").join(stage);
    let Ok(items) = fs::read_dir(&dir) else { return Ok(None) };
    for item in items {
        let path = item?.path().join(file);
        if path.is_file() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
