//! A disk that is a map, and whose power can be taken away at any call. What was
//! not brought to the card by then is there, not there, or half there, by dice.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::super::disk::{Disk, Entry, Kind, Owner};
use super::super::{BOOT, apply};

/// A card's block; small, so that short files tear too.
const BLOCK: usize = 16;

/// The name of a system that nobody named.
pub const UNNAMED: &str = "a7670e";

#[derive(Clone, Debug)]
struct Inode {
    kind: Kind,
    bytes: Vec<u8>,
    owner: Owner,
    /// As it is on the card.
    kept: (Vec<u8>, Owner),
    on_boot: bool,
}

/// The disk.
#[derive(Clone, Debug)]
pub struct Memory {
    /// All that ever were: a card does not forget what is removed.
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    kept: BTreeMap<String, usize>,
    host_name: String,
    /// Calls until the power goes.
    pub left: Option<usize>,
    /// Calls that change something or bring it to the card.
    pub calls: usize,
    /// What nobody but the owner and the group may read.
    pub secrets: Vec<&'static str>,
}

impl Memory {
    /// An image's root and its boot partition, with these files on that.
    pub fn new(boot: &[(&str, &str)], secrets: &[&'static str]) -> Self {
        let mut disk = Self {
            inodes: Vec::new(),
            names: BTreeMap::new(),
            kept: BTreeMap::new(),
            host_name: UNNAMED.into(),
            left: None,
            calls: 0,
            secrets: secrets.to_vec(),
        };
        for folder in [
            "/",
            "/boot",
            BOOT,
            "/etc",
            "/etc/NetworkManager",
            "/etc/NetworkManager/system-connections",
            "/etc/skel",
            "/etc/ssh",
            "/home",
            "/root",
            "/run",
            "/usr",
            "/usr/share",
            "/usr/share/zoneinfo",
            "/usr/share/zoneinfo/Europe",
            "/var",
            "/var/lib",
        ] {
            disk.put(folder, Kind::Folder, "", Owner::root(0o755));
        }
        let shadow = Owner { mode: 0o640, uid: 0, gid: 42 };
        for (path, text, owner) in [
            ("/etc/hostname", "a7670e\n", Owner::root(0o644)),
            ("/etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\ta7670e\n", Owner::root(0o644)),
            ("/etc/passwd", "root:x:0:0::/root:/bin/bash\n", Owner::root(0o644)),
            ("/etc/group", "root:x:0:\nsudo:x:27:\nvideo:x:44:\n", Owner::root(0o644)),
            ("/etc/shadow", "root:*:1::::::\n", shadow),
            ("/etc/gshadow", "root:*::\nsudo:*::\nvideo:*::\n", shadow),
            ("/etc/skel/.bashrc", "# bash\n", Owner::root(0o644)),
            ("/usr/share/zoneinfo/Europe/Berlin", "TZif", Owner::root(0o644)),
        ] {
            disk.put(path, Kind::File, text, owner);
        }
        for (name, text) in boot {
            disk.put(&format!("{BOOT}/{name}"), Kind::File, text, Owner::root(0o700));
        }
        disk.kept = disk.names.clone();
        disk
    }

    /// Puts something there that is on the card already.
    pub fn put(&mut self, path: &str, kind: Kind, text: &str, owner: Owner) {
        let bytes = text.as_bytes().to_vec();
        let on_boot = path.starts_with(BOOT);
        self.inodes.push(Inode { kind, kept: (bytes.clone(), owner), bytes, owner, on_boot });
        self.names.insert(path.to_owned(), self.inodes.len() - 1);
        self.kept.insert(path.to_owned(), self.inodes.len() - 1);
    }

    /// The text of a file that must be there.
    pub fn text(&self, path: &str) -> &str {
        let inode = self.names.get(path).unwrap_or_else(|| panic!("there is no {path}"));
        std::str::from_utf8(&self.inodes[*inode].bytes).unwrap()
    }

    /// Whether something stands there.
    pub fn has(&self, path: &str) -> bool {
        self.names.contains_key(path)
    }

    /// All that stands there, but what is gone at a boot anyway.
    pub fn state(&self) -> BTreeMap<String, (Kind, String, Owner)> {
        let lasting = self.names.iter().filter(|(path, _)| !path.starts_with("/run/"));
        lasting
            .map(|(path, inode)| {
                let Inode { kind, bytes, owner, .. } = &self.inodes[*inode];
                let text = String::from_utf8_lossy(bytes).into_owned();
                (path.clone(), (kind.clone(), text, *owner))
            })
            .collect()
    }

    /// The secrets that the boot partition's blocks still have, removed files'
    /// included.
    pub fn on_boot(&self) -> Vec<&'static str> {
        let there = |secret: &&&'static str| {
            let blocks = self.inodes.iter().filter(|inode| inode.on_boot);
            blocks.flat_map(|it| [&it.bytes, &it.kept.0]).any(|bytes| contains(bytes, secret))
        };
        self.secrets.iter().filter(there).copied().collect()
    }

    /// The files with secrets that anybody may read.
    pub fn open(&self) -> BTreeSet<String> {
        let names = self.names.iter().chain(&self.kept);
        names.filter(|(_, inode)| self.is_open(**inode)).map(|(path, _)| path.clone()).collect()
    }

    /// Takes the power away, and boots again.
    pub fn cut(mut self, dice: &mut Dice) -> Self {
        for inode in &mut self.inodes {
            let Inode { bytes, owner, kept, .. } = inode;
            let length = dice.either(bytes.len(), kept.0.len());
            let mut torn = vec![0; length];
            let mut from = &*bytes;
            for (at, byte) in torn.iter_mut().enumerate() {
                if at % BLOCK == 0 {
                    from = dice.either(&*bytes, &kept.0);
                }
                *byte = from.get(at).copied().unwrap_or(0);
            }
            *owner = dice.either(*owner, kept.1);
            *bytes = torn;
            *kept = (bytes.clone(), *owner);
        }
        let paths: BTreeSet<String> = self.names.keys().chain(self.kept.keys()).cloned().collect();
        let mut names = BTreeMap::new();
        // In order, so that a folder comes before what is in it.
        for path in paths {
            let found = dice.either(self.names.get(&path), self.kept.get(&path));
            let parent = path == "/" || names.contains_key(apply::parent(&path));
            if let Some(inode) = found.filter(|_| parent && !path.starts_with("/run/")) {
                names.insert(path, *inode);
            }
        }
        let named = names.get("/etc/hostname").map(|inode| self.inodes[*inode].bytes.clone());
        let named = named.map(|it| String::from_utf8_lossy(&it).trim().to_owned());
        self.host_name = named.unwrap_or_else(|| UNNAMED.into());
        Self { kept: names.clone(), names, left: None, calls: 0, ..self }
    }

    /// A call: not carried out when the power is gone.
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match &mut self.left {
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn node(&mut self, path: &str) -> io::Result<&mut Inode> {
        let inode = *self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(&mut self.inodes[inode])
    }

    fn add(&mut self, path: &str, kind: Kind, bytes: &[u8], mode: u32) -> io::Result<()> {
        if !self.names.contains_key(apply::parent(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let owner = Owner::root(mode);
        let on_boot = path.starts_with(BOOT);
        let bytes = bytes.to_vec();
        self.inodes.push(Inode { kind, bytes, owner, kept: (Vec::new(), owner), on_boot });
        self.names.insert(path.to_owned(), self.inodes.len() - 1);
        Ok(())
    }

    /// Nobody who may not can read what was just written there.
    fn seen(&self, path: &str) -> io::Result<()> {
        let inode = self.names.get(path).filter(|inode| self.is_open(**inode));
        assert!(inode.is_none(), "anybody may read {path}");
        Ok(())
    }

    fn is_open(&self, inode: usize) -> bool {
        let Inode { bytes, owner, kept, on_boot, .. } = &self.inodes[inode];
        (owner.mode | kept.1.mode) & 0o007 != 0
            && !on_boot
            && self.secrets.iter().any(|it| contains(bytes, it) || contains(&kept.0, it))
    }
}

fn contains(bytes: &[u8], part: &str) -> bool {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.contains(part);
    }
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

impl Disk for Memory {
    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.node(path).ok().map(|inode| inode.bytes.clone()))
    }

    fn entry(&mut self, path: &str) -> io::Result<Option<Entry>> {
        let node = self.node(path).ok();
        Ok(node.map(|inode| Entry { kind: inode.kind.clone(), owner: inode.owner }))
    }

    fn is_folder(&mut self, path: &str) -> io::Result<bool> {
        Ok(self.node(path).is_ok_and(|inode| inode.kind == Kind::Folder))
    }

    fn make_folder(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.call()?;
        self.add(path, Kind::Folder, b"", mode)
    }

    fn create(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.names.remove(path);
        let whole = self.call();
        // Cut in the middle, a part is written.
        let bytes = if whole.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        self.add(path, Kind::File, bytes, 0o600)?;
        self.seen(path)?;
        whole
    }

    fn own(&mut self, path: &str, owner: Owner) -> io::Result<()> {
        self.call()?;
        self.node(path)?.owner = owner;
        self.seen(path)
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.call()?;
        let inode = self.node(path)?;
        inode.kept = (inode.bytes.clone(), inode.owner);
        if inode.kind == Kind::Folder {
            let below = |other: &String| other != "/" && apply::parent(other) == path;
            self.kept.retain(|other, _| !below(other));
            let names = self.names.iter().filter(|(other, _)| below(other));
            self.kept.extend(names.map(|(other, inode)| (other.clone(), *inode)));
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.call()?;
        let inode = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.to_owned(), inode);
        self.seen(to)
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.call()?;
        self.add(path, Kind::Link(target.to_owned()), b"", 0o777)
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.call()?;
        self.names.remove(path);
        Ok(())
    }

    fn overwrite(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let whole = self.call();
        let end = if whole.is_ok() { bytes.len() } else { bytes.len() / 2 };
        self.node(path)?.bytes[..end].copy_from_slice(&bytes[..end]);
        whole
    }

    fn host_name(&mut self) -> io::Result<Option<String>> {
        Ok(Some(self.host_name.clone()))
    }

    fn set_host_name(&mut self, name: &str) -> io::Result<()> {
        self.call()?;
        self.host_name = name.to_owned();
        Ok(())
    }
}

/// Chance that can be repeated: Marsaglia's xorshift.
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn either<T>(&mut self, one: T, other: T) -> T {
        // The lowest bits of it are its worst.
        if self.roll() >> 40 & 1 == 0 { one } else { other }
    }
}
