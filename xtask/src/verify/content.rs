//! Reads every file of both file systems once, for questions on all of them.

use std::io::Read;

use anyhow::{Context as _, Result, bail};
use ext4_view::FileType;

use super::needles::Needles;
use super::subject::Subject;
use super::tree;

/// As many examples of one fault are shown.
const SHOWN: usize = 6;
/// Programs of other machines that belong there: what devices load.
const FIRMWARE: &[&str] = &["/usr/lib/firmware/"];

/// What was found.
#[derive(Default)]
pub struct Scan {
    files: usize,
    bytes: u64,
    needles: usize,
    elf: usize,
    traces: Vec<String>,
    foreign: Vec<String>,
}

impl Scan {
    /// Reads all.
    pub fn run(subject: &Subject<'_>) -> Result<Self> {
        let needles = Needles::of_this_machine(subject.ctx)?;
        let mut scan = Self { needles: needles.len(), ..Self::default() };
        for (name, content) in subject.boot()? {
            scan.file(&needles, &format!("boot partition: {name}"), content)?;
        }
        let root = subject.root()?;
        tree::walk(root, "/", &mut |entry| {
            match entry.kind {
                FileType::Regular => {
                    let content = root.read(entry.path)?;
                    scan.machine(entry.path, &content);
                    scan.file(&needles, entry.path, &content)?;
                }
                FileType::Symlink => {
                    let target = root.read_link(entry.path)?;
                    scan.look(&needles, &format!("{} (link)", entry.path), target.as_ref());
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(scan)
    }

    fn file(&mut self, needles: &Needles, name: &str, content: &[u8]) -> Result<()> {
        self.files += 1;
        self.bytes += content.len() as u64;
        self.look(needles, name, content);
        if let Some(inner) = unpacked(content).with_context(|| name.to_owned())? {
            self.look(needles, &format!("{name} (unpacked)"), &inner);
        }
        Ok(())
    }

    fn look(&mut self, needles: &Needles, name: &str, content: &[u8]) {
        if let Some(found) = needles.find(content) {
            self.traces.push(format!("{name}: {found}"));
        }
    }

    /// Notes a program that is not for AArch64 (ELF machine 183).
    fn machine(&mut self, path: &str, content: &[u8]) {
        if !content.starts_with(b"\x7fELF") || FIRMWARE.iter().any(|dir| path.starts_with(dir)) {
            return;
        }
        self.elf += 1;
        if content.get(18..20) != Some(&[183, 0]) {
            self.foreign.push(path.to_owned());
        }
    }
}

/// The content of a compressed file.
fn unpacked(content: &[u8]) -> Result<Option<Vec<u8>>> {
    if content.starts_with(&[0x1f, 0x8b]) {
        let mut inner = Vec::new();
        flate2::read::MultiGzDecoder::new(content)
            .read_to_end(&mut inner)
            .context("damaged gzip")?;
        return Ok(Some(inner));
    }
    if content.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Ok(Some(zstd::stream::decode_all(content).context("damaged Zstandard")?));
    }
    Ok(None)
}

/// Every program and library is for arm64.
pub fn programs(subject: &Subject<'_>) -> Result<String> {
    let scan = subject.scan()?;
    some("not for arm64", &scan.foreign)?;
    if scan.elf == 0 {
        bail!("the root has no program at all");
    }
    Ok(format!("{} programs and libraries, all for arm64", scan.elf))
}

/// No path or name of the machine that built it.
pub fn traces(subject: &Subject<'_>) -> Result<String> {
    let scan = subject.scan()?;
    some("traces of the build", &scan.traces)?;
    Ok(format!("none of {} in {} files, {} MiB", scan.needles, scan.files, scan.bytes >> 20))
}

/// An error when `found` has anything.
fn some(what: &str, found: &[String]) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let mut lines = found.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    if found.len() > SHOWN {
        lines.push(format!("and {} more", found.len() - SHOWN));
    }
    bail!("{what}:\n{}", lines.join("\n"))
}
