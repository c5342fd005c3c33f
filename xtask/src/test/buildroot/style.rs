//! The form of Buildroot's files, as far as it can be judged without Buildroot.
//!
//! The rules are those of `utils/checkpackagelib` and of the manual ("Adding new
//! packages to Buildroot") that are broken most easily. `utils/check-package` has
//! more, and runs when a tree is at hand.

/// One thing that is wrong: line (from 1, or 0 for the whole file) and what.
pub type Finding = (usize, String);

/// Kinds of files, each with rules of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `Config.in`.
    Menu,
    /// A package's `.mk`.
    Makefile,
    /// A `.hash`.
    Hash,
    /// An init script, `S??NAME`.
    Init,
    /// A patch.
    Patch,
    /// `configs/*_defconfig`.
    Defconfig,
    /// Another script.
    Script,
}

/// The kind of the file at `path`, if it is one with rules.
pub fn kind(path: &str) -> Option<Kind> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let init = name.starts_with('S') && name.get(1..3).is_some_and(|n| n.parse::<u8>().is_ok());
    match name {
        "Config.in" => Some(Kind::Menu),
        "supervise" | "mdev-event" => Some(Kind::Script),
        _ if name.ends_with(".mk") && path.contains("package/") => Some(Kind::Makefile),
        _ if name.ends_with(".hash") => Some(Kind::Hash),
        _ if name.ends_with(".patch") => Some(Kind::Patch),
        _ if name.ends_with("_defconfig") => Some(Kind::Defconfig),
        _ if name.ends_with(".sh") => Some(Kind::Script),
        _ if init => Some(Kind::Init),
        _ => None,
    }
}

/// What is wrong with the file.
pub fn look(path: &str, text: &str) -> Vec<Finding> {
    let name = path.rsplit('/').next().unwrap_or(path);
    match kind(path) {
        None => Vec::new(),
        // As git made it: context lines end in blanks.
        Some(Kind::Patch) => patch(name, text),
        Some(kind) => {
            let mut found = spacing(text);
            found.extend(match kind {
                Kind::Menu => menu(text),
                Kind::Makefile => makefile(name, text),
                Kind::Hash => hash(text),
                Kind::Init => init(name, text),
                Kind::Defconfig => defconfig(text),
                Kind::Script | Kind::Patch => indented_by_tabs(text),
            });
            found.sort();
            found
        }
    }
}

fn spacing(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut before = "x";
    for (number, line) in numbered(text) {
        if line != line.trim_end() {
            found.push((number, "ends in a blank".into()));
        }
        if line.trim().is_empty() && before.trim().is_empty() {
            found.push((number, "is the second empty line".into()));
        }
        if !line.is_ascii() {
            found.push((number, "has characters beyond ASCII".into()));
        }
        before = line;
    }
    if !text.ends_with('\n') || text.ends_with("\n\n") {
        found.push((0, "must end in one line feed".into()));
    }
    found
}

/// Attributes that stand one tab in, below their entry.
const ATTRIBUTES: [&str; 7] = ["bool", "default", "depends", "help", "prompt", "select", "string"];

fn menu(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let (mut help, mut sources) = (false, Vec::new());
    for (number, line) in numbered(text) {
        let word = line.split_whitespace().next().unwrap_or_default();
        if line.is_empty() || word.starts_with('#') {
            continue;
        }
        if !line.starts_with('\t') {
            help = false;
            if line.starts_with(' ') || ATTRIBUTES.contains(&word) {
                found.push((number, "is not indented by one tab".into()));
            }
            if let Some(path) = line.strip_prefix("source ") {
                sources.push((number, path.to_owned()));
            }
        } else if help {
            // One tab, two blanks, 62 characters; an address may be longer.
            let text = line.strip_prefix("\t  ");
            let fits = text.is_some_and(|text| text.len() <= 62 || text.trim().starts_with("http"));
            if !fits {
                found.push((number, "help is a tab, two blanks and at most 62 characters".into()));
            }
        } else if line == "\tdefault n" {
            found.push((number, "n is the default anyway".into()));
        } else {
            help = line == "\thelp";
        }
    }
    for pair in sources.windows(2) {
        if pair[0].1 > pair[1].1 {
            found.push((pair[1].0, "packages stand by their names' order".into()));
        }
    }
    found
}

fn makefile(name: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let package = name.trim_end_matches(".mk");
    let prefix = package.replace('-', "_").to_uppercase() + "_";
    let rule = "#".repeat(80);
    let head = [rule.as_str(), "#", &format!("# {package}"), "#", rule.as_str(), ""];
    for (at, wanted) in head.iter().enumerate() {
        if text.lines().nth(at) != Some(*wanted) {
            found.push((at + 1, format!("the head is to have {wanted:?} here")));
        }
    }
    let (mut define, mut continued) = (false, false);
    for (number, line) in numbered(text) {
        if line.starts_with("endef") {
            define = false;
        }
        let tab = line.starts_with('\t');
        let comment = line.trim_start().starts_with('#');
        if (define || continued) && !tab && !comment && !line.is_empty() {
            found.push((number, "is to be indented by a tab".into()));
        } else if tab && !define && !continued {
            found.push((number, "is not to be indented".into()));
        }
        if line.contains("${") && !comment {
            found.push((number, "has ${} in place of $()".into()));
        }
        if line.ends_with("  \\") || line.ends_with("\t\\") {
            found.push((number, "has more than one blank before the backslash".into()));
        }
        if line.starts_with("ifdef ") || line.starts_with("ifndef ") {
            found.push((number, "ifeq ($(SYMBOL),y) is the form here".into()));
        }
        let sets = assigned(line).filter(|_| !define && !continued);
        if let Some(variable) = sets.filter(|variable| !variable.starts_with(&prefix)) {
            found.push((number, format!("{variable} does not begin with {prefix}")));
        }
        define |= line.starts_with("define ");
        continued = line.ends_with('\\') && !comment;
    }
    let last = text.lines().filter(|line| line.starts_with("$(eval ")).count();
    if last == 0 {
        found.push((0, "calls no package infrastructure".into()));
    }
    found
}

/// The variable that a line sets or defines.
fn assigned(line: &str) -> Option<&str> {
    if let Some(name) = line.strip_prefix("define ") {
        return Some(name.trim());
    }
    let end = line.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))?;
    let (name, after) = line.split_at(end);
    let sets = ["=", "+=", ":="].iter().any(|sign| after.trim_start().starts_with(sign));
    (!name.is_empty() && sets).then_some(name)
}

fn hash(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (number, line) in numbered(text) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line.split("  ").collect();
        let sound = match fields[..] {
            ["sha256", digest, name] => {
                digest.len() == 64
                    && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
                    && !name.is_empty()
                    && !name.contains(' ')
            }
            _ => false,
        };
        if !sound {
            found.push((number, "is to be: sha256, 64 digits, a name, two blanks between".into()));
        }
    }
    found
}

fn init(name: &str, text: &str) -> Vec<Finding> {
    let mut found = indented_by_tabs(text);
    let daemon = text.lines().find_map(|line| line.strip_prefix("DAEMON=\"")?.strip_suffix('"'));
    if daemon != name.get(3..) {
        found.push((0, format!("DAEMON is {daemon:?}, the file's name {name}")));
    }
    for argument in ["start", "stop", "restart", "reload"] {
        if !text.contains(argument) {
            found.push((0, format!("does nothing at `{argument}`")));
        }
    }
    found
}

fn indented_by_tabs(text: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = numbered(text)
        .filter(|(_, line)| line.trim_start_matches('\t').starts_with(' '))
        .map(|(number, _)| (number, "is not indented by tabs".into()))
        .collect();
    if text.lines().next() != Some("#!/bin/sh") {
        found.push((1, "a script here is one for /bin/sh".into()));
    }
    found
}

fn patch(name: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let number = name.split('-').next().unwrap_or_default();
    if number.len() > 4 || number.parse::<u16>().is_err() {
        found.push((0, "is to be called NUMBER-NAME.patch".into()));
    }
    let message = text.split("\n---\n").next().unwrap_or_default();
    for trailer in ["Signed-off-by: ", "Upstream: "] {
        if !message.lines().any(|line| line.starts_with(trailer)) {
            found.push((0, format!("has no line {trailer:?}")));
        }
    }
    found
}

fn defconfig(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (number, line) in numbered(text) {
        let off = line.strip_prefix("# ").and_then(|rest| rest.strip_suffix(" is not set"));
        let symbol = off.or_else(|| line.split_once('=').map(|it| it.0)).unwrap_or_default();
        if !symbol.starts_with("BR2_") || symbol.contains(' ') {
            found.push((number, "is neither a symbol's value nor `is not set`".into()));
        }
    }
    if !text.lines().any(|line| line == "BR2_DOWNLOAD_FORCE_CHECK_HASHES=y") {
        found.push((0, "has no BR2_DOWNLOAD_FORCE_CHECK_HASHES=y".into()));
    }
    found
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line))
}

#[cfg(test)]
#[path = "style_tests.rs"]
mod tests;
