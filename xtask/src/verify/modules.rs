//! Which drivers the root's modules offer to the modems, as modprobe finds
//! them, and whether these fit the kernel.

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;

use super::boot;
use super::subject::Subject;
use crate::process;

/// What USB says of an interface, as the kernel writes it (`modalias`). The
/// device fields are those of the modem; no driver here looks at them.
fn modalias(product: &str, interface: &str) -> String {
    format!("usb:v1E0Ep{product}d0318dcEFdsc02dp01{interface}")
}

/// Serial ports of 1e0e:9011.
pub fn option(subject: &Subject<'_>) -> Result<String> {
    offers(subject, &modalias("9011", "icFFisc00ip00in02"), "option")
}

/// Network of 1e0e:9011 in its ECM composition.
pub fn cdc_ether(subject: &Subject<'_>) -> Result<String> {
    offers(subject, &modalias("9011", "ic02isc06ip00in00"), "cdc_ether")
}

/// Network of 1e0e:9011 in its RNDIS composition.
pub fn rndis_host(subject: &Subject<'_>) -> Result<String> {
    offers(subject, &modalias("9011", "icE0isc01ip03in00"), "rndis_host")
}

/// Network of 1e0e:9025.
pub fn simcom_wwan(subject: &Subject<'_>) -> Result<String> {
    offers(subject, &modalias("9025", "icFFiscFFipFFin05"), "simcom_wwan")
}

/// `alias` leads to `module`, which is there with all that it needs, each an
/// arm64 module of this kernel.
fn offers(subject: &Subject<'_>, alias: &str, module: &str) -> Result<String> {
    let release = boot::release(subject)?;
    let found = modprobe(subject, &release, &["--resolve-alias", alias])?;
    let found: Vec<_> = found.lines().collect();
    if !found.contains(&module) {
        bail!("{alias} leads to {found:?}, not to {module}");
    }
    // Lines `insmod FILE` or `builtin NAME`, in order of loading; a blacklisted
    // one is left out, as at hotplug.
    let plan = modprobe(subject, &release, &["--use-blacklist", "--show-depends", alias])?;
    let wanted = format!("/{module}.ko");
    let mut files = Vec::new();
    let mut there = false;
    for line in plan.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("insmod"), Some(path)) => {
                let path = path.strip_prefix("/work/tree").unwrap_or(path);
                fits(subject, path, &release)?;
                there |= path.contains(&wanted);
                files.push(path.rsplit('/').next().unwrap_or(path).to_owned());
            }
            (Some("builtin"), Some(name)) => {
                there |= name == module;
                files.push(format!("{name} (built in)"));
            }
            _ => bail!("modprobe would {line:?}"),
        }
    }
    ensure!(there, "modprobe would not load {module}, but {files:?}; is it blacklisted?");
    Ok(files.join(", "))
}

fn modprobe(subject: &Subject<'_>, release: &str, arguments: &[&str]) -> Result<String> {
    // The folder of the modules does not bring the configuration beside it.
    let place = [
        "modprobe",
        "--dirname",
        "/work/tree",
        "--set-version",
        release,
        "--config",
        "/work/tree/etc/modprobe.d",
        "--config",
        "/work/tree/usr/lib/modprobe.d",
    ];
    let argv = [&place[..], arguments].concat();
    let mut command = subject.on_tree()?.command(&argv)?;
    let output = process::any_output(&mut command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", argv.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The module `path` of the root was made for arm64 and this kernel.
fn fits(subject: &Subject<'_>, path: &str, release: &str) -> Result<()> {
    let packed = subject.root()?.read(path).with_context(|| format!("cannot read {path}"))?;
    let module = match path.rsplit('.').next() {
        Some("zst") => zstd::stream::decode_all(packed.as_slice())
            .with_context(|| format!("{path} is damaged"))?,
        Some("ko") => packed,
        _ => bail!("{path}: neither .ko nor .ko.zst, which is all that this kernel loads"),
    };
    check(&module, release).with_context(|| path.to_owned())
}

fn check(module: &[u8], release: &str) -> Result<()> {
    // ELF-64, little endian, relocatable (type 1), for AArch64 (183).
    ensure!(module.starts_with(b"\x7fELF\x02\x01"), "no 64-bit little-endian ELF file");
    ensure!(module.get(16..20) == Some(&[1, 0, 183, 0]), "no relocatable file for AArch64");
    const START: &[u8] = b"vermagic=";
    let at = memmem::find(module, START).context("no vermagic")? + START.len();
    let length = module[at..].iter().position(|b| *b == 0).context("vermagic has no end")?;
    let magic = String::from_utf8_lossy(&module[at..at + length]);
    ensure!(
        magic.split(' ').next() == Some(release),
        "made for kernel {magic:?}, the image has {release}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_for_others_are_refused() {
        let mut module = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\xb7\0".to_vec();
        module.extend(b"license=GPL\0vermagic=6.12.1 SMP mod_unload aarch64\0");
        check(&module, "6.12.1").unwrap();
        assert!(check(&module, "6.12.10").unwrap_err().to_string().contains("6.12.10"));
        module[18] = 62;
        assert!(check(&module, "6.12.1").unwrap_err().to_string().contains("AArch64"));
    }
}
