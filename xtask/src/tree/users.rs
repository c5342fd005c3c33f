//! People who may log in: accounts without a password, reached by SSH key.

use anyhow::{Context as _, Result, bail};

use super::root::{Entry, Kind, Root, join};
use crate::definition::User;

/// First id of people (login.defs(5), `UID_MIN`).
const FIRST_ID: u32 = 1000;

/// Adds `users`, with ids from 1000 in their order.
pub fn add(root: &mut Root, users: &[User], epoch: u64) -> Result<()> {
    for (user, id) in users.iter().zip(FIRST_ID..) {
        let name = user.name.get_ref();
        account(root, name, id).with_context(|| format!("cannot add the user {name}"))?;
        home(root, user, id, epoch).with_context(|| format!("cannot make {name}'s home"))?;
        if user.sudo {
            sudo(root, name, epoch).with_context(|| format!("cannot give {name} sudo"))?;
        }
    }
    Ok(())
}

fn account(root: &mut Root, name: &str, id: u32) -> Result<()> {
    for file in ["etc/passwd", "etc/group"] {
        for line in root.text(file)?.lines() {
            let fields: Vec<_> = line.split(':').collect();
            if fields.first() == Some(&name) {
                bail!("/{file} has that name already: choose another");
            }
            if fields.get(2) == Some(&id.to_string().as_str()) {
                bail!("/{file} has the id {id} already: {line}");
            }
        }
    }
    append(root, "etc/passwd", &format!("{name}:x:{id}:{id}:{name}:/home/{name}:/bin/bash"))?;
    append(root, "etc/group", &format!("{name}:x:{id}:"))?;
    append(root, "etc/gshadow", &format!("{name}:*::"))?;
    // `*` fits no password, and unlike `!` does not make sshd take the
    // account for locked, which would refuse keys too (sshd(8)).
    append(root, "etc/shadow", &format!("{name}:*::0:99999:7:::"))
}

fn home(root: &mut Root, user: &User, id: u32, epoch: u64) -> Result<()> {
    let home = format!("home/{}", user.name.get_ref());
    let mut put = |path: &str, mut entry: Entry| {
        (entry.uid, entry.gid, entry.mtime) = (id, id, epoch);
        root.put(path, entry).map(drop)
    };
    put(&home, Entry::new(Kind::Dir, 0o700, epoch))?;
    if !user.ssh_keys.is_empty() {
        let keys: String =
            user.ssh_keys.iter().flat_map(|key| [key.get_ref().as_str(), "\n"]).collect();
        put(&join(&home, ".ssh"), Entry::new(Kind::Dir, 0o700, epoch))?;
        put(&join(&home, ".ssh/authorized_keys"), Entry::file(keys, 0o600, epoch))?;
    }
    // As useradd(8) does.
    let skeleton: Vec<_> = root
        .entries
        .range("etc/skel/".to_owned()..)
        .take_while(|(path, _)| path.starts_with("etc/skel/"))
        .map(|(path, entry)| (path["etc/skel/".len()..].to_owned(), entry.clone()))
        .collect();
    for (name, mut entry) in skeleton {
        (entry.uid, entry.gid) = (id, id);
        root.put(&join(&home, &name), entry)?;
    }
    Ok(())
}

fn sudo(root: &mut Root, name: &str, epoch: u64) -> Result<()> {
    for (file, column) in [("etc/group", 3), ("etc/gshadow", 3)] {
        join_group(root, file, column, "sudo", name)?;
    }
    // Nobody has a password that sudo could ask for.
    let rule = format!("{name} ALL=(ALL:ALL) NOPASSWD: ALL\n");
    let path = format!("etc/sudoers.d/90-{name}");
    root.put(&path, Entry::file(rule, 0o440, epoch)).map(drop)
}

fn join_group(root: &mut Root, file: &str, column: usize, group: &str, name: &str) -> Result<()> {
    let text = root.text(file)?;
    let mut found = false;
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            let mut fields: Vec<_> = line.split(':').map(str::to_owned).collect();
            if fields[0] == group && fields.len() > column {
                found = true;
                if !fields[column].is_empty() {
                    fields[column].push(',');
                }
                fields[column].push_str(name);
            }
            fields.join(":")
        })
        .collect();
    if !found {
        bail!("/{file} has no group {group}");
    }
    replace(root, file, lines.join("\n") + "\n")
}

fn append(root: &mut Root, file: &str, line: &str) -> Result<()> {
    let text = root.text(file)?;
    replace(root, file, format!("{text}{line}\n"))
}

/// New bytes for a file whose mode and owner stay.
fn replace(root: &mut Root, file: &str, text: String) -> Result<()> {
    let entry = root.entries.get_mut(file).with_context(|| format!("no /{file}"))?;
    entry.kind = Entry::file(text, 0, 0).kind;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Definition;

    fn root() -> Root {
        let mut root = Root::default();
        for (path, text, mode) in [
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\n", 0o644),
            ("etc/group", "root:x:0:\nsudo:x:27:\n", 0o644),
            ("etc/shadow", "root:*:1::::::\n", 0o640),
            ("etc/gshadow", "root:*::\nsudo:*::\n", 0o640),
            ("etc/skel/.profile", "# p\n", 0o644),
        ] {
            root.put(path, Entry::file(text, mode, 0)).unwrap();
        }
        root
    }

    fn users(text: &str) -> Vec<User> {
        let text = format!("hostname='p'\n{text}");
        Definition::parse(&text, std::path::Path::new(".")).unwrap().users
    }

    #[test]
    fn an_account_by_key_only() {
        let mut root = root();
        let users = users(
            "[[users]]\nname='ann'\nssh_keys=['ssh-ed25519 AAAA1 a','ssh-ed25519 AAAA2 b']\n\
             sudo=true\n[[users]]\nname='bob'\nsudo=true\n",
        );
        add(&mut root, &users, 5).unwrap();
        assert!(root.text("etc/passwd").unwrap().contains("\nann:x:1000:1000:ann:/home/ann:"));
        assert!(root.text("etc/shadow").unwrap().contains("\nbob:*:"));
        assert_eq!(root.get("etc/shadow").unwrap().mode, 0o640);
        assert!(root.text("etc/group").unwrap().contains("sudo:x:27:ann,bob\n"));
        assert!(root.text("etc/gshadow").unwrap().contains("sudo:*::ann,bob\n"));
        let keys = root.get("home/ann/.ssh/authorized_keys").unwrap();
        assert_eq!((keys.mode, keys.uid, keys.gid), (0o600, 1000, 1000));
        assert_eq!(root.text("home/ann/.ssh/authorized_keys").unwrap().lines().count(), 2);
        assert_eq!(root.get("home/ann/.ssh").unwrap().mode, 0o700);
        assert_eq!(root.get("home/bob/.profile").unwrap().uid, 1001);
        assert_eq!(root.get("etc/sudoers.d/90-ann").unwrap().mode, 0o440);
        assert_eq!(root.get("home").unwrap().uid, 0);
    }

    #[test]
    fn a_taken_name_is_an_error() {
        let error = add(&mut root(), &users("[[users]]\nname='sudo'\n"), 0).unwrap_err();
        assert!(format!("{error:#}").contains("has that name already"), "{error:#}");
    }
}
