//! Both file systems, by their own checkers.

use anyhow::{Result, bail, ensure};

use super::subject::Subject;
use crate::process;

/// `fsck.fat -n`, and the file system fits its partition.
pub fn boot(subject: &Subject<'_>) -> Result<String> {
    let said = check(subject, 1, &["fsck.fat", "-n", "/work/part"])?;
    // fsck.fat reports "NAME: 12 files, 345/67890 clusters" last.
    let last = said.lines().last().unwrap_or_default();
    Ok(last.trim_start_matches("/work/part: ").to_owned())
}

/// `e2fsck -fn`.
pub fn root(subject: &Subject<'_>) -> Result<String> {
    let said = check(subject, 2, &["e2fsck", "-fn", "/work/part"])?;
    let last = said.lines().last().unwrap_or_default();
    ensure!(last.contains(" blocks"), "e2fsck ended without a summary:\n{said}");
    Ok(last.split_once(": ").map_or(last, |(_, rest)| rest).to_owned())
}

fn check(subject: &Subject<'_>, number: usize, argv: &[&str]) -> Result<String> {
    let mut command = subject.on_partition(number)?.command(argv)?;
    let output = process::any_output(&mut command)?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        // The first complaints tell most.
        let lines: Vec<_> = said.lines().filter(|line| !line.is_empty()).take(8).collect();
        bail!("{} ({}):\n{}", argv.join(" "), output.status, lines.join("\n"));
    }
    Ok(said)
}
