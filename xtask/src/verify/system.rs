//! udev rules, units, and which services start.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};

use super::subject::Subject;
use crate::process;

/// Where rules lie, in the root.
const RULES: &[&str] = &["/usr/lib/udev/rules.d", "/etc/udev/rules.d"];

/// Services that must start by themselves.
const ENABLED: &[&str] = &[
    "ModemManager.service",
    "NetworkManager.service",
    "a7670e.service",
    "a7670e-first-boot.service",
    "a7670e-grow-root.service",
    "nftables.service",
    "ssh.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
];

/// Of the units those are judged that we ship, and what boots.
const OURS: &str = "a7670e";
const TARGET: &str = "multi-user.target";

/// As many lines of a judge are shown.
const SHOWN: usize = 8;

/// `udevadm verify`, and the groups and users in rules exist.
pub fn rules(subject: &Subject<'_>) -> Result<String> {
    let argv = ["udevadm", "verify", "--root=/work/tree", "--resolve-names=never", "--no-style"];
    let said = judge(subject, &argv)?;
    let mut known = BTreeSet::new();
    for file in ["/etc/passwd", "/etc/group"] {
        let text = subject.text(file)?.with_context(|| format!("{file} is missing"))?;
        known.extend(text.lines().filter_map(|line| line.split(':').next()).map(str::to_owned));
    }
    // udevd starts after systemd-sysusers, which makes these.
    for (_, text) in files(subject, "/usr/lib/sysusers.d", ".conf")? {
        known.extend(declared(&text).map(str::to_owned));
    }
    for dir in RULES {
        for (path, text) in files(subject, dir, ".rules")? {
            for name in owners(&text) {
                ensure!(known.contains(name), "{path}: there is no user or group {name:?}");
            }
        }
    }
    Ok(said.lines().next().unwrap_or("no complaint").to_owned())
}

/// Users and groups of a sysusers.d(5) file.
fn declared(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("u" | "u!" | "g")).then(|| words.next()).flatten()
    })
}

/// Names after OWNER= and GROUP=, but for numbers and substitutions.
fn owners(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| {
        ["OWNER=\"", "GROUP=\"", "OWNER:=\"", "GROUP:=\""].iter().flat_map(move |key| {
            line.match_indices(key).filter_map(move |(at, _)| {
                let name = line[at + key.len()..].split('"').next()?;
                let plain = !name.contains(['$', '%']) && name.parse::<u32>().is_err();
                plain.then_some(name)
            })
        })
    })
}

/// `systemd-analyze verify` on what boots and on every unit of ours.
pub fn units(subject: &Subject<'_>) -> Result<String> {
    let mut units = vec![TARGET.to_owned()];
    for dir in ["/usr/lib/systemd/system", "/etc/systemd/system"] {
        for (path, _) in files(subject, dir, "")? {
            let name = path.rsplit('/').next().unwrap_or_default();
            if name.starts_with(OURS) && !name.contains('@') {
                units.push(name.to_owned());
            }
        }
    }
    ensure!(units.len() > 1, "the root has no unit of ours");
    let mut argv = vec![
        "systemd-analyze",
        "verify",
        "--root=/work/tree",
        "--man=no",
        "--generators=no",
        "--recursive-errors=yes",
    ];
    argv.extend(units.iter().map(String::as_str));
    judge(subject, &argv)?;
    Ok(units.join(", "))
}

/// `systemctl is-enabled` for each that must start.
pub fn services(subject: &Subject<'_>) -> Result<String> {
    let mut bad = Vec::new();
    let mut command = subject
        .on_tree()?
        .command(&[&["systemctl", "--root=/work/tree", "is-enabled"], ENABLED].concat())?;
    let output = process::any_output(&mut command)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let states: Vec<_> = said.lines().collect();
    if states.len() != ENABLED.len() {
        bail!("{}", process::failure(&command, &output));
    }
    for (unit, state) in ENABLED.iter().zip(states) {
        if state != "enabled" {
            bad.push(format!("{unit} is {state}"));
        }
    }
    ensure!(bad.is_empty(), "{}", bad.join("\n"));
    Ok(format!("{} enabled", ENABLED.join(", ").replace(".service", "")))
}

/// A program that says nothing, or nothing bad, of the tree.
fn judge(subject: &Subject<'_>, argv: &[&str]) -> Result<String> {
    let mut command = subject.on_tree()?.command(argv)?;
    let output = process::any_output(&mut command)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        // The complaints, then the summary.
        let all = String::from_utf8_lossy(&output.stderr).into_owned() + &said;
        let lines: Vec<_> = all.lines().map(|line| line.replace("/work/tree", "")).collect();
        let shown = &lines[..lines.len().min(SHOWN)];
        bail!("{} ({}):\n{}", argv[..2].join(" "), output.status, shown.join("\n"));
    }
    Ok(said)
}

/// Path and text of the files in `dir` whose name ends in `end`; none when the
/// folder is missing.
fn files(subject: &Subject<'_>, dir: &str, end: &str) -> Result<Vec<(String, String)>> {
    let root = subject.root()?;
    let mut files = Vec::new();
    if !root.exists(dir)? {
        return Ok(files);
    }
    for entry in root.read_dir(dir)? {
        let path = format!("{dir}/{}", entry?.file_name().display());
        let meta = root.symlink_metadata(path.as_str())?;
        if path.ends_with(end) && meta.file_type() == ext4_view::FileType::Regular {
            let text = subject.text(&path)?.unwrap_or_default();
            files.push((path, text));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_in_rules() {
        let text = "KERNEL==\"a\", GROUP=\"dialout\", OWNER=\"root\"\n# GROUP=\"no\"\n\
                    GROUP=\"$env{X}\" GROUP=\"20\" GROUP:=\"wwan\"\n";
        let mut names: Vec<_> = owners(text).collect();
        names.sort();
        assert_eq!(names, ["dialout", "root", "wwan"]);
        let declared: Vec<_> = declared("# g no\ng a7670e - -\nu x - -\nm x y\n").collect();
        assert_eq!(declared, ["a7670e", "x"]);
    }
}
