//! The Pi's kernel: Debian's source, our configuration fragment, our patches.
//!
//! Everything that could differ between two builds is fixed: the tools, the
//! path of the tree (`/work/linux` in the sandbox), user, host and time. The
//! object files of an interrupted build are kept, so the next one goes on.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::archive::{self, Packages, Request};
use crate::context::Context;
use crate::patches;
use crate::sandbox::Sandbox;
use crate::stage::{self, Inputs, Room, Stage};
use crate::tools::Tools;

/// Debian's long-term kernel series that the image uses.
pub const SERIES: &str = "6.12";

/// The device tree of the Pi 4B, as the kernel's makefiles name it.
const DTB: &str = "broadcom/bcm2711-rpi-4-b.dtb";

/// Modules are for the Pi, whatever the build machine is.
const MAKE: &[&str] = &["make", "ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"];

/// What to ask the archive for.
pub fn request() -> Request {
    Request::new("kernel", "arm64", "trixie", &[&format!("linux-source-{SERIES}")]).alone()
}

/// The source package, from the lock of image definition `name`.
pub fn source(ctx: &Context, name: &str) -> Result<Packages> {
    archive::packages(ctx, name, &request())
}

/// Builds the kernel. The result has `Image`, `Image.gz`,
/// `bcm2711-rpi-4-b.dtb`, `config`, `System.map`, `release` (the version as
/// `uname -r` gives it) and `modules/lib/modules/<release>`.
pub fn build(ctx: &Context, tools: &Tools, source: &Packages, epoch: u64) -> Result<Stage> {
    let fragment = ctx.path("images/pi4b.config");
    let series = ctx.path("kernel-patches");
    let (_, package) = source.get(&format!("linux-source-{SERIES}"))?;
    let inputs = Inputs::new()
        .value("procedure", "1")
        .value("source", source.digest())
        .value("tools", tools.digest())
        .value("epoch", epoch.to_string())
        .path("config", &fragment)?
        .value("patches", patches::digest(&series)?);
    stage::run(ctx, "kernel", inputs, |room| {
        let tree = room.scratch.join("linux");
        let ready = room.scratch.join("unpacked");
        if !ready.exists() {
            stage::remove_tree(&tree)?;
            unpack(tools, package, &tree, &room.scratch.join("unpack.log"))?;
            patches::apply(tools, &series, &tree)?;
            fs::write(&ready, "")?;
        }
        let maker = Maker { ctx, tools, room, tree: &tree, fragment: &fragment, epoch };
        maker.configure()?;
        maker.compile()?;
        maker.install()
    })
}

/// Unpacks the kernel tree out of Debian's source package into `tree`, by the
/// tools root's programs: the host need not have xz.
fn unpack(tools: &Tools, package: &Path, tree: &Path, log: &Path) -> Result<()> {
    fs::create_dir_all(tree)?;
    let script = format!(
        "set -e -o pipefail
         dpkg-deb --fsys-tarfile /work/source.deb |
           tar -xO ./usr/src/linux-source-{SERIES}.tar.xz |
           tar -xJ -C /work/tree --strip-components=1 --no-same-owner"
    );
    tools
        .sandbox()
        .bind(package, "source.deb")
        .bind_writable(tree, "tree")
        .run(&["bash", "-c", &script], log)
        .with_context(|| format!("cannot unpack {}", package.display()))
}

struct Maker<'a> {
    ctx: &'a Context,
    tools: &'a Tools,
    room: &'a Room<'a>,
    tree: &'a Path,
    fragment: &'a Path,
    epoch: u64,
}

impl Maker<'_> {
    fn sandbox(&self) -> Sandbox {
        let stamp = format!("@{}", self.epoch);
        self.tools
            .sandbox()
            .bind_writable(self.tree, "linux")
            .bind_writable(self.room.out, "out")
            .bind(self.fragment, "fragment")
            .cwd("/work/linux")
            .env("KBUILD_BUILD_TIMESTAMP", &stamp)
            .env("KBUILD_BUILD_USER", "a7670e")
            .env("KBUILD_BUILD_HOST", "a7670e")
            .env("KBUILD_BUILD_VERSION", "1")
            .env("SOURCE_DATE_EPOCH", &self.epoch.to_string())
    }

    fn make(&self, what: &str, arguments: &[&str]) -> Result<()> {
        self.room.step.message(what);
        let jobs = format!("-j{}", self.ctx.jobs);
        let argv = [MAKE, &[jobs.as_str(), "-s"], arguments].concat();
        self.sandbox().run(&argv, &self.room.scratch.join(format!("{what}.log")))
    }

    /// The smallest configuration with the fragment's symbols, all of which
    /// must be there afterwards: a symbol with an unmet dependency vanishes
    /// without a word.
    fn configure(&self) -> Result<()> {
        self.make("configure", &["KCONFIG_ALLCONFIG=/work/fragment", "allnoconfig"])?;
        let config = fs::read_to_string(self.tree.join(".config"))?;
        let lost = lost_symbols(&fs::read_to_string(self.fragment)?, &config);
        if !lost.is_empty() {
            bail!(
                "{}: the kernel dropped these lines (an unmet dependency?):\n  {}",
                self.fragment.display(),
                lost.join("\n  ")
            );
        }
        fs::write(self.room.out.join("config"), config)?;
        Ok(())
    }

    fn compile(&self) -> Result<()> {
        self.make("compile", &["Image", "Image.gz", "modules", DTB])
    }

    fn install(&self) -> Result<()> {
        let out = self.room.out;
        let boot = self.tree.join("arch/arm64/boot");
        for (from, to) in [
            (boot.join("Image"), "Image"),
            (boot.join("Image.gz"), "Image.gz"),
            (boot.join("dts").join(DTB), "bcm2711-rpi-4-b.dtb"),
            (self.tree.join("System.map"), "System.map"),
        ] {
            fs::copy(&from, out.join(to)).with_context(|| format!("no {}", from.display()))?;
        }
        let target = "INSTALL_MOD_PATH=/work/out/modules";
        self.make("install", &[target, "INSTALL_MOD_STRIP=1", "modules_install"])?;
        let release = fs::read_to_string(self.tree.join("include/config/kernel.release"))?;
        let release = release.trim();
        fs::write(out.join("release"), release)?;
        // A link to where the kernel was built means nothing on the Pi.
        let modules = out.join("modules/lib/modules").join(release);
        for link in ["build", "source"] {
            match fs::remove_file(modules.join(link)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Lines of `fragment` that `config` does not have.
fn lost_symbols(fragment: &str, config: &str) -> Vec<String> {
    let have: std::collections::HashSet<&str> = config.lines().collect();
    let mut lost = Vec::new();
    for line in fragment.lines().map(str::trim) {
        let unset = line.strip_prefix("# ").and_then(|l| l.strip_suffix(" is not set"));
        let symbol = match unset {
            Some(symbol) if symbol.starts_with("CONFIG_") => symbol,
            _ => match line.strip_suffix("=n") {
                Some(symbol) => symbol,
                None if line.starts_with("CONFIG_") && !have.contains(line) => {
                    lost.push(line.to_owned());
                    continue;
                }
                None => continue,
            },
        };
        // A symbol that is not visible at all is off as well.
        let on = |value: &str| have.contains(format!("{symbol}={value}").as_str());
        if on("y") || on("m") {
            lost.push(line.to_owned());
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::lost_symbols;

    #[test]
    fn finds_what_the_kernel_dropped() {
        let fragment = "# a comment\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=n\nCONFIG_S=\"x\"\n";
        assert!(lost_symbols(fragment, "CONFIG_A=y\nCONFIG_B=m\nCONFIG_S=\"x\"\n").is_empty());
        assert_eq!(
            lost_symbols(fragment, "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=m\nCONFIG_S=\"x\"\n"),
            ["CONFIG_B=m", "# CONFIG_C is not set"]
        );
    }
}
