//! What must differ from device to device, or let nobody in, and so is not in
//! an image.

use anyhow::{Context as _, Result, bail, ensure};

use super::subject::Subject;

/// Where a machine id may stand (machine-id(5), dbus-uuidgen(1)).
const MACHINE_IDS: &[&str] = &["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// What a running system writes to tell itself from others, or to seed its
/// random numbers and keys.
const SEEDS: &[&str] = &[
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret",
    "/var/lib/NetworkManager/secret_key",
    "/var/lib/NetworkManager/NetworkManager-intern.conf",
];

/// Every account is locked or has no usable password.
pub fn passwords(subject: &Subject<'_>) -> Result<String> {
    let shadow = subject.text("/etc/shadow")?.context("/etc/shadow is missing")?;
    let passwd = subject.text("/etc/passwd")?.context("/etc/passwd is missing")?;
    let bad = open_accounts(&shadow, &passwd);
    ensure!(bad.is_empty(), "{}", bad.join("\n"));
    Ok(format!("{} accounts, none with a password", shadow.lines().count()))
}

/// What is wrong with an account: shadow(5) and passwd(5), second field.
fn open_accounts(shadow: &str, passwd: &str) -> Vec<String> {
    let mut bad = Vec::new();
    for (file, text) in [("/etc/shadow", shadow), ("/etc/passwd", passwd)] {
        for line in text.lines().filter(|line| !line.is_empty()) {
            let mut fields = line.split(':');
            let name = fields.next().unwrap_or_default();
            match fields.next() {
                Some("x") if file == "/etc/passwd" => {}
                Some("") => bad.push(format!("{file}: {name} needs no password")),
                Some(field) if field.starts_with(['!', '*']) => {}
                Some(_) => bad.push(format!("{file}: {name} has a password")),
                None => bad.push(format!("{file}: {line:?} is no account")),
            }
        }
    }
    bad
}

/// SSH host keys are made at first boot, not before.
pub fn host_keys(subject: &Subject<'_>) -> Result<String> {
    let root = subject.root()?;
    let mut found = Vec::new();
    for entry in root.read_dir("/etc/ssh").context("cannot list /etc/ssh")? {
        let path = format!("/etc/ssh/{}", entry?.file_name().display());
        if path.starts_with("/etc/ssh/ssh_host_") {
            found.push(path);
        }
    }
    ensure!(found.is_empty(), "host keys: {}", found.join(", "));
    Ok("none".into())
}

/// No machine id: the first boot makes it.
pub fn machine_id(subject: &Subject<'_>) -> Result<String> {
    for path in MACHINE_IDS {
        // The second is usually a link to the first, and dangling counts as
        // absent.
        match subject.text(path)?.as_deref().map(str::trim_end) {
            None | Some("" | "uninitialized") => {}
            Some(id) => bail!("{path} is set: {id}"),
        }
    }
    Ok("not set".into())
}

/// No seed or secret of a system that ran.
pub fn seeds(subject: &Subject<'_>) -> Result<String> {
    let root = subject.root()?;
    let mut found = Vec::new();
    for path in SEEDS {
        if root.exists(*path)? {
            found.push(*path);
        }
    }
    ensure!(found.is_empty(), "left by a system that ran: {}", found.join(", "));
    Ok("none".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts() {
        let good = "root:*:1:0:99999:7:::\nalice:!:1::::::\nbob:!$y$j9T$a$b:1::::::\n";
        assert!(open_accounts(good, "root:x:0:0::/root:/bin/sh\n").is_empty());
        let bad =
            open_accounts("root::1::::::\na:$6$x$y:1::::::\n", "b:hash:1:1::/:\nc::2:2::/:\n");
        assert_eq!(
            bad,
            [
                "/etc/shadow: root needs no password",
                "/etc/shadow: a has a password",
                "/etc/passwd: b has a password",
                "/etc/passwd: c needs no password"
            ]
        );
    }
}
