//! `cargo xtask test buildroot`: what can be told of `buildroot-ext/` without
//! building it, and with `BUILDROOT_DIR` what Buildroot's own programs say.

mod style;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::Checks;
use crate::buildroot;
use crate::context::Context;
use crate::{process, sync};

/// The tree in the repository.
const TREE: &str = "buildroot-ext";

/// How the tree's files call their own folder.
const OWN: &str = "$(BR2_EXTERNAL_A7670E_PATH)/";

/// Text by path in the tree.
type Files = BTreeMap<String, String>;

/// Looks at the tree; with a Buildroot tree at hand also through that one's eyes.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let files = read(&ctx.path(TREE))?;
    ensure!(files.len() > 20, "{TREE} has {} files only", files.len());
    checks.check("it carries what the repository has", sync::run(&ctx.repo, true));
    checks.check("its files have Buildroot's form", form(&files));
    checks.check("every file that it speaks of is there, and no other", references(&files));
    checks.check("its versions are the repository's", versions(ctx, &files));
    checks.check("its scripts are ones for /bin/sh", scripts(&ctx.path(TREE), &files));
    checks.check("a tree that is none is refused", no_tree());
    match std::env::var_os(buildroot::VARIABLE) {
        Some(dir) => tree::run(ctx, checks, &buildroot::tree(Some(Path::new(&dir)))?, &files)?,
        None => println!(
            "        with {}=DIR Buildroot's own programs would look, too",
            buildroot::VARIABLE
        ),
    }
    Ok(())
}

fn read(top: &Path) -> Result<Files> {
    fn walk(folder: &Path, top: &Path, files: &mut Files) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                walk(&path, top, files)?;
            } else {
                let name = path.strip_prefix(top)?.to_string_lossy().into_owned();
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                files.insert(name, text);
            }
        }
        Ok(())
    }
    let mut files = Files::new();
    walk(top, top, &mut files)?;
    Ok(files)
}

fn none_of(found: Vec<String>) -> Result<()> {
    if found.is_empty() { Ok(()) } else { bail!("{}", found.join("\n        ")) }
}

fn form(files: &Files) -> Result<()> {
    let mut found = Vec::new();
    for (path, text) in files {
        for (line, what) in style::look(path, text) {
            found.push(format!("{TREE}/{path}:{line}: {what}"));
        }
    }
    // Buildroot's manual: a name of letters, digits and `_`, a description that
    // fits its menu.
    let described = |key: &str| {
        let text = files.get("external.desc").map_or("", String::as_str);
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).unwrap_or_default()
    };
    if described("name") != "A7670E" || !(1..=40).contains(&described("desc").len()) {
        found.push(format!("{TREE}/external.desc: a name and at most 40 characters"));
    }
    none_of(found)
}

/// The paths that `text` names with `before` in front of them.
fn named<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before)
        .skip(1)
        .map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c)));
            &rest[..end.unwrap_or(rest.len())]
        })
        .collect()
}

fn references(files: &Files) -> Result<()> {
    let mut found = Vec::new();
    let exists = |path: &str| {
        files.contains_key(path) || files.keys().any(|file| file.starts_with(&format!("{path}/")))
    };
    for (file, text) in files {
        for own in [OWN, "$BR2_EXTERNAL_A7670E_PATH/"] {
            // What a wildcard finds, and what the user may put there.
            let others = ["package/", "dist"];
            for path in named(text, own).into_iter().filter(|path| !others.contains(path)) {
                if !exists(path.trim_end_matches('.')) {
                    found.push(format!("{TREE}/{file} names {path}, which is not there"));
                }
            }
        }
    }
    for (file, text) in files.iter().filter(|(file, _)| file.ends_with(".mk")) {
        let Some((folder, _)) = file.rsplit_once('/') else { continue };
        let beside = named(text, "_PKGDIR)/");
        for name in beside.iter().filter(|name| !name.starts_with("..")) {
            if !exists(&format!("{folder}/{name}")) {
                found.push(format!("{TREE}/{file} names {name}, which is not there"));
            }
        }
        for other in files.keys().filter_map(|other| other.strip_prefix(&format!("{folder}/"))) {
            let own = other.ends_with(".mk") || other.ends_with(".hash") || other == "Config.in";
            if !own && !beside.contains(&other) {
                found.push(format!("{TREE}/{folder}/{other} is used by nobody"));
            }
        }
    }
    none_of(found)
}

/// What `text` sets `name` to.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line =
        text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
    line.map(|value| value.trim().trim_matches('"'))
}

fn versions(ctx: &Context, files: &Files) -> Result<()> {
    let of = |path: &str| files.get(path).with_context(|| format!("{TREE}/{path} is missing"));
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(ctx.path("Cargo.toml"))?)?;
    let ours = manifest["workspace"]["package"]["version"].as_str();
    let theirs = value(of("package/a7670e/a7670e.mk")?, "A7670E_VERSION");
    ensure!(ours == theirs, "Cargo.toml has version {ours:?}, a7670e.mk {theirs:?}");

    let config = of(&format!("configs/{}", buildroot::DEFCONFIG))?;
    let kernel = value(config, "BR2_LINUX_KERNEL_CUSTOM_VERSION_VALUE").unwrap_or_default();
    let archive = format!("  linux-{kernel}.tar.xz");
    let known = of("patches/linux/linux.hash")?.lines().any(|line| line.ends_with(&archive));
    ensure!(known, "patches/linux/linux.hash has no{archive}, which the defconfig builds");
    Ok(())
}

fn scripts(top: &Path, files: &Files) -> Result<()> {
    let mut found = Vec::new();
    let mut count = 0;
    for path in files.keys() {
        if matches!(style::kind(path), Some(style::Kind::Init | style::Kind::Script)) {
            count += 1;
            let output = process::any_output(Command::new("sh").arg("-n").arg(top.join(path)))?;
            if !output.status.success() {
                found.push(String::from_utf8_lossy(&output.stderr).trim().to_owned());
            }
        }
    }
    ensure!(count >= 5, "{count} scripts only were found");
    none_of(found)
}

/// What a user sees who names none, or the wrong folder.
fn no_tree() -> Result<()> {
    for (dir, wanted) in [(None, "no Buildroot tree is named"), (Some("/"), "no Buildroot tree")] {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("buildroot").env_remove(buildroot::VARIABLE);
        if let Some(dir) = dir {
            command.env(buildroot::VARIABLE, dir);
        }
        let output = process::any_output(&mut command)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success() && said.contains(wanted), "{dir:?}: {said}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> Files {
        pairs.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn files_that_are_missing_or_unused_are_named() {
        let mk = "\t$(A_PKGDIR)/used \\\n\t$(A_PKGDIR)/gone\n";
        let config = "BR2_X=\"$(BR2_EXTERNAL_A7670E_PATH)/board/post.sh\"\n";
        let tree = files(&[
            ("package/a/a.mk", mk),
            ("package/a/used", ""),
            ("package/a/unused", ""),
            ("configs/a_defconfig", config),
        ]);
        let error = references(&tree).unwrap_err().to_string();
        for wanted in [
            "package/a/a.mk names gone,",
            "package/a/unused is used by nobody",
            "configs/a_defconfig names board/post.sh,",
        ] {
            assert!(error.contains(wanted), "{error}");
        }
        assert!(!error.contains("a/used is used"), "{error}");
    }

    #[test]
    fn values_are_read_from_makefiles_and_configurations() {
        assert_eq!(value("A_VERSION_X = 2\nA_VERSION = 1\n", "A_VERSION"), Some("1"));
        assert_eq!(value("BR2_X=\"1.2\"\n", "BR2_X"), Some("1.2"));
        assert_eq!(value("", "BR2_X"), None);
    }
}
