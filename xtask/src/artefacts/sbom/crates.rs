//! The crates of a program: those that cargo names as normal dependencies for what
//! it runs on, macros included, as what they write is in the
//! program too; with their checksums from `Cargo.lock`.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;

use crate::context::Context;
use crate::process;

/// Package of the device's program.
const PACKAGE: &str = "a7670e";

/// What the Pi runs.
const TARGET: &str = "aarch64-unknown-linux-gnu";

/// A crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SPDX expression of its licence, if it states one.
    pub licence: Option<String>,
    /// SHA-256 of the file from crates.io; `None` for our own.
    pub sha256: Option<String>,
}

/// Those of the device's program.
pub fn read(ctx: &Context) -> Result<Vec<Crate>> {
    of(ctx, PACKAGE, TARGET)
}

/// Those of a package of the workspace for a target in Rust's words. Asks cargo;
/// without the network where it can.
pub fn of(ctx: &Context, package: &str, target: &str) -> Result<Vec<Crate>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = |offline: bool| {
        let mut command = Command::new(&cargo);
        command.current_dir(&ctx.repo).args(["tree", "--locked", "--color=never", "--prefix=none"]);
        command.args(["--package", package, "--edges=normal", "--target", target]);
        command.args(["--format", "{p}|{l}"]);
        if offline {
            command.arg("--offline");
        }
        process::text(&mut command)
    };
    let tree = match tree(true) {
        Ok(tree) => tree,
        Err(_) => tree(false).with_context(|| format!("cannot list the crates of {package}"))?,
    };
    let lock = ctx.path("Cargo.lock");
    let lock = std::fs::read_to_string(&lock)
        .with_context(|| format!("cannot read {}", lock.display()))?;
    parse(&tree, &lock)
}

/// Joins cargo's list (lines `NAME vVERSION …|LICENCE`) with the lock file's
/// text; in name and version order.
pub fn parse(tree: &str, lock: &str) -> Result<Vec<Crate>> {
    let lock: Lock = toml::from_str(lock).map_err(|e| anyhow!("Cargo.lock: {e}"))?;
    let locked: BTreeMap<_, _> =
        lock.package.iter().map(|p| ((p.name.as_str(), p.version.as_str()), p)).collect();
    let mut crates = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (package, licence) =
            line.split_once('|').with_context(|| format!("{line:?} is no line of `cargo tree`"))?;
        let mut words = package.split(' ');
        let (Some(name), Some(version)) =
            (words.next(), words.next().and_then(|v| v.strip_prefix('v')))
        else {
            bail!("{line:?} is no line of `cargo tree`");
        };
        let locked = locked
            .get(&(name, version))
            .with_context(|| format!("Cargo.lock has no {name} {version}"))?;
        crates.push(Crate {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: expression(licence),
            sha256: locked.checksum.clone(),
        });
    }
    if crates.is_empty() {
        bail!("cargo lists no crate");
    }
    crates.sort();
    crates.dedup();
    Ok(crates)
}

/// A licence field as an SPDX expression. Cargo's mark of a repeated line goes
/// away, and so does the slash that old crates write for "or".
fn expression(field: &str) -> Option<String> {
    let field = field.trim_end_matches("(*)").trim();
    let parts: Vec<_> = field.split('/').map(str::trim).collect();
    (!field.is_empty()).then(|| parts.join(" OR "))
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
a7670e v0.1.0 (/home/someone/a7670e)|MIT OR Apache-2.0
serde_derive v1.0.2 (proc-macro)|MIT/Apache-2.0
odd v0.1.0|
serde_derive v1.0.2 (proc-macro)|MIT/Apache-2.0 (*)
";
    const LOCK: &str = "\
version = 4
[[package]]
name = 'a7670e'
version = '0.1.0'
dependencies = ['odd']
[[package]]
name = 'odd'
version = '0.1.0'
source = 'registry+x'
checksum = 'aa'
[[package]]
name = 'serde_derive'
version = '1.0.2'
checksum = 'bb'
";

    #[test]
    fn joins_tree_and_lock() {
        let crates = parse(TREE, LOCK).unwrap();
        let short: Vec<_> = crates
            .iter()
            .map(|c| (&*c.name, &*c.version, c.licence.as_deref(), c.sha256.as_deref()))
            .collect();
        assert_eq!(
            short,
            [
                ("a7670e", "0.1.0", Some("MIT OR Apache-2.0"), None),
                ("odd", "0.1.0", None, Some("aa")),
                ("serde_derive", "1.0.2", Some("MIT OR Apache-2.0"), Some("bb")),
            ]
        );
    }

    #[test]
    fn a_crate_that_is_not_locked_is_an_error() {
        let error = parse("new v2.0.0|MIT\n", LOCK).unwrap_err().to_string();
        assert!(error.contains("new 2.0.0"), "{error}");
        assert!(parse("", LOCK).is_err());
    }

    #[test]
    fn cargo_itself_can_be_asked() {
        let ctx_free = |args: &[&str]| {
            process::text(
                Command::new(env!("CARGO")).args(args).current_dir(env!("CARGO_MANIFEST_DIR")),
            )
        };
        let tree = ctx_free(&[
            "tree",
            "--offline",
            "--prefix=none",
            "--edges=normal",
            "--format",
            "{p}|{l}",
        ]);
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"));
        let crates = parse(&tree.unwrap(), &lock.unwrap()).unwrap();
        let zstd = crates.iter().find(|c| c.name == "zstd").unwrap();
        assert_eq!(zstd.sha256.as_ref().map(String::len), Some(64));
    }
}
