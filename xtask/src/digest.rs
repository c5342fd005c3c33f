//! SHA-256 of bytes and files, as lower-case hexadecimal.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// SHA-256 of `bytes`: 64 lower-case hexadecimal digits.
pub fn bytes(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// SHA-256 of all that `reader` gives, and how many bytes that was.
pub fn reader(mut reader: impl Read) -> io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok((hex::encode(hasher.finalize()), total)),
            n => {
                hasher.update(&buffer[..n]);
                total += n as u64;
            }
        }
    }
}

/// SHA-256 of a file's content.
pub fn file(path: &Path) -> Result<String> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let (digest, _) = reader(file).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(digest)
}

/// SHA-256 over a tree: each entry's path relative to `path`, kind, whether it
/// is executable, and content or link target, in path order. Owners and times
/// do not count. A plain file counts as a tree of one.
pub fn tree(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    walk(path, Path::new(""), &mut hasher)?;
    Ok(hex::encode(hasher.finalize()))
}

fn walk(path: &Path, name: &Path, hasher: &mut Sha256) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let meta =
        path.symlink_metadata().with_context(|| format!("cannot look at {}", path.display()))?;
    let mut entry = |kind: &str, content: &str| {
        hasher.update(format!("{kind}\0{}\0{content}\0", name.display()));
    };
    if meta.is_symlink() {
        entry("link", &path.read_link()?.display().to_string());
    } else if meta.is_dir() {
        entry("dir", "");
        let mut names: Vec<_> = path
            .read_dir()
            .with_context(|| format!("cannot list {}", path.display()))?
            .map(|e| e.map(|e| e.file_name()))
            .collect::<io::Result<_>>()?;
        names.sort();
        for child in names {
            walk(&path.join(&child), &name.join(&child), hasher)?;
        }
    } else {
        let executable = meta.permissions().mode() & 0o111 != 0;
        entry(if executable { "program" } else { "file" }, &file(path)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answer() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            bytes(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_tree_depends_on_names_content_and_mode_only() {
        let a = tempfile::tempdir().unwrap();
        let b = tempfile::tempdir().unwrap();
        for dir in [&a, &b] {
            std::fs::write(dir.path().join("x"), "1").unwrap();
            std::os::unix::fs::symlink("x", dir.path().join("l")).unwrap();
        }
        assert_eq!(tree(a.path()).unwrap(), tree(b.path()).unwrap());
        std::fs::rename(b.path().join("x"), b.path().join("y")).unwrap();
        assert_ne!(tree(a.path()).unwrap(), tree(b.path()).unwrap());
    }
}
