//! `station`: the command line of the flashing desk.

use std::process::ExitCode;

fn main() -> ExitCode {
    station::cli::main()
}
