//! The image's build: cold, unchanged, with one value changed; and the root
//! file system beside mmdebstrap with the same packages.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::{Time, measure};
use crate::context::Context;
use crate::fresh::{Fresh, NEWCOMER};
use crate::process;

/// Measures and prints the table.
pub fn run(ctx: &Context) -> Result<()> {
    let fresh = Fresh::new(ctx)?;
    fresh.prepare(&NEWCOMER)?;
    let mut table = Table::default();

    // Once for the downloads and the host's packages; then all but these anew.
    fresh.image(&NEWCOMER, "first")?;
    let stages = fresh.cache(&NEWCOMER).join("stages");
    crate::stage::remove_tree(&stages)?;
    crate::stage::remove_tree(&fresh.out(&NEWCOMER))?;
    table
        .timed("cold build, the archive at hand", "<= 600 s", || fresh.image(&NEWCOMER, "cold"))?;
    table
        .stages(&fresh, &["tools-build", "kernel", "program", "rootfs", "tree", "disk", "forms"])?;
    table.timed("nothing changed", "<= 3 s", || fresh.image(&NEWCOMER, "same"))?;
    let definition = fresh.repository(&NEWCOMER).join("images/pi4b.toml");
    let text = fs::read_to_string(&definition)?;
    let changed = text.replace("hostname = \"a7670e\"", "hostname = \"bench\"");
    ensure!(changed != text, "{} has no such host name", definition.display());
    fs::write(&definition, changed)?;
    table.timed("host name changed", "<= 10 s", || fresh.image(&NEWCOMER, "changed"))?;
    let size = fresh.out(&NEWCOMER).join("pi4b.img.zst").metadata()?.len();
    table.row("image, compressed", "<= 70 MB", &format!("{:.1} MB", size as f64 / 1e6));

    for (mode, name, target) in [
        ("cross", "root file system, cross-configured", "<= 30 s, <= 20 CPU s"),
        ("emulated", "the same packages by mmdebstrap", "the rival"),
    ] {
        let time = rootfs(ctx, mode)?;
        table.row(name, target, &format!("{:.1} s, {:.1} CPU s", time.wall, time.cpu));
    }
    print!("{}", table.text);
    Ok(())
}

/// The time of a root file system, with tools and packages at hand.
fn rootfs(ctx: &Context, mode: &str) -> Result<Time> {
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

#[derive(Default)]
struct Table {
    text: String,
}

impl Table {
    fn row(&mut self, what: &str, target: &str, measured: &str) {
        self.text.push_str(&format!("{what:36} {target:22} {measured}\n"));
    }

    fn timed<T>(
        &mut self,
        what: &str,
        target: &str,
        run: impl FnOnce() -> Result<T>,
    ) -> Result<()> {
        let start = Instant::now();
        run().with_context(|| what.to_owned())?;
        self.row(what, target, &format!("{:.1} s", start.elapsed().as_secs_f64()));
        Ok(())
    }

    /// The times of the stages as the manifest tells them.
    fn stages(&mut self, fresh: &Fresh<'_>, names: &[&str]) -> Result<()> {
        let path = fresh.out(&NEWCOMER).join("pi4b.manifest.json");
        let manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
        for name in names {
            let seconds = manifest["times"][name]
                .as_f64()
                .with_context(|| format!("{} has no time of {name}", path.display()))?;
            let target = if *name == "tools-build" { "<= 90 s" } else { "" };
            self.row(&format!("  {name}"), target, &format!("{seconds:.1} s"));
        }
        Ok(())
    }
}
