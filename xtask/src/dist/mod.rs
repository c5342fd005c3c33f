//! `cargo xtask dist`: one folder with all that goes to people: the packed image
//! with what belongs to it, the flashing desk's program, manuals, and a list for
//! Raspberry Pi Imager. The same inputs give the same bytes.

pub mod documents;
mod notes;
mod os_list;
pub mod program;
pub mod source;
pub mod tarball;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::artefacts::manifest::{Artefact, Manifest};
use crate::artefacts::sbom;
use crate::artefacts::sign::Key;
use crate::context::Context;
use crate::digest;
use os_list::Facts;

/// Digests of all other files; `sha256sum -c` reads it.
const SUMS: &str = "SHA256SUMS";

/// Manual pages and completions, to be unpacked in `/usr` or `/usr/local`.
const MANUALS: &str = "a7670e-manuals.tar.zst";

/// What is new.
const NOTES: &str = "RELEASE_NOTES.md";

/// Signature of [`SUMS`], and with it of all.
const SIGNATURE: &str = "SHA256SUMS.minisig";

/// The list for Imager (`rpi-imager --repo`).
const LIST: &str = "os_list.json";

/// The picture that Imager shows.
const ICON: &str = "a7670e.svg";

/// What is beside a packed image and belongs to it, by ending.
const COMPANIONS: [&str; 4] = ["img.zst", "img.zst.sha256", "bmap", "spdx.json"];

/// What is packed, and where it goes.
pub struct Options {
    /// Name of the image definition.
    pub name: String,
    /// The folder that `cargo xtask image` has filled.
    pub from: PathBuf,
    /// The folder to make.
    pub to: PathBuf,
    /// Where people will find the files [default: in that folder].
    pub url: Option<String>,
}

/// A file that goes into the release beside the image's.
struct Good {
    /// Its name there.
    name: String,
    /// Where it is now.
    path: PathBuf,
    /// Its permissions there.
    mode: u32,
}

impl Good {
    fn new(name: String, path: PathBuf) -> Self {
        Self { name, path, mode: 0o644 }
    }
}

/// Makes all that is not the image's and packs the release.
pub fn run(ctx: &Context, options: &Options) -> Result<()> {
    let given = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => Some(text.parse().context("SOURCE_DATE_EPOCH is no number of seconds")?),
        Err(_) => None,
    };
    // Before the program is built: that takes minutes.
    let manifest = read_manifest(options)?;
    let epoch = release_time(&manifest, given)?;
    let key = Key::from_env()?;
    let dir = tempfile::tempdir_in(ctx.cache_dir("tmp")?)?;
    let goods = goods(ctx, dir.path(), epoch)?;
    for path in pack(options, &manifest, &goods, epoch, key.as_ref())? {
        println!("{}", path.display());
    }
    Ok(())
}

/// The release's time in seconds since 1970: that of the archive's state, unless
/// it is given.
fn release_time(manifest: &Manifest, given: Option<u64>) -> Result<u64> {
    given
        .or_else(|| manifest.locks.values().map(|lock| lock.epoch).max())
        .context("the manifest names no archive whose time could be the release's")
}

/// What is not the image's; made in `dir` where it is not built anyway.
fn goods(ctx: &Context, dir: &Path, epoch: u64) -> Result<Vec<Good>> {
    let version = env!("CARGO_PKG_VERSION");
    let changelog = fs::read_to_string(ctx.path("CHANGELOG.md"))?;
    // What is quickly found wrong, first.
    notes::text(&changelog, "a7670e", version)?;
    let program = program::build(ctx)?;
    let manuals = documents::tree(&program, epoch)?;
    let station = format!("station-{}-linux", std::env::consts::ARCH);
    let crates = sbom::crates_of(ctx, "station", &program::target())?;
    let bill = sbom::program(&station, &digest::file(&program)?, &crates, epoch)?;
    let mut goods = vec![
        written(dir, &format!("{station}.spdx.json"), &bill)?,
        written(dir, NOTES, &notes::text(&changelog, "a7670e", version)?)?,
        Good { mode: 0o755, ..Good::new(station, program) },
    ];
    let source = format!("a7670e-{version}");
    let tree = source::tree(ctx, &source, dir, epoch)?;
    for (name, tree) in [(format!("{source}.tar.zst"), tree), (MANUALS.to_owned(), manuals)] {
        goods.push(Good::new(name.clone(), tarball::write(&tree, &dir.join(name), epoch)?));
    }
    Ok(goods)
}

fn written(dir: &Path, name: &str, text: &str) -> Result<Good> {
    let path = dir.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Good::new(name.to_owned(), path))
}

fn read_manifest(options: &Options) -> Result<Manifest> {
    let path = options.from.join(format!("{}.manifest.json", options.name));
    let text = fs::read_to_string(&path).with_context(|| {
        format!("{} cannot be read; make the image first: cargo xtask image", path.display())
    })?;
    Manifest::parse(&text).with_context(|| format!("in {}", path.display()))
}

/// Packs everything; gives the files' paths. `epoch` is the release's time.
fn pack(
    options: &Options,
    manifest: &Manifest,
    goods: &[Good],
    epoch: u64,
    key: Option<&Key>,
) -> Result<Vec<PathBuf>> {
    let Options { name, from, to, url } = options;
    // Without the slash that shells put behind a folder: what follows would be
    // within it, and fall with the release before.
    let to = &to.components().collect::<PathBuf>();
    replaceable(to)?;
    let mut new = to.clone().into_os_string();
    // Nobody else has a folder called so, which would fall below.
    new.push(".a7670e-dist");
    let new = PathBuf::from(new);
    if new.exists() {
        // Left by a run that was cut off.
        fs::remove_dir_all(&new).with_context(|| format!("cannot remove {}", new.display()))?;
    }
    fs::create_dir_all(&new).with_context(|| format!("cannot make {}", new.display()))?;
    let mut room = Room { dir: &new, sums: Vec::new() };

    for ending in COMPANIONS {
        let file = format!("{name}.{ending}");
        let want = artefact(manifest, &file)?;
        room.copy(&from.join(&file), &file, 0o644, Some(want))?;
    }
    let signature = format!("{name}.img.zst.minisig");
    if from.join(&signature).exists() {
        room.copy(&from.join(&signature), &signature, 0o644, None)?;
    }
    let (image, packed) = (
        artefact(manifest, &format!("{name}.img"))?,
        artefact(manifest, &format!("{name}.img.zst"))?,
    );
    unpacks_to(&new.join(format!("{name}.img.zst")), image)?;
    for Good { name, path, mode } in goods {
        room.copy(path, name, *mode, None)?;
    }

    // How long the build took is nobody else's business, and never the same.
    let plain = Manifest { times: Default::default(), ..manifest.clone() };
    room.write(&format!("{name}.manifest.json"), &plain.text()?)?;
    room.write(ICON, include_str!("icon.svg"))?;
    let here = format!("file://{}", std::path::absolute(to)?.display());
    let url = url.as_deref().unwrap_or(&here).trim_end_matches('/');
    room.write(LIST, &os_list::text(&Facts { name, url, image, packed, epoch })?)?;
    let names = room.finish(key)?;

    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    fs::rename(&new, to).with_context(|| format!("cannot make {}", to.display()))?;
    Ok(names.into_iter().map(|name| to.join(name)).collect())
}

fn artefact<'a>(manifest: &'a Manifest, file: &str) -> Result<&'a Artefact> {
    manifest.artefacts.get(file).with_context(|| format!("the manifest does not name {file}"))
}

/// Makes sure that nothing but an earlier release would be replaced.
fn replaceable(to: &Path) -> Result<()> {
    if !to.exists() {
        return Ok(());
    }
    let sums = fs::read_to_string(to.join(SUMS)).unwrap_or_default();
    let mut ours: BTreeSet<&str> = sums.lines().filter_map(|line| line.get(66..)).collect();
    ours.extend([SUMS, SIGNATURE]);
    for entry in fs::read_dir(to).with_context(|| format!("cannot read {}", to.display()))? {
        let name = entry?.file_name();
        if !name.to_str().is_some_and(|name| ours.contains(name)) {
            bail!(
                "{} is in {}, which would be replaced: name another folder",
                name.to_string_lossy(),
                to.display()
            );
        }
    }
    Ok(())
}

/// Unpacks the image once: Imager refuses to write one whose digest is another.
fn unpacks_to(path: &Path, want: &Artefact) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let (sha256, size) = zstd::Decoder::new(file)
        .and_then(digest::reader)
        .with_context(|| format!("cannot unpack {}", path.display()))?;
    if (size, &sha256) != (want.size, &want.sha256) {
        bail!("{} unpacks to another image than its manifest says: make it anew", path.display());
    }
    Ok(())
}

/// The folder while it is filled.
struct Room<'a> {
    dir: &'a Path,
    sums: Vec<(String, String)>,
}

impl Room<'_> {
    fn copy(&mut self, from: &Path, name: &str, mode: u32, want: Option<&Artefact>) -> Result<()> {
        let to = self.dir.join(name);
        fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        // The copy is what goes out.
        let sha256 = self.sum(name, mode)?;
        if want.is_some_and(|want| want.sha256 != sha256) {
            bail!("{} is not what its manifest says: make the image anew", from.display());
        }
        Ok(())
    }

    fn write(&mut self, name: &str, text: &str) -> Result<()> {
        let to = self.dir.join(name);
        fs::write(&to, text).with_context(|| format!("cannot write {}", to.display()))?;
        self.sum(name, 0o644).map(|_| ())
    }

    fn sum(&mut self, name: &str, mode: u32) -> Result<String> {
        let path = self.dir.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        let sha256 = digest::file(&path)?;
        self.sums.push((name.to_owned(), sha256.clone()));
        Ok(sha256)
    }

    /// Writes the digests, signed when there is a key; gives the names of all files.
    fn finish(mut self, key: Option<&Key>) -> Result<Vec<String>> {
        self.sums.sort();
        let lines = self.sums.iter().map(|(name, sha256)| format!("{sha256}  {name}\n"));
        let text: String = lines.collect();
        let path = self.dir.join(SUMS);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        let names = self.sums.into_iter().map(|(name, _)| name);
        let mut names: Vec<_> = names.chain([SUMS.to_owned()]).collect();
        if let Some(key) = key {
            let signature = key.sign(&path, SUMS, &digest::file(&path)?)?;
            let path = self.dir.join(SIGNATURE);
            fs::write(&path, signature)
                .with_context(|| format!("cannot write {}", path.display()))?;
            names.push(SIGNATURE.to_owned());
        }
        Ok(names)
    }
}
