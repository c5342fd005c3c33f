//! What a build hands out: the image, compressed too, with checksum, bmap,
//! SBOM, manifest and signature.

mod atomic;
pub mod bmap;
pub mod manifest;
pub mod mapped;
mod records;
pub mod sbom;
pub mod sign;
mod sums;
pub mod zst;

use std::fs::File;
use std::io::BufWriter;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::archive::{Entry, Packages};
use crate::context::Context;
use crate::stage::{self, Inputs, Room, Stage};
use crate::{digest, disk};
use atomic::Pending;
use manifest::{Artefact, Manifest};
use records::Records;
use sign::Key;

/// What there is to publish.
pub struct Publish<'a> {
    /// Name of the image definition; all files start with it.
    pub name: &'a str,
    /// The stage that made the disk image and its map ([`disk::MAP`]).
    pub disk: &'a Stage,
    /// The image's file in that stage.
    pub image: &'a str,
    /// Where the files go.
    pub out: &'a Path,
    /// Debian packages in the image, firmware included.
    pub packages: &'a [&'a Packages],
    /// Packages in the image from files of the user's.
    pub local: &'a [Entry],
    /// What the kernel was made from.
    pub kernel: &'a sbom::Kernel,
    /// Crates of the device's program, from [`sbom::read_crates`].
    pub crates: &'a [sbom::Crate],
    /// Packages that the build used but did not install: tools, sources.
    pub tools: &'a [&'a Packages],
    /// All stages, for the manifest.
    pub stages: &'a [&'a Stage],
}

/// The digests of the image's large forms; kept by the stage that made them.
#[derive(Debug, Serialize, Deserialize)]
struct Digests {
    image: Artefact,
    zst: Artefact,
}

const ZST: &str = "image.zst";
const BMAP: &str = "image.bmap";
const DIGESTS: &str = "digests.json";

/// Writes all files; gives their paths, the image first.
///
/// What is already there and current is left alone. New files get their names
/// only when all of them are whole, so a full disk or a kill leaves the folder
/// as it was.
pub fn publish(ctx: &Context, inputs: &Publish<'_>) -> Result<Vec<PathBuf>> {
    let image = inputs.disk.path(inputs.image);
    let forms = forms(ctx, inputs.disk, inputs.image)?;
    let digests = forms.path(DIGESTS);
    let digests: Digests = std::fs::read(&digests)
        .map_err(anyhow::Error::from)
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .with_context(|| format!("cannot read {}", digests.display()))?;

    let name = inputs.name;
    let zst_name = format!("{name}.img.zst");
    let sums = sums::text(&digests.zst.sha256, &zst_name)?;
    let bmap = std::fs::read_to_string(forms.path(BMAP)).context("cannot read the bmap")?;
    let sbom = sbom::text(&sbom::Contents {
        name,
        sha256: &digests.image.sha256,
        epoch: inputs.packages.iter().map(|p| p.epoch()).max().unwrap_or_default(),
        kernel: inputs.kernel,
        packages: inputs.packages,
        local: inputs.local,
        crates: inputs.crates,
    })?;

    let mut records = Records::open(ctx, inputs.out)?;
    let mut set = Set { records: &mut records, pending: Vec::new(), paths: Vec::new() };
    set.add(&format!("{name}.img"), &digests.image.sha256, |path| Pending::copy(&image, path))?;
    let zst = forms.path(ZST);
    set.add(&zst_name, &digests.zst.sha256, |path| Pending::copy(&zst, path))?;
    let mut artefacts =
        vec![(format!("{name}.img"), digests.image), (zst_name.clone(), digests.zst)];
    for (suffix, text) in [("img.zst.sha256", sums), ("bmap", bmap), ("spdx.json", sbom)] {
        artefacts.push(set.text(format!("{name}.{suffix}"), &text)?);
    }
    let zst_digest = artefacts[1].1.sha256.clone();
    signature(&mut set, &zst, &zst_name, &zst_digest)?;

    let packages: Vec<_> = inputs.packages.iter().chain(inputs.tools).copied().collect();
    let stages: Vec<_> = inputs.stages.iter().copied().chain([&forms]).collect();
    let mut manifest = Manifest::new(name, &packages, &stages);
    manifest.artefacts = artefacts.into_iter().collect();
    let file = format!("{name}.manifest.json");
    let old = std::fs::read_to_string(set.records.path(&file)).ok();
    if let Some(old) = old.and_then(|text| Manifest::parse(&text).ok()) {
        manifest.keep_times(&old);
    }
    set.text(file, &manifest.text()?)?;
    set.finish()
}

/// The forms of the image that take time to make.
fn forms(ctx: &Context, disk: &Stage, image: &str) -> Result<Stage> {
    // The stage's folder is named by the hash of all its inputs.
    let key = disk.dir.file_name().context("the image's stage has no folder")?;
    let inputs = Inputs::new()
        .value("image", key.to_string_lossy())
        .value("zst", zst::recipe())
        // Raised when the same image gives another bmap.
        .value("bmap", "2");
    stage::run(ctx, "forms", inputs, |room| make_forms(ctx, room, disk, image))
}

fn make_forms(ctx: &Context, room: &Room<'_>, disk: &Stage, image: &str) -> Result<()> {
    let (image, map) = (disk.path(image), disk.path(disk::MAP));
    let file = File::open(&image).with_context(|| format!("cannot open {}", image.display()))?;
    let size = file.metadata()?.len();
    let written = read_map(&map).with_context(|| format!("cannot read {}", map.display()))?;
    let zst = room.out.join(ZST);
    let (bmap, image) = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let bmap = bmap::generate(&file, size, &mapped::ranges(&file, written)?)?;
            Ok::<_, anyhow::Error>((bmap, artefact(&image)?))
        });
        let out = File::create(&zst).with_context(|| format!("cannot write {}", zst.display()))?;
        zst::compress(&file, size, BufWriter::new(out), ctx.jobs, |done| {
            room.step.progress(done >> 20, size >> 20);
        })?;
        others.join().map_err(|_| anyhow!("the thread that reads the image died"))?
    })?;
    let digests = Digests { image, zst: artefact(&zst)? };
    for (name, bytes) in [(BMAP, bmap.into_bytes()), (DIGESTS, serde_json::to_vec(&digests)?)] {
        let path = room.out.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The ranges that the disk stage wrote.
fn read_map(path: &Path) -> Result<Vec<Range<u64>>> {
    let pairs: Vec<[u64; 2]> = serde_json::from_slice(&std::fs::read(path)?)?;
    Ok(pairs.into_iter().map(|[start, end]| start..end).collect())
}

fn artefact(path: &Path) -> Result<Artefact> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let (sha256, size) =
        digest::reader(file).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Artefact { size, sha256 })
}

/// Adds the signature, when there is a key; takes away one of another image.
fn signature(set: &mut Set<'_>, zst: &Path, zst_name: &str, sha256: &str) -> Result<()> {
    let file = format!("{zst_name}.minisig");
    if let Some(key) = Key::from_env()? {
        let source = format!("{} {sha256}", key.id()?);
        return set.add(&file, &source, |path| {
            Pending::bytes(path, key.sign(zst, zst_name, sha256)?.as_bytes())
        });
    }
    let current = set.records.source(&file).is_some_and(|source| source.ends_with(sha256));
    if current {
        set.paths.push(set.records.path(&file));
        return Ok(());
    }
    atomic::remove(&set.records.path(&file))
}

/// The files of one run.
struct Set<'a> {
    records: &'a mut Records,
    pending: Vec<(String, String, Pending)>,
    paths: Vec<PathBuf>,
}

impl Set<'_> {
    /// Adds the file `name`, which `make` prepares unless it is there already
    /// and came from the same `source`.
    fn add(
        &mut self,
        name: &str,
        source: &str,
        make: impl FnOnce(&Path) -> Result<Pending>,
    ) -> Result<()> {
        let path = self.records.path(name);
        if self.records.source(name) != Some(source) {
            self.pending.push((name.to_owned(), source.to_owned(), make(&path)?));
        }
        self.paths.push(path);
        Ok(())
    }

    /// Adds a small file; gives its name and digest.
    fn text(&mut self, name: String, text: &str) -> Result<(String, Artefact)> {
        let sha256 = digest::bytes(text.as_bytes());
        self.add(&name, &sha256, |path| Pending::bytes(path, text.as_bytes()))?;
        Ok((name, Artefact { size: text.len() as u64, sha256 }))
    }

    /// Gives all files their names, the manifest last.
    fn finish(self) -> Result<Vec<PathBuf>> {
        let changed = !self.pending.is_empty();
        for (name, source, pending) in self.pending {
            pending.finish()?;
            self.records.note(&name, &source)?;
        }
        if changed {
            self.records.save()?;
        }
        Ok(self.paths)
    }
}

#[cfg(test)]
mod tests;
