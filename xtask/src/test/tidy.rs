//! Rules of the house that a program can check.

use std::process::Command;

use anyhow::{Result, bail};

use super::Checks;
use crate::context::Context;
use crate::{process, sync};

/// No source file is longer, in lines.
const LONGEST: usize = 500;

/// Looks at a file's path and text; tells what breaks the rule.
type Rule = fn(&str, &str) -> Option<String>;

/// Checks every file that git knows.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let list = process::text(Command::new("git").args(["ls-files", "-z"]).current_dir(&ctx.repo))?;
    let files: Vec<(String, String)> = list
        .split('\0')
        .filter(|name| !name.is_empty())
        .filter_map(|name| Some((name.to_owned(), std::fs::read_to_string(ctx.path(name)).ok()?)))
        .collect();
    let rules: [(&str, Rule); 4] = [
        ("every module says what it is for", starts_with_docs),
        ("no source file is too long", short),
        ("no mirror is named", no_mirror),
        ("nothing is left open in the code", nothing_open),
    ];
    for (name, rule) in rules {
        let found: Vec<_> = files
            .iter()
            .filter_map(|(path, text)| Some(format!("{path}: {}", rule(path, text)?)))
            .collect();
        let result = || {
            if found.is_empty() { Ok(()) } else { bail!("{}", found.join("\n        ")) }
        };
        checks.check(name, result());
    }
    checks.check("the trees carry what the repository has", sync::run(&ctx.repo, true));
    Ok(())
}

fn starts_with_docs(path: &str, text: &str) -> Option<String> {
    (path.ends_with(".rs") && !text.starts_with("//!")).then(|| "does not begin with //!".into())
}

fn short(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (path.ends_with(".rs") && lines > LONGEST).then(|| format!("{lines} lines, {LONGEST} allowed"))
}

fn no_mirror(path: &str, text: &str) -> Option<String> {
    // Written in two parts so that this file does not break its own rule.
    let hosts = [concat!("deb.debian", ".org"), concat!("snapshot.debian", ".org")];
    let found = hosts.iter().find(|host| text.contains(*host))?;
    (!path.ends_with(".spdx.json")).then(|| format!("names {found}"))
}

fn nothing_open(path: &str, text: &str) -> Option<String> {
    if !path.ends_with(".rs") && !path.ends_with(".sh") && !path.ends_with(".c") {
        return None;
    }
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    marks.iter().find(|mark| text.contains(*mark)).map(|mark| format!("has {mark}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_find_what_they_look_for() {
        assert!(starts_with_docs("a.rs", "fn main() {}").is_some());
        assert!(starts_with_docs("a.rs", "//! Doc.\n").is_none());
        assert!(short("a.rs", &"x\n".repeat(501)).is_some());
        assert!(no_mirror("a", concat!("http://deb.debian", ".org/x")).is_some());
        assert!(nothing_open("a.rs", concat!("// TO", "DO")).is_some());
    }
}
