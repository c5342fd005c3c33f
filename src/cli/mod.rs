//! The command line. Every subcommand has a module; this one reads arguments.

mod args;
mod status;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::daemon;
use crate::net::link_name;
use args::{Command, HELP};

/// Exit status for a wrong command line, as most programs have it.
const USAGE: u8 = 2;

/// Exit status of commands that ask the daemon when there is none.
const NOT_RUNNING: u8 = 3;

/// Runs the command that `args` (without the program's name) asks for.
pub fn main(args: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let command = match args::parse(args) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("a7670e: {error}\nTry `a7670e --help`.");
            return ExitCode::from(USAGE);
        }
    };
    let done = match command {
        Command::Help => print(HELP),
        Command::Version => print(concat!("a7670e ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Run(options) => daemon::log::start().and_then(|()| daemon::run(&options)),
        Command::Status { socket, json } => status::status(&socket, json),
        Command::NetName { device } => link_name::rename(Path::new("/sys"), &device),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("a7670e: {error:#}");
            let not_running = error.downcast_ref::<status::NotRunning>().is_some();
            ExitCode::from(if not_running { NOT_RUNNING } else { 1 })
        }
    }
}

fn print(text: &str) -> Result<()> {
    status::write_out(text)
}
