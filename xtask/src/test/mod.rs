//! `cargo xtask test`: the parts, and the summary that ends them.

mod artefacts;
mod boot;
mod buildroot;
mod commands;
mod disk;
mod errors;
mod manuals;
mod pi;
mod readme;
mod reproducible;
mod rootfs;
pub mod rust;
mod source;
mod tidy;
mod verify;
mod web;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::context::Context;
use crate::image::{self, Options};
use crate::{coverage, fuzz};

pub use pi::throughput::measure as throughput;
pub use reproducible::KERNEL_TWICE;

/// A part of the tests that can be run alone.
pub struct Part {
    /// The name on the command line.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Runs it. An `Err` counts as a failure of the whole part.
    pub run: fn(&Context, &mut Checks) -> Result<()>,
}

/// All parts, in the order in which they run: what is quick and often wrong
/// first, then the image that later parts go on with.
pub const PARTS: &[Part] = &[
    Part { name: "tidy", about: "the rules of the house", run: tidy::run },
    Part { name: "rust", about: "formatting, lints and every Rust test", run: rust::run },
    Part { name: "fuzz", about: "no bytes make a parser fall, for a while", run: fuzz::test },
    Part {
        name: "buildroot",
        about: "buildroot-ext/ as Buildroot wants it; more of it when BUILDROOT_DIR names a tree",
        run: buildroot::run,
    },
    Part {
        name: "newcomer",
        about: "an image from nothing in a fresh Debian 12",
        run: reproducible::newcomer,
    },
    Part {
        name: "udev",
        about: "the udev rules under the image's udev, on devices made up",
        run: rust::udev,
    },
    Part {
        name: "modemmanager",
        about: "Debian's ModemManager takes the emulated modem for a real one, and the service's",
        run: rust::modemmanager,
    },
    Part {
        name: "resolved",
        about: "Debian's systemd-resolved has the modem's name servers, whatever is killed",
        run: rust::resolved,
    },
    Part {
        name: "networkmanager",
        about: "Debian's NetworkManager configures the modem's link as it is told",
        run: rust::networkmanager,
    },
    Part {
        name: "station-web",
        about: "the desk's page in Chromium, and what other sites try",
        run: web::run,
    },
    Part {
        name: "boot",
        about: "the image boots on the emulated machines and all in it works",
        run: boot::run,
    },
    Part {
        name: "pi",
        about: "the emulated modem on the emulated machine's USB bus; pi/NAME is one scenario",
        run: pi::run,
    },
    Part {
        name: "matrix",
        about: "what can go wrong, on the emulated machine: some of it, or by name all",
        run: pi::matrix,
    },
    Part {
        name: "verify",
        about: "the image is good, and every kind of fault is found",
        run: verify::run,
    },
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
        name: "errors",
        about: "bad input and bad luck: what is said, and what is left",
        run: errors::run,
    },
    Part {
        name: "manuals",
        about: "manual pages and shell completions, by the programs that read them",
        run: manuals::run,
    },
    Part {
        name: "source",
        about: "the source tarball: the same twice, and enough without a network",
        run: source::run,
    },
    Part { name: "readme", about: "every command of the README", run: readme::run },
    Part {
        name: "devicetree",
        about: "our kernel drives of the board what Debian's does",
        run: coverage::run,
    },
    Part {
        name: "driver",
        about: "simcom_wwan on Debian's kernels: series, W=1, sparse, checkpatch",
        run: crate::driver::test,
    },
    Part {
        name: "rootfs",
        about: "the root file system, configured natively and by emulation",
        run: rootfs::run,
    },
    Part {
        name: "stranger",
        about: "the same bytes by another user in other circumstances",
        run: reproducible::stranger,
    },
];

/// Parts of which one check can be asked for: PART/CHECK.
const PARTED: [&str; 3] = ["pi", "matrix", "stranger"];

/// The image that the parts judge: the newcomer's, or one built here.
pub fn image(ctx: &Context) -> Result<PathBuf> {
    if let Some((_, out)) = ctx.adopted() {
        return Ok(out.join("pi4b.img"));
    }
    image_of(ctx, "pi4b", "test-image")
}

/// The image of a definition, built in a folder of the cache.
fn image_of(ctx: &Context, definition: &str, folder: &str) -> Result<PathBuf> {
    let out = ctx.cache_dir(folder)?;
    let options = Options { out, ..Options::new(ctx, definition) };
    Ok(image::build(ctx, &options)?.raw()?.to_owned())
}

/// Collects what passed and what failed.
pub struct Checks {
    part: &'static str,
    /// Parts were asked for by their names: whoever does so has time for all of
    /// them.
    named: bool,
    /// The only checks of the part that are wanted; all when there is none.
    only: Vec<String>,
    passed: usize,
    failed: Vec<String>,
}

impl Checks {
    fn new() -> Self {
        Self { part: "", named: false, only: Vec::new(), passed: 0, failed: Vec::new() }
    }

    /// Whether `check` is to be done: PART was asked for, or PART/`check`.
    fn wants(&self, check: &str) -> bool {
        self.only.is_empty() || self.asked(check)
    }

    /// Whether PART/`check` was asked for by its name.
    fn asked(&self, check: &str) -> bool {
        self.only.iter().any(|only| only == check)
    }

    /// Records one result and prints it; gives whether it passed.
    pub fn check(&mut self, name: &str, result: Result<()>) -> bool {
        match result {
            Ok(()) => {
                println!("ok      {}: {name}", self.part);
                self.passed += 1;
                true
            }
            Err(error) => {
                println!("FAILED  {}: {name}\n        {error:#}", self.part);
                self.failed.push(format!("{}: {name}", self.part));
                false
            }
        }
    }

    /// Adds results that another runner counted (`cargo test`).
    pub fn add(&mut self, passed: usize, failed: Vec<String>) {
        self.passed += passed;
        self.failed.extend(failed.into_iter().map(|name| format!("{}: {name}", self.part)));
    }
}

/// Runs the named parts (all when none is named) and prints the summary.
/// `pi/NAME` is one check of the part `pi`.
pub fn run(ctx: &Context, names: &[String]) -> Result<()> {
    let part_of = |name: &String| name.split_once('/').map_or(name.clone(), |it| it.0.to_owned());
    let known = |name: &&String| {
        let inner = name.contains('/');
        PARTS.iter().any(|p| p.name == part_of(name) && (!inner || PARTED.contains(&p.name)))
    };
    if let Some(name) = names.iter().find(|name| !known(name)) {
        let known: Vec<_> = PARTS.iter().map(|p| format!("  {:14} {}", p.name, p.about)).collect();
        bail!("no part {name:?}; the parts are:\n{}", known.join("\n"));
    }
    let mut checks = Checks::new();
    checks.named = !names.is_empty();
    for part in
        PARTS.iter().filter(|p| names.is_empty() || names.iter().any(|n| part_of(n) == p.name))
    {
        let inner = names.iter().filter_map(|name| name.strip_prefix(part.name)?.strip_prefix('/'));
        checks.only = inner.map(str::to_owned).collect();
        checks.part = part.name;
        let start = Instant::now();
        println!("== {}: {}", part.name, part.about);
        if let Err(error) = (part.run)(ctx, &mut checks) {
            checks.check("runs to its end", Err(error));
        }
        println!("== {}: {:.0} s", part.name, start.elapsed().as_secs_f64());
    }
    for name in &checks.failed {
        println!("failed: {name}");
    }
    println!("{} passed, {} failed", checks.passed, checks.failed.len());
    if !checks.failed.is_empty() {
        bail!("{} checks failed", checks.failed.len());
    }
    if checks.passed == 0 {
        bail!("no check ran");
    }
    Ok(())
}
