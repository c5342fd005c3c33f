//! Part `source`: the source tarball, as somebody without a network has it.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::Checks;
use crate::context::Context;
use crate::dist::{source, tarball};
use crate::{digest, process};

/// The tarball's time here, in seconds since 1970; any will do.
const EPOCH: u64 = 1_700_000_000;

/// Runs the part.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let dir = tempfile::tempdir_in(ctx.cache_dir("tmp")?)?;
    let one = packed(ctx, &dir.path().join("one"))?;
    let two = packed(ctx, &dir.path().join("another place/two"))?;
    let same = || {
        ensure!(digest::file(&one)? == digest::file(&two)?, "they differ");
        Ok(())
    };
    checks.check("packed twice, the same bytes", same());
    let tree = dir.path().join("unpacked");
    fs::create_dir(&tree)?;
    let unpacked = || -> Result<()> {
        let packed = zstd::Decoder::new(File::open(&one)?)?;
        tar::Archive::new(packed).unpack(&tree)?;
        let names: Vec<_> = fs::read_dir(&tree)?.collect::<std::io::Result<_>>()?;
        ensure!(names.len() == 1, "it has {} things at its top", names.len());
        Ok(())
    };
    if !checks.check("it unpacks into one folder", unpacked()) {
        return Ok(());
    }
    let top = tree.join("a7670e");
    let home = dir.path().join("home");
    checks.check("cargo finds every crate in it", metadata(&top, &home));
    checks.check("the device's program compiles from it", compiles(&top, &home));
    checks.check("without the crates it does not", bare(&top, &home));
    Ok(())
}

fn packed(ctx: &Context, dir: &Path) -> Result<std::path::PathBuf> {
    fs::create_dir_all(dir)?;
    let tree = source::tree(ctx, "a7670e", dir, EPOCH)?;
    tarball::write(&tree, &dir.join("source.tar.zst"), EPOCH)
}

/// A cargo that has never fetched anything, and may not.
fn cargo(top: &Path, home: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).args(["--offline", "--locked"]).current_dir(top);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO")) {
            command.env_remove(name);
        }
    }
    command.env("CARGO_HOME", home).env("CARGO_TARGET_DIR", home.join("target"));
    process::output(&mut command)
}

fn metadata(top: &Path, home: &Path) -> Result<()> {
    let text = cargo(top, home, &["metadata", "--format-version=1"])?;
    let text: serde_json::Value = serde_json::from_slice(&text)?;
    let packages = text["packages"].as_array().context("cargo names no packages")?;
    let inside = |package: &&serde_json::Value| {
        package["manifest_path"].as_str().is_some_and(|path| Path::new(path).starts_with(top))
    };
    let count = packages.iter().filter(inside).count();
    ensure!(
        count == packages.len(),
        "{} of {} are elsewhere",
        packages.len() - count,
        packages.len()
    );
    ensure!(count > 100, "only {count} packages");
    Ok(())
}

fn compiles(top: &Path, home: &Path) -> Result<()> {
    cargo(top, home, &["check", "--quiet", "--package=a7670e"]).map(|_| ())
}

/// What shows that the checks before can fail.
fn bare(top: &Path, home: &Path) -> Result<()> {
    fs::rename(top.join("vendor"), top.join("elsewhere"))?;
    ensure!(cargo(top, home, &["metadata", "--format-version=1"]).is_err(), "cargo did");
    Ok(())
}
