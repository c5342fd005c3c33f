//! Enables and disables units as the preset files of the laid-over folders
//! say: what `systemctl preset` would do on the device, so that these files
//! are the one place that says what runs.

use anyhow::{Context as _, Result, bail};

use super::root::{Entry, Kind, Root, join};

/// Where enabled units are linked.
const ENABLED: &str = "etc/systemd/system";

/// Where unit files are, in order of precedence (systemd.unit(5)).
const UNITS: [&str; 2] = [ENABLED, "usr/lib/systemd/system"];

/// Folders of preset files.
const PRESETS: [&str; 2] = ["etc/systemd/system-preset/", "usr/lib/systemd/system-preset/"];

/// Applies the preset files among the paths `landed`. Of several lines for one
/// unit the first counts, files in order of their names (systemd.preset(5)).
pub fn preset(root: &mut Root, landed: &[String], epoch: u64) -> Result<()> {
    let is_preset =
        |p: &&String| p.ends_with(".preset") && PRESETS.iter().any(|dir| p.starts_with(dir));
    let mut files: Vec<_> = landed.iter().filter(is_preset).collect();
    files.sort_by_key(|path| path.rsplit('/').next());
    files.dedup();
    let mut seen: Vec<String> = Vec::new();
    for file in files {
        for (index, line) in root.text(file)?.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let place = || format!("/{file}, line {}: {line:?}", index + 1);
            let words: Vec<_> = line.split_whitespace().collect();
            let [action @ ("enable" | "disable"), unit] = words[..] else {
                bail!("{}: expected `enable UNIT` or `disable UNIT`", place());
            };
            if unit.contains(['*', '?', '[']) {
                bail!("{}: the build takes exact unit names only", place());
            }
            if seen.iter().any(|s| s == unit) {
                continue;
            }
            seen.push(unit.to_owned());
            match action {
                "enable" => enable(root, unit, epoch).with_context(place)?,
                _ => disable(root, unit).with_context(place)?,
            }
        }
    }
    Ok(())
}

/// The path of a unit's file; an instance has its template's.
fn file_of(root: &Root, unit: &str) -> Result<String> {
    let template = unit
        .split_once('@')
        .and_then(|(name, rest)| Some(format!("{name}@.{}", rest.rsplit_once('.')?.1)));
    for name in [Some(unit.to_owned()), template].into_iter().flatten() {
        for dir in UNITS {
            let path = join(dir, &name);
            if let Some(Kind::File(_) | Kind::Same(_)) = root.get(&path).map(|e| &e.kind) {
                return Ok(path);
            }
        }
    }
    bail!("the root file system has no unit {unit}")
}

/// Links the unit as the `[Install]` section of its file says.
fn enable(root: &mut Root, unit: &str, epoch: u64) -> Result<()> {
    let file = file_of(root, unit)?;
    let target = format!("/{file}");
    let mut links = Vec::new();
    let mut also = Vec::new();
    for (key, value) in install(&root.text(&file)?) {
        let folder = match key.as_str() {
            "WantedBy" => "wants",
            "RequiredBy" => "requires",
            "UpheldBy" => "upholds",
            "Alias" => {
                links.extend(value.split_whitespace().map(|name| join(ENABLED, name)));
                continue;
            }
            "Also" => {
                also.extend(value.split_whitespace().map(str::to_owned));
                continue;
            }
            "DefaultInstance" => continue,
            other => bail!("/{file}: [Install] has {other}=, which the build does not know"),
        };
        let by = value.split_whitespace();
        links.extend(by.map(|by| format!("{ENABLED}/{by}.{folder}/{unit}")));
    }
    if links.is_empty() && also.is_empty() {
        bail!("/{file} has no [Install] section, so it cannot be enabled");
    }
    for link in links {
        root.put(&link, Entry::new(Kind::Link(target.clone()), 0o777, epoch))?;
    }
    for other in also {
        // Two units may name each other.
        if other != unit && !is_enabled(root, &other) {
            enable(root, &other, epoch)?;
        }
    }
    Ok(())
}

fn is_enabled(root: &Root, unit: &str) -> bool {
    !links_of(root, unit).is_empty()
}

/// The links that enable a unit: by its name, or as an alias of it.
fn links_of(root: &Root, unit: &str) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    root.entries
        .range(format!("{ENABLED}/")..)
        .take_while(|(path, _)| path.starts_with(ENABLED))
        .filter(|(path, entry)| {
            matches!(&entry.kind, Kind::Link(to) if name(path) == unit || name(to) == unit)
        })
        .map(|(path, _)| path.clone())
        .collect()
}

fn disable(root: &mut Root, unit: &str) -> Result<()> {
    file_of(root, unit)?;
    for path in links_of(root, unit) {
        root.remove(&path);
    }
    Ok(())
}

/// Keys and values of the `[Install]` section.
fn install(text: &str) -> Vec<(String, String)> {
    let text = text.replace("\\\n", " ");
    text.lines()
        .map(str::trim)
        .skip_while(|line| *line != "[Install]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRESET: &str = "usr/lib/systemd/system-preset/10-x.preset";

    fn apply(preset: &str) -> Result<Root> {
        let mut root = Root::default();
        for (path, text) in [
            (
                "usr/lib/systemd/system/a.service",
                "[Service]\n[Install]\nWantedBy=multi-user.target\nAlias=b.service\nAlso=c.socket\n",
            ),
            (
                "usr/lib/systemd/system/c.socket",
                "[Install]\n# x\nWantedBy = sockets.target\nAlso=a.service\n",
            ),
            ("usr/lib/systemd/system/g@.service", "[Install]\nWantedBy=getty.target\n"),
            ("usr/lib/systemd/system/s.service", "[Service]\n"),
            (PRESET, preset),
        ] {
            root.put(path, Entry::file(text, 0o644, 0)).unwrap();
        }
        super::preset(&mut root, &[PRESET.to_owned()], 0)?;
        Ok(root)
    }

    fn links(root: &Root) -> Vec<&str> {
        let links = root.entries.iter().filter(|(_, e)| matches!(e.kind, Kind::Link(_)));
        links.map(|(p, _)| p.trim_start_matches("etc/systemd/system/")).collect()
    }

    #[test]
    fn enables_by_wants_alias_and_also() {
        let root = apply("# c\nenable a.service\nenable g@tty1.service\n").unwrap();
        assert_eq!(
            links(&root),
            [
                "b.service",
                "getty.target.wants/g@tty1.service",
                "multi-user.target.wants/a.service",
                "sockets.target.wants/c.socket"
            ]
        );
        let link = root.get("etc/systemd/system/getty.target.wants/g@tty1.service").unwrap();
        assert!(matches!(&link.kind, Kind::Link(t) if t == "/usr/lib/systemd/system/g@.service"));
    }

    #[test]
    fn disables_and_the_first_line_counts() {
        assert!(links(&apply("disable a.service\nenable a.service\n").unwrap()).is_empty());
        let mut root = apply("enable a.service\n").unwrap();
        disable(&mut root, "a.service").unwrap();
        assert_eq!(links(&root), ["sockets.target.wants/c.socket"]);
    }

    #[test]
    fn errors_name_file_and_line() {
        for (preset, said) in [
            ("\nenable none.service\n", "line 2"),
            ("enable s.service\n", "no [Install]"),
            ("enable *\n", "exact unit names"),
            ("start a.service\n", "expected"),
        ] {
            let error = format!("{:#}", apply(preset).unwrap_err());
            assert!(error.contains(said) && error.contains("10-x.preset"), "{error}");
        }
    }
}
