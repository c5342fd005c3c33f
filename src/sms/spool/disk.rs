//! The few things that a store does to a disk, so that a test can cut the power
//! between any two of them.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// A folder of small files. A change counts as kept only after it was synced.
pub trait Disk {
    /// The names of the files.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn list(&mut self) -> io::Result<Vec<String>>;

    /// All of a file.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;

    /// Makes a file of these bytes and syncs them.
    ///
    /// # Errors
    /// The disk is full or broken.
    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Gives a file another name, in the place of the one that had it.
    ///
    /// # Errors
    /// The disk is full or broken.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file; one that is not there is as well.
    ///
    /// # Errors
    /// The disk is broken.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Syncs the names.
    ///
    /// # Errors
    /// The disk is full or broken.
    fn sync(&mut self) -> io::Result<()>;
}

/// A folder of the file system.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder, which is made for its owner alone when it is not there:
    /// messages are nobody else's.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(path: PathBuf) -> io::Result<Folder> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Folder(path))
    }
}

impl Disk for Folder {
    fn list(&mut self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.0)?.map(|entry| Ok(entry?.file_name()));
        let names: Vec<_> = names.collect::<io::Result<_>>()?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.0.join(name))
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(self.0.join(name))?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}
