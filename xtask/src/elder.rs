//! ModemManager of the Debian before the image's: 1.20, which knows nothing of
//! A76XX, and which an owner who adds our package to Debian 12 has.
//!
//! It is unpacked with all that it depends on, bookworm's C library included, and
//! runs unmodified in its own folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::archive::{self, Request};
use crate::context::Context;
use crate::process;
use crate::stage::{self, Inputs};
use crate::tools;

/// Lock file of its packages.
pub const LOCK: &str = "modemmanager";

/// What to ask the archive for, on a host of architecture `arch`. The first two are
/// what any unpacked root needs, the third has the locale C.UTF-8.
pub fn request(arch: &str) -> Request {
    let packages = ["base-files", "base-passwd", "libc-bin", "modemmanager"];
    Request::new(&format!("bookworm-{arch}"), arch, "bookworm", &packages)
}

/// The folder with its packages, made or found in the cache.
///
/// # Errors
/// They cannot be had or unpacked.
pub fn root(ctx: &Context) -> Result<PathBuf> {
    let packages = archive::packages(ctx, LOCK, &request(tools::arch()?))?;
    let inputs = Inputs::new().value("layout", "2").value("packages", packages.digest());
    let stage = stage::run(ctx, "modemmanager", inputs, |room| {
        let root = room.out.join("root");
        tools::unpack(std::slice::from_ref(&packages), &root, ctx.jobs)?;
        merge(&root)
    })?;
    Ok(stage.path("root"))
}

/// Makes /bin and the like links to the same in /usr, which trixie's base-files
/// brings and bookworm makes at installation.
fn merge(root: &Path) -> Result<()> {
    for name in ["bin", "sbin", "lib", "lib64"] {
        let (old, new) = (root.join(name), root.join("usr").join(name));
        if old.is_dir() {
            fs::create_dir_all(&new)?;
            process::output(Command::new("cp").arg("--archive").args([&old.join("."), &new]))?;
            fs::remove_dir_all(&old)?;
            symlink(Path::new("usr").join(name), &old)?;
        }
        // The loader's link, for who runs it from outside of the root.
        for entry in fs::read_dir(&new).into_iter().flatten() {
            let path = entry?.path();
            if let Some(inner) = fs::read_link(&path).ok().filter(|inner| inner.is_absolute()) {
                fs::remove_file(&path)?;
                symlink(Path::new("../..").join(inner.strip_prefix("/")?), &path)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::archive::Lock;

    /// Were it another, the checks with an old one would be with a new one.
    #[test]
    fn the_locked_one_does_not_know_a76xx() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../images/modemmanager.lock");
        let lock = Lock::read(lock.as_ref()).unwrap();
        for arch in ["amd64", "arm64"] {
            let section = lock.section(&format!("bookworm-{arch}")).unwrap();
            let entry = section.entries.iter().find(|entry| entry.name == "modemmanager").unwrap();
            assert!(entry.version.starts_with("1.20."), "{}", entry.version);
        }
    }
}
