//! The two kernels that are compared.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::evidence::Evidence;
use crate::archive::{self, Request};
use crate::context::Context;
use crate::process;
use crate::sandbox::Sandbox;
use crate::stage::{self, Inputs, Stage};
use crate::tools::Tools;

/// Lock file of what this comparison needs.
pub const LOCK: &str = "devicetree";

/// What to ask the archive for: the package that depends on Debian's newest
/// generic kernel.
pub fn request() -> Request {
    Request::new("debian-kernel", "arm64", "trixie", &["linux-image-arm64"])
}

/// What our kernel, as the stage left it, has of `wanted`.
pub fn ours(tools: &Tools, kernel: &Stage, wanted: &BTreeSet<String>) -> Result<Evidence> {
    evidence(tools, &kernel.path("Image"), &kernel.path("modules"), wanted)
        .context("in our own kernel")
}

/// What Debian's kernel has of `wanted`.
pub fn debian(ctx: &Context, tools: &Tools, wanted: &BTreeSet<String>) -> Result<Evidence> {
    let packages = archive::packages(ctx, LOCK, &request())?;
    let entries = packages.section.entries.iter().zip(&packages.files);
    // linux-image-arm64 itself is empty; the kernel's package has its version
    // in its name.
    let real: Vec<_> = entries
        .filter(|(e, _)| e.name.starts_with("linux-image-") && e.name != "linux-image-arm64")
        .collect();
    let [(entry, file)] = real[..] else {
        bail!("linux-image-arm64 depends on {} kernels where one was expected", real.len());
    };
    let keys: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let inputs = Inputs::new()
        .value("procedure", "1")
        .value("package", entry.sha256.as_str())
        .value("wanted", keys.join(" "));
    // Its modules unpack to half a gigabyte, so what was found is kept.
    let stage = stage::run(ctx, "debian-kernel", inputs, |room| {
        let tree = room.scratch.join("tree");
        stage::remove_tree(&tree)?;
        process::output(Command::new("dpkg-deb").arg("--extract").args([file, &tree]))?;
        let release = entry.name.trim_start_matches("linux-image-");
        let image = tree.join(format!("boot/vmlinuz-{release}"));
        let found = evidence(tools, &image, &tree.join("usr/lib/modules"), wanted)?;
        std::fs::write(room.out.join("evidence"), found.text())?;
        Ok(())
    })
    .with_context(|| format!("in Debian's {} {}", entry.name, entry.version))?;
    Evidence::parse(&std::fs::read_to_string(stage.path("evidence"))?)
}

/// Searches an `image` and all modules under `dir`.
fn evidence(
    tools: &Tools,
    image: &Path,
    dir: &Path,
    wanted: &BTreeSet<String>,
) -> Result<Evidence> {
    let bytes = std::fs::read(image).with_context(|| format!("no {}", image.display()))?;
    let sandbox = tools.sandbox().bind(dir, "modules");
    let mut child = unpacked(&sandbox)?
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot unpack the modules")?;
    let modules = child.stdout.take().context("the modules have no output")?;
    let found = Evidence::find(wanted, &bytes, modules);
    let status = child.wait()?;
    if !status.success() {
        bail!("the modules in {} cannot be unpacked ({status})", dir.display());
    }
    found
}

/// The command that writes all modules, uncompressed, one after the other.
fn unpacked(sandbox: &Sandbox) -> Result<Command> {
    // An unpacker without a module to unpack would read standard input; and a
    // kernel without modules is a mistake.
    const SCRIPT: &str = "set -eu; cd /work/modules
        find . -name '*.ko*' | sort >/tmp/all; test -s /tmp/all
        grep '\\.xz$' /tmp/all | xargs -r xz -dc
        grep '\\.zst$' /tmp/all | xargs -r zstd -dcq
        if grep -v -e '\\.xz$' -e '\\.zst$' /tmp/all; then exit 1; fi";
    sandbox.command(&["sh", "-c", SCRIPT])
}
