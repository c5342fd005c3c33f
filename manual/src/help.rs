//! From a program's help to its commands.
//!
//! The text is for people first. What is read of it is what people go by too:
//!
//! - the first line is `NAME - ABOUT`;
//! - below `Commands:` an entry is a command, its arguments, two spaces or a new
//!   line, and its text. `sms list, show N` are two commands of one text within
//!   `sms`;
//! - below `Options of A, B and C:`, `Options of all but A and B:` or `Options:` an
//!   entry is an option; a text that begins with commands and a colon is of those
//!   alone;
//! - all else are notes.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};

/// A program as its manual shows it.
#[derive(Debug, Clone)]
pub struct Manual {
    /// Its commands and their options.
    pub command: Command,
    /// Its version.
    pub version: String,
    /// What all pages bear at their top.
    pub title: String,
    /// What else there is to say.
    pub notes: String,
}

/// What in a help cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The first line.
    #[error("the help begins with {0:?}, not with NAME - ABOUT")]
    First(String),
    /// A line that belongs to no entry.
    #[error("line {0}: a text without an entry before it")]
    NoEntry(usize),
    /// A title that names what is no command.
    #[error("options are said to be of {0:?}, which is no command")]
    NoCommand(String),
    /// An option that does not begin with a dash.
    #[error("{0:?} stands where options are, and is none")]
    NoOption(String),
}

/// A command or option: its own line, and its text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    head: String,
    text: String,
}

/// One form of a command.
#[derive(Debug)]
struct Form {
    /// `["sms", "send"]`.
    path: Vec<String>,
    /// What follows.
    arguments: String,
    text: String,
}

/// Reads a help of this form.
///
/// # Errors
/// Something is not as it is described above.
pub fn read(help: &str, version: &str, title: &str) -> Result<Manual, Error> {
    let mut lines = help.lines().enumerate();
    let first = lines.next().map_or("", |(_, line)| line);
    let (name, about) = first.split_once(" - ").ok_or_else(|| Error::First(first.to_owned()))?;
    let mut command = Command::new(name.to_owned()).about(about.to_owned());
    let (mut forms, mut options, mut notes) = (Vec::new(), Vec::new(), String::new());
    let mut section: Option<(String, Vec<Entry>, usize)> = None;
    let mut sections = Vec::new();
    for (number, line) in lines {
        let title = line.strip_suffix(':').filter(|_| !line.starts_with(' '));
        if let Some(title) = title.filter(|it| *it == "Commands" || it.starts_with("Options")) {
            sections.extend(section.replace((title.to_owned(), Vec::new(), 0)));
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        match &mut section {
            Some(_) if line.trim().is_empty() => {}
            Some((_, entries, own)) if indent > 0 => {
                if entries.is_empty() {
                    *own = indent;
                }
                if indent == *own {
                    entries.push(entry(line.trim()));
                } else {
                    let last = entries.last_mut().ok_or(Error::NoEntry(number + 1))?;
                    if !last.text.is_empty() {
                        last.text.push(' ');
                    }
                    last.text += line.trim();
                }
            }
            _ if line.starts_with("Usage: ") => {}
            _ => {
                sections.extend(section.take());
                notes += line;
                notes.push('\n');
            }
        }
    }
    sections.extend(section);
    for (title, entries, _) in sections {
        match title.strip_prefix("Options") {
            None => forms.extend(entries.iter().flat_map(all_forms)),
            Some(of) => options.push((of.trim().to_owned(), entries)),
        }
    }
    for form in &forms {
        command = put(command, name, &form.path, form);
    }
    for (of, entries) in &options {
        let of = Whose::read(of, &forms)?;
        for entry in entries {
            let words = entry.head.split([' ', ',']).filter(|word| word.starts_with("--"));
            // Clap has these of itself.
            if words.clone().any(|word| word == "--help") {
                continue;
            }
            if words.clone().any(|word| word == "--version") {
                command = command.version(version.to_owned());
                continue;
            }
            let argument =
                option(&entry.head).ok_or_else(|| Error::NoOption(entry.head.clone()))?;
            let (only, text) = restricted(&entry.text, &forms);
            let argument = argument.help(text.to_owned());
            if of == Whose::Program {
                command = command.arg(argument);
                continue;
            }
            for form in &forms {
                let wanted = only.as_ref().is_none_or(|only| within(form, only));
                if wanted && of.has(form) {
                    command = with(command, &form.path, &argument);
                }
            }
        }
    }
    let (version, title) = (version.to_owned(), title.to_owned());
    Ok(Manual { command, version, title, notes })
}

fn entry(line: &str) -> Entry {
    let (head, text) = line.split_once("  ").unwrap_or((line, ""));
    Entry { head: head.to_owned(), text: text.trim().to_owned() }
}

/// The commands that one entry tells of.
fn all_forms(entry: &Entry) -> Vec<Form> {
    let mut group = None;
    let mut forms = Vec::new();
    for part in entry.head.split(", ") {
        let plain = |word: &&str| {
            !word.starts_with('-') && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        };
        let mut path: Vec<String> = part.split(' ').take_while(plain).map(str::to_owned).collect();
        let arguments = part.split(' ').skip(path.len()).collect::<Vec<_>>().join(" ");
        match &group {
            // `sms list, outbox`: the second is within `sms`, too.
            Some(group) => path.insert(0, String::clone(group)),
            None => group = path.first().cloned(),
        }
        forms.push(Form { path, arguments, text: entry.text.clone() });
    }
    forms
}

/// Puts a form in its place.
fn put(command: Command, program: &str, path: &[String], form: &Form) -> Command {
    let (first, rest) = match path {
        [] => return command,
        [first, rest @ ..] => (first, rest),
    };
    let there = command.get_subcommands().any(|inner| inner.get_name() == first);
    let command = if there { command } else { command.subcommand(Command::new(first.clone())) };
    let name = format!("{program} {first}");
    // The singular of this would put it last.
    command.mut_subcommands(|inner| {
        if inner.get_name() != first {
            return inner;
        }
        if !rest.is_empty() {
            let inner = put(inner, &name, rest, form);
            let names: Vec<_> =
                inner.get_subcommands().map(|it| it.get_name().to_owned()).collect();
            return inner
                .subcommand_required(true)
                .about(format!("Commands: {}", names.join(", ")));
        }
        let about = form.text.split(". ").next().unwrap_or_default().trim_end_matches('.');
        let inner = inner.about(about.to_owned()).long_about(form.text.clone());
        let usage = format!("{name} [OPTION]... {}", form.arguments);
        arguments(inner.override_usage(usage.trim().to_owned()), &form.arguments)
    })
}

/// Adds what is in `[--key FILE] COMMAND` or `[direct|modemmanager]`.
fn arguments(mut command: Command, text: &str) -> Command {
    let mut seen: Vec<String> = Vec::new();
    let mut words = text.split(' ').filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        let bare = |word: &str| word.trim_end_matches("...").trim_matches(['[', ']']).to_owned();
        let mut alone = Vec::new();
        for part in bare(word).split('|') {
            if !part.starts_with("--") {
                alone.push(part.to_owned());
                continue;
            }
            let value = if word.ends_with(']') || word.contains('|') { None } else { words.next() };
            let head = value.map_or(part.to_owned(), |value| format!("{part} {}", bare(value)));
            if !seen.contains(&head) {
                command = command.args(option(&head));
                seen.push(head);
            }
        }
        if !alone.is_empty() {
            let argument = Arg::new(format!("word{}", seen.len()));
            command = command.arg(valued(argument, &alone.join("|")));
            seen.push(alone.join("|"));
        }
    }
    command
}

/// An option of `-w, --word VALUE`, `--word [VALUE]` or `--word`.
fn option(head: &str) -> Option<Arg> {
    let (names, value) = match head.rsplit_once(' ') {
        Some((names, value)) if !value.starts_with('-') => (names, Some(value)),
        _ => (head, None),
    };
    let long = names.split(", ").find_map(|name| name.strip_prefix("--"))?.to_owned();
    let argument = Arg::new(long.clone()).long(long);
    Some(match value {
        None => argument.action(ArgAction::SetTrue),
        Some(value) if value.starts_with('[') => {
            valued(argument, value.trim_matches(['[', ']'])).num_args(0..=1)
        }
        Some(value) => valued(argument, value),
    })
}

/// An argument whose value is so called in the help.
fn valued(argument: Arg, name: &str) -> Arg {
    let words: Vec<&str> = name.split('|').collect();
    let hint = |word: &str| match word {
        "FILE" => Some(ValueHint::FilePath),
        "DIR" => Some(ValueHint::DirPath),
        "PATH" | "SOCKET" => Some(ValueHint::AnyPath),
        _ => None,
    };
    let argument = argument.value_name(name.to_owned());
    if words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase())) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        return argument.value_parser(PossibleValuesParser::new(words));
    }
    match words.iter().find_map(|word| hint(word)) {
        Some(hint) => argument.value_hint(hint),
        None => argument,
    }
}

/// Whose options a section has.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    Program,
    These(Vec<String>),
    AllBut(Vec<String>),
}

impl Whose {
    fn read(title: &str, forms: &[Form]) -> Result<Self, Error> {
        let Some(of) = title.strip_prefix("of ") else { return Ok(Self::Program) };
        let (all, names) = match of.strip_prefix("all but ") {
            Some(names) => (true, names),
            None => (false, of),
        };
        let names: Vec<_> =
            names.split(", ").flat_map(|it| it.split(" and ")).map(str::to_owned).collect();
        let unknown = names.iter().find(|name| !known(name, forms));
        match unknown {
            Some(name) => Err(Error::NoCommand(name.clone())),
            None if all => Ok(Self::AllBut(names)),
            None => Ok(Self::These(names)),
        }
    }

    fn has(&self, form: &Form) -> bool {
        match self {
            Self::Program => false,
            Self::These(names) => within(form, names),
            Self::AllBut(names) => !within(form, names),
        }
    }
}

/// Whether this is a command, or has commands within.
fn known(name: &str, forms: &[Form]) -> bool {
    let names = [name.to_owned()];
    forms.iter().any(|form| within(form, &names))
}

/// Whether the form is one of these, or within one.
fn within(form: &Form, names: &[String]) -> bool {
    let path = form.path.join(" ");
    names.iter().any(|name| path == *name || path.starts_with(&format!("{name} ")))
}

/// `at, sms: the rest` is of these commands alone.
fn restricted<'a>(text: &'a str, forms: &[Form]) -> (Option<Vec<String>>, &'a str) {
    let Some((names, rest)) = text.split_once(": ") else { return (None, text) };
    let names: Vec<_> = names.split(", ").map(str::to_owned).collect();
    if names.iter().all(|name| known(name, forms)) { (Some(names), rest) } else { (None, text) }
}

/// Adds an option to the command at `path`.
fn with(command: Command, path: &[String], argument: &Arg) -> Command {
    match path {
        [] => command.arg(argument.clone()),
        [first, rest @ ..] => command.mut_subcommands(|inner| match inner.get_name() == first {
            true => with(inner, rest, argument),
            false => inner,
        }),
    }
}
