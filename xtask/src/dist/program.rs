//! The flashing desk's program for other people's computers: one file that needs
//! no library of theirs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::process;
use crate::test::rust::cargo;

/// Builds it, optimised and static; gives its file.
pub fn build(ctx: &Context) -> Result<PathBuf> {
    let target = target();
    // Named, so that build scripts and macros, which are no static programs, do
    // not get the flags.
    let arguments =
        ["build", "--locked", "--package=station", "--profile=desk", "--target", &target];
    let registry = cargo_home()?.join("registry");
    // So that the folders are there whose names are to be left out.
    process::output(&mut cargo(ctx, &["fetch", "--locked", "--target", &target]))?;
    let mut command = cargo(ctx, &arguments);
    command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags(&ctx.repo, &registry)?);
    process::output(&mut command)?;
    // Where cargo puts things is known from where we are: DIR/debug/xtask.
    let own = std::env::current_exe()?;
    let dir = own.parent().and_then(|it| it.parent()).context("xtask lies in no folder")?;
    let program = dir.join(&target).join("desk/station");
    let bytes =
        fs::read(&program).with_context(|| format!("cargo made no {}", program.display()))?;
    if interpreter(&bytes) != Some(false) {
        bail!("{} needs libraries of the computer that it runs on", program.display());
    }
    let registry = registry.display().to_string();
    if memchr::memmem::find(&bytes, registry.as_bytes()).is_some() {
        bail!("{} tells where this computer has its crates: {registry}", program.display());
    }
    Ok(program)
}

/// What this machine runs, in Rust's words.
pub fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Where cargo keeps the crates' sources (The Cargo Book, "Cargo Home").
fn cargo_home() -> Result<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let beside = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let home = set.or_else(beside);
    let home = home.context("neither CARGO_HOME nor HOME says where cargo has its crates")?;
    Ok(std::path::absolute(home)?)
}

/// What the compiler is told, as `CARGO_ENCODED_RUSTFLAGS` has it. Messages of
/// panics name the source: without the folders of who builds, which would also
/// make each one's program another. A registry's folder has the name of the
/// mirror that the crates came from; the last prefix that fits counts.
pub fn flags(repo: &Path, registry: &Path) -> Result<String> {
    let mut folders = Vec::new();
    // None where cargo is told of other sources, such as a vendored folder.
    for entry in fs::read_dir(registry.join("src")).into_iter().flatten() {
        folders.push(entry?.path());
    }
    folders.sort();
    let own = [(repo, "."), (registry, "crates")].into_iter();
    let mut flags = "-Ctarget-feature=+crt-static".to_owned();
    for (prefix, name) in own.chain(folders.iter().map(|folder| (folder.as_path(), "crates"))) {
        // Between flags, as paths may have spaces.
        flags += &format!("\x1f--remap-path-prefix={}={name}", prefix.display());
    }
    Ok(flags)
}

/// Whether a 64-bit little-endian ELF program asks for a dynamic linker
/// (`PT_INTERP`, ELF-64 Object File Format 1.5, "Program header table"); `None`
/// when it is no such file.
pub fn interpreter(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let half = |at: usize| Some(usize::from(u16::from_le_bytes(*elf.get(at..)?.first_chunk()?)));
    let table = u64::from_le_bytes(*elf.get(32..)?.first_chunk()?);
    let (table, size, count) = (usize::try_from(table).ok()?, half(54)?, half(56)?);
    let mut found = false;
    for number in 0..count {
        let at = table.checked_add(number * size)?;
        found |= u32::from_le_bytes(*elf.get(at..)?.first_chunk()?) == PT_INTERP;
    }
    Some(found)
}
