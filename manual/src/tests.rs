//! Tests of the reader of helps, and of what is made of them.

use super::*;
use crate::help::{Error, read};

const HELP: &str = "\
tool - does things

Usage: tool COMMAND

Commands:
  look       How it is: all of it. Slowly.
  say send --to NUMBER [--to NUMBER]... TEXT|-
             Sends it,
             at once.
  say list, show N  What was said.
  ask CODE|--cancel
             Asks.
  hand [left|right]  Which hand.
  keep [FILE]  Keeps it.

Options of all but keep and say list:
  --place PLACE    where
  --json           look, say: as JSON

Options of keep:
  --to DIR         here

  -V, --version    The version

Exit status: 0 done.
For example:

    tool look
     .deeper

.That is all.
";

fn manual() -> Manual {
    read(HELP, "1.2", "Tools").unwrap()
}

fn command<'a>(manual: &'a Manual, path: &[&str]) -> &'a Command {
    path.iter().fold(&manual.command, |command, name| command.find_subcommand(name).unwrap())
}

fn options(path: &[&str]) -> Vec<String> {
    let manual = manual();
    let longs = command(&manual, path).get_arguments().filter_map(|it| it.get_long());
    let mut longs: Vec<_> = longs.map(str::to_owned).collect();
    longs.sort();
    longs
}

#[test]
fn commands_have_their_options() {
    let manual = manual();
    assert_eq!(manual.command.get_name(), "tool");
    assert_eq!(manual.command.get_version(), Some("1.2"));
    let names: Vec<_> = manual.command.get_subcommands().map(|it| it.get_name()).collect();
    assert_eq!(names, ["look", "say", "ask", "hand", "keep"]);
    let inner = command(&manual, &["say"]).get_subcommands().map(|it| it.get_name());
    assert_eq!(inner.collect::<Vec<_>>(), ["send", "list", "show"]);
    assert_eq!(options(&["look"]), ["json", "place"]);
    assert_eq!(options(&["say", "send"]), ["json", "place", "to"]);
    assert_eq!(options(&["say", "list"]), [""; 0]);
    assert_eq!(options(&["say", "show"]), ["json", "place"]);
    assert_eq!(options(&["ask"]), ["cancel", "place"]);
    assert_eq!(options(&["keep"]), ["to"]);
    let about = command(&manual, &["look"]).get_about().unwrap().to_string();
    assert_eq!(about, "How it is: all of it");
    let hand = command(&manual, &["hand"]).get_positionals().next().unwrap();
    let words = hand.get_possible_values();
    assert_eq!(words.iter().map(|it| it.get_name()).collect::<Vec<_>>(), ["left", "right"]);
    let keep = command(&manual, &["keep"]).get_positionals().next().unwrap();
    assert_eq!(keep.get_value_hint(), clap::ValueHint::FilePath);
    manual.command.debug_assert();
}

#[test]
fn every_command_has_a_page_and_shells_know_it() {
    let documents = documents(&manual()).unwrap();
    let paths: Vec<_> = documents.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "bash-completion/completions/tool",
            "fish/vendor_completions.d/tool.fish",
            "man/man1/tool-ask.1",
            "man/man1/tool-hand.1",
            "man/man1/tool-keep.1",
            "man/man1/tool-look.1",
            "man/man1/tool-say-list.1",
            "man/man1/tool-say-send.1",
            "man/man1/tool-say-show.1",
            "man/man1/tool-say.1",
            "man/man1/tool.1",
            "zsh/vendor-completions/_tool",
        ]
    );
    let text = |path: &str| {
        let found = documents.iter().find(|it| it.path.ends_with(path)).unwrap();
        String::from_utf8(found.bytes.clone()).unwrap()
    };
    let send = text("tool-say-send.1");
    assert!(send.contains(r"tool\-say\-send \- Sends it, at once"), "{send}");
    assert!(send.contains(r"[OPTION]... \-\-to NUMBER [\-\-to NUMBER]... TEXT|\-"), "{send}");
    assert!(send.contains("as JSON"), "{send}");
    let root = text("man1/tool.1");
    assert!(root.contains(".nf\ntool look\n"), "{root}");
    // What begins with a dot is no request of troff's.
    assert!(!root.contains("\n.deeper") && !root.contains("\n.That"), "{root}");
    for shell in ["completions/tool", "tool.fish", "_tool"] {
        assert!(text(shell).contains("--cancel") || text(shell).contains("-l cancel"), "{shell}");
    }
    assert_eq!(documents, super::documents(&manual()).unwrap());
}

#[test]
fn what_cannot_be_understood_is_named() {
    let of = |help: &str| read(help, "1", "").unwrap_err();
    assert_eq!(of("Tool\n"), Error::First("Tool".into()));
    let help = "t - t\nCommands:\n  a  A.\nOptions of b:\n  --c  C.\n";
    assert_eq!(of(help), Error::NoCommand("b".into()));
    assert_eq!(of("t - t\nOptions:\n  c  C.\n"), Error::NoOption("c".into()));
}
