//! The manual of the device's program, and the program itself: what the one shows
//! the other takes.

use std::ffi::OsString;

use clap::Command;
use manual::help;

const HELP: &str = include_str!("../../src/cli/help.txt");

/// Whether the program takes these arguments: it would show its help when it has
/// understood all before.
fn takes(words: &[String]) -> bool {
    let words = words.iter().map(OsString::from).chain(["--help".into()]);
    a7670e::cli::mistake(words).is_none()
}

/// Every command without commands of its own, with its words.
fn leaves(command: &Command, path: &[String], found: &mut Vec<(Vec<String>, Command)>) {
    for inner in command.get_subcommands() {
        let path = [path, &[inner.get_name().to_owned()]].concat();
        if inner.has_subcommands() {
            leaves(inner, &path, found);
        } else {
            found.push((path, inner.clone()));
        }
    }
}

#[test]
fn every_option_of_the_manual_is_taken() {
    let manual = help::read(HELP, "0", "").unwrap();
    let mut all = Vec::new();
    leaves(&manual.command, &[], &mut all);
    assert!(all.len() > 20, "{}", all.len());
    for (path, command) in &all {
        assert!(takes(path), "{path:?}");
        assert!(!takes(&[path.as_slice(), &["--no-such".to_owned()]].concat()), "{path:?}");
        for option in command.get_arguments().filter_map(|it| it.get_long().map(|name| (it, name)))
        {
            let value = match option.0.get_action().takes_values() {
                false => "",
                // One that suits all that are judged at once.
                true => match option.1 {
                    "modem" => "=1-1.2",
                    "validity" => "=1d",
                    "priority" => "=high",
                    _ => "=1",
                },
            };
            let words = [path.as_slice(), &[format!("--{}{value}", option.1)]].concat();
            assert!(takes(&words), "{words:?}");
        }
    }
}

#[test]
fn every_option_of_the_program_is_in_the_manual() {
    let sources = [
        include_str!("../../src/cli/args.rs"),
        include_str!("../../src/cli/sms.rs"),
        include_str!("../../src/cli/code.rs"),
        include_str!("../../src/cli/ussd.rs"),
    ];
    let mut found = 0;
    for name in sources.iter().flat_map(|text| text.split("Long(\"").skip(1)) {
        let name = name.split('"').next().unwrap();
        assert!(HELP.contains(&format!("--{name}")), "--{name}");
        found += 1;
    }
    assert!(found > 30, "{found}");
}
