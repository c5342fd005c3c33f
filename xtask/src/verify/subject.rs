//! The image under judgement, opened once for all questions.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use ext4_view::Ext4;

use super::content::Scan;
use super::tree;
use crate::context::Context;
use crate::disk::mbr::{self, Mbr, Partition};
use crate::disk::sparse;
use crate::sandbox::Sandbox;
use crate::tools::Tools;

/// First bytes of a Zstandard frame (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What cannot be had is an error that every question in need of it repeats.
type Part<T> = std::result::Result<T, String>;

/// An opened image. Parts that take a while are made when first asked for.
pub struct Subject<'a> {
    /// Settings of this run.
    pub ctx: &'a Context,
    /// The raw image.
    pub image: File,
    /// Its bytes.
    pub size: u64,
    tools: Sandbox,
    dir: tempfile::TempDir,
    partitions: [OnceCell<Part<PathBuf>>; 2],
    boot: OnceCell<Part<BTreeMap<String, Vec<u8>>>>,
    root: OnceCell<Part<Ext4>>,
    folder: OnceCell<Part<PathBuf>>,
    scan: OnceCell<Part<Scan>>,
}

impl<'a> Subject<'a> {
    /// Opens `path`, decompressing it when it is Zstandard.
    pub fn open(ctx: &'a Context, tools: &Tools, path: &Path) -> Result<Self> {
        let dir = tempfile::tempdir_in(&ctx.cache)?;
        let cannot = || format!("cannot read {}", path.display());
        let mut image = File::open(path).with_context(cannot)?;
        let mut magic = [0; 4];
        let compressed = image.read_exact_at(&mut magic, 0).is_ok() && magic == ZSTD;
        if compressed {
            image = decompress(&image, &dir.path().join("disk.img")).with_context(cannot)?;
        }
        let size = image.metadata().with_context(cannot)?.len();
        Ok(Self {
            ctx,
            image,
            size,
            tools: tools.sandbox(),
            dir,
            partitions: Default::default(),
            boot: OnceCell::new(),
            root: OnceCell::new(),
            folder: OnceCell::new(),
            scan: OnceCell::new(),
        })
    }

    /// The boot record.
    pub fn mbr(&self) -> Result<Mbr> {
        let mut sector = vec![0; mbr::SECTOR.min(self.size) as usize];
        self.image.read_exact_at(&mut sector, 0)?;
        Mbr::decode(&sector)
    }

    /// Partition `number` (1 or 2), which lies on the disk.
    pub fn partition(&self, number: usize) -> Result<Partition> {
        let mbr = self.mbr()?;
        let partition = mbr.slots[number - 1].with_context(|| format!("no partition {number}"))?;
        if partition.size == 0 || partition.end() > self.size {
            bail!(
                "partition {number} ends at byte {}, the image at {}",
                partition.end(),
                self.size
            );
        }
        Ok(partition)
    }

    /// A copy of partition `number` (1 or 2) as a file of its own.
    pub fn extracted(&self, number: usize) -> Result<&Path> {
        let path = once(&self.partitions[number - 1], || {
            let partition = self.partition(number)?;
            let path = self.dir.path().join(format!("part{number}"));
            let file = File::create_new(&path)?;
            file.set_len(partition.size)?;
            sparse::copy(&self.image, partition.start..partition.end(), &file, 0)
                .context("cannot copy the partition; is the disk of the cache full?")?;
            Ok(path)
        })?;
        Ok(path)
    }

    /// Files of the boot partition by lower-case path.
    pub fn boot(&self) -> Result<&BTreeMap<String, Vec<u8>>> {
        once(&self.boot, || {
            let file = File::open(self.extracted(1)?)?;
            let options = fatfs::FsOptions::new();
            let fs = fatfs::FileSystem::new(ReadOnly(file), options)
                .context("the boot file system cannot be read")?;
            let mut files = BTreeMap::new();
            read_fat(&fs.root_dir(), "", &mut files)
                .context("the boot file system cannot be read")?;
            Ok(files)
        })
    }

    /// A file of the boot partition.
    pub fn boot_file(&self, name: &str) -> Result<&[u8]> {
        let content = self.boot()?.get(&name.to_lowercase());
        Ok(content.with_context(|| format!("{name} is missing on the boot partition"))?)
    }

    /// The root file system.
    pub fn root(&self) -> Result<&Ext4> {
        once(&self.root, || {
            Ext4::load_from_path(self.extracted(2)?)
                .map_err(|error| anyhow!("the root file system cannot be read: {error}"))
        })
    }

    /// A file of the root as text; `None` when there is none. Links are
    /// followed.
    pub fn text(&self, path: &str) -> Result<Option<String>> {
        let root = self.root()?;
        if !root.exists(path).with_context(|| path.to_owned())? {
            return Ok(None);
        }
        let bytes = root.read(path).with_context(|| format!("cannot read {path}"))?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// What went through the hands when every file was read.
    pub fn scan(&self) -> Result<&Scan> {
        once(&self.scan, || Scan::run(self))
    }

    /// Tools that find the root tree at `/work/tree`: configuration with its
    /// content, all else as empty files of the same name and mode.
    pub fn on_tree(&self) -> Result<Sandbox> {
        let folder = once(&self.folder, || {
            let folder = self.dir.path().join("tree");
            tree::extract(self.root()?, &folder)?;
            Ok(folder)
        })?;
        // systemd's tools would complain to the host's log otherwise.
        let tools = self.tools.clone().env("SYSTEMD_LOG_TARGET", "console");
        Ok(tools.env("SYSTEMD_LOG_COLOR", "0").bind(folder, "tree"))
    }

    /// Tools that find partition `number` at `/work/part`.
    pub fn on_partition(&self, number: usize) -> Result<Sandbox> {
        Ok(self.tools.clone().bind(self.extracted(number)?, "part"))
    }
}

/// Makes what `cell` is to hold, once; a failure is kept as well.
fn once<T>(cell: &OnceCell<Part<T>>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    let part = cell.get_or_init(|| make().map_err(|error| format!("{error:#}")));
    part.as_ref().map_err(|error| anyhow!("{error}"))
}

/// Unpacks all frames into a sparse file.
fn decompress(from: &File, to: &Path) -> Result<File> {
    let file = File::options().read(true).write(true).create_new(true).open(to)?;
    let mut decoder = zstd::stream::read::Decoder::new(from)?;
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        let length = decoder.read(&mut buffer).context("damaged Zstandard data")?;
        if length == 0 {
            break;
        }
        sparse::write(&file, &buffer[..length], at)?;
        at += length as u64;
    }
    file.set_len(at)?;
    Ok(file)
}

type Dir<'a> = fatfs::Dir<'a, ReadOnly>;

fn read_fat(dir: &Dir<'_>, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in dir.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        let path = format!("{prefix}{}", name.to_lowercase());
        if entry.is_dir() {
            if path.matches('/').count() > 8 {
                bail!("{path}: folders within folders without end");
            }
            read_fat(&entry.to_dir(), &format!("{path}/"), files)?;
        } else {
            let mut bytes = Vec::new();
            // A damaged entry may promise more than there is.
            entry
                .to_file()
                .take(entry.len())
                .read_to_end(&mut bytes)
                .with_context(|| path.clone())?;
            if bytes.len() as u64 != entry.len() {
                bail!("{path} has {} of its {} bytes", bytes.len(), entry.len());
            }
            files.insert(path, bytes);
        }
    }
    Ok(())
}

/// `fatfs` marks a volume as in use unless it cannot write.
struct ReadOnly(File);

impl io::Read for ReadOnly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl io::Seek for ReadOnly {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl io::Write for ReadOnly {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
