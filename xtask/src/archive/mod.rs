//! Debian packages: what to install is resolved by apt, pinned by a lock in
//! `images/`, and kept by content in the cache.

mod apt;
pub mod date;
mod fetch;
mod lock;
mod sources;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

pub use lock::{Entry, Lock, Section};
pub use sources::Sources;

use crate::context::Context;
use crate::digest;

/// A question to the archive: these packages with all they depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Section of the lock that pins the answer.
    pub section: String,
    /// Debian architecture, `arm64` or `amd64`.
    pub arch: String,
    /// Suite: `trixie` stands for it with its updates and security updates.
    pub suite: String,
    /// Wanted packages; `?essential` stands for all essential ones.
    pub packages: Vec<String>,
    /// With dependencies (not recommendations), or only the named ones.
    pub depends: bool,
}

impl Request {
    /// Packages with their dependencies.
    pub fn new(section: &str, arch: &str, suite: &str, packages: &[&str]) -> Self {
        Self {
            section: section.to_owned(),
            arch: arch.to_owned(),
            suite: suite.to_owned(),
            packages: packages.iter().map(|p| (*p).to_owned()).collect(),
            depends: true,
        }
    }

    /// Only the named packages.
    pub fn alone(mut self) -> Self {
        self.depends = false;
        self
    }

    /// The request as the lock records it.
    fn text(&self) -> String {
        let depends = if self.depends { "" } else { "alone " };
        format!("{} {} {depends}{}", self.suite, self.arch, self.packages.join(" "))
    }
}

/// An answer: every package with its file in the cache.
#[derive(Clone, Debug)]
pub struct Packages {
    /// The section that pins it, or would.
    pub section: Section,
    /// Whether it came from the lock as committed.
    pub locked: bool,
    /// The files, in the order of the section's entries.
    pub files: Vec<PathBuf>,
}

impl Packages {
    /// Digest that stands for all the packages' content.
    pub fn digest(&self) -> String {
        let all: String = self.section.entries.iter().map(|e| format!("{}\n", e.sha256)).collect();
        digest::bytes(all.as_bytes())
    }

    /// The entry and file of one package.
    pub fn get(&self, name: &str) -> Result<(&Entry, &PathBuf)> {
        self.section
            .entries
            .iter()
            .zip(&self.files)
            .find(|(entry, _)| entry.name == name)
            .with_context(|| format!("section [{}] has no package {name}", self.section.name))
    }

    /// Seconds since 1970 of the archive's state that was resolved against.
    pub fn epoch(&self) -> u64 {
        self.section.epoch
    }
}

/// Answers `request` from the lock `images/<lock>.lock`, or from the archive
/// when the lock does not fit or its files are gone (an error with
/// `--locked`); downloads what the cache does not have.
pub fn packages(ctx: &Context, lock: &str, request: &Request) -> Result<Packages> {
    let path = ctx.path(&format!("images/{lock}.lock"));
    let pinned = Lock::read(&path)?.section(&request.section).cloned();
    let why = match pinned {
        Some(section) if section.request == request.text() => match fetch::all(ctx, &section) {
            Ok(files) => {
                return Ok(Packages { section, locked: true, files });
            }
            Err(error) => format!("its files cannot all be had:\n{error:#}"),
        },
        Some(section) => format!(
            "it was made for another request\n  locked: {}\n  wanted: {}",
            section.request,
            request.text()
        ),
        None => "it has no such section".to_owned(),
    };
    let what = format!("{} [{}] does not serve: {why}", path.display(), request.section);
    if ctx.locked {
        bail!("{what}\n--locked forbids to resolve anew; `cargo xtask lock` refreshes the lock");
    }
    ctx.report.warn(format!("{what}\nresolving anew: this build is not the locked one"));
    let section = resolve(ctx, request)?;
    let files = fetch::all(ctx, &section)?;
    Ok(Packages { section, locked: false, files })
}

/// Asks the archive, without a look at the lock.
pub fn resolve(ctx: &Context, request: &Request) -> Result<Section> {
    apt::resolve(ctx, request)
}
