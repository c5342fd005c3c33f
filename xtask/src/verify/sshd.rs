//! The SSH server's settings, read as sshd reads them (sshd_config(5)).

use anyhow::{Context as _, Result, bail, ensure};

use super::subject::Subject;

const MAIN: &str = "/etc/ssh/sshd_config";

/// Settings, what they must be, and what they are when nothing is said.
const WANTED: &[(&str, &[&str], &str)] = &[
    ("passwordauthentication", &["no"], "yes"),
    ("kbdinteractiveauthentication", &["no"], "yes"),
    ("permitemptypasswords", &["no"], "no"),
    ("pubkeyauthentication", &["yes"], "yes"),
    ("permitrootlogin", &["no", "prohibit-password", "without-password"], "prohibit-password"),
];

/// Nobody gets in by password.
pub fn keys_only(subject: &Subject<'_>) -> Result<String> {
    let mut lines = Vec::new();
    include(subject, MAIN, &mut lines, 0)?;
    check(&lines)?;
    Ok("keys only".into())
}

/// Adds a file's settings in order, those of included files at their place.
fn include(
    subject: &Subject<'_>,
    path: &str,
    lines: &mut Vec<(String, String)>,
    depth: usize,
) -> Result<()> {
    // sshd's own limit: SERVCONF_MAX_DEPTH of servconf.c.
    ensure!(depth <= 16, "{path}: files that include each other without end");
    let text = subject.text(path)?.with_context(|| format!("{path} is missing"))?;
    for (key, value) in settings(&text) {
        if key != "include" {
            lines.push((key, value));
            continue;
        }
        for pattern in value.split_whitespace() {
            for file in matching(subject, pattern)? {
                include(subject, &file, lines, depth + 1)?;
            }
        }
    }
    Ok(())
}

/// Keyword in lower case and the rest, of each line that has one.
fn settings(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.lines().filter_map(|line| {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (key, value) = line.split_once(|c: char| c.is_whitespace() || c == '=')?;
        let value = value.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
        Some((key.to_lowercase(), value.trim_matches('"').to_owned()))
    })
}

/// Files for a pattern of Include: `*` in the last part alone.
fn matching(subject: &Subject<'_>, pattern: &str) -> Result<Vec<String>> {
    let full =
        if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/ssh/{pattern}") };
    let Some((dir, last)) = full.rsplit_once('/') else { bail!("Include {pattern:?}") };
    ensure!(!dir.contains(['*', '?', '[']), "Include {pattern}: a pattern in a folder's name");
    let Some((start, end)) = last.split_once('*') else { return Ok(vec![full.clone()]) };
    ensure!(!end.contains(['*', '?', '[']), "Include {pattern}: more than one *");
    let root = subject.root()?;
    if !root.exists(dir)? {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in root.read_dir(dir)? {
        let name = entry?.file_name().display().to_string();
        if !name.starts_with('.') && name.starts_with(start) && name.ends_with(end) {
            files.push(format!("{dir}/{name}"));
        }
    }
    files.sort();
    Ok(files)
}

/// Of several settings the first counts; Match blocks may only be stricter.
fn check(lines: &[(String, String)]) -> Result<()> {
    let global = lines.iter().position(|(key, _)| key == "match").unwrap_or(lines.len());
    for (key, allowed, default) in WANTED {
        let said = lines[..global].iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        let value = said.unwrap_or(default);
        ensure!(
            allowed.contains(&value.to_lowercase().as_str()),
            "{key} is {value}{}; wanted: {}",
            if said.is_none() { " (the default)" } else { "" },
            allowed.join(" or ")
        );
        for (_, value) in lines[global..].iter().filter(|(k, _)| k == key) {
            ensure!(
                allowed.contains(&value.to_lowercase().as_str()),
                "{key} is {value} in a Match block"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<()> {
        check(&settings(text).collect::<Vec<_>>())
    }

    #[test]
    fn the_first_of_several_counts() {
        let good = "# c\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n";
        checked(good).unwrap();
        checked(&format!("{good}PasswordAuthentication yes\n")).unwrap();
        let error = |text: &str| checked(text).unwrap_err().to_string();
        assert!(error("").contains("passwordauthentication is yes (the default)"));
        assert!(error("PasswordAuthentication=yes\n").contains("passwordauthentication is yes"));
        assert!(
            error(&format!("{good}Match User x\n  PasswordAuthentication yes\n")).contains("Match")
        );
        assert!(error(&format!("PermitRootLogin yes\n{good}")).contains("permitrootlogin"));
    }
}
