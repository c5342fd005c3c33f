//! `/etc/resolv.conf`, where nobody else keeps it.
//!
//! A symlink is another manager's (resolved, NetworkManager, resolvconf), unless
//! it leads to our own file. A file that bears another program's mark is that
//! program's. What else there was is kept beside it and put back in the end.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::DnsError;

/// First line of a file that is ours.
const MARK: &str = "# Written by a7670e; what was here before is kept as";

/// Words in a comment by which other programs mark the file as theirs.
const OTHERS: [&str; 8] = [
    "NetworkManager",
    "tailscale",
    "systemd-resolved",
    "resolvconf",
    "dhcpcd",
    "connman",
    "dhclient",
    "netconfig",
];

/// The system's file.
const SYSTEM: &str = "/etc/resolv.conf";

/// Where Buildroot's skeleton has [`SYSTEM`] lead to: to a file in memory, so that
/// the root file system need not be written to, and of no program's.
const NOBODYS: &str = "/run/resolv.conf";

/// The file, and where to keep what was in it.
#[derive(Debug, Clone)]
pub struct ResolvFile {
    path: PathBuf,
    saved: PathBuf,
    own: PathBuf,
}

/// Whose the file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Ours already.
    Ours,
    /// Nobody's: missing, or written by hand.
    Free,
    /// This program's.
    Foreign(String),
}

impl ResolvFile {
    /// The system's file. `/etc/resolv.conf` may be a symlink to
    /// `/run/a7670e/resolv.conf`: then only the latter is written, which needs
    /// no right to write to `/etc`.
    #[must_use]
    pub fn system() -> ResolvFile {
        ResolvFile::new(
            followed(Path::new(SYSTEM), Path::new(NOBODYS)),
            "/var/lib/a7670e/resolv.conf.before".into(),
            "/run/a7670e/resolv.conf".into(),
        )
    }

    /// A file at `path`, its former text at `saved`; a symlink to `own` is ours.
    #[must_use]
    pub fn new(path: PathBuf, saved: PathBuf, own: PathBuf) -> ResolvFile {
        ResolvFile { path, saved, own }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose it is now.
    #[must_use]
    pub fn look(&self) -> Verdict {
        if let Ok(target) = fs::read_link(&self.path) {
            return if leads_to(&self.path, &target, &self.own) {
                Verdict::Ours
            } else {
                Verdict::Foreign(format!("a symlink to {}, so another program", target.display()))
            };
        }
        match fs::read_to_string(&self.path) {
            Ok(text) => whose(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => Verdict::Free,
            Err(error) => Verdict::Foreign(format!("unreadable ({error}), so another program")),
        }
    }

    /// Whether systemd-resolved keeps it (systemd-resolved.service(8) has the
    /// ways: a symlink to one of its files, or a copy of one).
    #[must_use]
    pub fn is_resolveds(&self) -> bool {
        match fs::read_link(&self.path) {
            Ok(target) => target.to_string_lossy().contains("systemd/resolve"),
            Err(_) => fs::read_to_string(&self.path).is_ok_and(|text| text.contains("127.0.0.53")),
        }
    }

    /// Writes the servers, and keeps what was there the first time.
    ///
    /// # Errors
    /// It is another program's, or cannot be written.
    pub fn write(&self, servers: &[IpAddr]) -> Result<(), DnsError> {
        let verdict = self.look();
        if let Verdict::Foreign(owner) = verdict {
            return Err(DnsError::Foreign { path: self.path.clone(), owner });
        }
        if verdict == Verdict::Free {
            match fs::read(&self.path) {
                Ok(text) => put(&self.saved, &text)?,
                // An old copy is not what was here now.
                Err(error) if error.kind() == ErrorKind::NotFound => remove(&self.saved)?,
                Err(source) => return Err(DnsError::File { path: self.path.clone(), source }),
            }
        }
        let mut text = format!("{MARK} {}\n", self.saved.display());
        for server in servers {
            text.push_str(&format!("nameserver {server}\n"));
        }
        put(self.target(), text.as_bytes())
    }

    /// Puts back what was there before, if the file is ours.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn restore(&self) -> Result<(), DnsError> {
        if self.look() != Verdict::Ours {
            return Ok(());
        }
        if self.is_link() {
            return remove(&self.own);
        }
        match fs::read(&self.saved) {
            Ok(text) => put(&self.path, &text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => remove(&self.path)?,
            Err(source) => return Err(DnsError::File { path: self.saved.clone(), source }),
        }
        remove(&self.saved)
    }

    /// The servers in it, if it is ours.
    #[must_use]
    pub fn current(&self) -> Option<Vec<IpAddr>> {
        if self.look() != Verdict::Ours {
            return None;
        }
        let text = fs::read_to_string(self.target()).ok()?;
        let servers = text.lines().filter_map(|line| line.strip_prefix("nameserver "));
        Some(servers.filter_map(|server| server.trim().parse().ok()).collect())
    }

    fn is_link(&self) -> bool {
        fs::read_link(&self.path).is_ok()
    }

    fn target(&self) -> &Path {
        if self.is_link() { &self.own } else { &self.path }
    }
}

/// `path`, or `nobodys` where that is a symlink there.
fn followed(path: &Path, nobodys: &Path) -> PathBuf {
    match fs::read_link(path) {
        Ok(target) if leads_to(path, &target, nobodys) => nobodys.to_owned(),
        _ => path.to_owned(),
    }
}

/// Whether `target`, read from the symlink `path`, means `file`.
fn leads_to(path: &Path, target: &Path, file: &Path) -> bool {
    let target = path.parent().unwrap_or(Path::new("/")).join(target);
    target == file || lexical(&target) == file
}

/// Without `..`, by the text alone: `/run` is a folder, not a symlink.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => _ = plain.pop(),
            other => plain.push(other),
        }
    }
    plain
}

fn whose(text: &str) -> Verdict {
    if text.starts_with(MARK) {
        return Verdict::Ours;
    }
    let mut comments = text.lines().filter(|line| line.starts_with(['#', ';']));
    let owner = comments.find_map(|line| OTHERS.into_iter().find(|owner| line.contains(owner)));
    owner.map_or(Verdict::Free, |owner| Verdict::Foreign(owner.to_owned()))
}

/// Whole or not at all, for all to read.
fn put(path: &Path, text: &[u8]) -> Result<(), DnsError> {
    let write = || -> io::Result<()> {
        let temporary = path.with_extension("a7670e-new");
        let mut file = File::create(&temporary)?;
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| DnsError::File { path: path.to_owned(), source })
}

fn remove(path: &Path) -> Result<(), DnsError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(DnsError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn file(root: &Path) -> ResolvFile {
        let at = |name: &str| root.join(name);
        ResolvFile::new(at("resolv.conf"), at("before"), at("own"))
    }

    fn servers() -> Vec<IpAddr> {
        vec![[192, 168, 0, 1].into()]
    }

    #[test]
    fn what_was_there_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let file = file(root.path());
        for before in [Some("nameserver 9.9.9.9\n"), None] {
            match before {
                Some(text) => fs::write(file.path(), text).unwrap(),
                None => fs::remove_file(file.path()).unwrap(),
            }
            file.write(&servers()).unwrap();
            // Twice: the second time must not keep our own text.
            file.write(&servers()).unwrap();
            assert_eq!(file.current(), Some(servers()));
            file.restore().unwrap();
            assert_eq!(fs::read_to_string(file.path()).ok().as_deref(), before);
            assert_eq!(file.current(), None);
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn other_managers_files_are_not_touched() {
        let root = tempfile::tempdir().unwrap();
        let file = file(root.path());
        for text in [
            "# Generated by NetworkManager\nnameserver 1.2.3.4\n",
            "# resolv.conf(5) file generated by tailscale\nnameserver 100.100.100.100\n",
        ] {
            fs::write(file.path(), text).unwrap();
            assert!(matches!(file.write(&servers()), Err(DnsError::Foreign { .. })));
            file.restore().unwrap();
            assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
        }
        fs::remove_file(file.path()).unwrap();
        symlink("../run/systemd/resolve/stub-resolv.conf", file.path()).unwrap();
        let error = file.write(&servers()).unwrap_err().to_string();
        assert!(error.contains("stub-resolv.conf"), "{error}");
    }

    #[test]
    fn where_a_symlink_leads_to_nobodys_file_that_is_written() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("etc")).unwrap();
        fs::create_dir(at("run")).unwrap();
        // As in Buildroot's system/skeleton/etc; udhcpc's script marks its lines.
        symlink("../run/resolv.conf", at("etc/resolv.conf")).unwrap();
        let before = "nameserver 10.0.0.1 # eth0\n";
        fs::write(at("run/resolv.conf"), before).unwrap();

        let path = followed(&at("etc/resolv.conf"), &at("run/resolv.conf"));
        let file = ResolvFile::new(path, at("before"), at("own"));
        file.write(&servers()).unwrap();
        let seen = fs::read_to_string(at("etc/resolv.conf")).unwrap();
        assert!(seen.ends_with("\nnameserver 192.168.0.1\n"), "{seen}");
        assert!(fs::read_link(at("etc/resolv.conf")).is_ok(), "the symlink stays");
        file.restore().unwrap();
        assert_eq!(fs::read_to_string(at("etc/resolv.conf")).unwrap(), before);

        fs::remove_file(at("etc/resolv.conf")).unwrap();
        symlink("../run/systemd/resolve/stub-resolv.conf", at("etc/resolv.conf")).unwrap();
        let other = followed(&at("etc/resolv.conf"), &at("run/resolv.conf"));
        assert_eq!(other, at("etc/resolv.conf"), "that is resolved's");
    }

    #[test]
    fn a_symlink_to_our_own_file_stays() {
        let root = tempfile::tempdir().unwrap();
        let file = file(root.path());
        symlink("../own", root.path().join("resolv.conf")).unwrap();
        assert!(matches!(file.look(), Verdict::Foreign(_)), "that is another folder's");
        fs::remove_file(file.path()).unwrap();
        symlink("own", file.path()).unwrap();
        file.write(&servers()).unwrap();
        assert_eq!(file.current(), Some(servers()));
        file.restore().unwrap();
        assert!(fs::read_link(file.path()).is_ok());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
