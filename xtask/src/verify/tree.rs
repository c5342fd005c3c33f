//! The root tree as a folder, for programs that want one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ext4_view::{Ext4, FileType};

/// Where the configuration lies that the judges read.
const CONFIGURATION: &[&str] = &[
    "/etc/",
    "/usr/lib/modprobe.d/",
    "/usr/lib/systemd/",
    "/usr/lib/sysusers.d/",
    "/usr/lib/udev/",
    "/usr/share/dbus-1/",
];
/// What modprobe reads.
const INDEX: &str = "/modules.";
/// Larger files elsewhere are programs.
const MOST: u64 = 256 << 10;

/// Writes `root` into the new folder `to`: folders, links, configuration with
/// its content, and programs as empty files, since only their presence counts.
/// Owners, devices and set-user-id bits are left out, so no privilege is needed.
pub fn extract(root: &Ext4, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    walk(root, "/", &mut |entry| {
        let path = to.join(entry.path.trim_start_matches('/'));
        match entry.kind {
            FileType::Directory => DirBuilder::new().mode(0o755).create(&path)?,
            FileType::Symlink => {
                let target = root.read_link(entry.path)?;
                symlink(std::str::from_utf8(target.as_ref())?, &path)?;
            }
            FileType::Regular => {
                let program = entry.mode & 0o111 != 0;
                let wanted = entry.path.contains(INDEX)
                    || entry.len <= MOST && CONFIGURATION.iter().any(|c| entry.path.starts_with(c));
                if !wanted && !program && !entry.path.contains(".ko") {
                    return Ok(());
                }
                let mode = if program { 0o755 } else { 0o644 };
                let mut file: File =
                    OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
                if wanted {
                    file.write_all(&root.read(entry.path)?)?;
                }
            }
            _ => {}
        }
        Ok(())
    })
}

/// One entry of the tree.
pub struct Entry<'a> {
    /// Absolute path.
    pub path: &'a str,
    /// What it is; links are not followed.
    pub kind: FileType,
    /// Permission bits.
    pub mode: u16,
    /// Bytes of a file.
    pub len: u64,
}

/// Visits everything below `dir`, folders before what is in them.
pub fn walk(root: &Ext4, dir: &str, visit: &mut dyn FnMut(&Entry<'_>) -> Result<()>) -> Result<()> {
    let base = dir.trim_end_matches('/');
    if base.matches('/').count() > 64 {
        bail!("{dir}: folders within folders without end");
    }
    for entry in root.read_dir(dir).with_context(|| format!("cannot list {dir}"))? {
        let entry = entry.with_context(|| format!("cannot list {dir}"))?;
        let file_name = entry.file_name();
        let name = file_name.as_str().with_context(|| format!("a name in {dir} is no UTF-8"))?;
        if name == "." || name == ".." {
            continue;
        }
        let path = format!("{base}/{name}");
        let meta = root.symlink_metadata(path.as_str()).with_context(|| path.clone())?;
        let kind = meta.file_type();
        visit(&Entry { path: &path, kind, mode: meta.mode(), len: meta.len() })
            .with_context(|| path.clone())?;
        if kind == FileType::Directory {
            walk(root, &path, visit)?;
        }
    }
    Ok(())
}
