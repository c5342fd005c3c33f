//! Cross-configure, outer half: the twin, and the inner process that does the
//! work in namespaces of its own ([`super::configure`]).

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use super::configure::{ENTER, Foreign, Plan};
use super::{Chosen, DPKG_CONFIG, IDS, inputs};
use crate::context::Context;
use crate::process;
use crate::sandbox::{self, Ids};
use crate::stage::{self, Inputs, Room, Stage};
use crate::tools::{self, Tools};

/// Changes when this way's result may change for the same packages.
const VERSION: &str = "cross 2";

/// Makes `rootfs.tar`, or finds it in the cache.
pub fn build(ctx: &Context, tools: &Tools, chosen: &Chosen) -> Result<Stage> {
    let twin = twin(ctx, chosen)?;
    let mut inputs = inputs(ctx, chosen)?.value("mode", VERSION);
    for (name, value) in twin.inputs.entries() {
        inputs = inputs.value(&format!("twin {name}"), value);
    }
    stage::run(ctx, "rootfs", inputs, |room| {
        configure(ctx, tools, chosen, &twin.path("root"), room)
    })
}

/// The twin: the image's packages for the build machine, unpacked only. An
/// arm64 machine unpacks the image's own.
///
/// Unconfigured programs suffice: what they would miss (the accounts of
/// base-passwd, the link for awk) `tools::unpack` adds, and alternatives must
/// not exist in the twin at all, since the image makes its own.
pub fn twin(ctx: &Context, chosen: &Chosen) -> Result<Stage> {
    let packages = chosen.twin.as_ref().unwrap_or(&chosen.target);
    let inputs = Inputs::new().value("layout", "1").value("packages", packages.digest());
    stage::run(ctx, "twin", inputs, |room| {
        tools::unpack(std::slice::from_ref(packages), &room.out.join("root"), ctx.jobs)
    })
}

fn configure(
    ctx: &Context,
    tools: &Tools,
    chosen: &Chosen,
    twin: &Path,
    room: &Room<'_>,
) -> Result<()> {
    let foreign = match tools::arch()? {
        "arm64" => None,
        "amd64" => Some(Foreign {
            libraries: vec!["usr/lib64".into(), "usr/lib/x86_64-linux-gnu".into()],
            links: vec![("lib64".into(), "usr/lib64".into())],
            qemu: tools.root().join("usr/bin/qemu-aarch64"),
        }),
        other => bail!("no loader is known for {other} machines"),
    };
    let plan = Plan {
        work: room.scratch.join("work"),
        twin: twin.to_owned(),
        debs: chosen.files(),
        filters: super::dpkg_filters(&ctx.path(DPKG_CONFIG))?,
        foreign,
        ids: ctx.path(IDS),
        epoch: chosen.target.epoch(),
        out: room.out.to_owned(),
    };
    std::fs::create_dir_all(&plan.work)?;
    let mut command = sandbox::namespaces(Ids::Range, false);
    command
        .arg(std::env::current_exe().context("cannot find this program's own file")?)
        .arg(ENTER)
        .arg(serde_json::to_string(&plan)?);
    let errors = room.scratch.join("errors");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&errors)?)
        .spawn()
        .with_context(|| format!("cannot run {}", process::line(&command)))?;
    let phases = child.stdout.take().context("no pipe to the inner process")?;
    let mut timing = String::new();
    for line in BufReader::new(phases).lines() {
        let line = line?;
        room.step.message(&line);
        timing.push_str(&line);
        timing.push('\n');
    }
    let status = child.wait()?;
    std::fs::write(room.out.join("phases.log"), timing)?;
    if !status.success() {
        bail!("{}", String::from_utf8_lossy(&std::fs::read(&errors)?).trim());
    }
    Ok(())
}
