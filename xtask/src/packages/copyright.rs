//! `copyright` in the machine-readable form (Debian's copyright-format 1.0): our
//! own files, and for the program all crates in it, whose licences ask that their
//! notices go with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::artefacts::sbom::Crate;
use crate::context::Context;
use crate::process;

const HEADER: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n";

/// Where Debian has the text of a licence that it does not want repeated.
const APACHE: &str = "License: Apache-2.0\n \
    On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.\n";

/// The driver's.
pub const DRIVER: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: simcom_wwan

Files: *
Copyright: 2026 the a7670e authors
License: GPL-2.0

License: GPL-2.0
 This program is free software; you can redistribute it and/or modify it under
 the terms of version 2 of the GNU General Public License as published by the
 Free Software Foundation.
 .
 On Debian systems the text is in /usr/share/common-licenses/GPL-2.
";

/// Of what is our own: both licences, of which everybody chooses.
///
/// # Errors
/// `mit`, the text of LICENSE-MIT, names nobody.
pub fn own(mit: &str) -> Result<String> {
    let holder = mit.lines().find_map(|line| line.strip_prefix("Copyright (c) "));
    let holder = holder.context("LICENSE-MIT has no line \"Copyright (c) …\"")?;
    let body = mit.split_once("\n\nPermission").context("LICENSE-MIT is not the MIT licence")?.1;
    Ok(format!(
        "{HEADER}Upstream-Name: a7670e\n\nFiles: *\nCopyright: {holder}\n\
         License: MIT or Apache-2.0\n\nLicense: MIT\n{}\n{APACHE}",
        paragraph(&format!("Permission{body}"))
    ))
}

/// The same with all crates of the program: whose they are, by which licence, and
/// the texts of their own licence files, where Debian does not have them.
///
/// # Errors
/// Cargo cannot say where their sources are, or one states no licence.
pub fn crates(ctx: &Context, crates: &[Crate], own: &str) -> Result<String> {
    let dirs = sources(ctx)?;
    let mut out = own.to_owned();
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    // Our own have no checksum.
    for item in crates.iter().filter(|item| item.sha256.is_some()) {
        let Crate { name, version, .. } = item;
        let licence = item.licence.as_deref();
        let licence = licence.with_context(|| format!("the crate {name} states no licence"))?;
        let dir = dirs.get(&(name.clone(), version.clone()));
        let dir = dir.with_context(|| format!("cargo has no source of {name} {version}"))?;
        let notices = Notices::read(dir)?;
        // Writing to a String does not fail.
        let _ = write!(
            out,
            "\nFiles: crates/{name}-{version}/*\nCopyright: {}\nLicense: {}\n",
            notices.holders(name),
            debian(licence)
        );
        // Licences with names of other people in them, or of the crate's own.
        for one in words(licence).filter(|one| !["MIT", "Apache-2.0"].contains(one)) {
            if let (false, Some(text)) = (texts.contains_key(one), notices.text(one)) {
                texts.insert(one.to_owned(), text);
            }
        }
        for one in words(licence).filter(|one| needed(licence, one)) {
            ensure!(
                ["MIT", "Apache-2.0"].contains(&one) || texts.contains_key(one),
                "{} has no text of {one}",
                dir.display()
            );
        }
    }
    for (licence, text) in texts {
        let _ = write!(out, "\nLicense: {licence}\n{}", paragraph(&text));
    }
    Ok(out)
}

/// Whether `one` is the licence, and not one of several to choose from.
fn needed(licence: &str, one: &str) -> bool {
    licence.split(" AND ").any(|part| part.trim_matches(['(', ')']) == one)
}

/// The licences that an SPDX expression names; one with an exception is one.
fn words(licence: &str) -> impl Iterator<Item = &str> {
    let parts = licence.split(" AND ").flat_map(|part| part.split(" OR "));
    parts.map(|one| one.trim_matches(['(', ')'])).filter(|one| !one.contains(" WITH "))
}

/// An SPDX expression in Debian's words, which have no brackets.
fn debian(licence: &str) -> String {
    let parts: Vec<_> = licence.split(" AND ").map(|part| part.trim_matches(['(', ')'])).collect();
    let choices = |part: &str| {
        let known: Vec<_> = part.split(" OR ").filter(|one| !one.contains(" WITH ")).collect();
        // The exception only ever adds a freedom to one that is there without it.
        known.join(" or ")
    };
    parts.iter().map(|part| choices(part)).collect::<Vec<_>>().join(", and ")
}

/// Text as a field's continuation: each line indented, empty ones as a dot.
fn paragraph(text: &str) -> String {
    let line = |line: &str| match line.trim() {
        "" => " .\n".to_owned(),
        text => format!(" {text}\n"),
    };
    text.trim().lines().map(line).collect()
}

/// The folders of all crates that cargo knows of here, by name and version.
fn sources(ctx: &Context) -> Result<BTreeMap<(String, String), PathBuf>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
        manifest_path: PathBuf,
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ask = |offline: &[&str]| {
        let mut command = Command::new(&cargo);
        command.current_dir(&ctx.repo).args(["metadata", "--locked", "--format-version=1"]);
        process::text(command.args(offline))
    };
    let text = ask(&["--offline"]).or_else(|_| ask(&[]))?;
    let metadata: Metadata = serde_json::from_str(&text).context("what cargo metadata says")?;
    let dir = |it: Package| {
        let dir = it.manifest_path.parent().map(Path::to_owned).unwrap_or_default();
        ((it.name, it.version), dir)
    };
    Ok(metadata.packages.into_iter().map(dir).collect())
}

/// The licence files of a crate, in the order of their names.
struct Notices(Vec<String>);

impl Notices {
    fn read(dir: &Path) -> Result<Self> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
            let wanted = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
            if path.is_file() && wanted.iter().any(|start| name.starts_with(start)) {
                paths.push(path);
            }
        }
        paths.sort();
        let read =
            |path: &PathBuf| fs::read_to_string(path).with_context(|| path.display().to_string());
        Ok(Self(paths.iter().map(read).collect::<Result<_>>()?))
    }

    /// Who is named in them, each once, in a field's form.
    fn holders(&self, name: &str) -> String {
        let mut found = BTreeSet::new();
        for line in self.0.iter().flat_map(|text| text.lines()) {
            let line = line.trim().trim_start_matches("Copyright ").trim();
            let named = line.starts_with("(c)") || line.starts_with("(C)") || line.starts_with('©');
            let line = line.trim_start_matches(['(', 'c', 'C', ')', '©']).trim();
            // Not the sample in the Apache licence's appendix.
            if named && !line.is_empty() && !line.contains(['[', '{']) {
                found.insert(line.trim_end_matches('.'));
            }
        }
        if found.is_empty() {
            return format!("the {name} authors");
        }
        found.into_iter().collect::<Vec<_>>().join("\n ")
    }

    /// The file with the text of a licence, told by words that only it has.
    fn text(&self, licence: &str) -> Option<String> {
        let mark = match licence {
            "BSD-2-Clause" | "BSD-3-Clause" => "Redistributions in binary form",
            "Unicode-3.0" => "UNICODE LICENSE V3",
            "Unlicense" => "released into the public domain",
            "Zlib" => "'as-is', without any express",
            "ISC" => "and/or distribute this software for any",
            _ => return None,
        };
        self.0.iter().find(|text| text.contains(mark)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_debians() {
        assert_eq!(debian("MIT OR Apache-2.0"), "MIT or Apache-2.0");
        assert_eq!(
            debian("(MIT OR Apache-2.0) AND Unicode-3.0"),
            "MIT or Apache-2.0, and Unicode-3.0"
        );
        assert_eq!(debian("Apache-2.0 WITH LLVM-exception OR MIT"), "MIT");
        assert!(needed("(MIT OR Apache-2.0) AND Unicode-3.0", "Unicode-3.0"));
        assert!(!needed("Unlicense OR MIT", "Unlicense"));
    }

    #[test]
    fn holders_are_named_once_and_samples_are_not() {
        let texts =
            ["Copyright (c) 2020 A\nmore", "Copyright (c) 2020 A.\nCopyright [yyyy] [name]"];
        let notices = Notices(texts.map(str::to_owned).to_vec());
        assert_eq!(notices.holders("x"), "2020 A");
        assert_eq!(Notices(vec![]).holders("x"), "the x authors");
    }

    #[test]
    fn our_own_text_is_whole() {
        let text = own(include_str!("../../../LICENSE-MIT")).unwrap();
        assert!(text.contains("\nCopyright: 2026 the a7670e authors\n"), "{text}");
        assert!(text.contains("\n Permission is hereby granted"), "{text}");
        assert!(text.contains("\n .\n The above copyright notice"), "{text}");
        assert!(text.lines().all(|line| !line.ends_with(' ')));
    }
}
