//! Every command that the README shows is one that a test runs.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::Checks;
use crate::context::Context;
use crate::{digest, process, test};

/// The commands in the README's blocks that other parts run as they stand.
const RUN_ELSEWHERE: [(&str, &str); 2] = [
    ("cargo xtask image --yes", "newcomer"),
    ("cargo xtask test --yes", "all parts: CI runs this very command"),
];

/// The card in the README's example.
const CARD: &str = "/dev/sdX";

/// The Buildroot tree in the README's example.
const TREE: &str = "~/buildroot";

/// Runs what no other part runs, and fails on a command that nobody runs.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let text = std::fs::read_to_string(ctx.path("README.md"))?;
    for command in block_commands(&text) {
        if let Some((_, part)) = RUN_ELSEWHERE.iter().find(|(known, _)| *known == command) {
            println!("        `{command}` is run by {part}");
        } else if command.contains(TREE) {
            checks.check(&format!("`{command}` finds its tree"), buildroot(ctx, &command));
        } else if command.contains(CARD) {
            checks.check(&format!("`{command}` writes the image"), write_card(ctx, &command));
        } else {
            checks.check(&format!("`{command}`"), Err(anyhow::anyhow!("no test runs it")));
        }
    }
    for name in inline_subcommands(&text, "cargo xtask") {
        checks.check(&format!("`cargo xtask {name}` exists"), exists(&name));
    }
    Ok(())
}

/// The lines of all ```sh blocks.
fn block_commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside && !line.trim().is_empty() {
            commands.push(line.trim().to_owned());
        }
    }
    commands
}

/// The words after every `program` in running text.
fn inline_subcommands(text: &str, program: &str) -> Vec<String> {
    let mut names: Vec<_> = text
        .split(&format!("`{program} "))
        .skip(1)
        .filter_map(|rest| rest.split([' ', '`']).next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

fn exists(name: &str) -> Result<()> {
    process::output(Command::new(std::env::current_exe()?).args([name, "--help"]))?;
    Ok(())
}

/// Runs the README's line with a file in the card's place.
fn write_card(ctx: &Context, command: &str) -> Result<()> {
    let image = test::image(ctx)?;
    let out = image.parent().context("an image outside any folder")?;
    let dir = tempfile::tempdir_in(ctx.cache_dir("tmp")?)?;
    let card = dir.path().join("card");
    // The card has old data on it.
    std::fs::write(&card, vec![0xa5; 8 << 20])?;
    let line = command
        .replace(CARD, &card.display().to_string())
        // Nobody can be asked here.
        .replace("cargo xtask flash ", "cargo xtask flash --yes ")
        .replace("out/", &format!("{}/", out.display()));
    ensure!(line.contains("--yes"), "the README's line has changed: {command}");
    let mut shell = Command::new("sh");
    process::output(shell.args(["-c", &line]).current_dir(&ctx.repo))?;
    same(&image, &card)
}

/// Runs the README's line with the tree that the environment names, as far as to
/// its configuration; with a folder that is none when it names nothing.
fn buildroot(ctx: &Context, command: &str) -> Result<()> {
    let dir = tempfile::tempdir_in(ctx.cache_dir("tmp")?)?;
    let tree = std::env::var(crate::buildroot::VARIABLE);
    let at = tree.clone().unwrap_or_else(|_| dir.path().display().to_string());
    let out = dir.path().join("out");
    let line = format!("{} --configure --out {}", command.replace(TREE, &at), out.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(&ctx.repo);
    if tree.is_ok() {
        process::output(&mut shell)?;
        ensure!(out.join(".config").is_file(), "{line}: no configuration came of it");
        return Ok(());
    }
    let output = process::any_output(&mut shell)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let refused = format!("{at} is no Buildroot tree");
    ensure!(!output.status.success() && said.contains(&refused), "{line}: {said}");
    Ok(())
}

fn same(image: &Path, card: &Path) -> Result<()> {
    let (one, two) = (digest::file(image)?, digest::file(card)?);
    if one != two {
        bail!("the card has {two}, the image {one}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_commands() {
        let text = "a `cargo xtask verify IMAGE` b `cargo xtask lock`\n```sh\nrun me\n\n```\n```toml\nno\n```\n";
        assert_eq!(block_commands(text), ["run me"]);
        assert_eq!(inline_subcommands(text, "cargo xtask"), ["lock", "verify"]);
    }

    #[test]
    fn the_devices_commands_are_in_its_help() {
        let help = include_str!("../../../src/cli/help.txt");
        let names = inline_subcommands(include_str!("../../../README.md"), "a7670e");
        assert!(names.len() > 5, "{names:?}");
        for name in names.iter().filter(|name| !name.starts_with('-')) {
            let known = |line: &str| line.split_whitespace().next() == Some(name.as_str());
            let mut lines = help.lines().filter(|line| line.starts_with("  ") && known(line));
            assert!(lines.next().is_some(), "the README has `a7670e {name}`, --help has not");
        }
    }
}
