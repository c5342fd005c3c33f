//! `cargo xtask test`: the parts, and the summary that ends them.

mod artefacts;
mod boot;
mod disk;
mod rootfs;
mod rust;
mod tidy;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::context::Context;
use crate::coverage;

/// A part of the tests that can be run alone.
pub struct Part {
    /// The name on the command line.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Runs it. An `Err` counts as a failure of the whole part.
    pub run: fn(&Context, &mut Checks) -> Result<()>,
}

/// All parts, in the order in which they run.
pub const PARTS: &[Part] = &[
    Part { name: "tidy", about: "the rules of the house", run: tidy::run },
    Part { name: "rust", about: "formatting, lints and every Rust test", run: rust::run },
    Part {
        name: "disk",
        about: "disk images are sound, complete, mapped and repeatable",
        run: disk::run,
    },
    Part {
        name: "artefacts",
        about: "what is published, by the programs that users read it with",
        run: artefacts::run,
    },
    Part {
        name: "driver",
        about: "simcom_wwan on Debian's kernels: series, W=1, sparse, checkpatch",
        run: crate::driver::test,
    },
    Part {
        name: "boot",
        about: "the image boots on the emulated machines and all in it works",
        run: boot::run,
    },
    Part {
        name: "rootfs",
        about: "the root file system, configured natively and by emulation",
        run: rootfs::run,
