//! The image's packages by mkosi: the other builder that needs no loop device
//! and no privilege. It unpacks natively and emulates maintainer scripts.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Time, parse};
use crate::context::Context;
use crate::definition::Definition;
use crate::rootfs::{Chosen, REGISTER};
use crate::sandbox::Ids;
use crate::tools::{Set, Tools};

/// Runs mkosi inside the sandbox and lets bash take its time.
const TIMED: &str = "TIMEFORMAT='%R %U %S'
{ time \"$@\" >/work/scratch/mkosi.log 2>&1; } 2>/work/scratch/time
status=$?
tail -n 30 /work/scratch/mkosi.log
exit $status";

/// The time to make a root file system of the packages of definition `name`,
/// which are at hand as files; no network is used.
pub fn rootfs(ctx: &Context, name: &str) -> Result<Time> {
    let chosen = Chosen::get(ctx, &Definition::load(ctx, name)?)?;
    let tools = Tools::get(ctx, Set::Rivals)?;
    let dir = tempfile::tempdir_in(ctx.cache_dir("tmp")?)?;
    let (debs, scratch) = (dir.path().join("debs"), dir.path().join("scratch"));
    let names = lay_out(&chosen, &debs)?;
    // mkosi's own list of archives, of which there are none but the folder.
    let sources = scratch.join("mkosi.sandbox/etc/apt/sources.list.d");
    for dir in [&sources, &scratch.join("out"), &scratch.join("cache")] {
        fs::create_dir_all(dir)?;
    }
    fs::write(sources.join("mkosi.sources"), "# the package folder only\n")?;

    let mut argv: Vec<String> = ["sh", "-ec", REGISTER, "sh", "bash", "-c", TIMED, "bash"]
        .into_iter()
        .chain(["mkosi", "--directory=/work/scratch", "--output-directory=/work/scratch/out"])
        .chain(["--package-cache-dir=/work/scratch/cache", "--workspace-directory=/work/scratch"])
        .chain(["--distribution=debian", "--release=trixie", "--architecture=arm64"])
        .chain(["--format=tar", "--compress-output=no", "--with-recommends=no"])
        .chain([
            "--package-directory=/work/debs",
            "--with-network=no",
            "--bootable=no",
            "--build-sources=",
        ])
        .map(str::to_owned)
        .collect();
    argv.extend(names.into_iter().map(|name| format!("--package={name}")));
    argv.push("build".to_owned());
    tools
        .sandbox()
        .ids(Ids::Private)
        .bind(&debs, "debs")
        .bind_writable(&scratch, "scratch")
        .cwd("/work/scratch")
        // Its temporary files would be in /var/tmp, which is the tools root's.
        .env("TMPDIR", "/tmp")
        .run(&argv, &dir.path().join("log"))?;
    parse(&fs::read_to_string(scratch.join("time"))?)
}

/// A folder with the packages' files under names that end in `.deb`; gives
/// the packages' names.
fn lay_out(chosen: &Chosen, debs: &Path) -> Result<Vec<String>> {
    fs::create_dir_all(debs)?;
    let mut names = Vec::new();
    for (name, file) in chosen.files() {
        let to = debs.join(format!("{name}.deb"));
        fs::hard_link(&file, &to)
            .or_else(|_| fs::copy(&file, &to).map(drop))
            .with_context(|| format!("cannot lay out {}", file.display()))?;
        names.push(name);
    }
    Ok(names)
}
