//! Part `disk`: images of a small tree, judged by other people's programs.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::Checks;
use crate::context::Context;
use crate::definition::Definition;
use crate::disk::{self, DiskInputs, mbr};
use crate::sandbox::Sandbox;
use crate::stage::{self, Stage};
use crate::tools::{Set, Tools};
use crate::{archive, digest};

/// Any time will do.
const EPOCH: u64 = 1_700_000_000;

/// Runs the part.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let tools = Tools::get(ctx, Set::Build)?;
    let packages = archive::packages(ctx, "pi4b", &disk::firmware_request())?;
    let (_, firmware) = packages.get(disk::FIRMWARE_PACKAGE)?;
    let dir = tempfile::tempdir_in(&ctx.cache)?;
    let tree = Tree::make(dir.path(), firmware)?;
    for boot_mib in [64, 128] {
        let text = format!("hostname = 'test'\n[disk]\nboot_mib = {boot_mib}\nfree_mib = 16\n");
        let mut definition = Definition::parse(&text, dir.path())?;
        definition.name = "test".into();
        let inputs = tree.inputs(&definition);
        let made = disk::build(ctx, &tools, &inputs)?;
        let first = digest::file(&made.path("test.img"))?;
        let work = dir.path().join(format!("{boot_mib}.img"));
        fs::copy(made.path("test.img"), &work)?;
        let image = Image { path: work, map: map(&made)?, sandbox: tools.sandbox() };
        stage::remove_tree(&made.dir)?;
        checks.check(&format!("{boot_mib} MiB: file systems are sound"), image.sound());
        checks.check(&format!("{boot_mib} MiB: content is right"), image.content(&tree));
        checks.check(
            &format!("{boot_mib} MiB: so they are when all outside the map is rubbish"),
            image.spoil().and_then(|()| image.sound()).and_then(|()| image.content(&tree)),
        );
        let again = disk::build(ctx, &tools, &inputs)?;
        let second = digest::file(&again.path("test.img"))?;
        stage::remove_tree(&again.dir)?;
        checks.check(
            &format!("{boot_mib} MiB: a second build gives the same bytes"),
            (first == second).then_some(()).with_context(|| format!("{first} and {second}")),
        );
    }
    Ok(())
}

/// A root tree and boot files small enough to make in no time.
struct Tree {
    tar: PathBuf,
    kernel: PathBuf,
    firmware: PathBuf,
}

impl Tree {
    fn make(dir: &Path, firmware: &Path) -> Result<Self> {
        let kernel = dir.join("kernel");
        fs::create_dir(&kernel)?;
        fs::write(kernel.join("Image.gz"), vec![0x5a; 3_000_000])?;
        fs::write(kernel.join(disk::DEVICE_TREE), vec![0xa5; 50_000])?;
        let tar = dir.join("root.tar");
        let mut builder = tar::Builder::new(File::create(&tar)?);
        let mut add = |path: &str, mode: u32, owner: u64, content: Option<&[u8]>| {
            let mut header = tar::Header::new_gnu();
            header.set_mode(mode);
            header.set_uid(owner);
            header.set_gid(owner);
            header.set_mtime(EPOCH);
            header.set_size(content.map_or(0, <[u8]>::len) as u64);
            if content.is_none() {
                header.set_entry_type(tar::EntryType::Directory);
            }
            builder.append_data(&mut header, path, content.unwrap_or_default())
        };
        add("./", 0o755, 0, None)?;
        add("./etc/", 0o755, 0, None)?;
        add("./etc/secret", 0o640, 42, Some(b"owner and mode matter\n"))?;
        // Zeros between data: a reader of rubbish would see a difference.
        add("./zeros", 0o644, 0, Some(&[0; 1 << 20]))?;
        add("./large", 0o4755, 0, Some(&vec![0x33; 40 << 20]))?;
        for i in 0..3000 {
            add(&format!("./etc/small-{i}"), 0o644, 0, Some(&[b'x'; 10]))?;
        }
        builder.into_inner()?;
        Ok(Self { tar, kernel, firmware: firmware.to_owned() })
    }

    fn inputs<'a>(&'a self, definition: &'a Definition) -> DiskInputs<'a> {
        DiskInputs {
            definition,
            root_tar: &self.tar,
            kernel: &self.kernel,
            firmware: &self.firmware,
            epoch: EPOCH,
        }
    }
}

fn map(stage: &Stage) -> Result<Vec<Range<u64>>> {
    let pairs: Vec<[u64; 2]> = serde_json::from_slice(&fs::read(stage.path(disk::MAP))?)?;
    Ok(pairs.into_iter().map(|[start, end]| start..end).collect())
}

struct Image {
    path: PathBuf,
    map: Vec<Range<u64>>,
    sandbox: Sandbox,
}

impl Image {
    /// A program's output on partition `number`, which it finds as /work/part.
    fn judge(&self, number: usize, argv: &[&str]) -> Result<String> {
        let part = self.path.with_extension(format!("part{number}"));
        self.extract(number, &part)?;
        self.sandbox.clone().bind(&part, "part").text(argv)
    }

    fn extract(&self, number: usize, to: &Path) -> Result<()> {
        let image = File::open(&self.path)?;
        let mut sector = [0; mbr::SECTOR as usize];
        image.read_exact_at(&mut sector, 0)?;
        let slot = mbr::Mbr::decode(&sector)?.slots[number - 1];
        let partition = slot.with_context(|| format!("no partition {number}"))?;
        let mut bytes = vec![0; partition.size as usize];
        image.read_exact_at(&mut bytes, partition.start)?;
        Ok(fs::write(to, bytes)?)
    }

    fn sound(&self) -> Result<()> {
        self.judge(1, &["fsck.fat", "-n", "-v", "/work/part"])?;
        self.judge(2, &["e2fsck", "-fn", "/work/part"])?;
        Ok(())
    }

    fn content(&self, tree: &Tree) -> Result<()> {
        let list = self.judge(1, &["mdir", "-b", "-i", "/work/part", "-/", "::"])?;
        for name in ["start4.elf", "fixup4.dat", "config.txt", "cmdline.txt", "LICENCE.broadcom"] {
            ensure!(list.lines().any(|line| line == format!("::/{name}")), "no {name} in\n{list}");
        }
        let dtb = format!("::{}", disk::DEVICE_TREE);
        let sum =
            self.judge(1, &["sh", "-c", &format!("mcopy -i /work/part {dtb} - | sha256sum")])?;
        let wanted = digest::file(&tree.kernel.join(disk::DEVICE_TREE))?;
        ensure!(sum.starts_with(&wanted), "{dtb}: {sum}, not {wanted}");
        let line = self.judge(1, &["mtype", "-i", "/work/part", "::cmdline.txt"])?;
        ensure!(line.contains("root=PARTUUID=a7670e01-02 "), "cmdline.txt: {line}");
        ensure!(line.lines().count() == 1, "cmdline.txt has several lines");

        let stat = self.judge(2, &["debugfs", "-R", "stat /etc/secret", "/work/part"])?;
        ensure!(stat.contains("Mode:  0640") && stat.contains("User:    42"), "{stat}");
        for (file, content) in [
            ("zeros", digest::bytes(&[0; 1 << 20])),
            ("large", digest::bytes(&vec![0x33; 40 << 20])),
        ] {
            let command = format!("debugfs -R 'cat /{file}' /work/part | sha256sum");
            let sum = self.judge(2, &["sh", "-c", &command])?;
            ensure!(sum.starts_with(&content), "{file} is not as it was");
        }
        let head = self.judge(2, &["dumpe2fs", "-h", "/work/part"])?;
        let free = field(&head, "Free blocks:")? * 4096;
        ensure!((16 << 20..48 << 20).contains(&free), "{free} bytes are free, wanted 16 MiB");
        // Descriptors for 1 TiB: 8192 groups of 64 bytes.
        ensure!(field(&head, "Reserved GDT blocks:")? >= 120, "{head}");
        Ok(())
    }

    /// Fills all that the map leaves out.
    fn spoil(&self) -> Result<()> {
        let image = File::options().write(true).open(&self.path)?;
        let end = image.metadata()?.len();
        let mut at = 0;
        for range in self.map.iter().chain([&(end..end)]) {
            ensure!(at <= range.start, "the map is not in order at {}", range.start);
            image.write_all_at(&vec![0xe5; (range.start - at) as usize], at)?;
            at = range.end;
        }
        Ok(())
    }
}

fn field(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.with_context(|| format!("dumpe2fs gives no {name:?}"))?;
    value.trim().parse().with_context(|| format!("{name} {value:?}"))
}
