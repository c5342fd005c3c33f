//! `<name>.manifest.json`: what the image was made from, by what, and what
//! came out.
//!
//! Two builds of the same inputs give the same manifest but for the key
//! `times`. There is no commit in it: the digests of the inputs say exactly
//! what was built, with uncommitted changes too.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::archive::Packages;
use crate::stage::Stage;

/// Version of this format.
const FORMAT: u32 = 1;

/// Packages of the tools roots on which the image's bytes depend most, by the
/// start of their name.
const TOOLS: &[&str] = &[
    "binutils-aarch64-linux-gnu",
    "device-tree-compiler",
    "dosfstools",
    "e2fsprogs",
    "gcc-aarch64-linux-gnu",
    "gcc-14-aarch64-linux-gnu",
    "make",
    "mtools",
    "rustc",
    "xz-utils",
    "zstd",
];

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format.
    pub format: u32,
    /// Name of the image definition.
    pub name: String,
    /// The files beside this one, by name.
    pub artefacts: BTreeMap<String, Artefact>,
    /// What was in the image's use of the archive, by section.
    pub locks: BTreeMap<String, Section>,
    /// Versions of the tools that matter most, by package.
    pub tools: BTreeMap<String, String>,
    /// Inputs of each stage: values, and SHA-256 of files and trees.
    pub stages: BTreeMap<String, BTreeMap<String, String>>,
    /// How long each stage took when it ran, in seconds. Not reproducible.
    pub times: BTreeMap<String, f64>,
}

/// A published file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    /// Bytes in it.
    pub size: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// Where a set of packages came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// From the lock file as committed, or resolved anew.
    pub locked: bool,
    /// Seconds since 1970 of the archive's state.
    pub epoch: u64,
    /// SHA-256 over the packages' digests.
    pub sha256: String,
    /// How many packages.
    pub packages: usize,
}

impl Manifest {
    /// The manifest of a build that had these `packages` (tools included) and
    /// `stages`.
    pub fn new(name: &str, packages: &[&Packages], stages: &[&Stage]) -> Self {
        let tools = packages
            .iter()
            .flat_map(|p| &p.section.entries)
            .filter(|e| TOOLS.contains(&e.name.as_str()))
            .map(|e| (e.name.clone(), e.version.clone()))
            .collect();
        let seconds = |s: &&Stage| {
            // Thousandths are more than anybody needs.
            Some((s.name.clone(), (s.took?.as_secs_f64() * 1000.0).round() / 1000.0))
        };
        Self {
            format: FORMAT,
            name: name.to_owned(),
            artefacts: BTreeMap::new(),
            locks: packages.iter().map(|p| (p.section.name.clone(), Section::of(p))).collect(),
            tools,
            stages: stages.iter().map(|s| (s.name.clone(), s.inputs.entries().clone())).collect(),
            times: stages.iter().filter_map(seconds).collect(),
        }
    }

    /// Takes over the times of stages that came from the cache now and ran
    /// with the same inputs when `old` was written.
    pub fn keep_times(&mut self, old: &Self) {
        for (name, inputs) in &self.stages {
            if let (true, Some(time)) = (old.stages.get(name) == Some(inputs), old.times.get(name))
            {
                self.times.entry(name.clone()).or_insert(*time);
            }
        }
    }

    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("not a manifest of this version")
    }

    /// The file's text.
    pub fn text(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

impl Section {
    fn of(packages: &Packages) -> Self {
        Self {
            locked: packages.locked,
            epoch: packages.epoch(),
            sha256: packages.digest(),
            packages: packages.section.entries.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::archive;
    use crate::stage::Inputs;

    fn packages() -> Packages {
        let entry = |name: &str| archive::Entry {
            name: name.into(),
            version: "1.2-3".into(),
            arch: "amd64".into(),
            size: 1,
            sha256: "ab".repeat(32),
            path: "debian/pool/x".into(),
        };
        let section = archive::Section {
            name: "build-amd64".into(),
            request: "trixie amd64 mtools".into(),
            epoch: 7,
            entries: vec![entry("mtools"), entry("libc6")],
        };
        Packages { section, locked: true, files: vec![] }
    }

    fn stage(input: &str, took: Option<Duration>) -> Stage {
        let inputs = Inputs::new().value("a", input);
        Stage { name: "kernel".into(), dir: "/nonexistent".into(), inputs, took }
    }

    fn manifest(input: &str, took: Option<Duration>) -> Manifest {
        Manifest::new("pi4b", &[&packages()], &[&stage(input, took)])
    }

    #[test]
    fn round_trip() {
        let manifest = manifest("1", Some(Duration::from_micros(1_234_567)));
        assert_eq!(manifest.tools.len(), 1);
        assert_eq!(manifest.tools["mtools"], "1.2-3");
        assert_eq!(manifest.times["kernel"], 1.235);
        assert_eq!(Manifest::parse(&manifest.text().unwrap()).unwrap(), manifest);
    }

    #[test]
    fn a_cached_stage_keeps_the_time_it_took() {
        let old = manifest("1", Some(Duration::from_secs(300)));
        let mut same = manifest("1", None);
        same.keep_times(&old);
        assert_eq!(same, old);
        let mut other = manifest("2", None);
        other.keep_times(&old);
        assert!(other.times.is_empty());
        let mut ran = manifest("1", Some(Duration::from_secs(5)));
        ran.keep_times(&old);
        assert_eq!(ran.times["kernel"], 5.0);
    }
}
