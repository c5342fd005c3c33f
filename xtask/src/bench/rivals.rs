//! Other writers of images: bmaptool and bmap-rs from Debian, caligula from
//! crates.io. None of them is wanted on the machine itself.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::process;
use crate::stage::{self, Inputs};
use crate::test::rust::cargo;
use crate::tools::{self, Set, Tools};

/// The crate that Debian does not have, and its version. What was published does not
/// change, and it brings the lock of all that it is built of.
const CALIGULA: (&str, &str) = ("caligula", "0.5.0");

/// The names, as the table has them.
pub const NAMES: [&str; 3] = ["bmaptool", "bmap-rs", "caligula"];

/// The programs, ready to run.
pub struct Rivals {
    tools: Tools,
    caligula: PathBuf,
}

impl Rivals {
    /// Gets them, or finds them in the cache.
    pub fn get(ctx: &Context) -> Result<Self> {
        let tools = Tools::get(ctx, Set::Rivals)?;
        let (name, version) = CALIGULA;
        let inputs = Inputs::new().value("host", tools::arch()?).value(name, version);
        let stage = stage::run(ctx, name, inputs, |room| {
            let jobs = ctx.jobs.to_string();
            let mut command = cargo(ctx, &["install", "--quiet", "--locked", "--jobs", &jobs]);
            command.arg("--target-dir").arg(room.scratch.join("target"));
            command.arg("--root").arg(room.out).args(["--version", version, name]);
            process::output(&mut command).map(drop)
        })?;
        Ok(Self { tools, caligula: stage.path("bin").join(name) })
    }

    /// The words by which `name` writes the image to `device`. `dir` has the image
    /// as `image.img`, packed as `image.img.zst`, with its map `image.bmap`.
    pub fn words(&self, name: &str, dir: &Path, device: &Path) -> Result<Vec<String>> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let device = path(device);
        Ok(match name {
            "bmaptool" => {
                let copy = ["bmaptool", "copy", "--bmap=/work/in/image.bmap"];
                self.inside(dir, &[&copy[..], &["/work/in/image.img.zst", &device]].concat())?
            }
            // It knows of gzip alone; unpacked is its best case. It looks for the map
            // itself.
            "bmap-rs" => self.inside(dir, &["bmap-rs", "copy", "/work/in/image.img", &device])?,
            // It knows of no map. It keeps a log.
            "caligula" => own(&[
                "env",
                &format!("TMPDIR={}", dir.display()),
                &path(&self.caligula),
                "burn",
                &path(&dir.join("image.img.zst")),
                "-o",
                &device,
                "--compression=auto",
                "--hash=skip",
                "--interactive=never",
                "--root=never",
                "--show-all-disks",
                "--force",
            ]),
            other => anyhow::bail!("nobody knows how to run {other}"),
        })
    }

    /// The words that run `words` in the tools root, which has the host's devices.
    fn inside(&self, dir: &Path, words: &[&str]) -> Result<Vec<String>> {
        let command = self.tools.sandbox().bind(dir, "in").command(words)?;
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let text = |word: &OsStr| word.to_str().map(str::to_owned).context("a path without UTF-8");
        words.map(text).collect()
    }
}
