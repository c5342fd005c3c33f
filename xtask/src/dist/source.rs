//! The source as people build it where there is no network: what the last commit
//! has, the crates that `Cargo.lock` names, and a word to cargo where they are.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::tree::root::{Entry, Kind, Root};
use crate::tree::{archive, folder};
use crate::{process, program};

/// Where the crates are in it.
const VENDOR: &str = "vendor";

/// What cargo reads, and what is added: crates.io stands there (The Cargo Book,
/// "Source Replacement").
const CONFIG: &str = ".cargo/config.toml";
const REPLACED: &str = "
# The crates of Cargo.lock are in this folder: nothing is fetched.
[source.crates-io]
replace-with = \"vendored-sources\"

[source.vendored-sources]
directory = \"vendor\"
";

/// The tree, all in one folder `name`; `dir` is for what is on the way. Every file is
/// root's and of the time `epoch` (seconds since 1970).
pub fn tree(ctx: &Context, name: &str, dir: &Path, epoch: u64) -> Result<Root> {
    let committed = committed(ctx, dir)?;
    let vendor = dir.join(VENDOR);
    program::vendor_crates(ctx, &vendor)?;
    let mut root = Root::default();
    for (from, prefix) in
        [(committed, String::new()), (folder::read(&vendor)?, format!("{VENDOR}/"))]
    {
        for (path, entry) in from.entries {
            let path = format!("{name}/{prefix}{path}");
            if let Some(entry) = plain(&path, entry, epoch)? {
                root.put(&path, entry)?;
            }
        }
    }
    let path = format!("{name}/{CONFIG}");
    let config =
        String::from_utf8(root.read(&path)?).with_context(|| format!("{path} is no text"))?;
    root.put(&path, Entry::file(config + REPLACED, 0o644, epoch))?;
    Ok(root)
}

/// What the last commit has.
fn committed(ctx: &Context, dir: &Path) -> Result<Root> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(&ctx.repo).args(arguments);
        command
    };
    let changed = process::text(&mut git(&["status", "--porcelain", "--untracked-files=no"]))
        .context("the source is packed from a git repository")?;
    for line in changed.lines() {
        ctx.report.line(format!("not in the source, as it is not committed: {line}"));
    }
    let path = dir.join("committed.tar");
    // Of a tree and not of a commit, which would name itself in the archive.
    let mut tar = git(&["-c", "tar.umask=0022", "archive", "--format=tar", "HEAD^{tree}", "-o"]);
    process::output(tar.arg(&path))?;
    archive::read(&path)
}

/// Without what differs between those who pack. Folders come by themselves.
fn plain(path: &str, entry: Entry, epoch: u64) -> Result<Option<Entry>> {
    let mode = match &entry.kind {
        Kind::File(_) if entry.mode & 0o100 == 0 => 0o644,
        Kind::File(_) => 0o755,
        Kind::Link(_) => 0o777,
        Kind::Dir => return Ok(None),
        _ => bail!("{path} is neither a file nor a folder nor a symbolic link"),
    };
    Ok(Some(Entry::new(entry.kind, mode, epoch)))
}
