//! `a7670e first-boot`: makes the device the unit that its card says.
//!
//! The boot partition's files ([`wanted::NAMES`]) are read and checked as a
//! whole; from what they want and what the system has come targets, from targets
//! and what stands there the steps that are missing. The steps are carried out
//! and looked at once more; then the files, which may hold secrets, are written
//! over and removed. A loss of power at any moment is made good by the next run:
//! until the last target stands the files are whole, and from then on
//! [`PENDING`] says what is to be wiped.

mod accounts;
mod apply;
mod cloud;
mod desired;
mod disk;
pub mod mistake;
mod pending;
mod people;
mod plan;
mod preseed;
mod profiles;
#[cfg(test)]
mod tests;
pub mod wanted;
pub mod yaml;

use std::io;

pub use desired::Kept;
pub use disk::{Device, Disk};
use mistake::{Mistake, Text};

/// Where the boot partition is.
pub const BOOT: &str = "/boot/firmware";

/// What the first boot keeps.
const FOLDER: &str = "/var/lib/a7670e-first-boot";

/// What was done.
pub const RECORD: &str = "/var/lib/a7670e-first-boot/record.json";

/// What is being wiped; root's alone, as it has the files' texts.
const PENDING: &str = "/var/lib/a7670e-first-boot/pending.json";

/// What went wrong in this boot, for `a7670e why`.
pub const TROUBLE: &str = "/run/a7670e-first-boot.txt";

/// The outcome, for whoever puts the card into another machine.
pub const REPORT: &str = "/boot/firmware/a7670e-first-boot.txt";

/// Longest file that is read, in bytes. Unit files have 48 KiB at most.
const MAX_FILE: usize = 256 << 10;

/// Why the device did not become the unit. No text of it has a secret.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A file is wrong; nothing was changed.
    #[error(transparent)]
    Mistake(#[from] Mistake),
    /// The disk does not do as it is told.
    #[error("{doing} {path}: {error}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: String,
        /// Why it did not work.
        error: io::Error,
    },
    /// This system cannot be made so; nothing was changed.
    #[error("{0}")]
    Lacks(String),
    /// Two values want the same file; nothing was changed.
    #[error("{0} is wanted twice: leave out one of the values, or the file, that makes it")]
    Twice(String),
    /// Something was written and does not stand there.
    #[error("the card does not keep what is written to it: still to do is {0}")]
    Unverified(String),
}

impl Trouble {
    /// An error of the disk.
    fn of(doing: &'static str, path: &str) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::Io { doing, path, error }
    }
}

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    /// No file says anything.
    Nothing,
    /// The steps that would be taken, without a secret.
    Planned(Vec<String>),
    /// The device is the unit, and the files are gone; a text for people.
    Made(String),
}

/// Makes the device what the card says; with `dry` only says how.
///
/// # Errors
/// A file is wrong, or the disk is.
pub fn run(disk: &mut impl Disk, dry: bool) -> Result<Done, Trouble> {
    let mut lines = Vec::new();
    let mut report = None;
    if dry {
        if disk.read(PENDING).map_err(Trouble::of("reading", PENDING))?.is_some() {
            lines.push("go on with the wiping that was cut off".to_owned());
        }
    } else {
        report = pending::finish(disk)?;
    }
    let texts = gather(disk)?;
    if texts.is_empty() {
        return Ok(match report {
            Some(report) => Done::Made(report),
            None if lines.is_empty() => Done::Nothing,
            None => Done::Planned(lines),
        });
    }
    let mut wanted = wanted::read(&texts)?;
    desired::keep(&mut wanted, disk)?;
    let names: Vec<_> = texts.iter().map(|text| text.name).collect();
    let desired = desired::desired(&wanted, &names, disk)?;
    let look = |disk: &mut _| {
        let present = apply::observe(&desired.targets, disk)?;
        plan::plan(&desired.targets, &present).map_err(Trouble::Lacks)
    };
    let steps = look(disk)?;
    if dry {
        lines.extend(steps.iter().map(ToString::to_string));
        lines.extend(names.iter().map(|name| format!("write over and remove {BOOT}/{name}")));
        return Ok(Done::Planned(lines));
    }
    apply::apply(&steps, disk)?;
    if let Some(step) = look(disk)?.first() {
        return Err(Trouble::Unverified(step.to_string()));
    }
    pending::begin(disk, &texts, told(&wanted, &names, &desired.notes))?;
    match pending::finish(disk)? {
        Some(report) => Ok(Done::Made(report)),
        None => Err(Trouble::Unverified(format!("write {PENDING}"))),
    }
}

/// Leaves the reason where people look: for `a7670e why`, and on the boot
/// partition. What cannot be written is let go; the caller has the console.
pub fn tell(disk: &mut impl Disk, trouble: &Trouble) {
    let changed = match trouble {
        Trouble::Io { .. } | Trouble::Unverified(_) => {
            "What was done stays; the next boot goes on from there."
        }
        _ => "Nothing of it was done. Correct it on this partition and boot again.",
    };
    let text = format!(
        "The first boot did not make this device what its card says:\n\n{trouble}\n\n{changed}\n"
    );
    let run = disk
        .create(TROUBLE, text.as_bytes())
        .and_then(|()| disk.own(TROUBLE, disk::Owner::root(0o644)));
    let boot = pending::tell(disk, &text);
    if let (Err(_), Err(_)) = (run, boot) {
        eprintln!("a7670e: the reason could be written nowhere");
    }
}

/// The files that say something, the weakest first.
fn gather(disk: &mut impl Disk) -> Result<Vec<Text>, Trouble> {
    let mut texts = Vec::new();
    for name in wanted::NAMES {
        let path = format!("{BOOT}/{name}");
        let Some(bytes) = disk.read(&path).map_err(Trouble::of("reading", &path))? else {
            continue;
        };
        // The image keeps room for them, filled with empty lines.
        if bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0) {
            continue;
        }
        let wrong = |line: usize, message: &str| Mistake {
            file: name,
            line,
            column: 1,
            message: message.to_owned(),
        };
        if bytes.len() > MAX_FILE {
            return Err(wrong(1, "is longer than 256 KiB, so it is no such file").into());
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            wrong(line, "is no UTF-8: write the file anew with a text editor")
        })?;
        texts.push(Text { name, text });
    }
    Ok(texts)
}

/// The outcome for people, without a secret.
fn told(wanted: &wanted::Wanted, names: &[&str], notes: &[String]) -> String {
    let mut text = match &wanted.id {
        Some(id) => format!("This device is unit {}", id.as_str()),
        None => "This device was set up".to_owned(),
    };
    if let Some(host) = &wanted.hostname {
        text += &format!(", host name {}", host.as_str());
    }
    text += &format!(
        ".\n\nDone and then written over and removed: {}.\nA card may keep old copies of what was \
         written over in blocks that only its maker can read.\n",
        names.join(", ")
    );
    if !notes.is_empty() {
        text += "\nNot done:\n";
        notes.iter().for_each(|note| text += &format!("- {note}\n"));
    }
    text
}
