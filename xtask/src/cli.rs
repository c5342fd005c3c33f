//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::context::Context;
use crate::definition::Definition;
use crate::host::Purpose;
use crate::{
    bench, buildroot, dist, emulate, flash, fuzz, host, image, kernel, packages, refresh, rootfs,
    sync, test, tools, verify,
};

/// Builds, verifies, emulates and tests the a7670e image.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(Args)]
struct Global {
    /// Install missing host packages without asking.
    #[arg(long, global = true)]
    yes: bool,
    /// Fail when the archive cannot serve what the lock names.
    #[arg(long, global = true)]
    locked: bool,
    /// How many compilers run at once (all processors when not given).
    #[arg(long, global = true, value_name = "N")]
    jobs: Option<usize>,
}

#[derive(Subcommand)]
enum Command {
    /// Build an image and all that goes with it.
    Image {
        /// The image's definition, images/NAME.toml.
        #[arg(default_value = "pi4b")]
        name: String,
        /// Folder for the results [default: out/ of the repository].
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// How the packages' scripts are run.
        #[arg(long, value_enum, default_value_t)]
        rootfs: rootfs::Mode,
        /// Take this arm64 program in place of building src/.
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
    },
    /// Make the tools roots, which the other commands do by themselves.
    Tools,
    /// Ask the archive anew and write the lock files.
    Lock {
        /// Lock files without their ending, such as `pi4b`; all when none.
        names: Vec<String>,
    },
    /// Make an image's kernel alone.
    Kernel {
        /// The image's definition, images/NAME.toml.
        #[arg(default_value = "pi4b")]
        name: String,
    },
    /// Make the root file system of an image's packages alone.
    Rootfs {
        /// The image's definition, images/NAME.toml.
        #[arg(default_value = "pi4b")]
        name: String,
        /// How the packages' scripts are run.
        #[arg(long = "rootfs", value_enum, default_value_t)]
        mode: rootfs::Mode,
    },
    /// Judge an image without booting it.
    Verify {
        /// The image, `.img` or `.img.zst`.
        image: PathBuf,
        /// Print the verdict as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Boot an image on an emulated machine.
    Emulate(emulate::Arguments),
    /// Write an image to cards: `station flash`, whose --help says more.
    Flash {
        /// An image, cards, and `station`'s own options.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Pack a release: the image of `cargo xtask image`, the flashing desk's
    /// program, source, manuals, and a list for Raspberry Pi Imager.
    Dist {
        /// The image's definition, images/NAME.toml.
        #[arg(default_value = "pi4b")]
        name: String,
        /// The folder with the image [default: out/ of the repository].
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// The folder to make [default: dist/ beside that].
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Where people will find the files [default: in that folder].
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
    /// Make the Debian packages: the service, the udev rules, the driver for DKMS.
    Packages {
        /// Folder for them [default: out/packages of the repository].
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Take this arm64 program in place of building src/.
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
    },
    /// Build the image twice in different circumstances and compare the bytes.
    Reproducible,
    /// Measure, beside rivals.
    Bench {
        /// What to measure.
        #[arg(value_enum)]
        subject: bench::Subject,
    },
    /// Write the copies that the trees for Buildroot and Yocto carry of rules,
    /// units, patches and settings.
    Sync {
        /// Write nothing; fail and name each file that is not as it should be.
        #[arg(long)]
        check: bool,
    },
    /// Build the card image of buildroot-ext/ in a Buildroot tree of yours.
    Buildroot(buildroot::Arguments),
    /// Feed the parsers what no modem would say.
    Fuzz {
        /// One target of `fuzz/targets`; all when not given.
        target: Option<String>,
        /// How long for each target.
        #[arg(long, default_value_t = 60, value_name = "N")]
        seconds: u64,
    },
    /// Run the tests, all or the named parts.
    Test {
        /// Parts; an unknown name lists them.
        parts: Vec<String>,
        /// Judge the image in DIR (of `cargo xtask image --out DIR`) instead of
        /// building one.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// Runs what the user asked for.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is wrong with these arguments, if anything; does nothing else. For whoever
/// judges what texts say.
pub fn mistake(arguments: &[String]) -> Option<String> {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    let words = ["cargo xtask"].into_iter().chain(arguments.iter().map(String::as_str));
    let error = Cli::try_parse_from(words).err()?;
    (![DisplayHelp, DisplayVersion].contains(&error.kind())).then(|| error.to_string())
}

fn run(cli: Cli) -> Result<ExitCode> {
    let ctx = Context::new(cli.global.yes, cli.global.locked, cli.global.jobs)?;
    let done = match cli.command {
        Command::Image { name, out, rootfs, program } => {
            // What is wrong with the definition is told before anything else.
            Definition::load(&ctx, &name)?;
            host::prepare(&ctx, Purpose::Build)?;
            let mut options =
                image::Options { rootfs, program, ..image::Options::new(&ctx, &name) };
            if let Some(out) = out {
                options.out = std::path::absolute(out)?;
            }
            image::run(&ctx, &options)
        }
        Command::Fuzz { target, seconds } => {
            host::prepare(&ctx, Purpose::Fuzz)?;
            fuzz::run(&ctx, target.as_deref(), seconds)
        }
        Command::Tools => {
            host::prepare(&ctx, Purpose::Build)?;
            for set in [tools::Set::Build, tools::Set::Rig] {
                tools::Tools::get(&ctx, set)?;
            }
            Ok(())
        }
        Command::Lock { names } => {
            host::prepare(&ctx, Purpose::Build)?;
            refresh::run(&ctx, &names)
        }
        Command::Kernel { name } => {
            let definition = Definition::load(&ctx, &name)?;
            host::prepare(&ctx, Purpose::Build)?;
            let tools = tools::Tools::get(&ctx, tools::Set::Build)?;
            let source = kernel::source(&ctx, &name)?;
            let epoch = rootfs::packages::Chosen::get(&ctx, &definition)?.target.epoch();
            println!("{}", kernel::build(&ctx, &tools, &source, epoch)?.dir.display());
            Ok(())
        }
        Command::Rootfs { name, mode } => {
            let definition = Definition::load(&ctx, &name)?;
            host::prepare(&ctx, Purpose::Build)?;
            let tools = tools::Tools::get(&ctx, tools::Set::Build)?;
            let stage = rootfs::build(&ctx, &tools, &definition, mode)?;
            println!("{}", stage.path("rootfs.tar").display());
            Ok(())
        }
        Command::Verify { image, json } => {
            host::prepare(&ctx, Purpose::Build)?;
            if !verify::run(&ctx, &image, json)? {
                anyhow::bail!("{} is not as it should be", image.display());
            }
            Ok(())
        }
        Command::Emulate(arguments) => {
            host::prepare(&ctx, Purpose::Build)?;
            return emulate::run(&ctx, &arguments);
        }
        Command::Flash { mut arguments } => {
            // Ours and its own are one to the user.
            if cli.global.yes {
                arguments.insert(0, "--yes".into());
            }
            return flash::run(&ctx, "flash", &arguments);
        }
        Command::Dist { name, out, to, url } => {
            let from = out.unwrap_or_else(|| ctx.path("out"));
            let to = to.unwrap_or_else(|| from.with_file_name("dist"));
            dist::run(&ctx, &dist::Options { name, from, to, url })
        }
        Command::Packages { to, program } => {
            host::prepare(&ctx, Purpose::Build)?;
            let to = to.unwrap_or_else(|| ctx.path("out/packages"));
            packages::run(&ctx, &to, program.as_deref())
        }
        Command::Reproducible => {
            host::prepare(&ctx, Purpose::Tests)?;
            let stranger = format!("stranger/{}", test::KERNEL_TWICE);
            test::run(&ctx, &["newcomer".to_owned(), stranger])
        }
        Command::Bench { subject } => {
            host::prepare(&ctx, Purpose::Tests)?;
            bench::run(&ctx, subject)
        }
        Command::Buildroot(arguments) => buildroot::run(&ctx, &arguments),
        Command::Sync { check } => sync::run(&ctx.repo, check),
        Command::Test { parts, out } => {
            host::prepare(&ctx, Purpose::Tests)?;
            if let Some(out) = out {
                ctx.adopt(ctx.cache.clone(), std::path::absolute(out)?);
            }
            test::run(&ctx, &parts)
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}
