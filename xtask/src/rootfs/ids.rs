//! Ids of system accounts that nothing pins.

use anyhow::Result;

use crate::tree::root::Root;

/// Ids that packages take freely (login.defs(5): system accounts end below
/// 1000; ids below 100 are given by Debian's base-passwd).
const FREE: std::ops::Range<u32> = 100..1000;

/// Accounts of `root` that neither `pins` (in the syntax of sysusers.d(5)) nor
/// base-passwd names; each as the line that would pin it.
pub fn unpinned(root: &Root, pins: &str) -> Result<Vec<String>> {
    let pinned = |kind: &str, name: &str| {
        pins.lines().any(|line| {
            let mut words = line.split_whitespace();
            // A user brings a group of its name.
            let fits = words.next().is_some_and(|k| k == kind || k == "u");
            fits && words.next() == Some(name)
        })
    };
    let mut lines = Vec::new();
    for (kind, file) in [("g", "group"), ("u", "passwd")] {
        let own = root.text(&format!("usr/share/base-passwd/{file}.master"))?;
        for line in root.text(&format!("etc/{file}"))?.lines() {
            let fields: Vec<_> = line.split(':').collect();
            let [name, _, id, ..] = fields[..] else { continue };
            let given = own.lines().any(|l| l.split(':').next() == Some(name));
            let free = id.parse::<u32>().is_ok_and(|id| FREE.contains(&id));
            if free && !given && !pinned(kind, name) {
                lines.push(format!("{kind} {name} {id}"));
            }
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::root::Entry;

    #[test]
    fn names_what_is_neither_pinned_nor_given() {
        let mut root = Root::default();
        for (path, text) in [
            ("usr/share/base-passwd/group.master", "users:*:100:\n"),
            ("usr/share/base-passwd/passwd.master", "root:*:0:\n"),
            ("etc/group", "users:x:100:\n_ssh:x:512:\nmosquitto:x:998:\nann:x:1000:\nd:x:513:\n"),
            ("etc/passwd", "root:x:0:0\nmosquitto:x:999:998\nd:x:513:513\n"),
        ] {
            root.put(path, Entry::file(text, 0o644, 0)).unwrap();
        }
        let lines = unpinned(&root, "# c\ng _ssh 512\nu d 513\n").unwrap();
        assert_eq!(lines, ["g mosquitto 998", "u mosquitto 999"]);
    }
}
