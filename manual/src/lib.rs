//! Manual pages and shell completions, for computers and packages; nothing of it
//! is in the device's program.
//!
//! A program that has clap tells its commands itself. The device's program reads
//! its arguments with less, and its help is prose: [`help::read`] makes the same
//! of that text, so that there is one text and not two.

pub mod help;
#[cfg(test)]
mod tests;

use std::io;

use clap::Command;
use clap_complete::aot::{Generator, Shell, generate};
use clap_mangen::Man;
use roff::{Roff, bold, roman};

pub use help::Manual;

/// A file to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it goes below `/usr/share`: `man/man1/a7670e.1`.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Pages and completions of a program, in order of their paths. The same command
/// gives the same bytes: there is no date in them.
///
/// # Errors
/// None but those of `io::Write` for memory.
pub fn documents(manual: &Manual) -> io::Result<Vec<Document>> {
    let mut command = manual.command.clone().disable_help_subcommand(true);
    command.build();
    let mut documents = Vec::new();
    pages(manual, &command, None, &mut documents)?;
    let name = command.get_name().to_owned();
    for (shell, folder) in [
        (Shell::Bash, "bash-completion/completions"),
        (Shell::Fish, "fish/vendor_completions.d"),
        (Shell::Zsh, "zsh/vendor-completions"),
    ] {
        let mut bytes = Vec::new();
        generate(shell, &mut manual.command.clone(), name.as_str(), &mut bytes);
        // Bash looks for a file of the program's own name.
        let file = if shell == Shell::Bash { name.clone() } else { shell.file_name(&name) };
        documents.push(Document { path: format!("{folder}/{file}"), bytes });
    }
    documents.sort_by(|one, two| one.path.cmp(&two.path));
    Ok(documents)
}

/// The page of a command, and those of the commands within it.
fn pages(
    manual: &Manual,
    command: &Command,
    parent: Option<&str>,
    documents: &mut Vec<Document>,
) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let program = manual.command.get_name();
    let man = Man::new(command.clone());
    // By hand: the library writes no date as nothing at all, so that what follows
    // is taken for the date (man(7), "TH").
    let title =
        format!(".TH {name} 1 \"\" \"{program} {}\" \"{}\"\n", manual.version, manual.title);
    let mut bytes = title.into_bytes();
    man.render_name_section(&mut bytes)?;
    man.render_synopsis_section(&mut bytes)?;
    man.render_description_section(&mut bytes)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut bytes)?;
    }
    if command.get_subcommands().any(|inner| !inner.is_hide_set()) {
        man.render_subcommands_section(&mut bytes)?;
    }
    let mut roff = Roff::new();
    match parent {
        None => notes(&mut roff, &manual.notes),
        Some(parent) => {
            roff.control("SH", ["SEE ALSO"]);
            roff.text([bold(parent), roman("(1)")]);
        }
    }
    roff.to_writer(&mut bytes)?;
    documents.push(Document { path: format!("man/man1/{name}.1"), bytes });
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        pages(manual, inner, Some(&name), documents)?;
    }
    Ok(())
}

/// Prose; what is indented in it stays as it is.
fn notes(roff: &mut Roff, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    roff.control("SH", ["NOTES"]);
    let (mut example, mut gap) = (false, false);
    for line in text.trim().lines() {
        if line.trim().is_empty() {
            gap = true;
            continue;
        }
        let indented = line.starts_with(' ');
        if example && !indented {
            roff.control("fi", []);
            roff.control("RE", []);
        }
        if gap && !indented {
            roff.control("PP", []);
        }
        if indented && !example {
            roff.control("PP", []);
            roff.control("RS", ["4"]);
            roff.control("nf", []);
        } else if indented && gap {
            roff.text([roman("")]);
        }
        (example, gap) = (indented, false);
        roff.text([roman(if indented { line.trim_start() } else { line })]);
    }
    if example {
        roff.control("fi", []);
        roff.control("RE", []);
    }
}
