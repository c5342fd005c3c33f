//! Image definitions: `images/<name>.toml`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;
use toml::Spanned;

use crate::context::Context;

/// What an image is to be. Unknown keys are errors.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Name of the definition: the file's stem.
    #[serde(skip)]
    pub name: String,
    /// Host name of the device until provisioning gives it another.
    pub hostname: Spanned<String>,
    /// Debian packages besides those that every image has.
    #[serde(default)]
    pub packages: Vec<Spanned<String>>,
    /// Local `.deb` files (arm64 or all), relative to the definition.
    #[serde(default)]
    pub debs: Vec<Spanned<PathBuf>>,
    /// Folders laid over the root in this order, relative to the definition.
    #[serde(default)]
    pub overlay: Vec<Spanned<PathBuf>>,
    /// People who may log in, by key only.
    #[serde(default)]
    pub users: Vec<User>,
    /// Optional firmware.
    #[serde(default)]
    pub firmware: Firmware,
    /// Sizes of the disk's parts.
    #[serde(default)]
    pub disk: Disk,
}

/// A person with a login.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Login name.
    pub name: Spanned<String>,
    /// Lines of `authorized_keys`.
    #[serde(default)]
    pub ssh_keys: Vec<Spanned<String>>,
    /// May become root without a password (members of `sudo`; the package
    /// `sudo` is then installed).
    #[serde(default)]
    pub sudo: bool,
}

/// Optional firmware.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// Wi-Fi and Bluetooth firmware of the Pi 4B (firmware-brcm80211,
    /// bluez-firmware; non-free-firmware), and regulatory data.
    #[serde(default)]
    pub wifi: bool,
}

/// Sizes of the disk's parts, in MiB.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disk {
    /// FAT boot partition.
    pub boot_mib: Spanned<u32>,
    /// Space left free in the root file system before it grows to the card at
    /// first boot.
    pub free_mib: Spanned<u32>,
}

impl Default for Disk {
    fn default() -> Self {
        Self { boot_mib: Spanned::new(0..0, 128), free_mib: Spanned::new(0..0, 64) }
    }
}

impl Definition {
    /// Reads `images/<name>.toml`.
    pub fn load(ctx: &Context, name: &str) -> Result<Self> {
        let dir = ctx.path("images");
        let path = dir.join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&path).map_err(|error| {
            anyhow!("cannot read {}: {error}; there is: {}", path.display(), names(&dir).join(", "))
        })?;
        let mut definition =
            Self::parse(&text, &dir).with_context(|| format!("in {}", path.display()))?;
        definition.name = name.to_owned();
        Ok(definition)
    }

    /// Parses and checks a definition whose relative paths start at `dir`;
    /// errors name the line and what is allowed.
    pub fn parse(text: &str, dir: &Path) -> Result<Self> {
        let mut definition: Self = toml::from_str(text).map_err(|e| anyhow!("{e}"))?;
        definition.check(text)?;
        for path in definition.debs.iter_mut().chain(&mut definition.overlay) {
            let full = dir.join(path.get_ref());
            if !full.exists() {
                return Err(at(
                    text,
                    path.span().start,
                    &format!("{} does not exist", full.display()),
                ));
            }
            *path.get_mut() = full;
        }
        Ok(definition)
    }

    fn check(&self, text: &str) -> Result<()> {
        let fail = |start: usize, what: String| Err(at(text, start, &what));
        if !is_hostname(self.hostname.get_ref()) {
            return fail(
                self.hostname.span().start,
                format!(
                    "{:?} is no host name: 1 to 63 of a-z, 0-9 and '-', no '-' at either end",
                    self.hostname.get_ref()
                ),
            );
        }
        for package in &self.packages {
            if !is_package(package.get_ref()) {
                return fail(
                    package.span().start,
                    format!(
                        "{:?} is no Debian package name: a-z, 0-9, '+', '-', '.'",
                        package.get_ref()
                    ),
                );
            }
        }
        for user in &self.users {
            if !is_login(user.name.get_ref()) {
                return fail(
                    user.name.span().start,
                    format!(
                        "{:?} is no login name: a-z first, then up to 30 of a-z, 0-9, '-', '_'; not root",
                        user.name.get_ref()
                    ),
                );
            }
            for key in &user.ssh_keys {
                if !is_ssh_key(key.get_ref()) {
                    return fail(
                        key.span().start,
                        "not a line of authorized_keys: expected `ssh-ed25519 AAAA... comment`"
                            .into(),
                    );
                }
            }
        }
        for (size, least, what) in
            [(&self.disk.boot_mib, 64, "boot_mib"), (&self.disk.free_mib, 16, "free_mib")]
        {
            if !(least..=4096).contains(size.get_ref()) {
                return fail(size.span().start, format!("{what} must be {least} to 4096"));
            }
        }
        Ok(())
    }
}

/// The names of all definitions in `dir`, in order.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| Some(e.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
        .filter(|name| !name.contains('.'))
        .collect();
    names.sort();
    names
}

/// An error at a place of the text, with its line shown.
fn at(text: &str, start: usize, what: &str) -> anyhow::Error {
    let before = &text[..start.min(text.len())];
    let number = before.matches('\n').count() + 1;
    let column = start - before.rfind('\n').map_or(0, |i| i + 1) + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    anyhow!("line {number}, column {column}: {what}\n  {line}")
}

fn is_hostname(name: &str) -> bool {
    // RFC 1123, section 2.1.
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn is_package(name: &str) -> bool {
    // Debian Policy, section 5.6.1.
    name.len() >= 2
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
        && name.as_bytes()[0].is_ascii_alphanumeric()
}

fn is_login(name: &str) -> bool {
    name.len() <= 31
        && name != "root"
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
}

fn is_ssh_key(line: &str) -> bool {
    let mut words = line.split(' ');
    let kind = words.next().unwrap_or_default();
    let key = words.next().unwrap_or_default();
    (kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-"))
        && key.starts_with("AAAA")
        && !line.contains('\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", Definition::parse(text, Path::new("/nonexistent")).unwrap_err())
    }

    #[test]
    fn least_definition() {
        let definition = Definition::parse("hostname = 'pi'\n", Path::new(".")).unwrap();
        assert_eq!(definition.hostname.get_ref(), "pi");
        assert!(!definition.firmware.wifi);
    }

    #[test]
    fn unknown_key_names_the_line_and_what_is_allowed() {
        let text = error("hostname = 'pi'\npakages = []\n");
        assert!(
            text.contains("line 2") && text.contains("pakages") && text.contains("`packages`"),
            "{text}"
        );
    }

    #[test]
    fn wrong_type_names_the_line() {
        let text = error("hostname = 'pi'\n[firmware]\nwifi = 'yes'\n");
        assert!(text.contains("line 3") && text.contains("boolean"), "{text}");
    }

    #[test]
    fn wrong_values_name_line_and_rule() {
        for (text, line, rule) in [
            ("hostname = 'Pi_1'\n", 1, "host name"),
            ("hostname = 'p'\npackages = ['ok', 'No']\n", 2, "package name"),
            ("hostname = 'p'\n[[users]]\nname = 'root'\n", 3, "login name"),
            ("hostname = 'p'\n[[users]]\nname = 'a'\nssh_keys = ['x']\n", 4, "authorized_keys"),
            ("hostname = 'p'\n[disk]\nboot_mib = 5\n", 3, "64 to 4096"),
            ("hostname = 'p'\noverlay = ['none']\n", 2, "does not exist"),
        ] {
            let said = error(text);
            assert!(said.contains(&format!("line {line},")) && said.contains(rule), "{said}");
        }
    }
}
