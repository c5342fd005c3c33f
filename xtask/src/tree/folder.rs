//! Roots from folders of the disk.

use std::collections::HashMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::root::{Content, Entry, Kind, Root, join};

/// Reads the tree below `dir` as it is: owners, modes, hard links and extended
/// attributes included.
pub fn read(dir: &Path) -> Result<Root> {
    let mut root = Root::default();
    walk(dir, "", &mut root)?;
    // Of several names of a file, the first in path order is the file.
    let mut first: HashMap<(u64, u64), String> = HashMap::new();
    for (path, entry) in &mut root.entries {
        if let Kind::File(Content::Path { path: file, .. }) = &entry.kind {
            let meta = file.symlink_metadata()?;
            if meta.nlink() > 1 {
                let known = first.entry((meta.dev(), meta.ino())).or_insert_with(|| path.clone());
                if known != path {
                    entry.kind = Kind::Same(known.clone());
                }
            }
        }
    }
    Ok(root)
}

fn walk(full: &Path, name: &str, root: &mut Root) -> Result<()> {
    let about = || format!("cannot read {}", full.display());
    let meta = full.symlink_metadata().with_context(about)?;
    let kind = meta.file_type();
    let device = |char| {
        let (major, minor) = (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
        Kind::Device(char, major, minor)
    };
    let what = if kind.is_dir() {
        Kind::Dir
    } else if kind.is_file() {
        Kind::File(Content::Path { path: full.to_owned(), len: meta.len() })
    } else if kind.is_symlink() {
        let target = full.read_link().with_context(about)?;
        Kind::Link(target.to_str().with_context(|| format!("{target:?} is no UTF-8"))?.to_owned())
    } else if kind.is_fifo() {
        Kind::Fifo
    } else if kind.is_char_device() {
        device(true)
    } else if kind.is_block_device() {
        device(false)
    } else {
        bail!("{} is a socket, which has no place in an image", full.display());
    };
    let entry = Entry {
        kind: what,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: u64::try_from(meta.mtime()).unwrap_or(0),
        xattrs: if kind.is_symlink() { Vec::new() } else { xattrs(full).with_context(about)? },
    };
    root.entries.insert(name.to_owned(), entry);
    if kind.is_dir() {
        for child in full.read_dir().with_context(about)? {
            let child = child.with_context(about)?;
            let file = child.file_name();
            let file = file.to_str().with_context(|| format!("{file:?} is no UTF-8"))?;
            walk(&child.path(), &join(name, file), root)?;
        }
    }
    Ok(())
}

/// Attributes that belong to the content: capabilities, ACLs and the user's
/// own; not those by which the host's kernel manages the file.
fn xattrs(path: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut names = vec![0; 1 << 12];
    let used = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(used) => used,
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut all = Vec::new();
    for name in names[..used].split(|b| *b == 0) {
        let name = std::str::from_utf8(name)?;
        let ours = name == "security.capability"
            || name.starts_with("system.posix_acl_")
            || name.starts_with("user.") && !name.starts_with("user.overlay.");
        if ours {
            let mut value = vec![0; 1 << 16];
            let len = rustix::fs::lgetxattr(path, name, &mut value[..])?;
            value.truncate(len);
            all.push((name.to_owned(), value));
        }
    }
    all.sort();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_modes_and_hard_links() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("b"), "x").unwrap();
        std::fs::hard_link(at("b"), at("a")).unwrap();
        std::os::unix::fs::symlink("b", at("l")).unwrap();
        let root = read(dir.path()).unwrap();
        assert_eq!(root.entries.keys().collect::<Vec<_>>(), ["", "a", "b", "l"]);
        assert!(matches!(&root.get("b").unwrap().kind, Kind::Same(p) if p == "a"));
        assert_eq!(root.text("b").unwrap(), "x");
    }
}
