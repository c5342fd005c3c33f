//! What the device is to be like, and the steps that are still missing. Pure.

use std::collections::BTreeMap;
use std::fmt;

use super::disk::{Entry, Kind, Owner};

/// What a file is called until it takes its place.
pub const NEW: &str = ".a7670e-new";

/// Something that is to be so. A file's bytes may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// A folder is there; with an owner, it is that one's.
    Folder {
        /// Where.
        path: String,
        /// Whose; any when left out, and root's when it is made.
        owner: Option<Owner>,
    },
    /// A file has these bytes.
    File {
        /// Where.
        path: String,
        /// All of it.
        bytes: Vec<u8>,
        /// Whose.
        owner: Owner,
    },
    /// A symbolic link leads there.
    Link {
        /// Where.
        path: String,
        /// To what.
        target: String,
    },
    /// The running system is called so.
    HostName(String),
}

/// What stands where the targets are to stand.
#[derive(Default)]
pub struct Present {
    /// By path; nothing stands at the others.
    pub entries: BTreeMap<String, Entry>,
    /// The bytes of the files among them.
    pub bytes: BTreeMap<String, Vec<u8>>,
    /// Paths that are folders, if only by a link.
    pub folders: Vec<String>,
    /// The running system's host name; `None` when it is not the one.
    pub host_name: Option<String>,
}

/// One step. It can be cut off anywhere and done again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Remove what a step that was cut off left.
    Clean(&'a str),
    /// Make a folder.
    MakeFolder(&'a str, Owner),
    /// Give a folder its owner.
    Own(&'a str, Owner),
    /// Put a file in its place, whole.
    Put(&'a str, &'a [u8], Owner),
    /// Put a link in its place.
    PutLink(&'a str, &'a str),
    /// Name the running system.
    Name(&'a str),
}

impl Target {
    /// Where it is; nowhere for the host name.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Folder { path, .. } | Self::File { path, .. } | Self::Link { path, .. } => {
                Some(path)
            }
            Self::HostName(_) => None,
        }
    }

    /// A file of root's.
    pub fn file(path: &str, bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self::File { path: path.to_owned(), bytes: bytes.into(), owner: Owner::root(mode) }
    }
}

/// The steps from what is to what shall be, in the targets' order; none when
/// all is so.
///
/// # Errors
/// A folder stands in a file's place, or the other way round; the path.
pub fn plan<'a>(targets: &'a [Target], present: &Present) -> Result<Vec<Step<'a>>, String> {
    let mut steps = Vec::new();
    for target in targets {
        let entry = target.path().and_then(|path| present.entries.get(path));
        match target {
            Target::Folder { path, owner } => match entry {
                None => steps.push(Step::MakeFolder(path, owner.unwrap_or(Owner::root(0o755)))),
                Some(entry) if entry.kind == Kind::Folder => {
                    if let Some(owner) = owner.filter(|owner| *owner != entry.owner) {
                        steps.push(Step::Own(path, owner));
                    }
                }
                // Through a link only where it does not matter whose it is.
                Some(_) if owner.is_none() && present.folders.contains(path) => {}
                Some(_) => return Err(format!("{path} must be a folder, and is none")),
            },
            Target::File { path, bytes, owner } => match entry {
                Some(entry) if entry.kind == Kind::Folder => {
                    return Err(format!("{path} must be a file, and is a folder"));
                }
                Some(entry)
                    if entry.kind == Kind::File
                        && entry.owner == *owner
                        && present.bytes.get(path) == Some(bytes) => {}
                _ => steps.push(Step::Put(path, bytes, *owner)),
            },
            Target::Link { path, target } => match entry {
                Some(entry) if entry.kind == Kind::Folder => {
                    return Err(format!("{path} must be a link, and is a folder"));
                }
                Some(entry) if entry.kind == Kind::Link(target.clone()) => {}
                _ => steps.push(Step::PutLink(path, target)),
            },
            Target::HostName(name) => {
                if present.host_name.as_ref().is_some_and(|present| present != name) {
                    steps.push(Step::Name(name));
                }
            }
        }
        if let Some(path) = target.path() {
            if present.entries.contains_key(&format!("{path}{NEW}")) {
                steps.push(Step::Clean(path));
            }
        }
    }
    Ok(steps)
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = |owner: Owner| format!("mode {:04o}, {}:{}", owner.mode, owner.uid, owner.gid);
        match self {
            Step::Clean(path) => write!(f, "remove {path}{NEW}"),
            Step::MakeFolder(path, owner) => {
                write!(f, "make the folder {path} ({})", whose(*owner))
            }
            Step::Own(path, owner) => write!(f, "change {path} to {}", whose(*owner)),
            Step::Put(path, bytes, owner) => {
                write!(f, "write {path} ({} bytes, {})", bytes.len(), whose(*owner))
            }
            Step::PutLink(path, target) => write!(f, "link {path} to {target}"),
            Step::Name(name) => write!(f, "set the host name {name}"),
        }
    }
}

// Not derived: the bytes may be a secret.
impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, mode: u32) -> Entry {
        Entry { kind, owner: Owner::root(mode) }
    }

    #[test]
    fn only_what_differs_is_planned() {
        let targets = [
            Target::Folder { path: "/d".into(), owner: None },
            Target::Folder { path: "/h".into(), owner: Some(Owner::root(0o700)) },
            Target::file("/d/f", "secret", 0o600),
            Target::Link { path: "/l".into(), target: "d".into() },
            Target::HostName("pump".into()),
        ];
        let mut present = Present { host_name: Some("old".into()), ..Present::default() };
        let all = plan(&targets, &present).unwrap();
        let said: Vec<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "make the folder /d (mode 0755, 0:0)",
                "make the folder /h (mode 0700, 0:0)",
                "write /d/f (6 bytes, mode 0600, 0:0)",
                "link /l to d",
                "set the host name pump",
            ]
        );
        assert!(!format!("{all:?}").contains("secret"));
        present.host_name = Some("pump".into());
        for (path, it) in [
            ("/d", entry(Kind::Folder, 0o755)),
            ("/h", entry(Kind::Folder, 0o755)),
            ("/d/f", entry(Kind::File, 0o644)),
            ("/d/f.a7670e-new", entry(Kind::File, 0o600)),
            ("/l", entry(Kind::Link("e".into()), 0o777)),
        ] {
            present.entries.insert(path.into(), it);
        }
        present.bytes.insert("/d/f".into(), b"secret".to_vec());
        let said: Vec<_> =
            plan(&targets, &present).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "change /h to mode 0700, 0:0",
                "write /d/f (6 bytes, mode 0600, 0:0)",
                "remove /d/f.a7670e-new",
                "link /l to d",
            ]
        );
        present.entries.insert("/h".into(), entry(Kind::Folder, 0o700));
        present.entries.insert("/d/f".into(), entry(Kind::File, 0o600));
        present.entries.remove("/d/f.a7670e-new");
        present.entries.insert("/l".into(), entry(Kind::Link("d".into()), 0o777));
        assert_eq!(plan(&targets, &present).unwrap(), []);
    }

    #[test]
    fn folders_and_files_do_not_take_each_others_place() {
        let mut present = Present::default();
        present.entries.insert("/f".into(), entry(Kind::Folder, 0o755));
        present.entries.insert("/d".into(), entry(Kind::Link("e".into()), 0o777));
        plan(&[Target::file("/f", "", 0o600)], &present).unwrap_err();
        let folder = |owner| [Target::Folder { path: "/d".into(), owner }];
        plan(&folder(None), &present).unwrap_err();
        present.folders.push("/d".into());
        assert_eq!(plan(&folder(None), &present).unwrap(), []);
        // Somebody could have put the link there.
        plan(&folder(Some(Owner::root(0o700))), &present).unwrap_err();
    }
}
