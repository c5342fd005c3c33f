//! `changelog.Debian` from CHANGELOG.md.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};

use crate::archive::date;

/// Widest line, in characters.
const WIDTH: usize = 78;

/// What the entries are made from.
pub struct Changelog<'a> {
    /// CHANGELOG.md.
    pub text: &'a str,
    /// The version that is packed. What is unreleased is in it, if no entry has it.
    pub version: &'a str,
    /// What Debian adds to each version.
    pub revision: &'a str,
    /// Who signs the entries.
    pub maintainer: &'a str,
    /// When the version that is packed was made, in seconds since 1970.
    pub epoch: u64,
}

/// `## [VERSION] - DATE` and what follows.
struct Entry<'a> {
    version: &'a str,
    epoch: u64,
    lines: Vec<&'a str>,
}

impl Changelog<'_> {
    /// The text for the source package `source` (deb-changelog(5)).
    ///
    /// # Errors
    /// An entry has no date, or there is none for the version.
    pub fn debian(&self, source: &str) -> Result<String> {
        let mut out = String::new();
        for entry in self.entries()? {
            let version = format!("{}-{}", entry.version, self.revision);
            // Writing to a String does not fail.
            let _ = write!(out, "{source} ({version}) stable; urgency=medium\n\n");
            for item in items(&entry.lines) {
                out.push_str(&wrapped(&item));
            }
            let _ = write!(out, "\n -- {}  {}\n\n", self.maintainer, date::mail(entry.epoch));
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        Ok(out)
    }

    fn entries(&self) -> Result<Vec<Entry<'_>>> {
        let mut entries: Vec<Entry<'_>> = Vec::new();
        for line in self.text.lines() {
            if let Some(head) = line.strip_prefix("## [") {
                let (version, rest) =
                    head.split_once(']').with_context(|| format!("no version in {line:?}"))?;
                let (version, epoch) = if version == "Unreleased" {
                    (self.version, self.epoch)
                } else {
                    let day = rest.trim_start_matches([' ', '-']);
                    let day = date::parse_day(day).with_context(|| format!("in {line:?}"))?;
                    (version, day)
                };
                entries.push(Entry { version, epoch, lines: Vec::new() });
            } else if let Some(entry) = entries.last_mut() {
                entry.lines.push(line);
            }
        }
        // What came after the version's release is in a later one.
        let released = entries.iter().rposition(|entry| entry.version == self.version);
        let released =
            released.with_context(|| format!("CHANGELOG.md has nothing of {}", self.version))?;
        entries.drain(..released);
        ensure!(
            entries[0].lines.iter().any(|line| line.starts_with("- ")),
            "CHANGELOG.md has no change of {}",
            self.version
        );
        Ok(entries)
    }
}

/// Sections (`### Added`) and their items, each in one line.
fn items(lines: &[&str]) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    let mut open = false;
    for line in lines {
        if let Some(section) = line.strip_prefix("### ") {
            items.push(format!("[ {section} ]"));
            open = false;
        } else if let Some(item) = line.strip_prefix("- ") {
            items.push(format!("* {item}"));
            open = true;
        } else if line.trim().is_empty() {
            open = false;
        } else if let (true, Some(item)) = (open, items.last_mut()) {
            item.push(' ');
            item.push_str(line.trim());
        }
    }
    items
}

fn wrapped(item: &str) -> String {
    let mut out = String::new();
    let mut line = String::from(" ");
    for word in item.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.trim() != "" {
            out.push_str(&line);
            out.push('\n');
            line = String::from("   ");
        }
        line.push(' ');
        line.push_str(word);
    }
    out + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One thing\n  and more of it.\n\
        - Two.\n\n## [0.1.0] - 2024-02-29\n\n### Fixed\n\n- It.\n";

    fn debian(text: &str, version: &str) -> Result<String> {
        let maintainer = "A B <a@b.example>";
        let log = Changelog { text, version, revision: "1", maintainer, epoch: 1_709_210_096 };
        log.debian("a7670e")
    }

    #[test]
    fn what_is_unreleased_is_the_versions() {
        assert_eq!(
            debian(TEXT, "0.2.0").unwrap(),
            "a7670e (0.2.0-1) stable; urgency=medium\n\n  [ Added ]\n  * One thing and more of it.\n\
             \x20 * Two.\n\n -- A B <a@b.example>  Thu, 29 Feb 2024 12:34:56 +0000\n\n\
             a7670e (0.1.0-1) stable; urgency=medium\n\n  [ Fixed ]\n  * It.\n\n\
             \x20-- A B <a@b.example>  Thu, 29 Feb 2024 00:00:00 +0000\n"
        );
    }

    #[test]
    fn what_came_after_a_release_is_not_in_it() {
        let text = debian(TEXT, "0.1.0").unwrap();
        assert!(text.starts_with("a7670e (0.1.0-1)") && !text.contains("One thing"), "{text}");
    }

    #[test]
    fn lines_are_short_and_mistakes_are_named() {
        let long = format!("## [Unreleased]\n\n- {}\n", "word ".repeat(60));
        assert!(debian(&long, "1").unwrap().lines().all(|line| line.len() <= WIDTH));
        assert!(debian("## [Unreleased]\n\n## [1.0] - 2024-01-01\n- x\n", "2").is_err());
        let error = format!("{:#}", debian("## [1.0]\n- x\n", "1.0").unwrap_err());
        assert!(error.contains("[1.0]"), "{error}");
    }
}
