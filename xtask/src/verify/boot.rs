//! What the Pi 4B's firmware needs to start Linux.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;

use super::subject::Subject;

/// Longest config.txt line that the firmware reads.
const LONGEST_LINE: usize = 98;
/// `ARM\x64` at byte 56 (Linux, Documentation/arch/arm64/booting.rst).
const IMAGE_MAGIC: &[u8] = b"ARM\x64";
const IMAGE_MAGIC_AT: usize = 56;
/// Devicetree specification 0.4, section 5.2.
const DTB_MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];
const BOARD: &[u8] = b"raspberrypi,4-model-b\0";

/// start4.elf and fixup4.dat are there and what they should be.
pub fn firmware(subject: &Subject<'_>) -> Result<String> {
    let start = subject.boot_file("start4.elf")?;
    ensure!(start.starts_with(b"\x7fELF"), "start4.elf is no ELF file");
    let fixup = subject.boot_file("fixup4.dat")?;
    ensure!(!fixup.is_empty(), "fixup4.dat is empty");
    Ok(format!("start4.elf {} KiB, fixup4.dat {} bytes", start.len() / 1024, fixup.len()))
}

/// config.txt starts a 64-bit kernel that is there, with a device tree that is
/// there.
pub fn config(subject: &Subject<'_>) -> Result<String> {
    let settings = settings(subject)?;
    ensure!(
        settings.get("arm_64bit").map(String::as_str) == Some("1"),
        "config.txt does not say arm_64bit=1"
    );
    let mut seen = Vec::new();
    for key in ["kernel", "device_tree"] {
        let name = setting(&settings, key)?;
        subject.boot_file(name).with_context(|| format!("config.txt says {key}={name}"))?;
        seen.push(format!("{key}={name}"));
    }
    Ok(seen.join(" "))
}

/// The kernel is one for arm64, and its modules are in the root.
pub fn kernel(subject: &Subject<'_>) -> Result<String> {
    let image = image(subject)?;
    ensure!(
        image.get(IMAGE_MAGIC_AT..IMAGE_MAGIC_AT + 4) == Some(IMAGE_MAGIC),
        "the kernel is no arm64 Image: no ARM\\x64 at byte {IMAGE_MAGIC_AT}"
    );
    let release = banner(&image)?;
    let modules = format!("/usr/lib/modules/{release}");
    ensure!(
        subject.root()?.exists(modules.as_str())?,
        "the kernel is {release}, but the root has no {modules}"
    );
    Ok(format!("Linux {release}, {} MiB", image.len() >> 20))
}

/// The device tree is a Pi 4B's.
pub fn device_tree(subject: &Subject<'_>) -> Result<String> {
    let settings = settings(subject)?;
    let name = setting(&settings, "device_tree")?;
    let tree = subject.boot_file(name)?;
    ensure!(tree.starts_with(&DTB_MAGIC), "{name} is no device tree");
    let length = tree.get(4..8).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize);
    ensure!(length == Some(tree.len()), "{name} has {} bytes and says {length:?}", tree.len());
    ensure!(memmem::find(tree, BOARD).is_some(), "{name} is not for raspberrypi,4-model-b");
    Ok(format!("{name}, {} bytes", tree.len()))
}

/// The kernel is told of the root partition that is there.
pub fn command_line(subject: &Subject<'_>) -> Result<String> {
    let text = String::from_utf8_lossy(subject.boot_file("cmdline.txt")?).into_owned();
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default();
    ensure!(lines.all(str::is_empty), "cmdline.txt has more than one line");
    let root = line.split(' ').filter_map(|word| word.strip_prefix("root=")).next_back();
    let wanted = format!("PARTUUID={}", subject.mbr()?.partuuid(2));
    match root {
        Some(root) if root == wanted => {}
        Some(root) => bail!("cmdline.txt says root={root}; the root partition is {wanted}"),
        None => bail!("cmdline.txt says no root=; the root partition is {wanted}"),
    }
    ensure!(line.split(' ').any(|word| word == "rootwait"), "cmdline.txt does not say rootwait");
    Ok(line.to_owned())
}

/// The kernel's release as the Image itself says it.
pub fn release(subject: &Subject<'_>) -> Result<String> {
    banner(&image(subject)?)
}

fn image(subject: &Subject<'_>) -> Result<Vec<u8>> {
    let settings = settings(subject)?;
    let name = setting(&settings, "kernel")?;
    let packed = subject.boot_file(name)?;
    if !packed.starts_with(&[0x1f, 0x8b]) {
        return Ok(packed.to_vec());
    }
    let mut image = Vec::new();
    flate2::read::GzDecoder::new(packed)
        .read_to_end(&mut image)
        .with_context(|| format!("{name} is damaged gzip"))?;
    Ok(image)
}

fn banner(image: &[u8]) -> Result<String> {
    const START: &[u8] = b"Linux version ";
    let at = memmem::find(image, START);
    let rest = &image[at.context("the kernel does not say its version")? + START.len()..];
    let end = rest.iter().position(|b| *b == b' ').context("the kernel's version has no end")?;
    String::from_utf8(rest[..end].to_vec()).context("the kernel's version is no text")
}

fn settings(subject: &Subject<'_>) -> Result<BTreeMap<String, String>> {
    parse(&String::from_utf8_lossy(subject.boot_file("config.txt")?))
}

fn setting<'a>(settings: &'a BTreeMap<String, String>, key: &str) -> Result<&'a str> {
    settings.get(key).map(String::as_str).with_context(|| format!("config.txt says no {key}="))
}

/// Settings that hold for a Pi 4B; of several the last.
fn parse(text: &str) -> Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    let mut ours = true;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        ensure!(
            line.len() <= LONGEST_LINE,
            "config.txt, line {number}: longer than {LONGEST_LINE}"
        );
        if let Some(section) = line.strip_prefix('[') {
            ours = matches!(section.trim_end_matches(']'), "all" | "pi4");
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .with_context(|| format!("config.txt, line {number}: neither comment nor key=value"))?;
        if ours {
            settings.insert(key.to_owned(), value.to_owned());
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_other_boards_do_not_count() {
        let settings = parse("kernel=a\n[pi5]\nkernel=b\n[pi4]\n# c\nx=1\n[all]\ny=2\n").unwrap();
        let pairs: Vec<_> = settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(pairs, ["kernel=a", "x=1", "y=2"]);
        assert!(parse("kernel\n").unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn banners() {
        assert_eq!(banner(b"\0Linux version 6.12.1-x (a@b) ").unwrap(), "6.12.1-x");
        assert!(banner(b"nothing").is_err());
    }
}
