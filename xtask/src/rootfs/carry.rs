//! Carries what maintainer scripts changed in covered folders over to the
//! image.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// Applies the changes that an overlay caught in `caught` to `target`, and
/// notes them in `log`: links and new files as they are; of a file that the
/// image has, only mode and owner, since its bytes are another machine's.
pub fn over(caught: &Path, target: &Path, log: &mut String) -> Result<()> {
    let mut names: Vec<_> = fs::read_dir(caught)
        .with_context(|| format!("cannot list {}", caught.display()))?
        .map(|e| e.map(|e| e.file_name()))
        .collect::<std::io::Result<_>>()?;
    names.sort();
    for name in names {
        let (from, to) = (caught.join(&name), target.join(&name));
        let name = name.to_string_lossy();
        let meta = from.symlink_metadata()?;
        let kind = meta.file_type();
        let note = if kind.is_symlink() {
            let goal = from.read_link()?;
            if to.symlink_metadata().is_ok() {
                fs::remove_file(&to)?;
            }
            symlink(&goal, &to)?;
            format!("link to {}", goal.display())
        } else if kind.is_file() && to.symlink_metadata().is_ok() {
            // Owner first: a change of owner clears the set-id bits.
            lchown(&to, Some(meta.uid()), Some(meta.gid()))?;
            fs::set_permissions(&to, fs::Permissions::from_mode(meta.mode() & 0o7777))?;
            format!("mode {:o}, owner {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid())
        } else if kind.is_file() {
            fs::copy(&from, &to)?;
            lchown(&to, Some(meta.uid()), Some(meta.gid()))?;
            fs::set_permissions(&to, fs::Permissions::from_mode(meta.mode() & 0o7777))?;
            "new file".to_owned()
        } else if kind.is_char_device() && meta.rdev() == 0 {
            // So an overlay says that a name was removed.
            if to.symlink_metadata().is_ok() {
                fs::remove_file(&to)?;
            }
            "removed".to_owned()
        } else {
            bail!("a script made {name}, a {kind:?}, among the programs");
        };
        // Writing to a String does not fail.
        let _ = writeln!(log, "{}: {note}", to.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_modes_and_new_files() {
        let dir = tempfile::tempdir().unwrap();
        let (caught, target) = (dir.path().join("c"), dir.path().join("t"));
        for path in [&caught, &target] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("agent"), path.display().to_string()).unwrap();
        }
        fs::set_permissions(caught.join("agent"), fs::Permissions::from_mode(0o2755)).unwrap();
        fs::write(caught.join("new"), "n").unwrap();
        symlink("/etc/alternatives/awk", caught.join("awk")).unwrap();
        symlink("mawk", target.join("awk")).unwrap();
        over(&caught, &target, &mut String::new()).unwrap();
        let agent = target.join("agent");
        assert_eq!(agent.metadata().unwrap().mode() & 0o7777, 0o2755);
        assert_eq!(fs::read_to_string(agent).unwrap(), target.display().to_string());
        assert_eq!(target.join("awk").read_link().unwrap(), Path::new("/etc/alternatives/awk"));
        assert_eq!(fs::read_to_string(target.join("new")).unwrap(), "n");
    }
}
