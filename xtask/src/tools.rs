//! Tools roots: the programs of Debian trixie that the build runs, the same
//! everywhere.
//!
//! A tools root is the locked packages *unpacked*, not configured: compilers
//! and file system tools need no maintainer script, and a root without any is
//! quicker to make and depends on nothing but its packages.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::archive::{self, Packages, Request};
use crate::context::Context;
use crate::process;
use crate::sandbox::Sandbox;
use crate::stage::{self, Inputs, Stage};

/// Lock file of the tools that build and judge the image.
pub const LOCK: &str = "tools";

/// Lock file of the programs that the build is measured beside.
pub const RIVALS_LOCK: &str = "rivals";

/// Lock file of the browser that looks at the desk's page.
pub const WEB_LOCK: &str = "web";

/// Lock file of the programs that judge what people read.
pub const DOCS_LOCK: &str = "docs";

/// Which set of tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// All that builds the image.
    Build,
    /// All that judges and emulates it.
    Rig,
    /// Other makers of root file systems and writers of cards, to measure ours
    /// beside.
    Rivals,
    /// A browser, for the desk's page.
    Web,
    /// Judges of manual pages, completions and templates.
    Docs,
}

/// Everything a tools root needs to be entered at all.
const BASE: &[&str] = &[
    "base-files",
    "base-passwd",
    "bash",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "grep",
    "gzip",
    "libc-bin",
    "mawk",
    "perl",
    "sed",
    "tar",
    "util-linux",
    "xz-utils",
    "zstd",
];

const BUILD: &[&str] = &[
    // Kernel.
    "bc",
    "bison",
    "flex",
    "gcc",
    "gcc-aarch64-linux-gnu",
    "kmod",
    "libc6-dev",
    "libelf-dev",
    "libssl-dev",
    "make",
    "patch",
    "python3-minimal",
    "rsync",
    "cpio",
    "sparse",
    "device-tree-compiler",
    // The device's program.
    "cargo",
    "rustc",
    // Root file system and image.
    "dpkg",
    "e2fsprogs",
    "libarchive13t64",
    "mtools",
    "dosfstools",
    "qemu-user",
    "systemd",
    "udev",
];

const RIG: &[&str] = &[
    "qemu-system-arm",
    "diffoscope-minimal",
    "e2fsprogs",
    "mtools",
    "dosfstools",
    "device-tree-compiler",
    "mmdebstrap",
    "qemu-user",
    "mount",
    "systemd",
    "udev",
];

const RIVALS: &[&str] = &[
    "mkosi",
    "bmaptool",
    "apt",
    "reprepro",
    "debian-archive-keyring",
    "dpkg",
    "cpio",
    "mount",
    "qemu-user",
    "systemd",
];

const WEB: &[&str] = &["chromium", "fonts-dejavu-core"];

const DOCS: &[&str] = &["mandoc", "groff-base", "zsh", "fish", "yamllint"];

/// Cross compilation needs arm64's C library beside the compiler.
const CROSS: &[&str] = &["libc6-dev-arm64-cross"];

impl Set {
    fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Rig => "rig",
            Self::Rivals => "rivals",
            Self::Web => "web",
            Self::Docs => "docs",
        }
    }

    /// The lock file that pins it.
    pub fn lock(self) -> &'static str {
        match self {
            Self::Build | Self::Rig => LOCK,
            Self::Rivals => RIVALS_LOCK,
            Self::Web => WEB_LOCK,
            Self::Docs => DOCS_LOCK,
        }
    }

    /// The packages to ask the archive for, on a host of architecture `arch`.
    pub fn requests(self, arch: &str) -> Vec<Request> {
        let mut packages = BASE.to_vec();
        packages.extend(match self {
            Self::Build => BUILD,
            Self::Rig => RIG,
            Self::Rivals => RIVALS,
            Self::Web => WEB,
            Self::Docs => DOCS,
        });
        if self == Self::Build && arch != "arm64" {
            packages.extend(CROSS);
        }
        let name = self.name();
        let mut requests = vec![Request::new(&format!("{name}-{arch}"), arch, "trixie", &packages)];
        if self == Self::Build && arch != "arm64" {
            // Rust's standard library for the Pi, without its own dependencies.
            let section = format!("{name}-{arch}-target");
            requests.push(Request::new(&section, "arm64", "trixie", &["libstd-rust-dev"]).alone());
        }
        if self == Self::Rivals {
            // Sid alone has it; it wants no more than trixie's C library.
            let section = format!("{name}-{arch}-sid");
            requests.push(Request::new(&section, arch, "sid", &["bmap-rs"]).alone());
        }
        requests
    }
}

/// A tools root on disk.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The stage that made it; its inputs are the packages.
    pub stage: Stage,
    /// Its packages, for the manifest.
    pub packages: Vec<Packages>,
}

impl Tools {
    /// Makes the root, or finds it in the cache.
    pub fn get(ctx: &Context, set: Set) -> Result<Self> {
        let packages = set
            .requests(arch()?)
            .iter()
            .map(|request| archive::packages(ctx, set.lock(), request))
            .collect::<Result<Vec<_>>>()?;
        let mut inputs = Inputs::new().value("layout", "3");
        for p in &packages {
            inputs = inputs.value(&p.section.name, p.digest());
        }
        let name = format!("tools-{}", set.name());
        let stage = stage::run(ctx, &name, inputs, |room| {
            unpack(&packages, &room.out.join("root"), ctx.jobs)
        })?;
        Ok(Self { stage, packages })
    }

    /// The root's folder.
    pub fn root(&self) -> PathBuf {
        self.stage.path("root")
    }

    /// A sandbox to run its programs in.
    pub fn sandbox(&self) -> Sandbox {
        Sandbox::new(&self.root())
    }

    /// Stands for the tools in the inputs of other stages.
    pub fn digest(&self) -> String {
        self.packages.iter().map(Packages::digest).collect::<Vec<_>>().join("+")
    }
}

/// The build machine's architecture in Debian's words.
pub fn arch() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("no tools are defined for {other} hosts: use x86-64 or arm64"),
    }
}

/// base-files first: it brings the links /bin, /lib and /sbin, through which
/// other packages may unpack.
fn in_order(packages: &Packages) -> Vec<PathBuf> {
    let mut both: Vec<_> = packages.section.entries.iter().zip(&packages.files).collect();
    both.sort_by_key(|(entry, _)| entry.name != "base-files");
    both.into_iter().map(|(_, file)| file.clone()).collect()
}

/// Unpacks `packages` into `root` by `jobs` threads and adds what a root needs
/// to be entered.
pub fn unpack(packages: &[Packages], root: &Path, jobs: usize) -> Result<()> {
    fs::create_dir_all(root)?;
    let debs: Vec<_> = packages.iter().flat_map(in_order).collect();
    let (first, rest) = debs.split_first().context("a tools root without packages")?;
    extract(first, root)?;
    let queue = Mutex::new(rest.iter());
    let errors = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.next());
                    let Some(deb) = next else { break };
                    if let (Err(error), Ok(mut errors)) = (extract(deb, root), errors.lock()) {
                        errors.push(error);
                        break;
                    }
                }
            });
        }
    });
    let errors = errors.into_inner().map_err(|_| anyhow!("an unpacking thread died"))?;
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    // What maintainer scripts would have made.
    for dir in ["work", "tmp", "run", "proc", "dev", "sys"] {
        fs::create_dir_all(root.join(dir))?;
    }
    fs::write(root.join("etc/resolv.conf"), "")?;
    for (name, target) in [("awk", "mawk"), ("cc", "gcc")] {
        let link = root.join("usr/bin").join(name);
        if link.symlink_metadata().is_err() && root.join("usr/bin").join(target).exists() {
            symlink(target, link)?;
        }
    }
    for name in ["passwd", "group"] {
        fs::copy(
            root.join(format!("usr/share/base-passwd/{name}.master")),
            root.join("etc").join(name),
        )
        .with_context(|| format!("base-passwd has no {name}.master"))?;
    }
    Ok(())
}

fn extract(deb: &Path, root: &Path) -> Result<()> {
    process::output(Command::new("dpkg-deb").arg("--extract").args([deb, root]))?;
    Ok(())
}
