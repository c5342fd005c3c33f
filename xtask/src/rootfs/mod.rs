//! The root file system of configured packages, `rootfs.tar`.
//!
//! Debian's maintainer scripts must run once, and they are the target's. Two
//! ways lead there: [`cross`] runs them by the build machine's own programs
//! (seconds, no emulation), [`emulated`] by mmdebstrap and qemu-user (minutes;
//! the fallback and the judge). Both end in the same cleaning and proofs.
//! What is no Debian package comes later, in the `tree` stage.

mod carry;
mod clean;
pub mod compare;
mod configure;
mod cross;
mod emulated;
mod helpers;
mod ids;
mod mounts;
pub mod packages;
mod prove;
mod repository;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::definition::Definition;
use crate::digest;
use crate::stage::{Inputs, Stage};
use crate::tools::{Set, Tools};

pub use configure::{ENTER, main as enter};
pub use emulated::REGISTER;
pub use packages::Chosen;

/// Changes when the procedure's result may change for the same packages.
const VERSION: &str = "2";

/// Pins the ids of system users and groups, in the syntax of sysusers.d(5).
const IDS: &str = "images/ids.conf";

/// What dpkg leaves out, on the device as well as here.
const DPKG_CONFIG: &str = "images/files/etc/dpkg/dpkg.cfg.d/a7670e";

/// How maintainer scripts are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// By the build machine's programs of the same Debian release.
    #[default]
    Cross,
    /// By the target's own programs under qemu-user.
    Emulated,
}

/// Makes `rootfs.tar` (with `unpack.log` and `configure.log`), or finds it in
/// the cache. `tools` is the set [`Set::Build`].
pub fn build(ctx: &Context, tools: &Tools, definition: &Definition, mode: Mode) -> Result<Stage> {
    let chosen = Chosen::get(ctx, definition)?;
    let stage = match mode {
        Mode::Cross => cross::build(ctx, tools, &chosen),
        Mode::Emulated => {
            let rig = Tools::get(ctx, Set::Rig)?;
            emulated::build(ctx, &rig, &chosen)
        }
    }?;
    let unpinned = std::fs::read_to_string(stage.path("unpinned.log"))?;
    if !unpinned.is_empty() {
        ctx.report.warn(format!(
            "ids of system accounts depend on the package list; to pin them, add to {}:\n{unpinned}",
            ctx.path(IDS).display()
        ));
    }
    Ok(stage)
}

/// The image's packages for the build machine, unpacked: the same udev and the
/// same rules as the image's, ready to be run.
pub fn native_twin(ctx: &Context, definition: &Definition) -> Result<PathBuf> {
    Ok(cross::twin(ctx, &Chosen::get(ctx, definition)?)?.path("root"))
}

/// What both ways depend on.
fn inputs(ctx: &Context, chosen: &Chosen) -> Result<Inputs> {
    let mut inputs = Inputs::new()
        .value("procedure", VERSION)
        .value("packages", chosen.target.digest())
        .value("epoch", chosen.target.epoch().to_string())
        .path("ids", &ctx.path(IDS))?
        .path("dpkg-config", &ctx.path(DPKG_CONFIG))?;
    for local in &chosen.locals {
        inputs = inputs.value(&format!("deb {}", local.name), digest::file(&local.file)?);
    }
    Ok(inputs)
}

/// The `path-exclude=` and `path-include=` lines of dpkg's configuration.
fn dpkg_filters(path: &Path) -> Result<Vec<String>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let filters: Vec<_> =
        text.lines().filter(|l| l.starts_with("path-")).map(|l| format!("--{l}")).collect();
    if filters.is_empty() {
        bail!("{} has no path-exclude line", path.display());
    }
    Ok(filters)
}
