//! The image's build: cold, unchanged, with one value changed; its boot on the
//! emulated machines.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::table::Table;
use crate::context::Context;
use crate::emulate::{self, Machine, Options, Running};
use crate::fresh::{Fresh, NEWCOMER};

/// The stages whose times are told.
const STAGES: &[&str] = &["tools-build", "kernel", "program", "rootfs", "tree", "disk", "forms"];

/// Measures.
pub fn run(ctx: &Context, table: &mut Table) -> Result<()> {
    let fresh = Fresh::new(ctx)?;
    fresh.prepare(&NEWCOMER, None)?;

    // Once for the downloads and the host's packages; then all but these anew.
    fresh.image(&NEWCOMER, "first")?;
    crate::stage::remove_tree(&fresh.cache(&NEWCOMER).join("stages"))?;
    crate::stage::remove_tree(&fresh.out(&NEWCOMER))?;
    table
        .timed("cold build, the archive at hand", "<= 600 s", || fresh.image(&NEWCOMER, "cold"))?;
    stages(table, &fresh)?;
    table.timed("nothing changed", "<= 3 s", || fresh.image(&NEWCOMER, "same"))?;
    let definition = fresh.repository(&NEWCOMER).join("images/pi4b.toml");
    let text = fs::read_to_string(&definition)?;
    let changed = text.replace("hostname = \"a7670e\"", "hostname = \"bench\"");
    ensure!(changed != text, "{} has no such host name", definition.display());
    fs::write(&definition, changed)?;
    table.timed("host name changed", "<= 10 s", || fresh.image(&NEWCOMER, "changed"))?;
    let size = fresh.out(&NEWCOMER).join("pi4b.img.zst").metadata()?.len();
    table.row("image, compressed", "<= 70 MB", &format!("{:.1} MB", size as f64 / 1e6));

    for (model, name) in [(Machine::Virt, "virt"), (Machine::Raspi4b, "raspi4b")] {
        let image = fresh.out(&NEWCOMER).join("pi4b.img");
        let seconds = boot(ctx, image, model)?;
        table.row(&format!("power-on to running, {name}"), "<= 45 s", &format!("{seconds:.1} s"));
    }
    Ok(())
}

/// Seconds from power-on until systemd is done with its first transaction.
fn boot(ctx: &Context, image: PathBuf, model: Machine) -> Result<f64> {
    let options = Options { image, model, extra: Vec::new(), modem: None };
    emulate::retry(ctx, || {
        let mut machine = Running::boot(ctx, &options)?;
        let state = machine.wait_running()?;
        ensure!(state == "running", "the system is {state}");
        let seconds = machine.started.elapsed().as_secs_f64();
        machine.kill()?;
        Ok(seconds)
    })
}

/// The times of the stages as the manifest tells them.
fn stages(table: &mut Table, fresh: &Fresh<'_>) -> Result<()> {
    let path = fresh.out(&NEWCOMER).join("pi4b.manifest.json");
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
    for name in STAGES {
        let seconds = manifest["times"][name]
            .as_f64()
            .with_context(|| format!("{} has no time of {name}", path.display()))?;
        let target = if *name == "tools-build" { "<= 90 s" } else { "" };
        table.row(&format!("  {name}"), target, &format!("{seconds:.1} s"));
    }
    Ok(())
}
