//! The command line. Every subcommand has a module; this one reads arguments.

mod args;
mod at;
mod check_config;
mod client;
mod code;
mod control;
mod doctor;
mod enrol;
mod first_boot;
mod forget;
mod metrics;
mod plan;
mod record;
mod signal;
mod sms;
mod status;
mod test;
mod usage;
mod ussd;
mod why;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::daemon;
use crate::net::link_name;
use crate::protocol::Status;
use args::{Asked, Command, HELP, Question};
use client::{Client, write_out};

/// Exit status for a wrong command line, as most programs have it.
const USAGE: u8 = 2;

/// Exit status of commands that ask the daemon when there is none.
const NOT_RUNNING: u8 = 3;

/// Exit status of `at` when the modem answers with an error.
const REFUSED: u8 = 4;

/// Between two looks with `--watch`.
const PAUSE: Duration = Duration::from_secs(1);

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
        Command::Help => write_out(HELP),
        Command::Version => write_out(concat!("a7670e ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Run(options) => daemon::log::start().and_then(|()| daemon::run(&options)),
        Command::Ask(question, asked) => ask(&question, &asked),
        Command::CheckConfig { file } => check_config::run(file.as_deref()),
        Command::Enrol { asked, sms } => enrol::run(&asked, sms),
        Command::Forget => forget::run(),
        Command::Code(wanted) => code::run(&wanted),
        Command::FirstBoot { root, dry } => first_boot::run(root, dry),
        Command::NetName { device } => link_name::rename(Path::new("/sys"), &device),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.downcast_ref::<at::Refused>().is_some() => ExitCode::from(REFUSED),
        Err(error) => {
            eprintln!("a7670e: {error:#}");
            let not_running = error.downcast_ref::<client::NotRunning>().is_some();
            ExitCode::from(if not_running { NOT_RUNNING } else { 1 })
        }
    }
}

/// What is wrong with these arguments, if anything; does nothing else. For whoever
/// judges what the manual says.
pub fn mistake(args: impl IntoIterator<Item = std::ffi::OsString>) -> Option<String> {
    args::parse(args).err().map(|error| error.to_string())
}

fn ask(question: &Question, asked: &Asked) -> Result<()> {
    let client = Client::connect(&asked.socket);
    let mut client = match (client, why::first_boot()) {
        // What it was to be told by the card may be what the service lacks.
        (Err(error), Some(trouble)) if *question == Question::Why => {
            return Err(error.context(trouble));
        }
        (client, _) => client?,
    };
    let show = match question {
        Question::At { command, timeout_s } => {
            return at::at(&mut client, asked, command, *timeout_s);
        }
        Question::Record { file, seconds } => {
            return record::record(&mut client, asked, file, *seconds);
        }
        Question::Control(wanted) => return control::control(&mut client, asked, *wanted),
        Question::Test { target, bytes } => {
            return test::test(&mut client, asked, target, *bytes);
        }
        Question::Sms(wanted) => return sms::run(&mut client, asked, wanted),
        Question::Ussd(code) => return ussd::run(&mut client, asked, code.as_deref()),
        Question::Doctor => return doctor::doctor(&mut client, asked),
        Question::Status => status::render,
        Question::Why => why::render,
        Question::Plan => plan::render,
        Question::Signal => signal::render,
        Question::Usage => usage::render,
        Question::Metrics => metrics::render,
    };
    loop {
        let status = client.status(asked)?;
        let text = if asked.json { json(question, &status)? } else { show(&status) };
        // `signal` is a graph that grows downwards; the others are a page.
        let page = asked.watch && !asked.json && *question != Question::Signal;
        if page && std::io::stdout().is_terminal() {
            // Home, and clear to the end (ECMA-48 CUP and ED).
            write_out("\x1b[H\x1b[J")?;
        }
        write_out(&text)?;
        if !asked.watch {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

/// One line of JSON.
fn json(question: &Question, status: &Status) -> Result<String> {
    let line = match question {
        Question::Why => line(&why::answers(status)),
        Question::Plan => line(&plan::answers(status)),
        Question::Usage => line(&usage::answers(status)),
        _ => line(status),
    };
    line.context("cannot write the answer as JSON")
}

fn line(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}
