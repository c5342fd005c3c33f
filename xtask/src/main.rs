//! Builds, verifies, emulates and tests the a7670e image.
//!
//! `cargo xtask image` is the main job; every other command looks at or
//! compares what it made. Command line only: the work is in the modules.

mod archive;
mod artefacts;
mod bench;
mod buildroot;
mod cli;
mod context;
mod coverage;
mod definition;
mod digest;
mod disk;
mod dist;
mod driver;
mod elder;
mod emulate;
mod flash;
mod fresh;
mod fuzz;
mod host;
mod image;
mod kernel;
mod packages;
mod patches;
mod process;
mod program;
mod refresh;
mod report;
mod rootfs;
mod sandbox;
mod slow_cards;
mod stage;
mod sync;
mod test;
mod tools;
mod tree;
mod verify;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Inside the namespaces that `sandbox` makes, this same program sets up
    // the mounts before it becomes the tool that was asked for, or does work
    // that needs other users' ids.
    match std::env::args().nth(1).as_deref() {
        Some(sandbox::ENTER) => return sandbox::enter::main(),
        Some(sandbox::private::ENTER) => return sandbox::private::main(),
        Some(rootfs::ENTER) => return rootfs::enter(),
        _ => {}
    }
    cli::main()
}
