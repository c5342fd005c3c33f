//! Looks at the device, and carries steps out. A loss of power between any two
//! calls leaves the old file or the new one, and nothing that others could read
//! who may not.

use super::Trouble;
use super::disk::{Disk, Kind, Owner};
use super::plan::{NEW, Present, Step, Target};

/// What stands where `targets` are to stand.
///
/// # Errors
/// The disk cannot be read.
pub fn observe(targets: &[Target], disk: &mut impl Disk) -> Result<Present, Trouble> {
    let mut present = Present::default();
    for target in targets {
        let Some(path) = target.path() else {
            present.host_name =
                disk.host_name().map_err(Trouble::of("reading", "the host name"))?;
            continue;
        };
        for path in [path.to_owned(), format!("{path}{NEW}")] {
            let reading = || Trouble::of("reading", &path);
            let Some(entry) = disk.entry(&path).map_err(reading())? else { continue };
            if entry.kind == Kind::File {
                let bytes = disk.read(&path).map_err(reading())?;
                present.bytes.insert(path.clone(), bytes.unwrap_or_default());
            } else if disk.is_folder(&path).map_err(reading())? {
                present.folders.push(path.clone());
            }
            present.entries.insert(path, entry);
        }
    }
    Ok(present)
}

/// Carries out the steps.
///
/// # Errors
/// The disk does not do as it is told; what was done stays, and the next run
/// goes on from there.
pub fn apply(steps: &[Step<'_>], disk: &mut impl Disk) -> Result<(), Trouble> {
    for step in steps {
        match *step {
            Step::Clean(path) => {
                let new = format!("{path}{NEW}");
                disk.remove(&new).map_err(Trouble::of("removing", &new))?;
                sync(disk, parent(path))?;
            }
            Step::MakeFolder(path, owner) => {
                disk.make_folder(path, owner.mode)
                    .map_err(Trouble::of("making the folder", path))?;
                disk.own(path, owner).map_err(Trouble::of("giving an owner to", path))?;
                sync(disk, path)?;
                sync(disk, parent(path))?;
            }
            Step::Own(path, owner) => {
                disk.own(path, owner).map_err(Trouble::of("giving an owner to", path))?;
                sync(disk, path)?;
            }
            Step::Put(path, bytes, owner) => put(disk, path, bytes, owner)?,
            Step::PutLink(path, target) => {
                let new = format!("{path}{NEW}");
                disk.remove(&new).map_err(Trouble::of("removing", &new))?;
                disk.link(&new, target).map_err(Trouble::of("making the link", &new))?;
                disk.rename(&new, path).map_err(Trouble::of("making the link", path))?;
                sync(disk, parent(path))?;
            }
            Step::Name(name) => {
                disk.set_host_name(name).map_err(Trouble::of("setting", "the host name"))?;
            }
        }
    }
    Ok(())
}

/// Puts a file in its place: beside it first, and on the card, before it takes
/// the name.
///
/// # Errors
/// The disk does not do as it is told.
pub fn put(disk: &mut impl Disk, path: &str, bytes: &[u8], owner: Owner) -> Result<(), Trouble> {
    let new = format!("{path}{NEW}");
    disk.create(&new, bytes).map_err(Trouble::of("writing", &new))?;
    disk.own(&new, owner).map_err(Trouble::of("giving an owner to", &new))?;
    sync(disk, &new)?;
    disk.rename(&new, path).map_err(Trouble::of("replacing", path))?;
    sync(disk, parent(path))
}

fn sync(disk: &mut impl Disk, path: &str) -> Result<(), Trouble> {
    disk.sync(path).map_err(Trouble::of("bringing to the card", path))
}

/// The folder that something is in.
pub fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(end) => &path[..end],
    }
}
