//! The command line.

/// Prints a line on standard error as `eprintln!` does, but does not panic when
/// nobody is left to read it: cards are being written.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        // There is no place left to say that nothing can be said.
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod documents;
mod enrol;
mod flash;
mod hot;
mod labels;
mod provision;
mod report;
mod serve;
mod show;
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

/// Writes, verifies, personalises and records SD cards.
#[derive(Parser)]
#[command(name = "station", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write an image to one or more cards, and read it back.
    Flash(flash::Arguments),
    /// Write an image to cards and make each of them a unit of a fleet.
    Provision(provision::Arguments),
    /// Show which unit is on which card.
    Report(report::Arguments),
    /// Take what units report of their modem, SIM and board.
    Enrol(enrol::Arguments),
    /// Draw labels with a QR code for units.
    Labels(labels::Arguments),
    /// Open the desk's web page: choose cards, start them, see how far they are.
    Serve(serve::Arguments),
    /// Show in the terminal what the desk's page shows.
    Watch(watch::Arguments),
    /// Write the manual pages and shell completions, for a package.
    #[command(hide = true)]
    Documents(documents::Arguments),
}

/// Runs what the user asked for: 0 when every card is right, 1 when not.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Flash(arguments) => flash::run(&arguments),
        Command::Provision(arguments) => provision::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Enrol(arguments) => enrol::run(&arguments),
        Command::Labels(arguments) => labels::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Documents(arguments) => documents::run(&arguments, Cli::command()),
    };
    finish(done)
}

fn finish(done: Result<bool>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
