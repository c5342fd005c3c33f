//! Which Debian packages make the root file system.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::archive::{self, Entry, Packages, Request};
use crate::context::Context;
use crate::definition::Definition;
use crate::{digest, process, tools};

/// Suite of every image.
pub const SUITE: &str = "trixie";

/// Architecture of the Pi 4B.
pub const ARCH: &str = "arm64";

/// What every image has, besides the essential packages. Recommendations are
/// not installed, so what an image needs of them is named here.
const BASE: &[(&str, &str)] = &[
    ("systemd", "service manager"),
    ("systemd-sysv", "makes systemd /sbin/init"),
    ("systemd-resolved", "DNS per link"),
    ("systemd-timesyncd", "the clock: a Pi has no battery-backed one"),
    ("libpam-systemd", "sessions of those who log in"),
    ("udev", "device names and permissions"),
    ("dbus", "system bus"),
    ("polkitd", "who may talk to ModemManager and NetworkManager"),
    ("modemmanager", "modems other than ours, and ours when asked to"),
    ("network-manager", "Ethernet and Wi-Fi"),
    ("mobile-broadband-provider-info", "access points by operator"),
    ("openssh-server", "remote access, by key only"),
    ("nftables", "packet filter"),
    ("iproute2", "ip, for scripts and for people"),
    ("curl", "what a page says, seen from the device; for scripts and for people"),
    ("kmod", "modprobe"),
    ("apt", "updates and further packages"),
    ("ca-certificates", "whom TLS trusts"),
    ("e2fsprogs", "resize2fs for the first boot, fsck for a bad one"),
    ("fdisk", "sfdisk, to grow the root partition"),
    ("login", "the program that a console's getty runs"),
    ("passwd", "accounts"),
];

/// Wi-Fi and Bluetooth of the Pi 4B.
const WIFI: &[(&str, &str)] = &[
    ("firmware-brcm80211", "the chip's firmware"),
    ("bluez-firmware", "its Bluetooth half"),
    ("wireless-regdb", "which channels are lawful where"),
    ("wpasupplicant", "how NetworkManager joins a Wi-Fi network"),
];

/// The packages' names, in a fixed order: essential ones, the base, and what
/// the definition adds.
pub fn names(definition: &Definition) -> Result<Vec<String>> {
    let mut names = vec!["?essential".to_owned()];
    let mut add = |name: &str| {
        if !names.iter().any(|n| n == name) {
            names.push(name.to_owned());
        }
    };
    BASE.iter().for_each(|(name, _)| add(name));
    if definition.firmware.wifi {
        WIFI.iter().for_each(|(name, _)| add(name));
    }
    if definition.users.iter().any(|user| user.sudo) {
        add("sudo");
    }
    definition.packages.iter().for_each(|name| add(name.get_ref()));
    let locals = definition
        .debs
        .iter()
        .map(|path| Local::read(path.get_ref()))
        .collect::<Result<Vec<_>>>()?;
    for local in &locals {
        for wanted in &local.depends {
            if !locals.iter().any(|l| l.name == *wanted) {
                add(wanted);
            }
        }
    }
    Ok(names)
}

/// The questions to the archive for building `definition` on a machine of
/// Debian architecture `arch`: the image's packages, and where the build
/// machine cannot run them, the same packages for itself.
pub fn requests(definition: &Definition, arch: &str) -> Result<Vec<Request>> {
    let names = names(definition)?;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut requests = vec![Request::new("target", ARCH, SUITE, &names)];
    if arch != ARCH {
        requests.push(Request::new(&format!("twin-{arch}"), arch, SUITE, &names));
    }
    Ok(requests)
}

/// All packages of a definition, with their files.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// For the image, from the archive.
    pub target: Packages,
    /// The same packages for the build machine; `None` on an arm64 machine.
    pub twin: Option<Packages>,
    /// The definition's own `.deb` files.
    pub locals: Vec<Local>,
}

impl Chosen {
    /// Resolves by the lock `images/<definition>.lock`, and downloads.
    pub fn get(ctx: &Context, definition: &Definition) -> Result<Self> {
        let arch = tools::arch()?;
        let mut found = requests(definition, arch)?
            .iter()
            .map(|request| archive::packages(ctx, &definition.name, request))
            .collect::<Result<Vec<_>>>()?
            .into_iter();
        let target = found.next().context("no request for the image's packages")?;
        let locals = definition
            .debs
            .iter()
            .map(|path| Local::read(path.get_ref()))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { target, twin: found.next(), locals })
    }

    /// Name and file of every package of the image.
    pub fn files(&self) -> Vec<(String, PathBuf)> {
        let archive = self.target.section.entries.iter().zip(&self.target.files);
        let archive = archive.map(|(entry, file)| (entry.name.clone(), file.clone()));
        // A local package takes the place of the archive's of the same name.
        let mut files: Vec<_> =
            archive.filter(|(name, _)| self.locals.iter().all(|l| l.name != *name)).collect();
        files.extend(self.locals.iter().map(|l| (l.name.clone(), l.file.clone())));
        files
    }
}

/// A `.deb` file of the user's.
#[derive(Clone, Debug)]
pub struct Local {
    /// Its package's name.
    pub name: String,
    /// Its Debian version.
    pub version: String,
    /// Its architecture.
    pub arch: String,
    /// The file.
    pub file: PathBuf,
    /// Names of packages that it needs; of alternatives the first.
    pub depends: Vec<String>,
}

impl Local {
    /// Reads the file's control fields.
    pub fn read(file: &Path) -> Result<Self> {
        let field = |name: &str| -> Result<String> {
            let text = process::text(Command::new("dpkg-deb").arg("--field").arg(file).arg(name))
                .with_context(|| format!("{} is no Debian package", file.display()))?;
            Ok(text.trim().to_owned())
        };
        let arch = field("Architecture")?;
        if arch != ARCH && arch != "all" {
            bail!("{} is for {arch}: the image takes {ARCH} or all", file.display());
        }
        let mut depends = depends(&field("Pre-Depends")?);
        depends.extend(self::depends(&field("Depends")?));
        let (name, version) = (field("Package")?, field("Version")?);
        Ok(Self { name, version, arch, file: file.to_owned(), depends })
    }

    /// As a lock would pin it, with the file's name for a path.
    pub fn entry(&self) -> Result<Entry> {
        let path = self.file.file_name().context("a package without a file name")?;
        Ok(Entry {
            name: self.name.clone(),
            version: self.version.clone(),
            arch: self.arch.clone(),
            size: self.file.metadata()?.len(),
            sha256: digest::file(&self.file)?,
            path: path.to_string_lossy().into_owned(),
        })
    }
}

/// Package names of a dependency field: `a (>= 1), b:any | c` gives a and b.
fn depends(field: &str) -> Vec<String> {
    field
        .split(',')
        .filter_map(|one| one.split('|').next())
        .filter_map(|one| one.trim().split([' ', '(', ':', '[']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependency_fields() {
        assert_eq!(depends("a (>= 1), b:any | c,\n d[arm64]"), ["a", "b", "d"]);
        assert!(depends("").is_empty());
    }

    #[test]
    fn a_definition_adds_packages_once() {
        let text = "hostname='p'\npackages=['curl','dbus']\n[firmware]\nwifi=true\n\
                    [[users]]\nname='a'\nsudo=true\n";
        let definition = Definition::parse(text, Path::new(".")).unwrap();
        let names = names(&definition).unwrap();
        for wanted in ["curl", "sudo", "firmware-brcm80211", "systemd"] {
            assert!(names.iter().any(|n| n == wanted), "{wanted}");
        }
        assert_eq!(names.iter().filter(|n| *n == "dbus").count(), 1);
    }

    #[test]
    fn an_arm64_machine_needs_no_twin() {
        let definition = Definition::parse("hostname='p'\n", Path::new(".")).unwrap();
        assert_eq!(requests(&definition, "arm64").unwrap().len(), 1);
        let both = requests(&definition, "amd64").unwrap();
        assert_eq!((both[1].section.as_str(), both[1].arch.as_str()), ("twin-amd64", "amd64"));
        assert_eq!(both[0].packages, both[1].packages);
    }
}
