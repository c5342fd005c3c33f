//! Takes out of a configured root what an image must not have: identities,
//! logs, caches, backups, and traces of the tool that made it.

use crate::tree::root::{Entry, Kind, Root};

/// Files and folders to be removed; a `*` stands for any part of a name, and
/// a folder before `/*` stays.
const REMOVED: &[&str] = &[
    // Each device makes its own keys, ids and seeds at first boot.
    "etc/ssh/ssh_host_*",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    // The build machine's names and resolvers; the tree stage writes ours.
    "etc/hostname",
    "etc/resolv.conf",
    "etc/.resolv.conf*",
    // Backups and locks of account tools and dpkg.
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
    "etc/.pwd.lock",
    "var/lib/dpkg/available",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    "var/cache/debconf/*-old",
    // Tells dpkg of foreign architectures; the image is of one only.
    "var/lib/dpkg/arch",
    // Caches that are made anew when needed.
    "var/cache/ldconfig/*",
    "var/cache/apt/archives/*",
    "var/cache/apt/*.bin",
    "var/lib/apt/lists/*",
    // What mmdebstrap leaves of its own settings.
    "etc/apt/sources.list",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "var/lib/apt/extended_states",
    // Run-time folders; the kernel and systemd fill them.
    "dev/*",
    "proc/*",
    "sys/*",
    "run/*",
    "tmp/*",
];

/// Cleans `root` in place.
pub fn clean(root: &mut Root) {
    let gone: Vec<_> = root
        .entries
        .iter()
        .filter(|(path, entry)| {
            REMOVED.iter().any(|pattern| matches(pattern, path)) || is_log(path, entry)
        })
        .map(|(path, _)| path.clone())
        .collect();
    for path in gone {
        root.remove(&path);
    }
    // Empty, not absent: systemd then fills it at first boot, and binds over
    // it where the root is read-only (machine-id(5)).
    root.entries.insert("etc/machine-id".into(), Entry::file("", 0o444, 0));
}

/// Log files; their folders, and accounting files that programs expect to
/// exist (`wtmp` and the like), stay when empty.
fn is_log(path: &str, entry: &Entry) -> bool {
    let Some(_) = path.strip_prefix("var/log/") else { return false };
    matches!(&entry.kind, Kind::File(content) if content.len() > 0)
}

/// Whether `path` fits `pattern`, in which `*` is any run of characters but
/// the slash.
pub fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((before, after)) => path.strip_prefix(before).is_some_and(|rest| {
            let end = rest.find('/').unwrap_or(rest.len());
            (0..=end).filter(|i| rest.is_char_boundary(*i)).any(|i| matches(after, &rest[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(matches("etc/ssh/ssh_host_*", "etc/ssh/ssh_host_rsa_key.pub"));
        assert!(matches("a/*-old", "a/x-old") && !matches("a/*-old", "a/b/x-old"));
        assert!(!matches("dev/*", "dev") && !matches("etc/passwd-", "etc/passwd"));
    }

    #[test]
    fn removes_identities_and_logs() {
        let mut root = Root::default();
        for path in ["etc/ssh/ssh_host_rsa_key", "var/log/dpkg.log", "dev/pts/0", "etc/passwd"] {
            root.put(path, Entry::file("x", 0o600, 0)).unwrap();
        }
        root.put("var/log/wtmp", Entry::file("", 0o664, 0)).unwrap();
        clean(&mut root);
        let files: Vec<_> = root
            .entries
            .iter()
            .filter(|(_, e)| !matches!(e.kind, Kind::Dir))
            .map(|(p, _)| p.as_str())
            .collect();
        assert_eq!(files, ["etc/machine-id", "etc/passwd", "var/log/wtmp"]);
        assert!(root.get("dev").is_some() && root.get("dev/pts").is_none());
    }
}
