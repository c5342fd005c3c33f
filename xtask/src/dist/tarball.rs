//! Trees as `.tar.zst`, the same bytes for the same tree: entries in path order, all
//! root's, none younger than the release.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::artefacts::zst::LEVEL;
use crate::tree::archive;
use crate::tree::root::Root;

/// Writes `root` as `path`, which it gives back; `epoch` in seconds since 1970.
pub fn write(root: &Root, path: &Path, epoch: u64) -> Result<PathBuf> {
    let plain = path.with_extension("plain");
    archive::write(root, &plain, epoch)?;
    let packed = || -> io::Result<()> {
        let mut encoder = zstd::Encoder::new(File::create(path)?, LEVEL)?;
        encoder.include_checksum(true)?;
        io::copy(&mut File::open(&plain)?, &mut encoder)?;
        encoder.finish()?.sync_all()?;
        fs::remove_file(&plain)
    };
    packed().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::process;
    use crate::tree::root::Entry;

    #[test]
    fn tar_unpacks_it_and_it_is_the_same_twice() {
        let dir = tempfile::tempdir().unwrap();
        let mut root = Root::default();
        root.put("share/b", Entry::file("two", 0o644, 9)).unwrap();
        root.put("share/a", Entry::file("one", 0o755, 5)).unwrap();
        let path = write(&root, &dir.path().join("x.tar.zst"), 7).unwrap();
        let again = write(&root, &dir.path().join("y.tar.zst"), 7).unwrap();
        assert_eq!(fs::read(&path).unwrap(), fs::read(again).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
        let plain = zstd::decode_all(File::open(path).unwrap()).unwrap();
        fs::write(dir.path().join("x.tar"), plain).unwrap();
        let list = ["--utc", "--numeric-owner", "--full-time", "-tvf", "x.tar"];
        let list = process::text(Command::new("tar").args(list).current_dir(dir.path())).unwrap();
        let files: Vec<_> = list.lines().filter(|line| line.starts_with('-')).collect();
        assert_eq!(files.len(), 2, "{list}");
        assert!(files[0].contains("0/0") && files[0].contains("1970-01-01 00:00:05"), "{list}");
        assert!(files[1].ends_with("1970-01-01 00:00:07 share/b"), "{list}");
    }
}
