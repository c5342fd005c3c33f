//! The four files in which accounts are: passwd(5), group(5), shadow(5) and
//! gshadow. Pure, and the same again when it is done again.

use super::wanted::Account;

/// First and last id of people (login.defs(5), `UID_MIN` and `UID_MAX`).
const PEOPLE: std::ops::RangeInclusive<u32> = 1000..=60_000;

/// The files' texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Files {
    /// `/etc/passwd`.
    pub passwd: String,
    /// `/etc/group`.
    pub group: String,
    /// `/etc/shadow`.
    pub shadow: String,
    /// `/etc/gshadow`.
    pub gshadow: String,
}

/// Somebody in `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Home folder.
    pub home: String,
}

impl Files {
    /// The account of this name.
    pub fn person(&self, name: &str) -> Option<Person> {
        let line = self.passwd.lines().find(|line| field(line, 0) == name)?;
        Some(Person {
            uid: field(line, 2).parse().ok()?,
            gid: field(line, 3).parse().ok()?,
            home: field(line, 5).to_owned(),
        })
    }

    /// Whom keys are for that name nobody: the first person, or else root.
    pub fn main(&self) -> Person {
        let person = self.passwd.lines().filter_map(|line| self.person(field(line, 0)));
        let first = person.filter(|it| PEOPLE.contains(&it.uid)).min_by_key(|it| it.uid);
        first.unwrap_or(Person { uid: 0, gid: 0, home: "/root".into() })
    }

    /// Makes the account be there, with its password and groups; gives it, and
    /// the groups that the system does not have.
    ///
    /// # Errors
    /// The name is a system account's.
    pub fn ensure(&mut self, account: &Account) -> Result<(Person, Vec<String>), String> {
        let name = &account.name;
        let person = match self.person(name) {
            Some(person) if person.uid == 0 || PEOPLE.contains(&person.uid) => person,
            Some(_) => return Err(format!("{name} is an account of the system's: choose another")),
            None => {
                let id = self.free_id(name);
                let home = format!("/home/{name}");
                add(&mut self.passwd, &format!("{name}:x:{id}:{id}:{name}:{home}:/bin/bash"));
                Person { uid: id, gid: id, home }
            }
        };
        if !self.group.lines().any(|line| field(line, 2) == person.gid.to_string()) {
            add(&mut self.group, &format!("{name}:x:{}:", person.gid));
        }
        if !self.gshadow.lines().any(|line| field(line, 0) == name) && person.uid != 0 {
            add(&mut self.gshadow, &format!("{name}:*::"));
        }
        // `*` fits no password, and unlike `!` does not lock the account, which
        // would refuse keys too (sshd(8)).
        let hash = account.password.as_ref().map(|hash| hash.reveal());
        if !self.shadow.lines().any(|line| field(line, 0) == name) {
            add(&mut self.shadow, &format!("{name}:*::0:99999:7:::"));
        }
        if let Some(hash) = hash {
            set(&mut self.shadow, name, 1, |_| hash.to_owned());
        }
        let mut missing = Vec::new();
        let sudo = account.sudo.then(|| "sudo".to_owned());
        for group in account.groups.iter().chain(&sudo) {
            if !self.group.lines().any(|line| field(line, 0) == group) {
                missing.push(group.clone());
                continue;
            }
            let join = |members: &str| {
                let mut members: Vec<&str> =
                    members.split(',').filter(|member| !member.is_empty()).collect();
                if !members.contains(&name.as_str()) {
                    members.push(name);
                }
                members.join(",")
            };
            set(&mut self.group, group, 3, join);
            set(&mut self.gshadow, group, 3, join);
        }
        missing.dedup();
        Ok((person, missing))
    }

    /// The first id that neither a user nor another group has.
    fn free_id(&self, name: &str) -> u32 {
        let taken = |id: u32| {
            let id = id.to_string();
            self.passwd.lines().any(|line| field(line, 2) == id)
                || self.group.lines().any(|line| field(line, 2) == id && field(line, 0) != name)
        };
        PEOPLE.into_iter().find(|id| !taken(*id)).unwrap_or(*PEOPLE.end())
    }
}

fn field(line: &str, number: usize) -> &str {
    line.split(':').nth(number).unwrap_or_default()
}

fn add(text: &mut String, line: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
}

/// Changes one field of the line that begins with `name`.
fn set(text: &mut String, name: &str, number: usize, change: impl Fn(&str) -> String) {
    let lines = text.lines().map(|line| {
        let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
        if fields[0] == name && fields.len() > number {
            fields[number] = change(&fields[number]);
        }
        fields.join(":") + "\n"
    });
    *text = lines.collect();
}

#[cfg(test)]
mod tests {
    use a7670e_unit::Secret;

    use super::*;

    fn files() -> Files {
        Files {
            passwd: "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\n".into(),
            group: "root:x:0:\ndaemon:x:1:\nsudo:x:27:\nvideo:x:44:bob\n".into(),
            shadow: "root:*:1::::::\ndaemon:*:1::::::\n".into(),
            gshadow: "root:*::\nsudo:*::\nvideo:*::bob\n".into(),
        }
    }

    #[test]
    fn an_account_is_made_once() {
        let mut files = files();
        let account = Account {
            name: "ann".into(),
            password: Some(Secret::from("$6$x$y".to_owned())),
            groups: vec!["video".into(), "gpio".into()],
            sudo: true,
            keys: Vec::new(),
        };
        let (person, missing) = files.ensure(&account).unwrap();
        assert_eq!(person, Person { uid: 1000, gid: 1000, home: "/home/ann".into() });
        assert_eq!(missing, ["gpio"]);
        assert!(files.passwd.ends_with("ann:x:1000:1000:ann:/home/ann:/bin/bash\n"));
        assert!(files.group.contains("sudo:x:27:ann\nvideo:x:44:bob,ann\nann:x:1000:\n"));
        assert!(files.shadow.ends_with("ann:$6$x$y::0:99999:7:::\n"));
        assert!(files.gshadow.ends_with("sudo:*::ann\nvideo:*::bob,ann\nann:*::\n"));
        let before = files.clone();
        assert_eq!(files.ensure(&account).unwrap().0, person);
        assert!(files == before, "the second time changes nothing");
        assert_eq!(files.main(), person);
    }

    #[test]
    fn the_systems_accounts_are_not_touched() {
        let mut files = files();
        assert_eq!(files.main().home, "/root");
        let account = |name: &str| Account { name: name.into(), ..Account::default() };
        files.ensure(&account("daemon")).unwrap_err();
        let (root, _) = files.ensure(&account("root")).unwrap();
        assert_eq!((root.uid, root.home.as_str()), (0, "/root"));
        let (first, _) = files.ensure(&account("a")).unwrap();
        let (second, _) = files.ensure(&account("b")).unwrap();
        assert_eq!((first.uid, second.uid), (1000, 1001));
        assert!(files.shadow.ends_with("b:*::0:99999:7:::\n"));
    }
}
