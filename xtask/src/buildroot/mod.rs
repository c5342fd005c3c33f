//! `cargo xtask buildroot`: builds the card image of `buildroot-ext/` in a
//! Buildroot tree that the user has, in the way that Buildroot documents.
//!
//! The tree is never written to: all results are in the output folder (`O=`).

mod sources;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::context::Context;
use crate::{process, sync};

/// Our configuration.
pub const DEFCONFIG: &str = "a7670e_pi4b_defconfig";

/// The variable that names the user's tree.
pub const VARIABLE: &str = "BUILDROOT_DIR";

/// What the command is told.
#[derive(Args)]
pub struct Arguments {
    /// The Buildroot tree, 2026.08 or later.
    #[arg(long, env = VARIABLE, value_name = "DIR")]
    buildroot: Option<PathBuf>,
    /// Buildroot's output folder [default: out/buildroot of the repository].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only configure.
    #[arg(long)]
    configure: bool,
}

/// Configures and builds.
pub fn run(ctx: &Context, arguments: &Arguments) -> Result<()> {
    let tree = tree(arguments.buildroot.as_deref())?;
    sync::run(&ctx.repo, true)?;
    let out = match &arguments.out {
        Some(out) => std::path::absolute(out)?,
        None => ctx.path("out/buildroot"),
    };
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    make(&mut configure(ctx, &tree, &out))?;
    if arguments.configure {
        println!("{}", out.join(".config").display());
        return Ok(());
    }
    let sources = out.join("a7670e-sources");
    sources::gather(ctx, &sources)?;
    let built = out.join("build/a7670e-custom").is_dir();
    let mut command = Command::new("make");
    let mut setting = OsString::from("A7670E_OVERRIDE_SRCDIR=");
    setting.push(&sources);
    command.arg("-C").arg(&out).arg(setting);
    if built {
        // Buildroot does not look whether sources have changed.
        command.arg("a7670e-rebuild");
    }
    make(command.arg("all"))?;
    println!("{}", out.join("images/sdcard.img").display());
    Ok(())
}

/// The user's tree, if it is one.
pub fn tree(named: Option<&Path>) -> Result<PathBuf> {
    let Some(named) = named else {
        bail!(
            "no Buildroot tree is named: give --buildroot DIR, or {VARIABLE}=DIR in the \
             environment (https://buildroot.org/download.html has them)"
        );
    };
    for part in ["Config.in", "package/pkg-cargo.mk", "utils/check-package"] {
        ensure!(
            named.join(part).is_file(),
            "{} is no Buildroot tree, or too old a one: it has no {part}",
            named.display()
        );
    }
    Ok(std::path::absolute(named)?)
}

/// `make` with our configuration, results in `out`.
pub fn configure(ctx: &Context, tree: &Path, out: &Path) -> Command {
    let with = |name: &str, path: &Path| {
        let mut word = OsString::from(name);
        word.push(path);
        word
    };
    let mut command = Command::new("make");
    command
        .arg("-C")
        .arg(tree)
        .arg(with("O=", out))
        .arg(with("BR2_EXTERNAL=", &ctx.path("buildroot-ext")))
        .arg(DEFCONFIG);
    command
}

/// Runs `command` before the user's eyes.
fn make(command: &mut Command) -> Result<()> {
    // What this program is run with is not for the crates that Buildroot builds.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO") || name == "RUSTFLAGS" {
            command.env_remove(name);
        }
    }
    println!("{}", process::line(command));
    let status = command.status().context("cannot run make")?;
    ensure!(status.success(), "make ended with {status}: what it says above is why");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tree_and_no_buildroot_are_told_apart() {
        let error = tree(None).unwrap_err().to_string();
        assert!(error.contains("--buildroot DIR"), "{error}");
        assert!(error.contains("BUILDROOT_DIR=DIR"), "{error}");

        let dir = tempfile::tempdir().unwrap();
        let error = tree(Some(dir.path())).unwrap_err().to_string();
        assert!(error.ends_with("it has no Config.in"), "{error}");
        for part in ["Config.in", "package/pkg-cargo.mk", "utils/check-package"] {
            let path = dir.path().join(part);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(tree(Some(dir.path())).unwrap(), dir.path());
    }
}
