//! Which of the image's own files go into which package.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::deb::Deb;

/// Where they are.
pub const FOLDER: &str = "images/files";

/// Of use with or without the service. The rules give ports to a group, hence the
/// account.
pub const UDEV: &[&str] = &[
    "usr/lib/modprobe.d/a7670e.conf",
    "usr/lib/systemd/network/70-a7670e.link",
    "usr/lib/sysusers.d/a7670e.conf",
    "usr/lib/udev/rules.d/60-a7670e.rules",
    "usr/lib/udev/rules.d/78-a7670e-modemmanager.rules",
    "usr/lib/udev/rules.d/81-a7670e-modemmanager.rules",
];

/// The service's.
pub const SERVICE: &[&str] = &[
    "usr/lib/modules-load.d/a7670e.conf",
    "usr/lib/systemd/system/a7670e.service",
    "usr/share/dbus-1/system.d/a7670e.conf",
    "usr/share/polkit-1/rules.d/70-a7670e.rules",
];

/// Decisions about a whole system, which on somebody's own are theirs: packet
/// filter, log, updates, file systems. The first boot is that of a card of ours;
/// Raspberry Pi OS reads the same files of Imager's in its own way.
#[cfg(test)]
const IMAGE: &[&str] = &[
    "etc/.updated",
    "etc/apt/apt.conf.d/80-a7670e",
    "etc/dpkg/dpkg.cfg.d/a7670e",
    "etc/fstab",
    "etc/nftables.conf",
    "etc/resolv.conf",
    "etc/ssh/sshd_config.d/10-a7670e.conf",
    "usr/lib/a7670e/grow-root",
    "usr/lib/systemd/journald.conf.d/80-a7670e.conf",
    "usr/lib/systemd/system-preset/10-a7670e-image.preset",
    "usr/lib/systemd/system-preset/80-a7670e.preset",
    "usr/lib/systemd/system/a7670e-first-boot.service",
    "usr/lib/systemd/system/a7670e-grow-root.service",
    "usr/lib/systemd/system/sshd-keygen.service.d/70-a7670e.conf",
    "var/.updated",
];

/// Lays the files `names` of the folder `from` into the package.
///
/// # Errors
/// One of them cannot be read as text.
pub fn lay(deb: &mut Deb, from: &Path, names: &[&str]) -> Result<()> {
    for name in names {
        let path = from.join(name);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        deb.file(name, &text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::folder;
    use crate::tree::root::Kind;

    /// A new file of the image must be said to be in a package, or in none.
    #[test]
    fn every_file_of_the_image_has_its_place() {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(FOLDER);
        let there = folder::read(&from).unwrap();
        let files = there.entries.iter().filter(|(_, entry)| !matches!(entry.kind, Kind::Dir));
        let there: Vec<_> = files.map(|(path, _)| path.as_str()).collect();
        let mut named = [UDEV, SERVICE, IMAGE].concat();
        named.sort_unstable();
        assert_eq!(named, there, "left: as named here; right: as in {FOLDER}");
    }

    /// The rules call it, and must do without it.
    #[test]
    fn the_rules_do_not_need_the_program() {
        let rules = include_str!("../../../images/files/usr/lib/udev/rules.d/60-a7670e.rules");
        let call = rules.find("RUN+=\"/usr/bin/a7670e ").unwrap();
        let skip = rules.find("TEST!=\"/usr/bin/a7670e\", GOTO=\"a7670e_end\"").unwrap();
        assert!(skip < call);
        assert!(skip < rules.find("NM_UNMANAGED").unwrap(), "whose link would it be?");
    }
}
