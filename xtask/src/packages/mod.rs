//! `cargo xtask packages`: Debian packages, for those who have a Debian or a
//! Raspberry Pi OS already and want what the image has.
//!
//! The files are the image's own. What stands in `debian/` is what only a package
//! has: its fields, and the scripts that dpkg runs, written by hand in debhelper's
//! manner. The same inputs give the same bytes.

mod changelog;
mod copyright;
mod deb;
mod files;
mod libraries;
mod module;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::artefacts::sbom;
use crate::context::Context;
use crate::definition::Definition;
use crate::rootfs::packages::Chosen;
use crate::stage::{self, Inputs, Stage};
use crate::tools::{Set, Tools};
use crate::{patches, program};
use deb::{Deb, Text};

/// Who answers for them, as the driver's row in MAINTAINERS has it.
const MAINTAINER: &str =
    "Seed 8a107137 maintainers <maintainers@users.noreply.r-seed-8a107137.example>";

/// What Debian adds to the version: the first package of it.
const REVISION: &str = "1";

/// All of the repository that they are made from, besides the program and crates.
const SOURCES: [&str; 7] = [
    "CHANGELOG.md",
    "LICENSE-MIT",
    "README.md",
    "docs/a7670e.example.toml",
    "docs/control-protocol.md",
    "images/files",
    "xtask/src/packages",
];

/// Folder of the driver's series.
const SERIES: &str = "kernel-patches";

/// What the packages are made with.
pub struct Recipe<'a> {
    /// The tools root.
    pub tools: &'a Tools,
    /// The arm64 program.
    pub program: &'a Path,
    /// The crates in it.
    pub crates: &'a [sbom::Crate],
    /// Version without Debian's revision, such as `0.1.0`.
    pub version: &'a str,
    /// Time of all files, in seconds since 1970.
    pub epoch: u64,
}

/// Builds the packages, of the arm64 program `given` or of `src/`, and puts them
/// into the folder `to`; packages of another version there are left alone.
///
/// # Errors
/// A stage fails, or the folder cannot be written.
pub fn run(ctx: &Context, to: &Path, given: Option<&Path>) -> Result<()> {
    let tools = Tools::get(ctx, Set::Build)?;
    let program = match given {
        Some(path) => program::given(ctx, path)?,
        None => program::build(ctx, &tools)?,
    };
    let stage = build(ctx, &tools, &program.path("a7670e"))?;
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for deb in debs(&stage.dir)? {
        let name = deb.file_name().context("a package without a name")?;
        let to = to.join(name);
        fs::copy(&deb, &to).with_context(|| format!("cannot write {}", to.display()))?;
        println!("{}", to.display());
    }
    Ok(())
}

/// The stage with the `.deb` files of an arm64 program, made or found in the cache.
///
/// # Errors
/// The stage fails.
pub fn build(ctx: &Context, tools: &Tools, program: &Path) -> Result<Stage> {
    let crates = sbom::read_crates(ctx)?;
    let epoch = epoch(ctx)?;
    let version = env!("CARGO_PKG_VERSION");
    let mut inputs = Inputs::new()
        .value("tools", tools.digest())
        .value("epoch", epoch.to_string())
        .value("version", version)
        .value("crates", crates_text(&crates))
        .value("series", patches::digest(&ctx.path(SERIES))?)
        .path("program", program)?;
    for source in SOURCES {
        inputs = inputs.path(source, &ctx.path(source))?;
    }
    stage::run(ctx, "packages", inputs, |room| {
        let recipe = Recipe { tools, program, crates: &crates, version, epoch };
        make(ctx, &recipe, room.scratch, room.out)
    })
}

/// The archive's state that the image's packages are of: the image's files bear
/// the same time.
///
/// # Errors
/// The image's packages cannot be had.
pub fn epoch(ctx: &Context) -> Result<u64> {
    Ok(Chosen::get(ctx, &Definition::load(ctx, "pi4b")?)?.target.epoch())
}

fn crates_text(crates: &[sbom::Crate]) -> String {
    let text = |it: &sbom::Crate| format!("{} {} {:?}\n", it.name, it.version, it.licence);
    crates.iter().map(text).collect()
}

/// The `.deb` files in a folder, in the order of their names.
///
/// # Errors
/// The folder cannot be read, or has none.
pub fn debs(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "deb") {
            found.push(path);
        }
    }
    ensure!(!found.is_empty(), "{} has no package", dir.display());
    found.sort();
    Ok(found)
}

/// Makes the packages in `out`, working in `scratch`.
///
/// # Errors
/// A file of the repository or a crate's licence cannot be read, the program needs
/// what no Debian package has, or a tool fails.
pub fn make(ctx: &Context, recipe: &Recipe<'_>, scratch: &Path, out: &Path) -> Result<()> {
    let version = format!("{}-{REVISION}", recipe.version);
    let needs = libraries::needs(recipe.tools, recipe.program)?;
    let text = |path: &str| {
        fs::read_to_string(ctx.path(path)).with_context(|| format!("cannot read {path}"))
    };
    let log = changelog::Changelog {
        text: &text("CHANGELOG.md")?,
        version: recipe.version,
        revision: REVISION,
        maintainer: MAINTAINER,
        epoch: recipe.epoch,
    };
    let mit = text("LICENSE-MIT")?;
    let own = copyright::own(&mit)?;
    let driver = module::source(ctx, SERIES)?;
    let words = BTreeMap::from([
        ("VERSION", version.clone()),
        ("UPSTREAM", recipe.version.to_owned()),
        ("MAINTAINER", MAINTAINER.to_owned()),
        ("LIBRARIES", needs),
    ]);
    let new = |name: &str, arch: &str, copyright: &str| -> Result<Deb> {
        let mut deb = Deb::new(&words, name, arch)?;
        let doc = format!("usr/share/doc/{name}");
        deb.file(&format!("{doc}/copyright"), copyright);
        deb.packed(&format!("{doc}/changelog.Debian.gz"), &log.debian("a7670e")?)?;
        deb.packed(&format!("{doc}/changelog.gz"), log.text)?;
        Ok(deb)
    };

    let mut udev = new("a7670e-udev", "all", &own)?;
    files::lay(&mut udev, &ctx.path(files::FOLDER), files::UDEV)?;

    let crates = copyright::crates(ctx, recipe.crates, &own)?;
    let mut service = new("a7670e", "arm64", &crates)?;
    files::lay(&mut service, &ctx.path(files::FOLDER), files::SERVICE)?;
    service.program("usr/bin/a7670e", recipe.program)?;
    service.conffile("etc/a7670e.toml", Text::Settings)?;
    let doc = "usr/share/doc/a7670e";
    service.file(&format!("{doc}/a7670e.example.toml"), &text("docs/a7670e.example.toml")?);
    service.packed(&format!("{doc}/control-protocol.md.gz"), &text("docs/control-protocol.md")?)?;

    let mut dkms = new("simcom-wwan-dkms", "all", copyright::DRIVER)?;
    let home = format!("usr/src/simcom-wwan-{}", recipe.version);
    dkms.file(&format!("{home}/simcom_wwan.c"), &driver);
    dkms.file(&format!("{home}/Kbuild"), "obj-m := simcom_wwan.o\n");
    dkms.text(&format!("{home}/dkms.conf"), Text::Dkms)?;

    for deb in [udev, service, dkms] {
        deb.build(recipe, scratch, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maintainer_is_the_drivers() {
        let patch = include_str!("../../../kernel-patches/0001-net-usb-add-simcom_wwan.patch");
        assert!(patch.contains(&format!("\n+M:\t{MAINTAINER}\n")), "MAINTAINERS has another");
    }

    #[test]
    fn only_packages_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(debs(dir.path()).is_err());
        for name in ["b.deb", "a.deb", "a.log"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let names: Vec<_> = debs(dir.path()).unwrap();
        assert_eq!(names, [dir.path().join("a.deb"), dir.path().join("b.deb")]);
    }
}
