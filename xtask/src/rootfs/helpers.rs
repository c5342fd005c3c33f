//! The image's own programs that maintainer scripts call by their full path.
//!
//! Programs outside `/usr/bin` and `/usr/sbin` have no namesake of the build
//! machine laid over them. A handful of scripts call such a one; it runs under
//! qemu-user then, through a wrapper that stands in its place. Nothing needs
//! to be registered with the kernel.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::mount::mount_bind;

use super::mounts;

/// Where the emulator and the programs themselves are seen, inside the image.
const PLACE: &str = "run/emulated";

/// Programs with a wrapper in their place.
pub struct Helpers {
    /// The program in the image, and its wrapper.
    covered: Vec<(PathBuf, PathBuf)>,
}

impl Helpers {
    /// Puts wrappers over all such programs of `target`, whose `/run` is a
    /// tmpfs; wrappers lie in the folder `wrappers`.
    pub fn cover(target: &Path, wrappers: &Path, qemu: &Path) -> Result<Self> {
        let place = target.join(PLACE);
        fs::create_dir_all(&place)?;
        fs::create_dir_all(wrappers)?;
        show(qemu, &place.join("qemu"))?;
        let mut covered = Vec::new();
        for (number, path) in called(target)?.into_iter().enumerate() {
            let meta = path.metadata()?;
            show(&path, &place.join(number.to_string()))?;
            let wrapper = wrappers.join(number.to_string());
            let text =
                format!("#!/bin/sh\nexec /{PLACE}/qemu -0 \"$0\" /{PLACE}/{number} \"$@\"\n");
            fs::write(&wrapper, text)?;
            copy_access(&meta, &wrapper)?;
            mount_bind(&wrapper, &path)
                .with_context(|| format!("cannot cover {}", path.display()))?;
            covered.push((path, wrapper));
        }
        Ok(Self { covered })
    }

    /// Takes the wrappers away. What scripts did to a wrapper's owner and mode
    /// was meant for the program.
    pub fn uncover(self) -> Result<()> {
        for (path, wrapper) in self.covered {
            mounts::detach(&path)?;
            copy_access(&wrapper.metadata()?, &path)?;
        }
        Ok(())
    }
}

fn copy_access(from: &fs::Metadata, to: &Path) -> Result<()> {
    // Owner first: a change of owner clears the set-id bits.
    lchown(to, Some(from.uid()), Some(from.gid()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(from.mode() & 0o7777))?;
    Ok(())
}

fn show(file: &Path, at: &Path) -> Result<()> {
    fs::write(at, "")?;
    mount_bind(file, at).with_context(|| format!("cannot show {}", file.display()))
}

/// ELF programs whose full path stands in a maintainer script.
fn called(target: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for item in target.join("var/lib/dpkg/info").read_dir()? {
        let path = item?.path();
        if path.extension().is_none_or(|e| e != "postinst") {
            continue;
        }
        let script = fs::read(&path)?;
        for word in words(&String::from_utf8_lossy(&script)) {
            let program = target.join(&word[1..]);
            // Links first: /lib is one, and a link may lead out of the image.
            let Ok(program) = program.canonicalize() else { continue };
            let covered =
                ["usr/bin", "usr/sbin"].iter().any(|d| program.starts_with(target.join(d)));
            if program.starts_with(target) && !covered && is_program(&program)? {
                found.insert(program);
            }
        }
    }
    Ok(found)
}

/// Absolute paths below the library folders in a script's text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "/._+-@".contains(c)))
        .filter(|word| ["/usr/lib/", "/usr/libexec/", "/lib/"].iter().any(|d| word.starts_with(d)))
}

fn is_program(path: &Path) -> Result<bool> {
    let meta = path.metadata()?;
    if !meta.is_file() || meta.mode() & 0o111 == 0 {
        return Ok(false);
    }
    let mut head = Vec::new();
    fs::File::open(path)?.take(4).read_to_end(&mut head)?;
    Ok(head == b"\x7fELF")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs_by_path_in_scripts() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().canonicalize().unwrap();
        let put = |path: &str, bytes: &[u8], mode: u32| {
            let path = target.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        put("usr/lib/x/tool", b"\x7fELF", 0o755);
        put("usr/lib/x/data", b"\x7fELF", 0o644);
        put("usr/lib/x/script", b"#!/b", 0o755);
        put("usr/bin/covered", b"\x7fELF", 0o755);
        let script = b"\"/usr/lib/x/tool\" -f /usr/lib/x/data;/usr/lib/x/script /usr/lib/none";
        put("var/lib/dpkg/info/a.postinst", script, 0o755);
        put("var/lib/dpkg/info/b.postinst", b"/usr/bin/covered", 0o755);
        assert_eq!(called(&target).unwrap(), BTreeSet::from([target.join("usr/lib/x/tool")]));
    }
}
