//! `station documents`: its manual pages and shell completions as files, for those
//! who make packages.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Command};
use manual::Manual;

/// Where they go.
#[derive(Args)]
pub struct Arguments {
    /// A folder that becomes /usr/share: man/man1/station.1 and so on.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes them.
pub fn run(arguments: &Arguments, command: Command) -> Result<bool> {
    let manual = Manual {
        command,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        title: "The flashing desk".to_owned(),
        notes: String::new(),
    };
    for document in manual::documents(&manual)? {
        let path = arguments.dir.join(document.path);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        fs::write(&path, document.bytes)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(true)
}
