//! The device's program `a7670e`, for arm64.
//!
//! Built in the sandbox by Debian's Rust from crates that cargo vendored on
//! the host, so that neither the host's toolchain nor its paths matter.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::process;
use crate::stage::{self, Inputs, Stage};
use crate::tools::Tools;

/// The Pi's 64-bit Linux, in Rust's words.
pub const TARGET: &str = "aarch64-unknown-linux-gnu";

/// The parts of the repository that the program is made from, and the
/// manifests that cargo reads on the way.
const SOURCES: &[&str] = &["Cargo.toml", "Cargo.lock", "src", "unit"];

/// What the compiler is told.
const FLAGS: &str = "--remap-path-prefix=/work/vendor=crates --remap-path-prefix=/work/src= \
    -Clink-arg=-Wl,-z,pack-relative-relocs,--no-eh-frame-hdr,-T,/work/program.ld";

/// What the linker is told in `/work/program.ld`.
const LINK: &str = include_str!("program.ld");

/// Builds the program; the result has `a7670e`.
pub fn build(ctx: &Context, tools: &Tools) -> Result<Stage> {
    let mut inputs = Inputs::new()
        .value("procedure", "4")
        .value("tools", tools.digest())
        .value("flags", FLAGS)
        .value("link", LINK);
    for source in SOURCES {
        inputs = inputs.path(source, &ctx.path(source))?;
    }
    let members = members(ctx)?;
    stage::run(ctx, "program", inputs, |room| {
        room.step.message("vendor");
        let vendor = room.scratch.join("vendor");
        vendor_crates(ctx, &vendor)?;
        room.step.message("compile");
        let target = room.scratch.join("target");
        let home = room.scratch.join("home");
        for dir in [&target, &home] {
            fs::create_dir_all(dir)?;
        }
        let link = room.scratch.join("program.ld");
        fs::write(&link, LINK)?;
        let mut sandbox = tools.sandbox().bind(&link, "program.ld");
        for source in SOURCES {
            sandbox = sandbox.bind(&ctx.path(source), &format!("src/{source}"));
        }
        for member in members.iter().filter(|member| !SOURCES.contains(&member.as_str())) {
            sandbox = sandbox.bind(&ctx.path(member), &format!("src/{member}"));
        }
        sandbox
            .bind(&vendor, "vendor")
            .bind_writable(&target, "target")
            .bind_writable(&home, "home")
            .cwd("/work/src")
            .env("CARGO_HOME", "/work/home")
            .env("CARGO_TARGET_DIR", "/work/target")
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
            // Panic messages name the crate, not where it was built. Relative
            // relocations are packed (DT_RELR, glibc 2.36), which makes the
            // program a fifteenth smaller.
            .env("RUSTFLAGS", FLAGS)
            .env("CC_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-gcc")
            .run(
                &[
                    "cargo",
                    "build",
                    "--release",
                    "--locked",
                    "--offline",
                    "--package=a7670e",
                    "--bin=a7670e",
                    &format!("--target={TARGET}"),
                    &format!("--jobs={}", ctx.jobs),
                    "--config=source.crates-io.replace-with='vendored'",
                    "--config=source.vendored.directory='/work/vendor'",
                ],
                &room.scratch.join("cargo.log"),
            )?;
        let built = target.join(TARGET).join("release/a7670e");
        fs::copy(&built, room.out.join("a7670e"))
            .with_context(|| format!("cargo made no {}", built.display()))?;
        Ok(())
    })
}

/// Takes a program that the user built for the Pi (`--program`) instead.
pub fn given(ctx: &Context, path: &Path) -> Result<Stage> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !is_arm64(&bytes) {
        bail!("{} is no arm64 ELF program: build it with --target {TARGET}", path.display());
    }
    let inputs = Inputs::new().path("given", path)?;
    stage::run(ctx, "program", inputs, |room| {
        fs::write(room.out.join("a7670e"), bytes)?;
        Ok(())
    })
}

/// ELF, 64 bits, little-endian, `e_machine` 183 (EM_AARCH64, ELF for the Arm
/// 64-bit Architecture, section 5.2).
fn is_arm64(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF\x02\x01") && bytes.get(18..20) == Some(&[183, 0])
}

/// The parts of the repository that cargo wants to read, relative to its top.
pub fn sources(ctx: &Context) -> Result<Vec<String>> {
    let mut parts: Vec<String> = SOURCES.iter().map(|part| (*part).to_owned()).collect();
    for member in members(ctx)? {
        if !parts.contains(&member) {
            parts.push(member);
        }
    }
    Ok(parts)
}

/// Copies the locked crates' sources into `dir`.
pub fn vendor_crates(ctx: &Context, dir: &Path) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["vendor", "--quiet", "--locked", "--versioned-dirs", "--manifest-path"])
        .arg(ctx.path("Cargo.toml"))
        .arg(dir);
    process::output(&mut command)
        .context("the crates cannot be vendored; is there a network, or a filled cargo cache?")?;
    Ok(())
}

/// The other members of the workspace, whose manifests cargo wants to read.
fn members(ctx: &Context) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Manifest {
        workspace: Workspace,
    }
    #[derive(serde::Deserialize)]
    struct Workspace {
        members: Vec<String>,
    }
    let path = ctx.path("Cargo.toml");
    let text = fs::read_to_string(&path)?;
    let manifest: Manifest =
        toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    Ok(manifest.workspace.members)
}

#[cfg(test)]
mod tests {
    use super::is_arm64;

    #[test]
    fn tells_arm64_from_others() {
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(64, 0);
        assert!(!is_arm64(&elf));
        elf[18] = 183;
        assert!(is_arm64(&elf));
        assert!(!is_arm64(b"#!/bin/sh"));
    }
}
