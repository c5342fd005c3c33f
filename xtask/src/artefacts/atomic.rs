//! Files appear under their final name only when whole: they are written under
//! a temporary name in the same folder, put on the disk, and renamed.

use std::fs::{self, File, Permissions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::SeekFrom as Place;
use tempfile::NamedTempFile;

/// How temporary names start.
const TEMPORARY: &str = ".a7670e-part-";

/// Results are for everybody to read, whatever the caller's umask is.
const MODE: u32 = 0o644;

/// A file that is whole and on the disk, but not yet under its final name.
/// Dropped, it leaves nothing.
pub struct Pending {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl Pending {
    /// Writes by `fill` what is to become the file `path`.
    pub fn new(path: &Path, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<Self> {
        let what = || format!("cannot write {}", path.display());
        let mut temporary =
            NamedTempFile::with_prefix_in(TEMPORARY, folder(path)).with_context(what)?;
        fill(temporary.as_file_mut()).with_context(what)?;
        let file = temporary.as_file();
        file.set_permissions(Permissions::from_mode(MODE)).with_context(what)?;
        file.sync_all().with_context(what)?;
        Ok(Self { temporary, path: path.to_owned() })
    }

    /// The content at hand is to become the file `path`.
    pub fn bytes(path: &Path, content: &[u8]) -> Result<Self> {
        Self::new(path, |file| Ok(io::Write::write_all(file, content)?))
    }

    /// A copy of `from` is to become the file `to`: a second reference to the
    /// same blocks where the file system can do that (they part when either is
    /// changed), else a copy block by block with holes kept as holes.
    pub fn copy(from: &Path, to: &Path) -> Result<Self> {
        let source = File::open(from).with_context(|| format!("cannot open {}", from.display()))?;
        Self::new(to, |file| {
            if rustix::fs::ioctl_ficlone(&*file, &source).is_ok() {
                return Ok(());
            }
            copy_data(&source, file).with_context(|| format!("cannot copy {}", from.display()))
        })
    }

    /// Gives the file its name, in place of what had it.
    pub fn finish(self) -> Result<()> {
        let what = || format!("cannot write {}", self.path.display());
        self.temporary.persist(&self.path).map_err(|e| e.error).with_context(what)?;
        // The rename itself is on the disk only when the folder is.
        File::open(folder(&self.path)).and_then(|dir| dir.sync_all()).with_context(what)
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Writes the file `path`; when that fails, or the program is killed,
/// whatever was at `path` stays as it was.
pub fn bytes(path: &Path, content: &[u8]) -> Result<()> {
    Pending::bytes(path, content)?.finish()
}

/// Copies the ranges of `source` that hold data.
fn copy_data(source: &File, target: &mut File) -> Result<()> {
    let size = source.metadata()?.len();
    target.set_len(size)?;
    let mut source = source;
    let mut end = 0;
    loop {
        let start = match rustix::fs::seek(source, Place::Data(end)) {
            Ok(start) => start,
            // Nothing but a hole up to the end.
            Err(rustix::io::Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        end = rustix::fs::seek(source, Place::Hole(start))?;
        source.seek(SeekFrom::Start(start))?;
        target.seek(SeekFrom::Start(start))?;
        // The standard library lets the kernel do it (copy_file_range).
        let copied = io::copy(&mut io::Read::take(source, end - start), target)?;
        if copied != end - start {
            anyhow::bail!("the file became shorter while it was read");
        }
    }
}

/// Removes what killed builds left in `dir`; no other may be at work there.
pub fn sweep(dir: &Path) -> Result<()> {
    let list = dir.read_dir().with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in list {
        let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
        if entry.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file if it is there.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn failure_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        bytes(&path, b"old").unwrap();
        let result = Pending::new(&path, |file| {
            file.write_all(b"half")?;
            anyhow::bail!("stop")
        });
        let error = format!("{:#}", result.err().unwrap());
        assert!(error.contains("/x: stop"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["x"]);
    }

    #[test]
    fn a_full_disk_leaves_the_old_file_and_nothing_else() {
        // The small disk is a tmpfs that only the child sees.
        let dir = tempfile::tempdir().unwrap();
        let small = child("full", &dir.path().join("x"));
        let mut command = crate::sandbox::namespaces(crate::sandbox::Ids::Root, true);
        command
            .args([
                "sh",
                "-ec",
                "mount -t tmpfs -o size=64k small \"$1\"; shift; exec \"$@\"",
                "sh",
            ])
            .arg(dir.path())
            .arg(small.get_program())
            .args(small.get_args())
            .envs(small.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", crate::process::failure(&command, &output));
    }

    #[test]
    fn a_kill_leaves_nothing_under_the_final_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut running =
            child("killed", &path).stdout(std::process::Stdio::piped()).spawn().unwrap();
        // The child says when half of the file is written, then waits.
        let mut said = String::new();
        let mut output = io::BufReader::new(running.stdout.take().unwrap());
        while !said.contains("half written") {
            assert_ne!(io::BufRead::read_line(&mut output, &mut said).unwrap(), 0, "{said}");
        }
        running.kill().unwrap();
        running.wait().unwrap();
        assert!(!path.exists());
        let rest = names(dir.path());
        assert!(rest.iter().all(|name| name.starts_with(TEMPORARY)), "{rest:?}");
        sweep(dir.path()).unwrap();
        assert!(names(dir.path()).is_empty());
    }

    /// This test program again, to run only [`in_a_child`].
    fn child(what: &str, path: &Path) -> std::process::Command {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "artefacts::atomic::tests::in_a_child", "--nocapture"])
            .env("ATOMIC_CHILD", what)
            .env("ATOMIC_PATH", path);
        command
    }

    #[test]
    fn in_a_child() {
        let Some(what) = std::env::var_os("ATOMIC_CHILD") else { return };
        let path = std::env::var_os("ATOMIC_PATH").unwrap();
        let path = Path::new(&path);
        if what == "full" {
            bytes(path, b"old").unwrap();
            let error = format!("{:#}", bytes(path, &vec![1; 200_000]).unwrap_err());
            println!("{error}");
            let whole = error.contains("No space left") && fs::read(path).unwrap() == b"old";
            let alone = names(path.parent().unwrap()) == ["x"];
            std::process::exit(if whole && alone { 3 } else { 4 });
        }
        let _ = Pending::new(path, |file| {
            file.write_all(b"half")?;
            println!("half written");
            loop {
                std::thread::park();
            }
        });
    }

    #[test]
    fn copies_keep_content_and_holes() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let file = File::create(&a).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(b"start", 0).unwrap();
        file.write_all_at(b"middle", 30 << 20).unwrap();
        drop(file);
        let plain = dir.path().join("c");
        let mut target = File::create(&plain).unwrap();
        copy_data(&File::open(&a).unwrap(), &mut target).unwrap();
        Pending::copy(&a, &b).unwrap().finish().unwrap();
        for made in [&b, &plain] {
            assert!(fs::read(&a).unwrap() == fs::read(made).unwrap());
            assert!(made.metadata().unwrap().blocks() <= a.metadata().unwrap().blocks() + 16);
        }
        assert_eq!(b.metadata().unwrap().mode() & 0o777, MODE);
    }
}
