//! Whether targets may be written at all: for the command line, the page and
//! cards that are put in later alike.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::card::Device;
use crate::device::facts::FactsError;
use crate::device::{Kind, Rules, System, Target, judge};
use crate::source::Source;

/// Why a target cannot be looked at or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The kernel's tables cannot be read.
    #[error("cannot see what is mounted: {0}")]
    System(io::Error),
    /// There is nothing that could be written.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// It cannot be looked at.
    #[error("{}: {error}", path.display())]
    Io {
        /// The target.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It cannot be had for writing.
    #[error("{}: cannot be opened: {error}; is it in use, or are you not root?", path.display())]
    Open {
        /// The target.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The card was changed for another.
    #[error("{}: it is another card than a moment ago: look again", .0.display())]
    Changed(PathBuf),
}

/// What a device or file is, whatever its name: whether a file, and numbers.
pub type Identity = (bool, u64, u64);

/// The kernel's tables as they are now.
///
/// # Errors
/// They cannot be read.
pub fn system() -> Result<System, CheckError> {
    System::read().map_err(CheckError::System)
}

/// The same for every name of one device or file.
fn identity(path: &Path) -> Result<Identity, CheckError> {
    let error = |error| CheckError::Io { path: path.to_owned(), error };
    let meta = path.metadata().map_err(error)?;
    Ok(if meta.is_file() { (true, meta.dev(), meta.ino()) } else { (false, 0, meta.rdev()) })
}

/// Of the target, and of the file behind a loop device.
///
/// # Errors
/// It is gone.
pub fn identities(target: &Target) -> Result<Vec<Identity>, CheckError> {
    let mut all = vec![identity(&target.path)?];
    if let Kind::Loop(file) = &target.kind {
        // A deleted file has no name that could be given here.
        all.extend(identity(Path::new(file)));
    }
    Ok(all)
}

/// All that speaks against writing the target, in sentences. `inputs` are read
/// besides the image and its companions.
///
/// # Errors
/// It is gone.
pub fn against(
    target: &Target,
    source: &Source,
    inputs: &[PathBuf],
    rules: Rules,
) -> Result<Vec<String>, CheckError> {
    let identities = identities(target)?;
    let is_read = |input: &&PathBuf| identity(input).is_ok_and(|it| identities.contains(&it));
    let needed = source.files().iter().chain(inputs).find(is_read);
    let needed = needed.map(|input| format!("it is {}, which is needed here", input.display()));
    Ok(needed.into_iter().chain(judge(target, rules).iter().map(ToString::to_string)).collect())
}

/// Makes sure that a target is still the one that was looked at: a card may be
/// changed while the user is asked.
///
/// # Errors
/// It is another one, or gone.
pub fn still(target: &Target) -> Result<(), CheckError> {
    if system()?.target(&target.path)? == *target {
        return Ok(());
    }
    Err(CheckError::Changed(target.path.clone()))
}

/// Opens a target for itself alone. From then on nobody mounts it.
///
/// # Errors
/// It is in use, another one than before, or gone.
pub fn open(target: &Target) -> Result<Device, CheckError> {
    let path = &target.path;
    let device =
        Device::open(path).map_err(|error| CheckError::Open { path: path.to_owned(), error })?;
    let same =
        device.is(target).map_err(|error| CheckError::Io { path: path.to_owned(), error })?;
    if !same {
        return Err(CheckError::Changed(path.to_owned()));
    }
    still(target)?;
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_changed_meanwhile_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("card"), dir.path().join("other"));
        for file in [&path, &other] {
            std::fs::write(file, [7; 4096]).unwrap();
        }
        let target = system().unwrap().target(&path).unwrap();
        let device = open(&target).unwrap();
        still(&target).unwrap();
        // As large, and of the same name.
        std::fs::rename(&other, &path).unwrap();
        assert!(still(&target).unwrap_err().to_string().contains("another card"));
        assert!(open(&target).unwrap_err().to_string().contains("another card"));
        assert!(device.is(&target).unwrap());
    }
}
