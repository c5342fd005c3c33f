//! Which mirror serves the archive.
//!
//! In this order: `A7670E_MIRROR` (and `A7670E_SECURITY_MIRROR`), the Debian
//! mirror of the host's own apt, and mmdebstrap's default (for hosts that are
//! not Debian).

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;

/// Addresses of the two archives, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Serves `pool/` and `dists/` of Debian.
    pub debian: String,
    /// Serves the security updates; `None` when the user named only a mirror
    /// without them.
    pub security: Option<String>,
}

impl Sources {
    /// Finds them as the module says.
    pub fn find() -> Result<Self> {
        if let Ok(mirror) = std::env::var("A7670E_MIRROR") {
            return Ok(Self {
                debian: trim(&mirror),
                security: std::env::var("A7670E_SECURITY_MIRROR").ok().map(|m| trim(&m)),
            });
        }
        if let Some(sources) = from_apt()? {
            return Ok(sources);
        }
        from_mmdebstrap()
    }

    /// The address of a path as it stands in a lock.
    pub fn url(&self, path: &str) -> Result<String> {
        if let Some(rest) = path.strip_prefix("debian/") {
            Ok(format!("{}/{rest}", self.debian))
        } else if let Some(rest) = path.strip_prefix("debian-security/") {
            let base = self.security.as_ref().with_context(|| {
                format!("{path} is a security update: name a mirror in A7670E_SECURITY_MIRROR")
            })?;
            Ok(format!("{base}/{rest}"))
        } else {
            bail!("{path} is a path of neither debian/ nor debian-security/")
        }
    }

    /// The sources.list lines for `suite`; a stable suite brings its updates.
    pub fn list(&self, suite: &str, keyring: &str) -> String {
        let line = |base: &str, suite: &str| {
            format!("deb [signed-by={keyring}] {base} {suite} main non-free-firmware\n")
        };
        let mut text = line(&self.debian, suite);
        if matches!(suite, "bookworm" | "trixie") {
            text += &line(&self.debian, &format!("{suite}-updates"));
            if let Some(security) = &self.security {
                text += &line(security, &format!("{suite}-security"));
            }
        }
        text
    }
}

fn trim(address: &str) -> String {
    address.trim_end_matches('/').to_owned()
}

/// The host's own mirrors, when it is a Debian.
///
/// Only the release file of a source tells whose archive it is, and a new
/// machine (a container above all) has fetched none yet: then they are fetched
/// into a folder of ours, which needs no privilege and leaves apt's own alone.
fn from_apt() -> Result<Option<Sources>> {
    if let Some(sources) = targets(&[])? {
        return Ok(Some(sources));
    }
    let lists = tempfile::tempdir()?;
    // As root, apt downloads as a user of its own, who must get in.
    std::fs::set_permissions(lists.path(), std::fs::Permissions::from_mode(0o755))?;
    std::fs::create_dir(lists.path().join("partial"))?;
    let mut options = vec![format!("Dir::State::lists={}", lists.path().display())];
    options.extend(
        ["Translations", "DEP-11", "CNF"]
            .map(|kind| format!("Acquire::IndexTargets::deb::{kind}::DefaultEnabled=false")),
    );
    process::any_output(apt_get(&options).args(["-qq", "update"]))?;
    targets(&options)
}

fn targets(options: &[String]) -> Result<Option<Sources>> {
    let format = "$(ORIGIN)|$(LABEL)|$(REPO_URI)";
    Ok(pick(&process::text(apt_get(options).args(["indextargets", "--format", format]))?))
}

fn apt_get(options: &[String]) -> Command {
    let mut command = Command::new("apt-get");
    for option in options {
        command.args(["-o", option]);
    }
    command
}

fn pick(targets: &str) -> Option<Sources> {
    let find = |wanted: &str| {
        targets.lines().find_map(|line| match line.split('|').collect::<Vec<_>>()[..] {
            ["Debian", label, uri] if label == wanted => Some(trim(uri)),
            _ => None,
        })
    };
    Some(Sources { debian: find("Debian")?, security: find("Debian-Security") })
}

/// mmdebstrap's default for the suite, which it tells by the sources.list that
/// it would use.
fn from_mmdebstrap() -> Result<Sources> {
    let dir = tempfile::tempdir()?;
    let list = dir.path().join("list");
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--variant=custom", "--mode=chrootless", "--format=null"])
        .arg(format!("--setup-hook=cp \"$1/etc/apt/sources.list\" '{}'; exit 1", list.display()))
        .args(["trixie", "-"]);
    // It fails by design as soon as the list is written.
    let output = process::any_output(&mut command).context(
        "no Debian mirror is configured: name one in A7670E_MIRROR, or install mmdebstrap",
    )?;
    let text = std::fs::read_to_string(&list).with_context(|| {
        format!(
            "no mirror found: name one in A7670E_MIRROR\n{}",
            process::failure(&command, &output)
        )
    })?;
    parse_list(&text).context("no mirror in mmdebstrap's sources.list: name one in A7670E_MIRROR")
}

fn parse_list(text: &str) -> Option<Sources> {
    let uri = |suffix: &str| {
        text.lines().find_map(|line| {
            let rest = match line.strip_prefix("deb [") {
                Some(options) => options.split_once("] ")?.1,
                None => line.strip_prefix("deb ")?,
            };
            let mut words = rest.split(' ');
            let (uri, suite) = (words.next()?, words.next()?);
            (suite == format!("trixie{suffix}")).then(|| trim(uri))
        })
    };
    Some(Sources { debian: uri("")?, security: uri("-security") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_debian_among_the_hosts_sources() {
        let text = "Other|Other|http://a.example/x/\nDebian|Debian|http://m.example/debian/\n\
                    Debian|Debian-Security|http://m.example/debian-security/\n";
        let sources = pick(text).unwrap();
        assert_eq!(sources.debian, "http://m.example/debian");
        assert_eq!(sources.security.as_deref(), Some("http://m.example/debian-security"));
        assert_eq!(pick("Ubuntu|Ubuntu|http://u.example/ubuntu/\n"), None);
    }

    #[test]
    fn reads_a_sources_list() {
        let text = "deb [signed-by=\"/k\"] http://m.example/debian trixie main\n\
                    deb http://s.example/sec trixie-security main\n";
        let sources = parse_list(text).unwrap();
        assert_eq!(sources.debian, "http://m.example/debian");
        assert_eq!(sources.url("debian-security/pool/x").unwrap(), "http://s.example/sec/pool/x");
        assert!(sources.url("elsewhere/x").is_err());
    }
}
