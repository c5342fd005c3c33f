//! Patch series, applied to kernel trees by the tools root's GNU patch.
//!
//! A series is a folder with patches and a file `series` that lists them in
//! quilt's format. `series-6.1` beside it stands in for it on kernels 6.1.x.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::digest;
use crate::process;
use crate::tools::Tools;

/// Stands for a series in the inputs of a stage: the lists and all patches,
/// nothing else of the folder.
pub fn digest(dir: &Path) -> Result<String> {
    let mut names = Vec::new();
    for item in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let name = item?.file_name().to_string_lossy().into_owned();
        if name == "series" || name.starts_with("series-") || name.ends_with(".patch") {
            names.push(name);
        }
    }
    names.sort();
    let mut text = String::new();
    for name in names {
        let _ = writeln!(text, "{name} {}", digest::file(&dir.join(&name))?);
    }
    Ok(digest::bytes(text.as_bytes()))
}

/// Applies the series in `dir` to the kernel in `tree`, and gives the names of
/// the patches.
///
/// Nothing fuzzy is accepted. The error names the kernel, the patch, and each
/// hunk that does not fit; patches before that one are applied by then.
pub fn apply(tools: &Tools, dir: &Path, tree: &Path) -> Result<Vec<String>> {
    let version = kernel_version(tree)?;
    let names = list(dir, &version)?;
    let sandbox = tools.sandbox().bind(dir, "series").bind_writable(tree, "tree");
    for name in &names {
        let patch = dir.join(name);
        let text = fs::read_to_string(&patch)
            .with_context(|| format!("cannot read {}", patch.display()))?;
        let run = |dry: &[&str]| {
            let input = format!("--input=/work/series/{name}");
            let fixed = ["patch", "-d", "/work/tree", "-p1", "--fuzz=0", "--batch", "--forward"];
            let rest = ["--no-backup-if-mismatch", input.as_str()];
            process::any_output(&mut sandbox.command(&[&fixed[..], &rest[..], dry].concat())?)
        };
        let trial = run(&["--dry-run"])?;
        if !trial.status.success() {
            let said =
                String::from_utf8_lossy(&trial.stdout) + String::from_utf8_lossy(&trial.stderr);
            bail!(
                "{} does not apply to Linux {version}:\n{}\
                 Make a patch that fits this kernel and list it in {}.",
                patch.display(),
                misfits(&text, &said),
                dir.join(format!("series-{}", branch(&version))).display()
            );
        }
        ensure!(run(&[])?.status.success(), "{name} applied on trial but not in earnest");
    }
    Ok(names)
}

/// The version of the kernel in `tree`, such as `6.12.117`, from its Makefile.
pub fn kernel_version(tree: &Path) -> Result<String> {
    let path = tree.join("Makefile");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let part = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))
            .with_context(|| format!("{} has no {name}: is it a kernel?", path.display()))
    };
    Ok(format!("{}.{}.{}", part("VERSION")?, part("PATCHLEVEL")?, part("SUBLEVEL")?))
}

/// `6.12` of `6.12.117`.
fn branch(version: &str) -> &str {
    version.rsplit_once('.').map_or(version, |(branch, _)| branch)
}

/// The patches for kernel `version` in order.
pub fn list(dir: &Path, version: &str) -> Result<Vec<String>> {
    let special = dir.join(format!("series-{}", branch(version)));
    let path = if special.is_file() { special } else { dir.join("series") };
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let names: Vec<String> = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    ensure!(!names.is_empty(), "{} lists no patch", path.display());
    Ok(names)
}

/// Says in words which hunks of the patch `text` GNU patch refused when it
/// `said` this; one line each.
fn misfits(text: &str, said: &str) -> String {
    let mut out = String::new();
    let mut file = "";
    for line in said.lines() {
        if let Some(name) = line.strip_prefix("checking file ") {
            file = name;
        } else if let Some((number, place)) =
            line.strip_prefix("Hunk #").and_then(|rest| rest.split_once(" FAILED at "))
        {
            let header = number.parse().ok().and_then(|n| hunk(text, file, n)).unwrap_or("");
            let place = place.trim_end_matches('.');
            let _ = writeln!(out, "  {file}: hunk {number}, near line {place}: {header}");
        } else if let Some(number) = line.strip_prefix("can't find file to patch at input line ") {
            let name = number.parse().ok().and_then(|n| file_above(text, n)).unwrap_or("a file");
            let _ = writeln!(out, "  {name}: the kernel has no such file");
        } else if let Some(name) = line.strip_prefix("The next patch would create the file ") {
            let name = name.trim_end_matches(',');
            let _ = writeln!(out, "  {name}: the kernel has this file already");
        } else if line.starts_with("Reversed (or previously applied)") {
            let _ = writeln!(out, "  {file}: this change is in the kernel already");
        }
    }
    if out.is_empty() {
        let _ = writeln!(out, "{}", said.trim_end());
    }
    out
}

/// The header line of hunk `number` (from 1) of `file`.
fn hunk<'a>(text: &'a str, file: &str, number: usize) -> Option<&'a str> {
    let end = format!(" b/{file}");
    text.lines()
        .skip_while(|line| !(line.starts_with("diff --git ") && line.ends_with(&end)))
        .skip(1)
        .take_while(|line| !line.starts_with("diff --git "))
        .filter(|line| line.starts_with("@@ "))
        .nth(number.checked_sub(1)?)
}

/// The file whose change holds the patch's line `number`.
fn file_above(text: &str, number: usize) -> Option<&str> {
    let lines: Vec<_> = text.lines().take(number).collect();
    lines.iter().rev().find_map(|line| line.strip_prefix("diff --git ")?.split(" b/").last())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "diff --git a/x/Kconfig b/x/Kconfig\n--- a/x/Kconfig\n+++ b/x/Kconfig\n\
        @@ -1,2 +1,3 @@ config A\n a\n+b\n@@ -9 +10,2 @@ config B\n c\n+d\n\
        diff --git a/gone b/gone\n--- a/gone\n+++ b/gone\n@@ -1 +1 @@\n-a\n+b\n";

    #[test]
    fn misfit_names_file_hunk_and_header() {
        let said = "checking file x/Kconfig\nHunk #1 succeeded at 5 (offset 4 lines).\n\
            Hunk #2 FAILED at 10.\n1 out of 2 hunks FAILED\n\
            can't find file to patch at input line 12\nNo file to patch.  Skipping patch.\n";
        assert_eq!(
            misfits(PATCH, said),
            "  x/Kconfig: hunk 2, near line 10: @@ -9 +10,2 @@ config B\n  \
             gone: the kernel has no such file\n"
        );
    }

    #[test]
    fn misfit_says_when_it_is_there_already() {
        let said = "The next patch would create the file a.c,\nwhich already exists!  Skipping patch.\n\
            checking file x/Kconfig\nReversed (or previously applied) patch detected!  Skipping patch.\n";
        let text = misfits(PATCH, said);
        assert!(text.contains("a.c: the kernel has this file"), "{text}");
        assert!(text.contains("x/Kconfig: this change is in"), "{text}");
        assert_eq!(misfits(PATCH, "patch: out of memory\n"), "patch: out of memory\n");
    }

    #[test]
    fn list_prefers_the_kernels_own() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        assert!(list(dir.path(), "6.12.1").is_err());
        write("series", "# why\n0001-a.patch\n\n0002-b.patch # note\n");
        write("series-6.1", "0001-old.patch\n");
        assert_eq!(list(dir.path(), "6.12.1").unwrap(), ["0001-a.patch", "0002-b.patch"]);
        assert_eq!(list(dir.path(), "6.1.192").unwrap(), ["0001-old.patch"]);
        write("series", "# none\n");
        assert!(list(dir.path(), "7.3.4").is_err());
    }

    #[test]
    fn digest_sees_lists_and_patches_only() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("series", "a.patch\n");
        write("a.patch", "1");
        let first = digest(dir.path()).unwrap();
        write("README.md", "x");
        assert_eq!(digest(dir.path()).unwrap(), first);
        write("a.patch", "2");
        assert_ne!(digest(dir.path()).unwrap(), first);
    }

    #[test]
    fn version_comes_from_the_makefile() {
        let dir = tempfile::tempdir().unwrap();
        let makefile = "# x\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\nEXTRAVERSION =\n";
        fs::write(dir.path().join("Makefile"), makefile).unwrap();
        assert_eq!(kernel_version(dir.path()).unwrap(), "6.12.117");
    }
}
