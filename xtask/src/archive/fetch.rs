//! Package files: from the cache, else from the mirror, else from a snapshot
//! service that the user names.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Entry, Section, Sources};
use crate::context::Context;
use crate::{digest, process};

/// Part of apt: downloads with apt's settings (proxies, credentials).
const HELPER: &str = "/usr/lib/apt/apt-helper";

/// The files of all entries, each checked against its SHA-256 when it was
/// downloaded. An error names every file that is missing.
pub fn all(ctx: &Context, section: &Section) -> Result<Vec<PathBuf>> {
    let pool = ctx.cache_dir("pool")?;
    let place = |entry: &Entry| pool.join(format!("{}.deb", entry.sha256));
    let missing: Vec<&Entry> = section.entries.iter().filter(|e| !place(e).is_file()).collect();
    if !missing.is_empty() {
        let _lock = crate::stage::lock(ctx, &pool.join("lock"), "its downloads")?;
        let missing: Vec<&Entry> = missing.into_iter().filter(|e| !place(e).is_file()).collect();
        download(ctx, section, &missing, &pool)?;
    }
    Ok(section.entries.iter().map(place).collect())
}

fn download(ctx: &Context, section: &Section, missing: &[&Entry], pool: &Path) -> Result<()> {
    let megabytes = missing.iter().map(|e| e.size).sum::<u64>() / 1_000_000;
    let step = ctx.report.step("download");
    step.message(format!("{} packages, {megabytes} MB, for [{}]", missing.len(), section.name));
    let sources = Sources::find()?;
    let from_mirror = |entry: &Entry| sources.url(&entry.path);
    let mut said = String::new();
    let mut rest = attempt(missing, pool, from_mirror, &mut said)?;
    if let (false, Ok(base)) = (rest.is_empty(), std::env::var("A7670E_SNAPSHOT")) {
        let base = format!("{}/%/{}", base.trim_end_matches('/'), timestamp(section.epoch));
        let from_snapshot = |entry: &Entry| {
            let (archive, path) =
                entry.path.split_once('/').context("a path without an archive")?;
            Ok(format!("{}/{path}", base.replace('%', archive)))
        };
        rest = attempt(&rest, pool, from_snapshot, &mut said)?;
    }
    if !rest.is_empty() {
        let list: String = rest
            .iter()
            .map(|e| format!("  {} (would be {}/{}.deb)\n", e.path, pool.display(), e.sha256))
            .collect();
        bail!(
            "{} files cannot be downloaded:\n{list}{}\n\
             A cache that has them serves: set A7670E_CACHE; so does another mirror \
             (A7670E_MIRROR, A7670E_SECURITY_MIRROR) or a snapshot service (A7670E_SNAPSHOT).",
            rest.len(),
            said.trim_end()
        );
    }
    step.done(&format!("{} packages, {megabytes} MB, for [{}]", missing.len(), section.name));
    Ok(())
}

/// Tries to download `wanted`; gives those that did not come.
fn attempt<'a>(
    wanted: &[&'a Entry],
    pool: &Path,
    url: impl Fn(&Entry) -> Result<String>,
    said: &mut String,
) -> Result<Vec<&'a Entry>> {
    // apt writes as itself; a name of our own until the digest is checked.
    let dir = tempfile::tempdir_in(pool)?;
    // Long command lines are cut well below the kernel's limit.
    for chunk in wanted.chunks(200) {
        let mut command = Command::new(HELPER);
        command.args([
            "-o",
            "APT::Sandbox::User=root",
            "-o",
            "Acquire::Retries=2",
            "download-file",
        ]);
        for entry in chunk {
            command.arg(url(entry)?);
            command.arg(dir.path().join(&entry.sha256));
            command.arg(format!("SHA256:{}", entry.sha256));
        }
        let output = process::any_output(&mut command)?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            said.extend(errors.lines().take(5).flat_map(|line| [line, "\n"]));
        }
    }
    let mut rest = Vec::new();
    for entry in wanted {
        let part = dir.path().join(&entry.sha256);
        if part.is_file() && digest::file(&part)? == entry.sha256 {
            std::fs::rename(&part, pool.join(format!("{}.deb", entry.sha256)))?;
        } else {
            rest.push(*entry);
        }
    }
    Ok(rest)
}

/// `seconds` since 1970 as snapshot services write it: `20260914T123456Z`.
fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = crate::archive::date::civil(days);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_utc() {
        assert_eq!(timestamp(0), "19700101T000000Z");
        assert_eq!(timestamp(1_709_210_096), "20240229T123456Z");
    }
}
