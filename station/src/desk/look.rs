//! Which cards there are to choose from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Desk;
use super::check::{self, CheckError, Identity, against, identities};
use super::state::CardState;
use crate::device::slots::{Drive, Pattern, drives};
use crate::device::{Kind, Target};

/// What speaks against disks that nobody named.
pub const FIXED: &str = "it is fixed in this computer or its own case, not a card in a reader: name it on the command line";

/// A card that was looked at.
#[derive(Clone, Debug)]
pub struct Found {
    /// What is shown of it.
    pub card: CardState,
    /// What is known of it, when it could be opened.
    pub target: Option<Target>,
    /// Where it is, when it is no file.
    pub drive: Option<Drive>,
    /// Whether the user named it when the desk was opened.
    pub named: bool,
}

/// Stands for all that is known of a target.
#[must_use]
pub fn mark(target: &Target) -> String {
    // Of plain values; serialising them cannot fail.
    let text = serde_json::to_string(target).unwrap_or_default();
    hex::encode(&Sha256::digest(text)[..16])
}

/// Whether a target that nobody named is one of the drives that are offered.
fn offered(target: &Target, drives: &[Drive], given: &[Pattern]) -> bool {
    // A plain file has the name that it was asked for by, so that a link called
    // `sdb` would pass for the card in that reader.
    matches!(target.kind, Kind::Disk | Kind::Loop(_))
        && drives.iter().any(|drive| {
            drive.name == target.name && (drive.takes_cards || is_stand_in(drive, given))
        })
}

fn is_stand_in(drive: &Drive, given: &[Pattern]) -> bool {
    drive.is_loop() && drive.is_in(given)
}

/// The drives of this computer.
#[must_use]
pub fn here() -> Vec<Drive> {
    drives(Path::new("/sys"), Path::new("/dev/disk/by-path"))
}

impl Desk {
    /// Whether the user named it, by whatever name.
    pub(super) fn is_named(&self, own: &[Identity]) -> bool {
        let system = check::system();
        self.work.named.iter().any(|path| {
            let target = system.as_ref().ok().and_then(|it| it.target(path).ok());
            let known = target.and_then(|it| identities(&it).ok()).unwrap_or_default();
            known.first().is_some_and(|it| own.first() == Some(it))
        })
    }

    /// Whether it is a card in a reader; loop devices stand for cards where
    /// their slots are named.
    pub(super) fn takes_cards(&self, target: &Target) -> bool {
        offered(target, &here(), self.work.hot_add.as_deref().unwrap_or_default())
    }

    pub(super) fn is_stand_in(&self, drive: &Drive) -> bool {
        is_stand_in(drive, self.work.hot_add.as_deref().unwrap_or_default())
    }

    pub(super) fn inputs(&self) -> Vec<PathBuf> {
        let records = self.work.units.as_ref().map(|units| units.path.clone());
        self.work.inputs.iter().cloned().chain(records).collect()
    }

    /// Looks at all cards anew; keeps and gives what was found.
    ///
    /// # Errors
    /// The kernel's tables cannot be read.
    pub fn look(self: &Arc<Self>) -> Result<Vec<Found>, CheckError> {
        let system = check::system()?;
        let (writing, _) = self.busy();
        let before: BTreeMap<String, CardState> =
            self.inner().cards.iter().map(|it| (it.path.clone(), it.clone())).collect();
        let drives = here();
        let mut paths: Vec<(PathBuf, Option<Drive>, bool)> =
            self.work.named.iter().map(|path| (path.clone(), None, true)).collect();
        for drive in drives {
            let path = drive.path();
            let same = |it: &&mut (PathBuf, _, _)| it.0.canonicalize().is_ok_and(|it| it == path);
            match paths.iter_mut().find(same) {
                Some(named) => named.1 = Some(drive),
                None if drive.is_loop() && !self.is_stand_in(&drive) => {}
                None => paths.push((path, Some(drive), false)),
            }
        }
        let mut found = Vec::new();
        for (path, drive, named) in paths {
            let shown = path.display().to_string();
            let mut card = CardState {
                path: shown.clone(),
                slot: drive.as_ref().and_then(|it| it.slots.first().cloned()),
                model: None,
                serial: None,
                size: 0,
                against: Vec::new(),
                busy: false,
                mark: String::new(),
            };
            if !named && !drive.as_ref().is_some_and(|it| it.takes_cards || self.is_stand_in(it)) {
                // Not opened: it may sleep.
                card.against.push(FIXED.to_owned());
                found.push(Found { card, target: None, drive, named });
                continue;
            }
            let busy = numbers(&path).is_some_and(|it| writing.contains(&it));
            if busy {
                // What is being written is left in peace.
                let card = before.get(&shown).cloned().unwrap_or(card);
                let card = CardState { busy: true, against: Vec::new(), ..card };
                found.push(Found { card, target: None, drive, named });
                continue;
            }
            let target = match system.target(&path) {
                Ok(target) => target,
                Err(error) => {
                    card.against.push(error.to_string());
                    found.push(Found { card, target: None, drive, named });
                    continue;
                }
            };
            card.model = target.model.clone();
            card.serial = target.cid.clone().or_else(|| target.serial.clone());
            card.size = target.size;
            card.mark = mark(&target);
            if let Kind::Loop(file) | Kind::Nested(file) = &target.kind {
                card.model = Some(format!("loop device on {file}"));
            }
            card.against =
                match against(&target, &self.work.source, &self.inputs(), self.rules(named)) {
                    Ok(against) => against,
                    Err(error) => vec![error.to_string()],
                };
            found.push(Found { card, target: Some(target), drive, named });
        }
        self.inner().cards = found.iter().map(|it| it.card.clone()).collect();
        Ok(found)
    }
}

/// The identity of a device or file by its name alone.
fn numbers(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let meta = path.metadata().ok()?;
    Some(if meta.is_file() { (true, meta.dev(), meta.ino()) } else { (false, 0, meta.rdev()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_called_like_a_card_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let drive = |name: &str, takes_cards| Drive {
            name: name.into(),
            takes_cards,
            slots: vec![format!("slot-of-{name}")],
        };
        let drives = [drive("sda", false), drive("sdb", true), drive("loop7", false)];
        let given: [Pattern; 1] = ["slot-of-*".parse().unwrap()];
        std::fs::write(dir.path().join("precious"), [0xA5; 4096]).unwrap();
        let system = check::system().unwrap();
        for (name, kind, card) in [
            ("sda", Kind::Disk, false),
            ("sdb", Kind::Disk, true),
            ("loop7", Kind::Loop("/x".into()), true),
            ("sdb1", Kind::Partition("/dev/sdb".into()), false),
        ] {
            let path = dir.path().join(name);
            std::os::unix::fs::symlink("precious", &path).unwrap();
            let file = system.target(&path).unwrap();
            assert_eq!((file.name.as_str(), &file.kind), (name, &Kind::File));
            assert!(!offered(&file, &drives, &given), "{name}");
            assert_eq!(offered(&Target { kind, ..file }, &drives, &given), card, "{name}");
        }
    }
}
