//! A fresh Debian 12 to build in: what a newcomer's machine is like.
//!
//! A throw-away root made by mmdebstrap with git and a C compiler; Rust comes
//! from the host. The builds in it start from nothing but downloaded packages,
//! so what the first build shows is that the project brings all it needs, and
//! what the second shows, made by another user in other circumstances, is that
//! none of these matter.

pub mod compare;
pub mod record;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::archive::Sources;
use crate::context::Context;
use crate::sandbox::{Ids, Sandbox};
use crate::tools::{Set, Tools};
use crate::{process, stage};

/// What a newcomer has besides Debian's essential packages and apt. git
/// fetched the project; gcc and libc6-dev are the C compiler.
const PACKAGES: &str = "git,gcc,libc6-dev,ca-certificates";

/// Who builds, where, and under which settings that must not matter.
#[derive(Clone, Copy, Debug)]
pub struct Builder {
    /// Folder name of everything that this build keeps.
    pub name: &'static str,
    /// An ordinary user, or root.
    pub ordinary: bool,
    /// Where the checkout lies below `/work`.
    pub checkout: &'static str,
    /// `umask`, as the shell reads it.
    pub umask: &'static str,
    /// Host name.
    pub hostname: &'static str,
    /// More of the environment.
    pub env: &'static [(&'static str, &'static str)],
    /// Arguments after `cargo xtask image --yes`.
    pub arguments: &'static [&'static str],
}

/// As the README says it, as root.
pub const NEWCOMER: Builder = Builder {
    name: "newcomer",
    ordinary: false,
    checkout: "a7670e",
    umask: "022",
    hostname: "debian12",
    env: &[],
    arguments: &[],
};

/// As different as it can be.
pub const STRANGER: Builder = Builder {
    name: "stranger",
    ordinary: true,
    checkout: "home/some where/a longer path to the checkout",
    umask: "077",
    hostname: "some-other-machine",
    env: &[("TZ", "Pacific/Auckland"), ("LC_ALL", "tr_TR.UTF-8"), ("LANGUAGE", "tr")],
    arguments: &["--jobs", "3"],
};

/// A fresh Debian 12 with a copy of the repository.
pub struct Fresh<'a> {
    ctx: &'a Context,
    home: PathBuf,
    rust: PathBuf,
}

impl<'a> Fresh<'a> {
    /// Makes the root anew.
    pub fn new(ctx: &'a Context) -> Result<Self> {
        let home = ctx.cache_dir("fresh")?;
        let root = home.join("root");
        stage::remove_tree(&root)?;
        let step = ctx.report.step("debian12");
        make_root(ctx, &home)?;
        step.done("a fresh Debian 12");
        let sysroot = process::text(Command::new("rustc").args(["--print", "sysroot"]))
            .context("Rust is needed to build in a fresh root")?;
        Ok(Self { ctx, home, rust: sysroot.trim().into() })
    }

    /// Builds the image from nothing but downloaded packages; gives the folder
    /// with the results. With a stage's folder for `kernel`, that is not built.
    pub fn build(&self, builder: &Builder, kernel: Option<&Path>) -> Result<PathBuf> {
        self.prepare(builder, kernel)?;
        self.image(builder, "build")?;
        // What had to be downloaded serves the next build.
        let (new, pool) = (self.cache(builder).join("pool/."), self.ctx.cache_dir("pool")?);
        process::output(Command::new("cp").arg("-rn").args([&new, &pool]))?;
        Ok(self.out(builder))
    }

    /// Lays out the checkout, as git would, and compiles the build tool.
    pub fn prepare(&self, builder: &Builder, kernel: Option<&Path>) -> Result<()> {
        let place = self.place(builder);
        stage::remove_tree(&place)?;
        for dir in ["checkout", "cache", "cargo", "target", "out"] {
            fs::create_dir_all(place.join(dir))?;
        }
        copy_repository(&self.ctx.repo, &place.join("checkout"))?;
        // The archive at hand: packages that were downloaded before.
        copy_tree(&self.ctx.cache_dir("pool")?, &place.join("cache/pool"))?;
        if let (Some(kernel), Some(key)) = (kernel, kernel.and_then(Path::file_name)) {
            let home = place.join("cache/stages/kernel");
            fs::create_dir_all(&home)?;
            copy_tree(kernel, &home.join(key))?;
        }
        if builder.ordinary {
            let script = "useradd --create-home builder && \
                          usermod --add-subuids 100000-165535 --add-subgids 100000-165535 builder && \
                          apt-get -qq update && \
                          apt-get -qq install -y --no-install-recommends uidmap && \
                          chown -R builder:builder /work/place";
            self.run(builder, &["sh", "-c", script], "prepare")?;
        }
        self.checkout(builder, "cargo xtask --help", "compile")?;
        Ok(())
    }

    /// Runs `cargo xtask image`; gives what it said.
    pub fn image(&self, builder: &Builder, log: &str) -> Result<String> {
        let arguments = builder.arguments.join(" ");
        let image = format!("cargo xtask image --yes --out /work/place/out {arguments}");
        self.checkout(builder, &image, log)
    }

    /// Runs a command of the shell in the checkout, as the builder.
    fn checkout(&self, builder: &Builder, command: &str, log: &str) -> Result<String> {
        let line =
            format!("umask {} && cd \"/work/{}\" && {command}", builder.umask, builder.checkout);
        let as_user =
            ["setpriv", "--reuid=builder", "--regid=builder", "--init-groups", "sh", "-c", &line];
        let as_root = ["sh", "-c", &line];
        self.run(builder, if builder.ordinary { &as_user } else { &as_root }, log)
    }

    fn run(&self, builder: &Builder, argv: &[&str], log: &str) -> Result<String> {
        let place = self.place(builder);
        let log = place.join(format!("{log}.log"));
        self.sandbox(builder).run(argv, &log)?;
        Ok(fs::read_to_string(log)?)
    }

    fn place(&self, builder: &Builder) -> PathBuf {
        self.home.join(builder.name)
    }

    /// The copy of the repository that the builder works in.
    pub fn repository(&self, builder: &Builder) -> PathBuf {
        self.place(builder).join("checkout")
    }

    /// Where the results are.
    pub fn out(&self, builder: &Builder) -> PathBuf {
        self.place(builder).join("out")
    }

    /// Where the build keeps its cache, which later parts may go on with.
    pub fn cache(&self, builder: &Builder) -> PathBuf {
        self.place(builder).join("cache")
    }

    fn sandbox(&self, builder: &Builder) -> Sandbox {
        let place = self.place(builder);
        let mut sandbox = Sandbox::new(&self.home.join("root"))
            .writable_root()
            .network()
            .ids(Ids::Range)
            .hostname(builder.hostname)
            .bind(&self.rust, "rust")
            .bind_writable(&place, "place")
            .bind_writable(&place.join("checkout"), builder.checkout)
            .env("PATH", "/work/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", if builder.ordinary { "/home/builder" } else { "/root" })
            .env("CARGO_HOME", "/work/place/cargo")
            .env("CARGO_TARGET_DIR", "/work/place/target")
            .env("A7670E_CACHE", "/work/place/cache");
        for name in ["A7670E_MIRROR", "A7670E_SECURITY_MIRROR", "http_proxy", "https_proxy"] {
            if let Ok(value) = std::env::var(name) {
                sandbox = sandbox.env(name, &value);
            }
        }
        // What the host trusts, for networks with an authority of their own.
        let authorities = Path::new("/etc/ssl/certs/ca-certificates.crt");
        if authorities.is_file() {
            sandbox = sandbox
                .bind(authorities, "authorities.crt")
                .env("CARGO_HTTP_CAINFO", "/work/authorities.crt");
        }
        builder.env.iter().fold(sandbox, |sandbox, (name, value)| sandbox.env(name, value))
    }
}

fn make_root(ctx: &Context, home: &Path) -> Result<()> {
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let rig = Tools::get(ctx, Set::Rig)?;
    let list = home.join("sources.list");
    fs::write(&list, Sources::find()?.list("bookworm", keyring))?;
    let log = home.join("mmdebstrap.log");
    rig.sandbox().network().ids(Ids::Range).bind_writable(home, "fresh").run(
        &[
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            "--format=directory",
            &format!("--include={PACKAGES}"),
            "--aptopt=APT::Install-Recommends \"false\"",
            "--dpkgopt=force-unsafe-io",
            "bookworm",
            "/work/fresh/root",
            "/work/fresh/sources.list",
        ],
        &log,
    )?;
    for dir in ["work", "run", "tmp"] {
        fs::create_dir_all(home.join("root").join(dir))?;
    }
    Ok(())
}

/// Copies what git knows or would know of the repository: a clone with the
/// changes that are not committed yet.
pub fn copy_repository(repo: &Path, to: &Path) -> Result<()> {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(repo);
    for name in process::text(&mut list)?.split('\0').filter(|name| !name.is_empty()) {
        let (from, target) = (repo.join(name), to.join(name));
        // A file that is deleted but not yet committed as such.
        if from.symlink_metadata().is_err() {
            continue;
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        process::output(Command::new("cp").arg("-P").arg(&from).arg(&target))?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        bail!("{} is in the way", to.display());
    }
    process::output(Command::new("cp").args(["-r", "--reflink=auto"]).arg(from).arg(to))?;
    Ok(())
}
