//! The flashing desk's program for other people's computers: one file that needs
//! no library of theirs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::process;
use crate::test::rust::cargo;

/// Builds it, optimised and static; gives its file.
pub fn build(ctx: &Context) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // Named, so that build scripts and macros, which are no static programs, do
    // not get the flags.
    let arguments =
        ["build", "--locked", "--package=station", "--profile=desk", "--target", &target];
    let mut command = cargo(ctx, &arguments);
    command.env(
        "RUSTFLAGS",
        format!("-Ctarget-feature=+crt-static --remap-path-prefix={}=.", ctx.repo.display()),
    );
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
    Ok(program)
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
