//! `cargo xtask image`: all stages in their order.
//!
//! What can be wrong with the definition or the archive is found out before
//! anything is built. The kernel, by far the longest stage, runs beside the
//! root file system.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};

use crate::archive::{self, Packages};
use crate::artefacts::{self, sbom};
use crate::context::Context;
use crate::definition::Definition;
use crate::rootfs::packages::Chosen;
use crate::rootfs::{self, Mode};
use crate::stage::Stage;
use crate::tools::{Set, Tools};
use crate::tree::{self, TreeInputs};
use crate::{digest, disk, kernel, patches, program};

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the definition in `images/`.
    pub name: String,
    /// Where the results go.
    pub out: PathBuf,
    /// How the root file system is configured.
    pub rootfs: Mode,
    /// A program for the Pi that the user built.
    pub program: Option<PathBuf>,
}

impl Options {
    /// The default image, in `out/` of the repository.
    pub fn new(ctx: &Context, name: &str) -> Self {
        Self { name: name.to_owned(), out: ctx.path("out"), rootfs: Mode::default(), program: None }
    }
}

/// A finished image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The published files, the raw image first.
    pub files: Vec<PathBuf>,
    /// Every stage, in the order of the build.
    pub stages: Vec<Stage>,
    /// Whether every package came from the locks.
    pub locked: bool,
}

impl Image {
    /// The raw disk image.
    pub fn raw(&self) -> Result<&Path> {
        self.files.first().map(PathBuf::as_path).context("nothing was published")
    }
}

/// Every package that the image is made from.
struct Sources {
    chosen: Chosen,
    kernel: Packages,
    firmware: Packages,
}

impl Sources {
    fn get(ctx: &Context, definition: &Definition) -> Result<Self> {
        // First, since here a name of the user's may be wrong.
        let chosen = Chosen::get(ctx, definition)?;
        let kernel = kernel::source(ctx, &definition.name)?;
        let firmware = archive::packages(ctx, &definition.name, &disk::firmware_request())?;
        Ok(Self { chosen, kernel, firmware })
    }
}

/// Builds the image and tells the user what came of it.
pub fn run(ctx: &Context, options: &Options) -> Result<()> {
    let image = build(ctx, options)?;
    if !image.locked {
        ctx.report.warn("not every package is the locked one: the manifest says which");
    }
    if image.stages.iter().all(|stage| stage.took.is_none()) {
        ctx.report.line("nothing changed");
    }
    for file in &image.files {
        println!("{}", file.display());
    }
    Ok(())
}

/// Builds the image and publishes it.
pub fn build(ctx: &Context, options: &Options) -> Result<Image> {
    let definition = Definition::load(ctx, &options.name)?;
    let sources = Sources::get(ctx, &definition)?;
    let tools = Tools::get(ctx, Set::Build)?;
    // One time for all that has one: that of the root's packages.
    let epoch = sources.chosen.target.epoch();

    let (kernel, program, rootfs) = std::thread::scope(|scope| {
        let kernel = scope.spawn(|| kernel::build(ctx, &tools, &sources.kernel, epoch));
        let others = (|| {
            let rootfs = rootfs::build(ctx, &tools, &definition, options.rootfs)?;
            let program = match &options.program {
                Some(path) => program::given(ctx, path)?,
                None => program::build(ctx, &tools)?,
            };
            Ok::<_, anyhow::Error>((program, rootfs))
        })();
        let kernel = kernel.join().map_err(|_| anyhow!("the kernel's thread died"))?;
        let (program, rootfs) = others?;
        Ok::<_, anyhow::Error>((kernel?, program, rootfs))
    })?;

    let release = std::fs::read_to_string(kernel.path("release"))?;
    let modules = kernel.path("modules/lib/modules").join(release.trim());
    let tree = tree::build(
        ctx,
        &TreeInputs {
            rootfs: &rootfs,
            modules: Some(&modules),
            program: &program.path("a7670e"),
            definition: &definition,
            epoch,
        },
    )?;
    let (_, firmware) = sources.firmware.get(disk::FIRMWARE_PACKAGE)?;
    let disk = disk::build(
        ctx,
        &tools,
        &disk::DiskInputs {
            definition: &definition,
            root_tar: &tree.path("root.tar"),
            kernel: &kernel.dir,
            firmware,
            epoch,
        },
    )?;
    let stages = vec![tools.stage.clone(), kernel, program, rootfs, tree, disk];
    publish(ctx, options, &definition, &sources, &tools, stages)
}

fn publish(
    ctx: &Context,
    options: &Options,
    definition: &Definition,
    sources: &Sources,
    tools: &Tools,
    stages: Vec<Stage>,
) -> Result<Image> {
    let mut used: Vec<&Packages> = tools.packages.iter().chain([&sources.kernel]).collect();
    used.extend(&sources.chosen.twin);
    let disk = stages.last().context("no stage ran")?;
    let local = sources
        .chosen
        .locals
        .iter()
        .map(rootfs::packages::Local::entry)
        .collect::<Result<Vec<_>>>()?;
    let files = artefacts::publish(
        ctx,
        &artefacts::Publish {
            name: &definition.name,
            disk,
            image: &format!("{}.img", definition.name),
            out: &options.out,
            packages: &[&sources.chosen.target, &sources.firmware],
            local: &local,
            kernel: &kernel_record(ctx, &sources.kernel)?,
            crates: &sbom::read_crates(ctx)?,
            tools: &used,
            stages: &stages.iter().collect::<Vec<_>>(),
        },
    )?;
    let locked =
        used.iter().all(|p| p.locked) && sources.chosen.target.locked && sources.firmware.locked;
    Ok(Image { files, stages, locked })
}

fn kernel_record(ctx: &Context, source: &Packages) -> Result<sbom::Kernel> {
    let dir = ctx.path("kernel-patches");
    let (entry, _) = source.get(&format!("linux-source-{}", kernel::SERIES))?;
    let patches = patches::list(&dir, kernel::SERIES)?
        .into_iter()
        .map(|name| Ok(sbom::Patch { sha256: digest::file(&dir.join(&name))?, name }))
        .collect::<Result<_>>()?;
    Ok(sbom::Kernel { source: entry.clone(), suite: "trixie".into(), patches })
}
