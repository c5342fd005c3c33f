//! What a Buildroot tree's own programs say of ours.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Files, TREE, none_of};
use crate::buildroot::{self, DEFCONFIG};
use crate::context::Context;
use crate::process;
use crate::test::Checks;

/// Configures our defconfig in `buildroot`, and asks its checkers.
pub fn run(ctx: &Context, checks: &mut Checks, buildroot: &Path, files: &Files) -> Result<()> {
    checks.check("utils/check-package finds nothing", check_package(ctx, buildroot, files));
    let dir = tempfile::tempdir_in(ctx.cache_dir("tmp")?)?;
    let out = dir.path();
    process::output(&mut buildroot::configure(ctx, buildroot, out))?;
    let ours = ctx.path(TREE).join("configs").join(DEFCONFIG);
    let mut dropped = Command::new("python3");
    dropped
        .arg(buildroot.join("support/scripts/check-dotconfig.py"))
        .args([&out.join(".config"), &ours]);
    checks.check("Kconfig drops nothing", process::output(&mut dropped).map(drop));
    checks.check("the defconfig is what savedefconfig writes", saved(out, &ours));
    Ok(())
}

fn check_package(ctx: &Context, buildroot: &Path, files: &Files) -> Result<()> {
    let mut command = Command::new("python3");
    command.arg(buildroot.join("utils/check-package")).arg("-b");
    // It knows no Markdown and judges by file(1).
    let judged = files.keys().filter(|path| !path.ends_with(".md"));
    command.args(judged).current_dir(ctx.path(TREE));
    let output = process::any_output(&mut command)?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure!(
        !said.contains("No module named"),
        "check-package needs Python's modules magic and flake8: {said}"
    );
    ensure!(output.status.success(), "{said}");
    Ok(())
}

fn saved(out: &Path, ours: &Path) -> Result<()> {
    let to = out.join("saved");
    let mut save = Command::new("make");
    save.arg("-C").arg(out).arg(format!("BR2_DEFCONFIG={}", to.display())).arg("savedefconfig");
    process::output(&mut save)?;
    let (theirs, ours) = (fs::read_to_string(&to), fs::read_to_string(ours));
    let (theirs, ours) = (theirs.context("savedefconfig wrote nothing")?, ours?);
    let only = |left: &str, right: &str, sign: &str| -> Vec<String> {
        let missing = left.lines().filter(|line| !right.lines().any(|other| other == *line));
        missing.map(|line| format!("{sign}{line}")).collect()
    };
    let mut found = only(&ours, &theirs, "-");
    found.extend(only(&theirs, &ours, "+"));
    if found.is_empty() && theirs != ours {
        found.push("the lines stand in another order".into());
    }
    none_of(found)
}
