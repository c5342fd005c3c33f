//! Files of the trees that are made from others, not copied.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::digest;
use crate::disk::{boot, mbr};

/// The image's kernel configuration.
const KERNEL: &str = "images/pi4b.config";

/// What the modem and the service need of any kernel, and what for.
const SYMBOLS: &[(&str, &[&str])] = &[
    ("USB, and network devices on it.", &["USB_SUPPORT", "USB", "NET", "INET", "NETDEVICES"]),
    ("The modem's serial ports.", &["USB_SERIAL", "USB_SERIAL_OPTION"]),
    (
        "Its network function: ECM, RNDIS, or SIMCom's raw IP (simcom_wwan, by our patch).",
        &[
            "USB_NET_DRIVERS",
            "USB_USBNET",
            "USB_NET_CDCETHER",
            "USB_NET_RNDIS_HOST",
            "USB_NET_SIMCOM_WWAN",
        ],
    ),
    ("DHCP on a link that has no address yet.", &["PACKET"]),
    (
        "A routing table of its own, by which a probe takes this link whatever the default is.",
        &["IP_ADVANCED_ROUTER", "IP_MULTIPLE_TABLES", "IPV6", "IPV6_MULTIPLE_TABLES"],
    ),
    ("The line that cuts the modem's power, where there is one.", &["GPIO_CDEV"]),
];

/// The kernel fragment for those who have a kernel configuration of their own:
/// the image's settings of [`SYMBOLS`].
pub fn modem_fragment(repo: &Path) -> Result<String> {
    let config =
        fs::read_to_string(repo.join(KERNEL)).with_context(|| format!("cannot read {KERNEL}"))?;
    fragment(&config)
}

fn fragment(config: &str) -> Result<String> {
    let mut text = format!("# What an LTE modem of SIMCom's needs; made from {KERNEL}.\n");
    for (why, symbols) in SYMBOLS {
        let _ = write!(text, "\n# {why}\n");
        for symbol in *symbols {
            let line = config
                .lines()
                .find(|line| {
                    line.strip_prefix("CONFIG_")
                        .and_then(|rest| rest.strip_prefix(symbol))
                        .is_some_and(|rest| rest.starts_with('='))
                })
                .with_context(|| format!("{KERNEL} does not set CONFIG_{symbol}"))?;
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok(text)
}

/// The licences' digests for Buildroot's `legal-info`. What the release's archives
/// have is in its SHA256SUMS: an archive cannot have its own digest in it.
pub fn licence_hashes(repo: &Path) -> Result<String> {
    let mut text = String::from("# Locally calculated\n");
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let _ = writeln!(text, "sha256  {}  {name}", digest::file(&repo.join(name))?);
    }
    Ok(text)
}

/// The kernel's command line as the firmware reads it, for a card whose disk
/// signature is the image's.
pub fn command_line(repo: &Path) -> Result<String> {
    boot::command_line(repo, &mbr::for_pi(mbr::ALIGN, mbr::ALIGN).partuuid(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fragment_has_the_images_settings_and_no_others() {
        let mut config = String::from("CONFIG_USB_SERIAL_OPTION_EXTRA=y\n# CONFIG_X is not set\n");
        let names: Vec<&str> =
            SYMBOLS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        for name in &names {
            let _ = writeln!(config, "CONFIG_{name}=m");
        }
        let text = fragment(&config).unwrap();
        let set: Vec<&str> = text.lines().filter(|line| line.starts_with("CONFIG_")).collect();
        assert_eq!(set.len(), names.len());
        assert!(set.contains(&"CONFIG_USB_SERIAL_OPTION=m"), "{text}");

        let without = config.replace("CONFIG_PACKET=m\n", "");
        let error = fragment(&without).unwrap_err().to_string();
        assert_eq!(error, "images/pi4b.config does not set CONFIG_PACKET");
    }
}
