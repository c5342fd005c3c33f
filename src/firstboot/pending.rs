//! Wiping the boot partition's files, and the note that outlasts a loss of power
//! in the middle of it.
//!
//! A file that is half written over would be read as a wrong one, or as a
//! shorter right one. So the note has the texts: of a file that is a mixture of
//! its text and empty lines it is known that it is being wiped, and a file that
//! is something else was put there since and is not touched.

use serde::{Deserialize, Serialize};

use super::apply;
use super::disk::{Disk, Owner};
use super::mistake::Text;
use super::{BOOT, FOLDER, PENDING, REPORT, TROUBLE, Trouble};

/// What files are written over with: as the image leaves them, empty lines. No
/// moment makes another file of them.
const BLANK: u8 = b'\n';

#[derive(Deserialize, Serialize)]
struct Pending {
    version: u32,
    files: Vec<Wiped>,
    report: String,
}

#[derive(Deserialize, Serialize)]
struct Wiped {
    name: String,
    text: String,
}

/// Notes that these files are to be wiped. From here on they are not read again.
///
/// # Errors
/// The disk does not do as it is told.
pub fn begin(disk: &mut impl Disk, texts: &[Text], report: String) -> Result<(), Trouble> {
    let wiped = |text: &Text| Wiped { name: text.name.to_owned(), text: text.text.clone() };
    let pending = Pending { version: 1, files: texts.iter().map(wiped).collect(), report };
    let bytes = serde_json::to_vec(&pending).map_err(|error| Trouble::Io {
        doing: "writing",
        path: PENDING.to_owned(),
        error: error.into(),
    })?;
    apply::put(disk, PENDING, &bytes, Owner::root(0o600))
}

/// Wipes what is noted, if anything is; gives the report of what was done.
///
/// # Errors
/// The disk does not do as it is told.
pub fn finish(disk: &mut impl Disk) -> Result<Option<String>, Trouble> {
    let new = format!("{PENDING}{}", super::plan::NEW);
    if disk.entry(&new).map_err(Trouble::of("reading", &new))?.is_some() {
        // Of a run that was cut off before the note counted.
        disk.remove(&new).map_err(Trouble::of("removing", &new))?;
        disk.sync(FOLDER).map_err(Trouble::of("bringing to the card", FOLDER))?;
    }
    let Some(bytes) = disk.read(PENDING).map_err(Trouble::of("reading", PENDING))? else {
        return Ok(None);
    };
    let pending: Pending = serde_json::from_slice(&bytes).map_err(|error| Trouble::Io {
        doing: "reading",
        path: PENDING.to_owned(),
        // The line and column alone: the message could show a part of the file.
        error: std::io::Error::other(format!("{:?} error", error.classify())),
    })?;
    for file in &pending.files {
        wipe(disk, file)?;
    }
    tell(disk, &pending.report)?;
    disk.remove(PENDING).map_err(Trouble::of("removing", PENDING))?;
    disk.sync(FOLDER).map_err(Trouble::of("bringing to the card", FOLDER))?;
    disk.remove(TROUBLE).map_err(Trouble::of("removing", TROUBLE))?;
    Ok(Some(pending.report))
}

fn wipe(disk: &mut impl Disk, file: &Wiped) -> Result<(), Trouble> {
    let path = format!("{BOOT}/{}", file.name);
    let Some(bytes) = disk.read(&path).map_err(Trouble::of("reading", &path))? else {
        return Ok(());
    };
    let was = file.text.as_bytes();
    let ours = bytes.len() == was.len()
        && bytes.iter().zip(was).all(|(now, was)| now == was || *now == BLANK);
    if !ours {
        return Ok(());
    }
    let blank = vec![BLANK; was.len()];
    disk.overwrite(&path, &blank).map_err(Trouble::of("writing over", &path))?;
    // On the card before the name goes: a removed file's blocks are free, and
    // nothing would write over them.
    disk.sync(&path).map_err(Trouble::of("bringing to the card", &path))?;
    disk.remove(&path).map_err(Trouble::of("removing", &path))?;
    disk.sync(BOOT).map_err(Trouble::of("bringing to the card", BOOT))
}

/// Leaves a text on the boot partition.
///
/// # Errors
/// The disk does not do as it is told.
pub fn tell(disk: &mut impl Disk, text: &str) -> Result<(), Trouble> {
    // Not written at every boot: FAT does not survive all cuts.
    if disk.read(REPORT).map_err(Trouble::of("reading", REPORT))?.as_deref()
        == Some(text.as_bytes())
    {
        return Ok(());
    }
    disk.create(REPORT, text.as_bytes()).map_err(Trouble::of("writing", REPORT))?;
    disk.sync(REPORT).map_err(Trouble::of("bringing to the card", REPORT))?;
    disk.sync(BOOT).map_err(Trouble::of("bringing to the card", BOOT))
}
