//! The file system and the host name, as far as the first boot needs them: a
//! trait, so that a test can take the power away between any two calls.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink,
};
use std::path::{Path, PathBuf};

/// Whose a file is, and what others may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The low twelve bits.
    pub mode: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Owner {
    /// Root's, with this mode.
    pub const fn root(mode: u32) -> Self {
        Self { mode, uid: 0, gid: 0 }
    }
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link to there.
    Link(String),
    /// Something else.
    Other,
}

/// What stands at a path, links not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Whose it is.
    pub owner: Owner,
}

/// What the first boot does to a device. Paths are absolute. Nothing is sure to
/// outlast a loss of power before [`Disk::sync`] of the file, for its bytes, and
/// of the folder, for its names.
pub trait Disk {
    /// A file's bytes; `None` when there is none.
    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>>;
    /// What stands at a path; `None` for nothing.
    fn entry(&mut self, path: &str) -> io::Result<Option<Entry>>;
    /// Whether a path is a folder, or leads to one.
    fn is_folder(&mut self, path: &str) -> io::Result<bool>;
    /// Makes a folder of root's with this mode, at once: what leads to a file may
    /// not be closed to others by a loss of power.
    fn make_folder(&mut self, path: &str, mode: u32) -> io::Result<()>;
    /// Makes a file anew; nobody but its owner could read it at any time.
    fn create(&mut self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Gives a file or folder its owner, then its mode.
    fn own(&mut self, path: &str, owner: Owner) -> io::Result<()>;
    /// Brings a file or folder to the card.
    fn sync(&mut self, path: &str) -> io::Result<()>;
    /// Gives a file another name, in place of what has that.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Makes a symbolic link.
    fn link(&mut self, path: &str, target: &str) -> io::Result<()>;
    /// Removes a file or link.
    fn remove(&mut self, path: &str) -> io::Result<()>;
    /// Writes over a file's bytes where they lie.
    fn overwrite(&mut self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// The host name; `None` where the tree is not of the running system.
    fn host_name(&mut self) -> io::Result<Option<String>>;
    /// Sets the host name until the next boot.
    fn set_host_name(&mut self, name: &str) -> io::Result<()>;
}

/// The real one.
#[derive(Debug)]
pub struct Device {
    root: PathBuf,
}

impl Device {
    /// The running system for `/`, or a tree elsewhere.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// Nothing there is no error here.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Disk for Device {
    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        there(fs::read(self.at(path)))
    }

    fn entry(&mut self, path: &str) -> io::Result<Option<Entry>> {
        let path = self.at(path);
        let Some(meta) = there(fs::symlink_metadata(&path))? else { return Ok(None) };
        let kind = if meta.is_symlink() {
            Kind::Link(fs::read_link(&path)?.to_string_lossy().into_owned())
        } else if meta.is_dir() {
            Kind::Folder
        } else if meta.is_file() {
            Kind::File
        } else {
            Kind::Other
        };
        let owner = Owner { mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid() };
        Ok(Some(Entry { kind, owner }))
    }

    fn is_folder(&mut self, path: &str) -> io::Result<bool> {
        Ok(there(fs::metadata(self.at(path)))?.is_some_and(|meta| meta.is_dir()))
    }

    fn make_folder(&mut self, path: &str, mode: u32) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.mode(mode);
        builder.create(self.at(path))
    }

    fn create(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.at(path);
        there(fs::remove_file(&path))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(path)?.write_all(bytes)
    }

    fn own(&mut self, path: &str, owner: Owner) -> io::Result<()> {
        let path = self.at(path);
        let meta = fs::symlink_metadata(&path)?;
        if (meta.uid(), meta.gid()) != (owner.uid, owner.gid) {
            chown(&path, Some(owner.uid), Some(owner.gid))?;
        }
        fs::set_permissions(path, Permissions::from_mode(owner.mode))
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        File::open(self.at(path))?.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        symlink(target, self.at(path))
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        there(fs::remove_file(self.at(path))).map(drop)
    }

    fn overwrite(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        // A link in the file's place is not followed: somebody may have put it there.
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_NOFOLLOW);
        options.open(self.at(path))?.write_all(bytes)
    }

    fn host_name(&mut self) -> io::Result<Option<String>> {
        let running = self.root == Path::new("/");
        let name = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(running.then(name))
    }

    fn set_host_name(&mut self, name: &str) -> io::Result<()> {
        Ok(rustix::system::sethostname(name.as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_changed_as_the_trait_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut device = Device::new(folder.path().to_owned());
        let own = fs::metadata(folder.path()).unwrap();
        let owner = |mode| Owner { mode, uid: own.uid(), gid: own.gid() };
        assert_eq!(device.read("/a/b").unwrap(), None);
        assert_eq!(device.entry("/a/b").unwrap(), None);
        device.make_folder("/a", 0o700).unwrap();
        assert_eq!(device.entry("/a").unwrap().unwrap().owner.mode, 0o700);
        // A leftover that others could read is not written into.
        fs::write(folder.path().join("a/b.new"), "old").unwrap();
        device.create("/a/b.new", b"secret").unwrap();
        assert_eq!(device.entry("/a/b.new").unwrap().unwrap().owner.mode, 0o600);
        device.own("/a/b.new", owner(0o640)).unwrap();
        device.sync("/a/b.new").unwrap();
        device.rename("/a/b.new", "/a/b").unwrap();
        device.sync("/a").unwrap();
        let entry = Entry { kind: Kind::File, owner: owner(0o640) };
        assert_eq!(device.entry("/a/b").unwrap(), Some(entry));
        let inode = fs::metadata(folder.path().join("a/b")).unwrap().ino();
        device.overwrite("/a/b", b"......").unwrap();
        assert_eq!(device.read("/a/b").unwrap().unwrap(), b"......");
        assert_eq!(fs::metadata(folder.path().join("a/b")).unwrap().ino(), inode);
        device.link("/l", "a").unwrap();
        assert_eq!(device.entry("/l").unwrap().unwrap().kind, Kind::Link("a".into()));
        assert!(device.is_folder("/l").unwrap() && !device.is_folder("/a/b").unwrap());
        device.link("/f", "a/b").unwrap();
        device.overwrite("/f", b"x").unwrap_err();
        device.remove("/a/b").unwrap();
        device.remove("/a/b").unwrap();
        assert_eq!(device.read("/a/b/c").unwrap(), None);
        assert_eq!(device.host_name().unwrap(), None);
    }
}
