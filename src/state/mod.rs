//! Small files that survive a loss of power: counters, histories, the last
//! lease.
//!
//! A file is written whole beside the old one, brought to the card, and takes
//! the old one's name; then the folder is brought to the card too. So either
//! text is there after a power cut, never a mixture. A file that is damaged all
//! the same is set aside and told of: a service that has forgotten is better
//! than one that does not start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where the service's files are (systemd's `StateDirectory=`).
pub const FOLDER: &str = "/var/lib/a7670e";

/// Why a file was not written or read.
#[derive(Debug, Error)]
#[error("{path}: {source}", path = .path.display())]
pub struct StateError {
    path: PathBuf,
    source: io::Error,
}

/// What is in a file.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope<T> {
    version: u32,
    data: T,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Loaded<T> {
    /// What was kept.
    Kept(T),
    /// Nothing was kept yet.
    Nothing,
    /// What was kept cannot be read; it lies at this path now.
    Damaged {
        /// Where the damaged file is.
        aside: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A kept value of one type and version.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
    version: u32,
}

impl StateFile {
    /// The file `name`.json in `folder`. A change of the type's shape is a new
    /// `version`; files of another version count as damaged.
    #[must_use]
    pub fn new(folder: &Path, name: &str, version: u32) -> StateFile {
        StateFile { path: folder.join(name).with_extension("json"), version }
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is there but cannot be read or set aside: permissions, or the card.
    pub fn load<T: DeserializeOwned>(&self) -> Result<Loaded<T>, StateError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Loaded::Nothing),
            Err(source) => return Err(self.error(source)),
        };
        // The version first: what the rest means depends on it.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let reason = match serde_json::from_slice::<Version>(&bytes) {
            Ok(found) if found.version != self.version => {
                format!("version {} instead of {}", found.version, self.version)
            }
            Ok(_) => match serde_json::from_slice::<Envelope<T>>(&bytes) {
                Ok(envelope) => return Ok(Loaded::Kept(envelope.data)),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        let aside = self.aside();
        fs::rename(&self.path, &aside).map_err(|source| self.error(source))?;
        Ok(Loaded::Damaged { aside, reason })
    }

    fn aside(&self) -> PathBuf {
        self.path.with_extension("json.damaged")
    }

    /// Whether a damaged one was set aside, and still is; also when that cannot be
    /// known.
    #[must_use]
    pub fn was_damaged(&self) -> bool {
        self.aside().try_exists().unwrap_or(true)
    }

    /// Keeps `data`; when this returns, a loss of power does not lose it.
    ///
    /// # Errors
    /// The card is full, broken or not writable. The old text is still there.
    pub fn save<T: Serialize>(&self, data: &T) -> Result<(), StateError> {
        self.write(data).map_err(|source| self.error(source))
    }

    fn write<T: Serialize>(&self, data: &T) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(&Envelope { version: self.version, data })?;
        bytes.push(b'\n');
        let temporary = self.path.with_extension("json.new");
        // Some have passwords.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }

    fn error(&self, source: io::Error) -> StateError {
        StateError { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path(), "usage", 1);
        assert_eq!(file.load::<Vec<u64>>().unwrap(), Loaded::Nothing);
        for data in [vec![1_u64, 2], vec![3]] {
            file.save(&data).unwrap();
            assert_eq!(file.load::<Vec<u64>>().unwrap(), Loaded::Kept(data));
        }
        let mode = fs::metadata(folder.path().join("usage.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "nobody else reads it, whatever the umask");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        // A power cut while the new one was written: the old one counts.
        fs::write(folder.path().join("usage.json.new"), "{\"vers").unwrap();
        assert_eq!(file.load::<Vec<u64>>().unwrap(), Loaded::Kept(vec![3]));
    }

    #[test]
    fn a_damaged_or_foreign_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path(), "usage", 2);
        let path = folder.path().join("usage.json");
        for (text, expected) in [
            ("", "EOF"),
            ("\0\0\0\0", "expected"),
            (r#"{"version":1,"data":[7]}"#, "version 1 instead of 2"),
            (r#"{"version":2,"data":"x"}"#, "invalid type"),
        ] {
            fs::write(&path, text).unwrap();
            match file.load::<Vec<u64>>().unwrap() {
                Loaded::Damaged { aside, reason } => {
                    assert!(reason.contains(expected), "{reason}");
                    assert_eq!(fs::read_to_string(aside).unwrap(), text);
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(file.load::<Vec<u64>>().unwrap(), Loaded::Nothing);
            file.save(&vec![1_u64]).unwrap();
        }
    }
}
