//! Manual pages and shell completions of our programs, as files below `/usr/share`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use manual::{Document, help};

use crate::process;
use crate::tree::folder;
use crate::tree::root::{Entry, Kind, Root};

/// Those of the device's program.
pub fn device() -> Result<Vec<Document>> {
    of_help(include_str!("../../../src/cli/help.txt"), "LTE modem service")
        .context("in src/cli/help.txt")
}

/// Those of the emulated modem.
pub fn emulator() -> Result<Vec<Document>> {
    of_help(include_str!("../../../emulator/src/help.txt"), "Emulated modem")
        .context("in emulator/src/help.txt")
}

fn of_help(text: &str, title: &str) -> Result<Vec<Document>> {
    Ok(manual::documents(&help::read(text, env!("CARGO_PKG_VERSION"), title)?)?)
}

/// All of them as a tree, with those of the flashing desk, whose `program` writes
/// them itself; every file of root's and of the time `epoch` (seconds since 1970).
pub fn tree(program: &Path, epoch: u64) -> Result<Root> {
    let dir = tempfile::tempdir()?;
    process::output(Command::new(program).arg("documents").arg(dir.path()))?;
    let mut root = Root::default();
    for (path, entry) in folder::read(dir.path())?.entries {
        if let Kind::File(content) = entry.kind {
            put(&mut root, &path, content.read()?, epoch)?;
        }
    }
    for document in [device()?, emulator()?].concat() {
        put(&mut root, &document.path, document.bytes, epoch)?;
    }
    Ok(root)
}

fn put(root: &mut Root, path: &str, bytes: Vec<u8>, epoch: u64) -> Result<()> {
    root.put(&format!("share/{path}"), Entry::file(bytes, 0o644, epoch)).map(|_| ())
}
