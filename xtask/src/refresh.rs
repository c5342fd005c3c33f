//! `cargo xtask lock`: asks the archive anew and writes the lock files.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::archive::{self, Lock, Request};
use crate::context::Context;
use crate::coverage;
use crate::definition::{self, Definition};
use crate::{disk, driver, elder, kernel, rootfs, tools};

/// The architectures of machines that build images.
const BUILDERS: [&str; 2] = ["amd64", "arm64"];

/// Refreshes every lock file, or the named ones.
pub fn run(ctx: &Context, names: &[String]) -> Result<()> {
    for (name, requests) in all(ctx)? {
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let sections = requests
            .iter()
            .map(|request| archive::resolve(ctx, request))
            .collect::<Result<Vec<_>>>()?;
        let path = ctx.path(&format!("images/{name}.lock"));
        let old = Lock::read(&path)?;
        let new = Lock { sections };
        replace(&path, &new.text())?;
        for line in changes(&old, &new) {
            ctx.report.line(line);
        }
    }
    Ok(())
}

/// Every lock file with the requests that it answers.
fn all(ctx: &Context) -> Result<Vec<(String, Vec<Request>)>> {
    let mut files = Vec::new();
    for name in definition::names(&ctx.path("images")) {
        let definition = Definition::load(ctx, &name)?;
        let mut requests = vec![kernel::request(), disk::firmware_request()];
        for arch in BUILDERS {
            for request in rootfs::packages::requests(&definition, arch)? {
                // The image's packages are the same for every builder.
                if !requests.contains(&request) {
                    requests.push(request);
                }
            }
        }
        files.push((name, requests));
    }
    let of = |sets: &[tools::Set]| {
        BUILDERS.iter().flat_map(|arch| sets.iter().flat_map(|s| s.requests(arch))).collect()
    };
    files.push((tools::LOCK.to_owned(), of(&[tools::Set::Build, tools::Set::Rig])));
    files.push((tools::RIVALS_LOCK.to_owned(), of(&[tools::Set::Rivals])));
    files.push((tools::WEB_LOCK.to_owned(), of(&[tools::Set::Web])));
    files.push((tools::DOCS_LOCK.to_owned(), of(&[tools::Set::Docs])));
    files.push((elder::LOCK.to_owned(), BUILDERS.map(elder::request).to_vec()));
    files.push((driver::LOCK.to_owned(), driver::requests(ctx)?));
    files.push((coverage::LOCK.to_owned(), vec![coverage::request()]));
    Ok(files)
}

/// What a reader wants to know of a new lock: one line for each package that
/// came, went or changed.
fn changes(old: &Lock, new: &Lock) -> Vec<String> {
    let mut lines = Vec::new();
    for section in &new.sections {
        let before = old.section(&section.name).map_or(&[][..], |s| &s.entries);
        for entry in &section.entries {
            match before.iter().find(|e| e.name == entry.name && e.arch == entry.arch) {
                None => {
                    lines.push(format!("[{}] + {} {}", section.name, entry.name, entry.version))
                }
                Some(was) if was.version != entry.version => lines.push(format!(
                    "[{}] {} {} -> {}",
                    section.name, entry.name, was.version, entry.version
                )),
                Some(_) => {}
            }
        }
        for was in before {
            if !section.entries.iter().any(|e| e.name == was.name && e.arch == was.arch) {
                lines.push(format!("[{}] - {}", section.name, was.name));
            }
        }
    }
    lines
}

/// Writes `text` so that the file is the old or the new one, never a part.
fn replace(path: &Path, text: &str) -> Result<()> {
    let dir = path.parent().context("a lock outside any folder")?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.as_file().sync_all()?;
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_changed() {
        let lock = |lines: &str| Lock::parse(&format!("[s]\n{lines}")).unwrap();
        let sum = "0".repeat(64);
        let old = lock(&format!("a 1 all 1 {sum} debian/a\nb 1 all 1 {sum} debian/b\n"));
        let new = lock(&format!("a 2 all 1 {sum} debian/a\nc 1 all 1 {sum} debian/c\n"));
        assert_eq!(changes(&old, &new), ["[s] a 1 -> 2", "[s] + c 1", "[s] - b"]);
    }
}
