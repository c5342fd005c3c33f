//! A root file system as data: every path with its kind, mode, owner and where
//! its content lies. Contents are not loaded; a root of 200 MB is a few
//! thousand small entries.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

/// How many symbolic links one path may lead through, as in the kernel's
/// `MAXSYMLINKS`.
const MAX_LINKS: usize = 40;

/// Where a file's bytes are.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// A file of `len` bytes on disk.
    Path {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        len: u64,
    },
    /// A part of an open archive.
    Range {
        /// The archive.
        file: Arc<File>,
        /// Where the content begins, in bytes.
        offset: u64,
        /// Its size in bytes.
        len: u64,
    },
}

impl Content {
    /// Size in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Path { len, .. } | Self::Range { len, .. } => *len,
        }
    }

    /// A reader over exactly [`Self::len`] bytes.
    pub fn open(&self) -> Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(bytes.as_slice()),
            Self::Path { path, len } => {
                let file =
                    File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
                Box::new(file.take(*len))
            }
            Self::Range { file, offset, len } => {
                let mut file = file.as_ref();
                file.seek(SeekFrom::Start(*offset))?;
                Box::new(file.take(*len))
            }
        })
    }

    /// All of it.
    pub fn read(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.len() as usize);
        self.open()?.read_to_end(&mut bytes)?;
        if bytes.len() as u64 != self.len() {
            bail!("a file changed its size while it was read: {self:?}");
        }
        Ok(bytes)
    }
}

/// What stands at a path.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A folder.
    Dir,
    /// A file.
    File(Content),
    /// A symbolic link and its target.
    Link(String),
    /// Another name of the file at that path.
    Same(String),
    /// A character device (true) or block device (false), major and minor.
    Device(bool, u32, u32),
    /// A named pipe.
    Fifo,
}

/// One path's entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permissions, set-id and sticky bits included (the low 12 bits).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970 of the last change.
    pub mtime: u64,
    /// Extended attributes, in name order.
    pub xattrs: Vec<(String, Vec<u8>)>,
}

impl Entry {
    /// An entry that belongs to root.
    pub fn new(kind: Kind, mode: u32, mtime: u64) -> Self {
        Self { kind, mode, uid: 0, gid: 0, mtime, xattrs: Vec::new() }
    }

    /// A file of root's with these bytes.
    pub fn file(bytes: impl Into<Vec<u8>>, mode: u32, mtime: u64) -> Self {
        Self::new(Kind::File(Content::Bytes(bytes.into())), mode, mtime)
    }
}

/// A whole root file system. Paths have no slash at either end; the root
/// folder itself is the empty path.
#[derive(Clone, Debug, Default)]
pub struct Root {
    /// The entries in byte order of their paths, so that a folder precedes
    /// what it holds.
    pub entries: BTreeMap<String, Entry>,
}

impl Root {
    /// The entry at exactly this path.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The bytes of the file at exactly this path; hard links are followed.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        match self.get(path).map(|e| &e.kind) {
            Some(Kind::File(content)) => {
                content.read().with_context(|| format!("cannot read /{path}"))
            }
            Some(Kind::Same(other)) => self.read(other),
            Some(other) => bail!("/{path} is no file: {other:?}"),
            None => bail!("/{path} does not exist in the root file system"),
        }
    }

    /// As [`Self::read`], as text.
    pub fn text(&self, path: &str) -> Result<String> {
        String::from_utf8(self.read(path)?).with_context(|| format!("/{path} is no UTF-8"))
    }

    /// Where a file written to `path` really lands: links in its folders are
    /// followed (`/lib/x` lands in `/usr/lib/x`), the last part is not.
    pub fn resolve(&self, path: &str) -> Result<String> {
        let mut rest: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut done = String::new();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    done.truncate(done.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = join(&done, &part);
            let last = rest.iter().all(|p| p.is_empty());
            match self.get(&next).map(|e| &e.kind) {
                Some(Kind::Link(target)) if !last => {
                    links += 1;
                    if links > MAX_LINKS {
                        bail!("/{path} leads through more than {MAX_LINKS} links");
                    }
                    if target.starts_with('/') {
                        done.clear();
                    }
                    rest.extend(target.rsplit('/').map(str::to_owned));
                }
                _ => done = next,
            }
        }
        Ok(done)
    }

    /// Puts `entry` at `path`, links in its folders followed; missing folders
    /// are made. A folder over a folder keeps what it holds and takes mode and
    /// owner of the old one. Gives the path where it landed.
    pub fn put(&mut self, path: &str, entry: Entry) -> Result<String> {
        let is_dir = matches!(entry.kind, Kind::Dir);
        if is_dir {
            // A folder over a link to a folder is that folder: /lib.
            let followed = self.resolve(&format!("{path}/."))?;
            if matches!(self.get(&followed), Some(Entry { kind: Kind::Dir, .. })) {
                return Ok(followed);
            }
        }
        let path = self.resolve(path)?;
        let mut end = 0;
        while let Some(next) = path[end..].find('/') {
            let parent = &path[..end + next];
            end += next + 1;
            match self.get(parent).map(|e| &e.kind) {
                Some(Kind::Dir) => {}
                Some(_) => bail!("/{path}: /{parent} is not a folder"),
                None => {
                    let dir = Entry::new(Kind::Dir, 0o755, entry.mtime);
                    self.entries.insert(parent.to_owned(), dir);
                }
            }
        }
        let was_dir = self.get(&path).map(|e| matches!(e.kind, Kind::Dir));
        match (was_dir, is_dir) {
            (Some(true), true) => return Ok(path),
            (Some(true), false) => bail!("/{path} is a folder and cannot become something else"),
            // Other names of the replaced file keep its content.
            (Some(false), _) => self.remove(&path),
            (None, _) => {}
        }
        self.entries.insert(path.clone(), entry);
        Ok(path)
    }

    /// Removes a path and all below it. When other names of a removed file
    /// stay, the first of them becomes the file.
    pub fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        let gone: Vec<_> = self
            .entries
            .range(path.to_owned()..)
            .take_while(|(p, _)| p.starts_with(path))
            .filter(|(p, _)| *p == path || p.starts_with(&below))
            .map(|(p, _)| p.clone())
            .collect();
        let gone: Vec<_> = gone
            .into_iter()
            .filter_map(|path| self.entries.remove(&path).map(|entry| (path, entry)))
            .collect();
        for (path, entry) in gone {
            if let Kind::File(_) = entry.kind {
                self.promote(&path, entry);
            }
        }
    }

    fn promote(&mut self, gone: &str, file: Entry) {
        let mut heir: Option<String> = None;
        for (path, entry) in &mut self.entries {
            if matches!(&entry.kind, Kind::Same(other) if other == gone) {
                match &heir {
                    None => {
                        *entry = file.clone();
                        heir = Some(path.clone());
                    }
                    Some(heir) => entry.kind = Kind::Same(heir.clone()),
                }
            }
        }
    }
}

/// `dir/name`, or `name` in the root folder.
pub fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Root {
        let mut root = Root::default();
        root.put("usr/lib", Entry::new(Kind::Dir, 0o755, 0)).unwrap();
        root.put("lib", Entry::new(Kind::Link("usr/lib".into()), 0o777, 0)).unwrap();
        root.put("a", Entry::file("x", 0o644, 0)).unwrap();
        root
    }

    #[test]
    fn files_land_behind_links() {
        let mut root = root();
        assert_eq!(root.put("lib/m/x", Entry::file("1", 0o644, 0)).unwrap(), "usr/lib/m/x");
        assert_eq!(root.text("usr/lib/m/x").unwrap(), "1");
        assert!(matches!(root.get("usr/lib/m").unwrap().kind, Kind::Dir));
        // A link as the last part is replaced, not followed.
        assert_eq!(root.put("lib", Entry::file("2", 0o644, 0)).unwrap(), "lib");
    }

    #[test]
    fn absolute_upward_and_endless_links() {
        let mut root = root();
        root.put("usr/up", Entry::new(Kind::Link("/lib/../share".into()), 0o777, 0)).unwrap();
        assert_eq!(root.resolve("usr/up/f").unwrap(), "usr/share/f");
        root.put("loop", Entry::new(Kind::Link("loop".into()), 0o777, 0)).unwrap();
        assert!(root.resolve("loop/f").unwrap_err().to_string().contains("40 links"));
    }

    #[test]
    fn a_file_is_no_folder_and_a_folder_no_file() {
        let mut root = root();
        assert!(root.put("a/b", Entry::file("", 0o644, 0)).is_err());
        assert!(root.put("usr", Entry::file("", 0o644, 0)).is_err());
    }

    #[test]
    fn another_name_inherits_a_removed_file() {
        let mut root = root();
        for name in ["b", "c"] {
            root.put(name, Entry::new(Kind::Same("a".into()), 0o644, 0)).unwrap();
        }
        root.remove("a");
        assert_eq!(root.text("b").unwrap(), "x");
        assert!(matches!(&root.get("c").unwrap().kind, Kind::Same(p) if p == "b"));
    }

    #[test]
    fn remove_takes_what_is_below_and_no_namesake() {
        let mut root = Root::default();
        for path in ["d/x", "d-e", "d/y/z"] {
            root.put(path, Entry::file("", 0o644, 0)).unwrap();
        }
        root.remove("d");
        assert_eq!(root.entries.keys().collect::<Vec<_>>(), ["d-e"]);
    }
}
