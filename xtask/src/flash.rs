//! `cargo xtask flash`: builds the flashing desk's program and runs it.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::process;
use crate::test::rust::cargo;

/// Runs `station SUBCOMMAND ARGUMENTS...`; its exit status becomes ours.
///
/// Only it needs root, for it writes to devices: cargo stays the user's own.
pub fn run(ctx: &Context, subcommand: &str, arguments: &[OsString]) -> Result<ExitCode> {
    let program = station(ctx)?;
    let root = rustix::process::geteuid().is_root();
    let device = arguments.iter().any(|it| it.to_string_lossy().starts_with("/dev/"));
    let mut command = if root || !device || !std::io::stdin().is_terminal() {
        Command::new(&program)
    } else {
        eprintln!("writing to a device needs root: by sudo");
        let mut command = Command::new("sudo");
        command.arg(&program);
        command
    };
    let status = command
        .arg(subcommand)
        .args(arguments)
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, Into::into))
}

/// Builds the flashing desk's program; gives its file.
pub fn station(ctx: &Context) -> Result<PathBuf> {
    process::output(&mut cargo(ctx, &["build", "--quiet", "--locked", "--package=station"]))?;
    Ok(std::env::current_exe()?.with_file_name("station"))
}
