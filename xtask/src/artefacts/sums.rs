//! The checksum file in the format of `sha256sum`.

use anyhow::{Result, bail};

/// The text of the checksum file for one file; `sha256sum -c` reads it in the
/// folder of that file.
pub fn text(digest: &str, name: &str) -> Result<String> {
    // sha256sum would escape these, and nobody wants such a name.
    if name.contains(['\\', '\n', '\r', '/']) {
        bail!("{name:?} is no plain file name");
    }
    Ok(format!("{digest}  {name}\n"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::{digest, process};

    #[test]
    fn sha256sum_agrees_and_notices_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b.img.zst");
        std::fs::write(&path, "content").unwrap();
        let sums = text(&digest::file(&path).unwrap(), "a b.img.zst").unwrap();
        std::fs::write(dir.path().join("sums"), sums).unwrap();
        let check =
            || process::output(Command::new("sha256sum").args(["-c", "sums"]).current_dir(&dir));
        check().unwrap();
        std::fs::write(&path, "contend").unwrap();
        check().unwrap_err();
    }

    #[test]
    fn odd_names_are_refused() {
        for name in ["a/b", "a\nb", "a\\b"] {
            assert!(text("00", name).is_err());
        }
    }
}
