//! Resolves a request by the host's apt, with settings and state of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Entry, Request, Section, Sources, date};
use crate::context::Context;
use crate::{digest, process, stage};

/// Keys of the Debian archive, from the package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The packages that answer `request`, as the archive is now.
pub fn resolve(ctx: &Context, request: &Request) -> Result<Section> {
    let sources = Sources::find()?;
    let step = ctx.report.step("resolve");
    step.message(format!("[{}] {} {}", request.section, request.suite, request.arch));
    let apt = Apt::new(ctx, request, &sources)?;
    let chosen = apt.choose(request)?;
    let known = apt.known(&sources)?;
    let mut entries = Vec::new();
    for url in chosen {
        let entry = known
            .get(&url)
            .with_context(|| format!("apt chose {url}, which its own lists do not have"))?;
        entries.push(entry.clone());
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    step.done(&format!("[{}] {} packages", request.section, entries.len()));
    Ok(Section {
        name: request.section.clone(),
        request: request.text(),
        epoch: apt.epoch()?,
        entries,
    })
}

/// An apt that shares nothing with the host's but its download settings.
struct Apt {
    dir: PathBuf,
    _lock: std::fs::File,
}

impl Apt {
    fn new(ctx: &Context, request: &Request, sources: &Sources) -> Result<Self> {
        if !Path::new(KEYRING).is_file() {
            bail!("{KEYRING} is missing: install debian-archive-keyring");
        }
        let list = sources.list(&request.suite, KEYRING);
        let name = &digest::bytes(format!("{}\n{list}", request.arch).as_bytes())[..16];
        let dir = ctx.cache_dir(&format!("apt/{name}"))?;
        let lock = stage::lock(ctx, &dir.join("lock"), "the package lists")?;
        for sub in [
            "etc/apt.conf.d",
            "etc/preferences.d",
            "etc/sources.list.d",
            "lists/partial",
            "archives/partial",
        ] {
            std::fs::create_dir_all(dir.join(sub))?;
        }
        std::fs::write(dir.join("etc/sources.list"), list)?;
        std::fs::write(dir.join("status"), "")?;
        std::fs::write(dir.join("apt.conf"), config(&dir, &request.arch, &host_settings()?))?;
        let apt = Self { dir, _lock: lock };
        process::output(apt.command("apt-get").args(["-qq", "update", "--error-on=any"])).context(
            "the package lists cannot be read; is there a network? (mirror: A7670E_MIRROR)",
        )?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.dir.join("apt.conf")).env("LC_ALL", "C.UTF-8");
        command
    }

    /// Addresses of the files that apt would install.
    fn choose(&self, request: &Request) -> Result<Vec<String>> {
        let mut command = self.command("apt-get");
        command.args(["-qq", "--print-uris", "-o", "APT::Get::AllowUnauthenticated=false"]);
        command.arg(if request.depends { "install" } else { "download" });
        command.args(&request.packages);
        let output = process::any_output(&mut command)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        if let Some(name) = errors.lines().find_map(unknown_package) {
            bail!(
                "the package {name} does not exist in {} for {}: check its name",
                request.suite,
                request.arch
            );
        }
        if !output.status.success() {
            bail!("{}", process::failure(&command, &output));
        }
        let text = String::from_utf8(output.stdout).context("apt gave no UTF-8")?;
        Ok(text
            .lines()
            .filter_map(|l| l.strip_prefix('\'')?.split('\'').next())
            .map(decode)
            .collect())
    }

    /// Every package that the lists know, by the address of its file.
    fn known(&self, sources: &Sources) -> Result<HashMap<String, Entry>> {
        let text = process::text(self.command("apt-get").args([
            "indextargets",
            "--format",
            "$(REPO_URI)|$(FILENAME)",
            "Created-By: Packages",
        ]))?;
        let mut known = HashMap::new();
        for line in text.lines() {
            let (uri, file) = line.split_once('|').context("apt names no list")?;
            let base = uri.trim_end_matches('/');
            let archive = if base == sources.debian { "debian" } else { "debian-security" };
            let list =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
            for stanza in list.split("\n\n").filter(|s| !s.trim().is_empty()) {
                let (path, entry) =
                    package(stanza, archive).with_context(|| format!("in {file}"))?;
                known.insert(format!("{base}/{path}"), entry);
            }
        }
        Ok(known)
    }

    /// Date of the newest Release file.
    fn epoch(&self) -> Result<u64> {
        let mut newest = None;
        for item in std::fs::read_dir(self.dir.join("lists"))? {
            let path = item?.path();
            if path.to_string_lossy().ends_with("Release") {
                let text = std::fs::read_to_string(&path)?;
                let line = text
                    .lines()
                    .find_map(|l| l.strip_prefix("Date: "))
                    .with_context(|| format!("{} has no Date", path.display()))?;
                newest = newest.max(Some(date::parse_release(line)?));
            }
        }
        newest.context("apt kept no Release file")
    }
}

fn unknown_package(line: &str) -> Option<&str> {
    line.strip_prefix("E: Unable to locate package ").or_else(|| {
        line.strip_prefix("E: Package '")?.strip_suffix("' has no installation candidate")
    })
}

/// Addresses are percent-encoded in `--print-uris` (`%2b` for `+`).
fn decode(url: &str) -> String {
    let byte = |digits: &str| u8::from_str_radix(digits, 16).ok().map(char::from);
    let mut parts = url.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..2).and_then(byte) {
            Some(character) => {
                out.push(character);
                out.push_str(&part[2..]);
            }
            None => {
                out.push('%');
                out.push_str(part);
            }
        }
    }
    out
}

/// Path below the archive's top and entry of one `Packages` stanza.
fn package(stanza: &str, archive: &str) -> Result<(String, Entry)> {
    let field = |name: &str| {
        stanza
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .with_context(|| format!("a package without {name}: {:?}", stanza.lines().next()))
    };
    let path = field("Filename")?;
    let entry = Entry {
        name: field("Package")?.to_owned(),
        version: field("Version")?.to_owned(),
        arch: field("Architecture")?.to_owned(),
        size: field("Size")?.parse()?,
        sha256: field("SHA256")?.to_owned(),
        path: format!("{archive}/{path}"),
    };
    Ok((path.to_owned(), entry))
}

/// The host's proxies and the like, which hold for us too.
fn host_settings() -> Result<String> {
    let text = process::text(Command::new("apt-config").args(["dump", "Acquire"]))?;
    Ok(text
        .lines()
        .filter(|line| !line.starts_with("Acquire::Languages"))
        .flat_map(|line| [line, "\n"])
        .collect())
}

fn config(dir: &Path, arch: &str, host: &str) -> String {
    let dir = dir.display();
    format!(
        "{host}\
         Dir \"{dir}\";\n\
         Dir::Etc \"{dir}/etc\";\n\
         Dir::Etc::Trusted \"/dev/null\";\n\
         Dir::State::Lists \"{dir}/lists\";\n\
         Dir::State::status \"{dir}/status\";\n\
         Dir::Cache::Archives \"{dir}/archives\";\n\
         Dir::Cache::pkgcache \"{dir}/pkgcache.bin\";\n\
         Dir::Cache::srcpkgcache \"{dir}/srcpkgcache.bin\";\n\
         APT::Architecture \"{arch}\";\n\
         APT::Architectures {{ \"{arch}\"; }};\n\
         APT::Install-Recommends \"false\";\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::GzipIndexes \"false\";\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_addresses() {
        assert_eq!(decode("http://m/a%2bb%7e1.deb"), "http://m/a+b~1.deb");
        assert_eq!(decode("100%"), "100%");
    }

    #[test]
    fn names_the_unknown_package() {
        assert_eq!(unknown_package("E: Unable to locate package nosuch"), Some("nosuch"));
        assert_eq!(unknown_package("W: something"), None);
    }

    #[test]
    fn reads_a_stanza() {
        let stanza =
            "Package: a\nVersion: 1\nArchitecture: all\nFilename: pool/a.deb\nSize: 3\nSHA256: ff";
        let (path, entry) = package(stanza, "debian").unwrap();
        assert_eq!((path.as_str(), entry.path.as_str()), ("pool/a.deb", "debian/pool/a.deb"));
        assert!(package("Package: a", "debian").is_err());
    }
}
