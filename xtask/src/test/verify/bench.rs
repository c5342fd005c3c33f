//! A copy of an image, and the tools to break it with.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::context::Context;
use crate::disk::mbr::{self, Mbr, Partition};
use crate::disk::sparse;
use crate::process;
use crate::sandbox::Sandbox;
use crate::tools::Tools;

/// The copy; removed when dropped.
pub struct Bench<'a> {
    /// Settings of this run.
    pub ctx: &'a Context,
    /// The copy's path.
    pub image: PathBuf,
    dir: tempfile::TempDir,
    sandbox: Sandbox,
    parts: [Partition; 2],
}

impl<'a> Bench<'a> {
    /// Copies `good` into a folder of its own in `dir`.
    pub fn new(ctx: &'a Context, tools: &Tools, good: &Path, dir: &Path) -> Result<Self> {
        let dir = tempfile::tempdir_in(dir)?;
        let image = dir.path().join("disk.img");
        let from = File::open(good)?;
        let size = from.metadata()?.len();
        let to = File::create_new(&image)?;
        to.set_len(size)?;
        sparse::copy(&from, 0..size, &to, 0)?;
        let mut sector = [0; mbr::SECTOR as usize];
        from.read_exact_at(&mut sector, 0)?;
        let [Some(boot), Some(root), ..] = Mbr::decode(&sector)?.slots else {
            anyhow::bail!("the good image has not two partitions");
        };
        fs::create_dir(dir.path().join("new"))?;
        let sandbox =
            tools.sandbox().bind_writable(&image, "disk.img").bind(&dir.path().join("new"), "new");
        Ok(Self { ctx, image, dir, sandbox, parts: [boot, root] })
    }

    /// First byte of partition `number` (1 or 2).
    pub fn start(&self, number: usize) -> u64 {
        self.parts[number - 1].start
    }

    /// Bytes of the image.
    pub fn peek(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        File::open(&self.image)?.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Changes bytes of the image at `offset` by `change`.
    pub fn edit(&self, offset: u64, length: usize, change: impl FnOnce(&mut [u8])) -> Result<()> {
        let image = File::options().read(true).write(true).open(&self.image)?;
        let mut bytes = vec![0; length];
        image.read_exact_at(&mut bytes, offset)?;
        let before = bytes.clone();
        change(&mut bytes);
        ensure!(before != bytes, "nothing changed at byte {offset}");
        Ok(image.write_all_at(&bytes, offset)?)
    }

    /// An mtools command on the boot partition; words after the image's.
    pub fn mtools(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let image = format!("/work/disk.img@@{}", self.start(1));
        self.sandbox.output(&[&[program, "-i", &image], arguments].concat())?;
        Ok(())
    }

    /// Replaces a file of the boot partition.
    pub fn boot_file(&self, name: &str, content: &[u8]) -> Result<()> {
        self.fresh(content)?;
        self.mtools("mcopy", &["-o", "/work/new/file", &format!("::{name}")])
    }

    /// A file of the boot partition.
    pub fn read_boot(&self, name: &str) -> Result<String> {
        let image = format!("/work/disk.img@@{}", self.start(1));
        self.sandbox.text(&["mtype", "-i", &image, &format!("::{name}")])
    }

    /// debugfs commands on the root partition, one a line.
    pub fn debugfs(&self, commands: &str) -> Result<String> {
        let list = self.dir.path().join("new/commands");
        fs::write(list, commands)?;
        let device = format!("/work/disk.img?offset={}", self.start(2));
        let argv = ["debugfs", "-w", "-f", "/work/new/commands", &device];
        let output = process::any_output(&mut self.sandbox.command(&argv)?)?;
        // It goes on after a mistake and ends with success.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(said.lines().count() <= 1, "debugfs: {said}");
        String::from_utf8(output.stdout).context("debugfs gave no UTF-8")
    }

    /// A new file of the root.
    pub fn add(&self, path: &str, content: &[u8]) -> Result<()> {
        self.fresh(content)?;
        self.debugfs(&format!("write /work/new/file {path}\n"))?;
        Ok(())
    }

    /// Other content for a file of the root.
    pub fn replace(&self, path: &str, content: &[u8]) -> Result<()> {
        self.debugfs(&format!("rm {path}\n"))?;
        self.add(path, content)
    }

    /// A file of the root.
    pub fn read(&self, path: &str) -> Result<String> {
        let device = format!("/work/disk.img?offset={}", self.start(2));
        self.sandbox.text(&["debugfs", "-R", &format!("cat {path}"), &device])
    }

    fn fresh(&self, content: &[u8]) -> Result<()> {
        Ok(fs::write(self.dir.path().join("new/file"), content)?)
    }
}
