//! From the people who are wanted to accounts, homes and keys.

use a7670e_unit::SshKey;

use super::Trouble;
use super::accounts::{Files, Person};
use super::desired::{Desired, text};
use super::disk::{Disk, Entry, Kind, Owner};
use super::plan::Target;
use super::wanted::Wanted;

/// What a new home has (Debian's base-files and bash); people change it.
pub const SKELETON: [&str; 3] = [".bash_logout", ".bashrc", ".profile"];

/// Accounts, and who may log in to them.
pub fn people(wanted: &Wanted, disk: &mut impl Disk, made: &mut Desired) -> Result<(), Trouble> {
    if wanted.accounts.is_empty() && wanted.keys.is_empty() {
        return Ok(());
    }
    let mut files = Files {
        passwd: text(disk, "/etc/passwd")?,
        group: text(disk, "/etc/group")?,
        shadow: text(disk, "/etc/shadow")?,
        gshadow: text(disk, "/etc/gshadow")?,
    };
    let mut keys: Vec<(Person, &[SshKey])> = Vec::new();
    for account in &wanted.accounts {
        let (person, missing) = files.ensure(account).map_err(Trouble::Lacks)?;
        for group in missing {
            made.notes.push(format!("there is no group {group} for {}", account.name));
        }
        if account.sudo {
            sudo(&account.name, disk, made)?;
        }
        keys.push((person, &account.keys));
    }
    let main = files.main();
    if !wanted.accounts.is_empty() {
        // In this order: whoever is in passwd gets the rest at the next run.
        for (path, text) in [
            ("/etc/passwd", files.passwd),
            ("/etc/group", files.group),
            ("/etc/gshadow", files.gshadow),
            ("/etc/shadow", files.shadow),
        ] {
            let owner = owner(disk, path)?;
            made.targets.push(Target::File { path: path.into(), bytes: text.into(), owner });
        }
    }
    for (person, _) in &keys {
        home(person, disk, made)?;
    }
    keys.push((main, &wanted.keys));
    // One list for each, whoever of them was named how often.
    let mut done: Vec<Person> = Vec::new();
    for (person, _) in &keys {
        if done.contains(person) {
            continue;
        }
        let own = keys.iter().filter(|(other, _)| other == person).flat_map(|(_, keys)| *keys);
        authorize(person, own, disk, made)?;
        done.push(person.clone());
    }
    Ok(())
}

fn sudo(name: &str, disk: &mut impl Disk, made: &mut Desired) -> Result<(), Trouble> {
    const RULES: &str = "/etc/sudoers.d";
    if !disk.is_folder(RULES).map_err(Trouble::of("reading", RULES))? {
        made.notes.push(format!("{name} cannot become root: the image has no sudo"));
        return Ok(());
    }
    made.file(
        &format!("{RULES}/90-{name}"),
        format!("{name} ALL=(ALL:ALL) NOPASSWD: ALL\n"),
        0o440,
    );
    Ok(())
}

/// A home as useradd(8) makes it.
fn home(person: &Person, disk: &mut impl Disk, made: &mut Desired) -> Result<(), Trouble> {
    let Person { uid, gid, home } = person;
    if *uid == 0 {
        return Ok(());
    }
    made.parents(home);
    let owner = |mode| Owner { mode, uid: *uid, gid: *gid };
    made.folder(home, owner(0o700));
    for name in SKELETON {
        let path = format!("{home}/{name}");
        let skeleton = format!("/etc/skel/{name}");
        let reading = Trouble::of("reading", &skeleton);
        let there = disk.entry(&path).map_err(Trouble::of("reading", &path))?.is_some();
        let Some(bytes) = disk.read(&skeleton).map_err(reading)? else { continue };
        if !there {
            made.targets.push(Target::File { path, bytes, owner: owner(0o644) });
        }
    }
    Ok(())
}

/// Adds keys to those that are there.
fn authorize<'a>(
    person: &Person,
    keys: impl Iterator<Item = &'a SshKey>,
    disk: &mut impl Disk,
    made: &mut Desired,
) -> Result<(), Trouble> {
    let keys: Vec<&str> = keys.map(SshKey::as_str).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let folder = format!("{}/.ssh", person.home);
    let path = format!("{folder}/authorized_keys");
    // A link may lead to what only root may read, and its text becomes the person's.
    let entry = disk.entry(&path).map_err(Trouble::of("reading", &path))?;
    if matches!(entry, Some(Entry { kind: Kind::Link(_), .. })) {
        return Err(Trouble::Lacks(format!("{path} is a link: put the file itself there")));
    }
    let found = disk.read(&path).map_err(Trouble::of("reading", &path))?.unwrap_or_default();
    let mut text = String::from_utf8_lossy(&found).into_owned();
    // Kind and key; what follows is a comment.
    let same = |line: &str, key: &str| {
        let words = |text: &str| text.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>();
        words(line) == words(key)
    };
    for key in &keys {
        if !text.lines().any(|line| same(line, key)) {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(key);
            text.push('\n');
        }
    }
    let owner = |mode| Owner { mode, uid: person.uid, gid: person.gid };
    made.folder(&folder, owner(0o700));
    made.targets.push(Target::File { path, bytes: text.into(), owner: owner(0o600) });
    Ok(())
}

fn owner(disk: &mut impl Disk, path: &str) -> Result<Owner, Trouble> {
    let entry = disk.entry(path).map_err(Trouble::of("reading", path))?;
    let secret = path.ends_with("shadow");
    Ok(entry.map_or(Owner::root(if secret { 0o640 } else { 0o644 }), |entry| entry.owner))
}
