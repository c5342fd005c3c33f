//! Folders laid over the root: every file belongs to root, and its mode
//! depends on the file alone, not on the umask under which it was checked out.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::folder;
use super::root::{Entry, Kind, Root};

/// Folders whose files are refused by their readers, or give secrets away,
/// with the usual mode: path, and the mode of files below it.
const STRICT: &[(&str, u32)] = &[
    // sudoers(5) wants 0440.
    ("etc/sudoers.d/", 0o440),
    // NetworkManager passes over profiles that others may read.
    ("etc/NetworkManager/system-connections/", 0o600),
    ("root/.ssh/", 0o600),
];

/// Lays the tree below `dir` over `root`, its top at the folder `at` (empty
/// for the root itself); times become `epoch`. Gives the paths of its files
/// and links, as they landed.
pub fn lay(root: &mut Root, dir: &Path, at: &str, epoch: u64) -> Result<Vec<String>> {
    let layer = folder::read(dir)?;
    let mut landed = Vec::new();
    for (name, entry) in &layer.entries {
        let path = match (at, name.as_str()) {
            (at, "") => at.to_owned(),
            ("", name) => name.to_owned(),
            (at, name) => format!("{at}/{name}"),
        };
        if path.is_empty() {
            continue;
        }
        let kind = match &entry.kind {
            // Names of one file on the build machine are files of their own.
            Kind::Same(other) => layer
                .get(other)
                .map(|e| e.kind.clone())
                .with_context(|| format!("{} lost its other name", dir.display()))?,
            kind => kind.clone(),
        };
        let is_dir = matches!(kind, Kind::Dir);
        let mode = mode(&root.resolve(&path)?, &kind, entry.mode);
        let put = root
            .put(&path, Entry::new(kind, mode, epoch))
            .with_context(|| format!("cannot lay {} over the root", dir.display()))?;
        if !is_dir {
            landed.push(put);
        }
    }
    Ok(landed)
}

fn mode(path: &str, kind: &Kind, mode: u32) -> u32 {
    match kind {
        Kind::Link(_) => 0o777,
        Kind::Dir if path == "root/.ssh" => 0o700,
        Kind::Dir => 0o755,
        _ => match STRICT.iter().find(|(dir, _)| path.starts_with(dir)) {
            Some((_, strict)) => *strict,
            None if mode & 0o100 != 0 => 0o755,
            None => 0o644,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn modes_come_from_the_x_bit_and_links_are_respected() {
        let dir = tempfile::tempdir().unwrap();
        for (path, mode) in [("lib/a", 0o600), ("lib/run", 0o700), ("etc/sudoers.d/x", 0o666)] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(dir.path().join("lib"), fs::Permissions::from_mode(0o700)).unwrap();
        let mut root = Root::default();
        root.put("usr/lib", Entry::new(Kind::Dir, 0o755, 0)).unwrap();
        root.put("lib", Entry::new(Kind::Link("usr/lib".into()), 0o777, 0)).unwrap();
        let landed = lay(&mut root, dir.path(), "", 9).unwrap();
        assert_eq!(landed, ["etc/sudoers.d/x", "usr/lib/a", "usr/lib/run"]);
        let modes: Vec<_> = landed.iter().map(|p| root.get(p).unwrap().mode).collect();
        assert_eq!(modes, [0o440, 0o644, 0o755]);
        let file = root.get("usr/lib/a").unwrap();
        assert_eq!((file.uid, file.gid, file.mtime), (0, 0, 9));
        assert!(matches!(root.get("lib").unwrap().kind, Kind::Link(_)), "the link stays");
    }

    #[test]
    fn a_folder_lands_at_its_place() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("modules.dep"), "x").unwrap();
        let mut root = Root::default();
        lay(&mut root, dir.path(), "usr/lib/modules/6.12", 0).unwrap();
        assert_eq!(root.text("usr/lib/modules/6.12/modules.dep").unwrap(), "x");
    }
}
