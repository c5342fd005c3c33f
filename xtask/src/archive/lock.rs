//! The lock file: sections of packages, one package a line.
//!
//! ```text
//! [target]
//! request = trixie arm64 ?essential systemd-sysv
//! epoch = 1790000000
//! apt 3.0.3 arm64 1441234 <sha256> debian/pool/main/a/apt/apt_3.0.3_arm64.deb
//! ```
//!
//! Paths are relative to the mirror's top, so that no mirror is named.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// One package file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Package name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// Architecture of the package, `all` included.
    pub arch: String,
    /// Size of the file in bytes.
    pub size: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// `debian/pool/…` or `debian-security/pool/…`.
    pub path: String,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name in the file.
    pub name: String,
    /// The request that it answers.
    pub request: String,
    /// Date of the newest Release file it was resolved against, in seconds
    /// since 1970.
    pub epoch: u64,
    /// The packages in name order.
    pub entries: Vec<Entry>,
}

/// A whole lock file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// Sections in the file's order.
    pub sections: Vec<Section>,
}

const HEADER: &str = "# Pinned Debian packages; made by `cargo xtask lock`, not by hand.\n";

impl Lock {
    /// Reads a lock file; one that is absent has no sections.
    pub fn read(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).with_context(|| format!("in {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Parses a lock file's text; an error names the line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut sections: Vec<Section> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                let name = name.to_owned();
                sections.push(Section { name, request: String::new(), epoch: 0, entries: vec![] });
                continue;
            }
            let section = sections
                .last_mut()
                .with_context(|| format!("line {}: stands before any [section]", index + 1))?;
            section_line(section, line).with_context(|| format!("line {}: {line:?}", index + 1))?;
        }
        Ok(Self { sections })
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = HEADER.to_owned();
        for section in &self.sections {
            // Writing to a String does not fail.
            let _ = write!(
                text,
                "\n[{}]\nrequest = {}\nepoch = {}\n",
                section.name, section.request, section.epoch
            );
            for e in &section.entries {
                let _ = writeln!(
                    text,
                    "{} {} {} {} {} {}",
                    e.name, e.version, e.arch, e.size, e.sha256, e.path
                );
            }
        }
        text
    }

    /// The section of that name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|s| s.name == name)
    }
}

fn section_line(section: &mut Section, line: &str) -> Result<()> {
    if let Some(request) = line.strip_prefix("request = ") {
        section.request = request.to_owned();
    } else if let Some(epoch) = line.strip_prefix("epoch = ") {
        section.epoch = epoch.parse().context("epoch is not a number of seconds")?;
    } else {
        let fields: Vec<_> = line.split(' ').collect();
        let [name, version, arch, size, sha256, path] = fields[..] else {
            bail!("expected: name version arch size sha256 path");
        };
        if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            bail!("{sha256:?} is not a SHA-256");
        }
        section.entries.push(Entry {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: arch.to_owned(),
            size: size.parse().context("size is not a number of bytes")?,
            sha256: sha256.to_owned(),
            path: path.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip() {
        let entry = Entry {
            name: "apt".into(),
            version: "3.0.3".into(),
            arch: "arm64".into(),
            size: 14,
            sha256: "ab".repeat(32),
            path: "debian/pool/main/a/apt/apt_3.0.3_arm64.deb".into(),
        };
        let section = |name: &str| Section {
            name: name.into(),
            request: "trixie arm64 apt".into(),
            epoch: 7,
            entries: vec![entry.clone()],
        };
        let lock = Lock { sections: vec![section("a"), section("b")] };
        assert_eq!(Lock::parse(&lock.text()).unwrap(), lock);
    }

    #[test]
    fn errors_name_the_line() {
        let error = Lock::parse("# x\n[a]\nrequest = r\napt 1 arm64 5 zz p\n").unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("line 4") && text.contains("SHA-256"), "{text}");
        assert!(format!("{:#}", Lock::parse("apt\n").unwrap_err()).contains("line 1"));
    }
}
