//! Release notes: the newest section of `CHANGELOG.md` that says anything, once the
//! whole file has been found to be in the form of Keep a Changelog 1.1.0.

use anyhow::{Result, bail};

/// What changes may be called there (Keep a Changelog, "How").
const KINDS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

/// A version's section.
#[derive(Debug)]
struct Section<'a> {
    /// `Unreleased`, or a version.
    name: &'a str,
    /// What follows it in its title.
    date: &'a str,
    /// Its lines.
    lines: Vec<&'a str>,
    /// Whether there is any entry.
    tells: bool,
}

/// The notes of program `name` from the changelog's `text`; what has no version yet
/// is of `version`.
pub fn text(changelog: &str, name: &str, version: &str) -> Result<String> {
    let sections = sections(changelog)?;
    let Some(section) = sections.iter().find(|section| section.tells) else {
        bail!("CHANGELOG.md: no section has an entry: nothing was changed");
    };
    let title = match section.name {
        "Unreleased" => format!("# {name} {version}, not released yet\n"),
        version => format!("# {name} {version}{}\n", section.date),
    };
    let body = section.lines.join("\n");
    Ok(format!("{title}\n{}\n", body.trim()))
}

/// All sections, the newest first, as they stand there.
fn sections(text: &str) -> Result<Vec<Section<'_>>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut kind = None;
    for (number, line) in text.lines().enumerate().map(|(number, line)| (number + 1, line)) {
        let wrong = |what: &str| -> Result<Vec<Section<'_>>> {
            bail!("CHANGELOG.md:{number}: {line:?}: {what}")
        };
        if let Some(title) = line.strip_prefix("## ") {
            let Some((name, date)) = titled(title) else {
                return wrong("expected `## [Unreleased]` or `## [1.2.3] - 2026-01-31`");
            };
            if name == "Unreleased" && !sections.is_empty() {
                return wrong("what is not released stands above all that is");
            }
            if sections.iter().any(|known| known.name == name) {
                return wrong("this version has a section already");
            }
            sections.push(Section { name, date, lines: Vec::new(), tells: false });
            kind = None;
            continue;
        }
        let Some(section) = sections.last_mut() else { continue };
        // Where links lead to, at the end of the file.
        if line.starts_with('[') && line.contains("]: ") {
            continue;
        }
        let more = section.tells && line.starts_with("  ");
        if let Some(title) = line.strip_prefix("### ") {
            if !KINDS.contains(&title) {
                return wrong(&format!("expected one of {}", KINDS.join(", ")));
            }
            kind = Some(title);
        } else if line.starts_with("- ") {
            if kind.is_none() {
                return wrong("an entry before any `### Added` or the like");
            }
            section.tells = true;
        } else if !(line.trim().is_empty() || more) {
            return wrong("expected an entry (`- `), or more of one (two spaces)");
        }
        section.lines.push(line);
    }
    if sections.is_empty() {
        bail!("CHANGELOG.md: has no section such as `## [Unreleased]`");
    }
    Ok(sections)
}

/// Name and rest of `[Unreleased]` or `[1.2.3] - 2026-01-31`.
fn titled(title: &str) -> Option<(&str, &str)> {
    let (name, rest) = title.strip_prefix('[')?.split_once(']')?;
    let numbers = |text: &str, count: usize, by: char| {
        let parts: Vec<_> = text.split(by).collect();
        parts.len() == count && parts.iter().all(|part| part.parse::<u32>().is_ok())
    };
    let dated = |rest: &str| {
        rest.strip_prefix(" - ").is_some_and(|date| date.len() == 10 && numbers(date, 3, '-'))
    };
    // A pre-release has more behind its numbers (Semantic Versioning 2.0.0, 9).
    let version = name.split(['-', '+']).next().is_some_and(|name| numbers(name, 3, '.'));
    let good = (name == "Unreleased" && rest.is_empty()) || (version && dated(rest));
    good.then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
# Changelog

Prose.

## [Unreleased]

### Added

## [1.1.0-rc.1] - 2026-02-03

### Added

- One thing
  in two lines.

### Fixed

- Another.

## [1.0.0] - 2026-01-02

### Added

- All.

[1.0.0]: https://example.org/1.0.0
";

    #[test]
    fn the_newest_section_that_tells_anything() {
        let notes = text(LOG, "a7670e", "1.2.0").unwrap();
        let want = "# a7670e 1.1.0-rc.1 - 2026-02-03\n\n### Added\n\n- One thing\n  in two lines.\n\n\
            ### Fixed\n\n- Another.\n";
        assert_eq!(notes, want);
        let more = LOG.replacen("### Added\n", "### Added\n\n- New.\n", 1);
        let notes = text(&more, "a7670e", "1.2.0").unwrap();
        assert_eq!(notes, "# a7670e 1.2.0, not released yet\n\n### Added\n\n- New.\n");
    }

    #[test]
    fn our_own_is_in_that_form() {
        let notes = text(include_str!("../../../CHANGELOG.md"), "a7670e", "0").unwrap();
        assert!(notes.starts_with("# a7670e ") && notes.contains("\n- "), "{notes}");
    }

    #[test]
    fn what_is_not_is_named_with_its_line() {
        for (old, new, want) in [
            ("## [1.0.0] - 2026-01-02", "## 1.0.0", "CHANGELOG.md:20: \"## 1.0.0\": expected"),
            ("2026-01-02", "02.01.2026", ":20:"),
            ("[1.0.0] - 2026-01-02", "[1.1.0-rc.1] - 2026-02-04", "a section already"),
            ("[1.0.0] - 2026-01-02", "[Unreleased]", "above all that is"),
            ("### Fixed", "### Mended", ":16: \"### Mended\": expected one of Added"),
            ("  in two lines.", "in two lines.", ":14: \"in two lines.\": expected an entry"),
            ("### Added\n\n- All.", "- All.", ":22: \"- All.\": an entry before"),
        ] {
            let error = text(&LOG.replacen(old, new, 1), "x", "0").unwrap_err().to_string();
            assert!(error.contains(want), "{want}: {error}");
        }
        assert!(text("# Changelog\n", "x", "0").is_err());
        assert!(
            text("## [Unreleased]\n", "x", "0").unwrap_err().to_string().contains("no section")
        );
    }
}
