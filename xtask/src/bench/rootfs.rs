//! The root file system beside other makers of the same packages: mmdebstrap
//! and mkosi, both of which emulate maintainer scripts.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::table::Table;
use super::{Time, measure, mkosi};
use crate::context::Context;
use crate::process;

/// Measures, tools and packages being at hand.
pub fn run(ctx: &Context, table: &mut Table) -> Result<()> {
    let mut row = |what: &str, target: &str, time: Time| {
        table.row(what, target, &format!("{:.1} s, {:.1} CPU s", time.wall, time.cpu));
    };
    row("root file system, cross-configured", "<= 30 s, <= 20 CPU s", ours(ctx, "cross")?);
    row("the same packages by mkosi", "a rival", mkosi::rootfs(ctx, "pi4b")?);
    row("the same packages by mmdebstrap", "a rival", ours(ctx, "emulated")?);
    Ok(())
}

/// The time of `cargo xtask rootfs` in a cache that has only downloads and
/// tools.
fn ours(ctx: &Context, mode: &str) -> Result<Time> {
    let dir = tempfile::tempdir_in(ctx.cache_dir("tmp")?)?;
    let cache = dir.path().join("cache");
    fs::create_dir_all(cache.join("stages"))?;
    std::os::unix::fs::symlink(ctx.cache_dir("pool")?, cache.join("pool"))?;
    for tools in ["tools-build", "tools-rig"] {
        std::os::unix::fs::symlink(
            ctx.cache_dir(&format!("stages/{tools}"))?,
            cache.join("stages").join(tools),
        )?;
    }
    // Tools first, should the cache have none yet.
    let xtask = || -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env("A7670E_CACHE", &cache).arg("--yes");
        Ok(command)
    };
    process::output(xtask()?.arg("tools"))?;
    let mut command = xtask()?;
    command.args(["rootfs", "--rootfs", mode]);
    measure(&command, &dir.path().join("log"))
}
