//! Compares two root file systems entry by entry, and judges the differences
//! by a list of accepted ones.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};

use anyhow::{Context as _, Result, bail};

use super::clean::matches;
use crate::tree::root::{Content, Entry, Kind, Root};

/// How many findings one failure lists.
const SHOWN: usize = 60;

/// One path that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path, without a slash in front.
    pub path: String,
    /// What differs.
    pub what: String,
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Fits paths; `*` stands for any part of a name.
    pub pattern: String,
    /// Why the difference does not matter.
    pub reason: String,
}

/// Reads the list: a pattern, blanks and a reason on each line.
pub fn accepted(text: &str) -> Result<Vec<Accepted>> {
    let mut list = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((pattern, reason)) = line.split_once(char::is_whitespace) else {
            bail!("line {}: expected a pattern and, after a blank, a reason", index + 1);
        };
        list.push(Accepted { pattern: pattern.into(), reason: reason.trim().into() });
    }
    Ok(list)
}

/// No difference off the list, and no line of the list without a difference.
pub fn judge(differences: &[Difference], list: &[Accepted]) -> Result<()> {
    let fits = |d: &Difference, a: &Accepted| matches(&a.pattern, &d.path);
    let mut wrong: Vec<_> = differences
        .iter()
        .filter(|d| !list.iter().any(|a| fits(d, a)))
        .map(|d| format!("/{}: {}", d.path, d.what))
        .collect();
    let idle = list.iter().filter(|a| !differences.iter().any(|d| fits(d, a)));
    wrong.extend(idle.map(|a| format!("{}: listed, but there is no such difference", a.pattern)));
    if wrong.is_empty() {
        return Ok(());
    }
    let more = wrong.len().saturating_sub(SHOWN);
    let shown: String = wrong.iter().take(SHOWN).flat_map(|w| ["\n  ", w]).collect();
    bail!("{} differences{shown}\n  and {more} more", wrong.len());
}

/// Everything that differs but times: presence, kind, mode, owner, attributes,
/// link target and content.
pub fn compare(left: &Root, right: &Root) -> Result<Vec<Difference>> {
    let paths: BTreeSet<_> = left.entries.keys().chain(right.entries.keys()).collect();
    let mut differences = Vec::new();
    for path in paths {
        let what = match (left.get(path), right.get(path)) {
            (Some(_), None) => Some("only in the first".to_owned()),
            (None, Some(_)) => Some("only in the second".to_owned()),
            (Some(a), Some(b)) => entry(left, a, right, b).with_context(|| format!("/{path}"))?,
            (None, None) => None,
        };
        if let Some(what) = what {
            differences.push(Difference { path: path.clone(), what });
        }
    }
    Ok(differences)
}

fn entry(left: &Root, a: &Entry, right: &Root, b: &Entry) -> Result<Option<String>> {
    let (a, b) = (file(left, a)?, file(right, b)?);
    let kind = match (&a.kind, &b.kind) {
        (Kind::File(x), Kind::File(y)) => content(x, y)?,
        (Kind::Link(x), Kind::Link(y)) if x != y => Some(format!("link to {x}, or to {y}")),
        (Kind::Link(_), Kind::Link(_)) | (Kind::Dir, Kind::Dir) | (Kind::Fifo, Kind::Fifo) => None,
        (Kind::Device(c, major, minor), Kind::Device(d, n, o))
            if (c, major, minor) == (d, n, o) =>
        {
            None
        }
        (x, y) => Some(format!("{x:?}, or {y:?}")),
    };
    let mut all: Vec<String> = kind.into_iter().collect();
    // A symbolic link's mode means nothing.
    if a.mode != b.mode && !matches!(a.kind, Kind::Link(_)) {
        all.push(format!("mode {:o}, or {:o}", a.mode, b.mode));
    }
    if (a.uid, a.gid) != (b.uid, b.gid) {
        all.push(format!("owner {}:{}, or {}:{}", a.uid, a.gid, b.uid, b.gid));
    }
    if a.xattrs != b.xattrs {
        all.push("extended attributes".to_owned());
    }
    Ok((!all.is_empty()).then(|| all.join("; ")))
}

/// The file that a hard link is another name of.
fn file<'a>(root: &'a Root, entry: &'a Entry) -> Result<&'a Entry> {
    match &entry.kind {
        Kind::Same(other) => root.get(other).with_context(|| format!("no /{other}")),
        _ => Ok(entry),
    }
}

/// How two files differ; for text, the first line that does.
fn content(x: &Content, y: &Content) -> Result<Option<String>> {
    let same_size = x.len() == y.len();
    if same_size && x.read()? == y.read()? {
        return Ok(None);
    }
    let lines = |content: &Content| -> Result<Vec<Vec<u8>>> {
        let reader = BufReader::new(content.open()?.take(1 << 20));
        Ok(reader.split(b'\n').collect::<std::io::Result<_>>()?)
    };
    let (a, b) = (lines(x)?, lines(y)?);
    let number = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let show = |lines: &[Vec<u8>]| match lines.get(number) {
        Some(line) => format!("{:?}", String::from_utf8_lossy(&line[..line.len().min(120)])),
        None => "the end".to_owned(),
    };
    Ok(Some(format!("content, line {}: {}, or {}", number + 1, show(&a), show(&b))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(entries: &[(&str, Entry)]) -> Root {
        let mut root = Root::default();
        for (path, entry) in entries {
            root.put(path, entry.clone()).unwrap();
        }
        root
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        let file = |text: &str, mode| Entry::file(text, mode, 0);
        let link = |to: &str| Entry::new(Kind::Link(to.into()), 0o777, 0);
        let mut owned = file("x", 0o644);
        owned.gid = 5;
        let left = root(&[
            ("content", file("a\nb\n", 0o644)),
            ("gone", file("", 0o644)),
            ("kind", link("a")),
            ("link", link("a")),
            ("mode", file("", 0o644)),
            ("owner", file("x", 0o644)),
            ("same", file("x", 0o644)),
        ]);
        let right = root(&[
            ("content", file("a\nc\n", 0o644)),
            ("kind", file("a", 0o777)),
            ("link", link("b")),
            ("mode", file("", 0o600)),
            ("new", file("", 0o644)),
            ("owner", owned),
            ("same", file("x", 0o644)),
        ]);
        let found = compare(&left, &right).unwrap();
        let paths: Vec<_> = found.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["content", "gone", "kind", "link", "mode", "new", "owner"]);
        assert!(found[0].what.contains("line 2") && found[0].what.contains("\"c\""), "{found:?}");
    }

    #[test]
    fn the_list_must_cover_all_and_hold_nothing_idle() {
        let differences = [Difference { path: "etc/group".into(), what: "content".into() }];
        let list = |text: &str| accepted(text).unwrap();
        judge(&differences, &list("# c\netc/gr*  order\n")).unwrap();
        let error = judge(&differences, &list("")).unwrap_err().to_string();
        assert!(error.contains("/etc/group: content"), "{error}");
        let error = judge(&differences, &list("etc/* a\nvar/x b\n")).unwrap_err().to_string();
        assert!(error.contains("var/x: listed"), "{error}");
        assert!(accepted("alone\n").unwrap_err().to_string().contains("line 1"));
    }
}
