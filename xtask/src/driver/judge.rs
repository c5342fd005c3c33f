//! Unpacks one kernel, applies the series and looks at what it makes.

use std::fs;
use std::path::Path;
use std::process::Output;

use anyhow::{Context as _, Result, bail, ensure};

use super::{Finding, Report, canary};
use crate::patches;
use crate::process;
use crate::report::Step;
use crate::sandbox::Sandbox;
use crate::tools::Tools;

/// What the driver needs of the kernel, and nothing else.
const CONFIG: &str = "\
CONFIG_MODULES=y
CONFIG_PM=y
CONFIG_NET=y
CONFIG_INET=y
CONFIG_IPV6=y
CONFIG_USB_SUPPORT=y
CONFIG_USB=m
CONFIG_NETDEVICES=y
CONFIG_USB_NET_DRIVERS=m
CONFIG_USB_USBNET=m
CONFIG_USB_NET_SIMCOM_WWAN=m
";

/// The object that is judged.
const OBJECT: &str = "drivers/net/usb/simcom_wwan.o";

/// Folders whose C files no module build for arm64 needs. Their Kconfig files
/// and makefiles stay: kbuild reads these from everywhere.
const NO_SOURCES: &str = "
    arch/alpha arch/arc arch/arm arch/csky arch/hexagon arch/ia64 arch/loongarch arch/m68k
    arch/microblaze arch/mips arch/nios2 arch/openrisc arch/parisc arch/powerpc arch/riscv
    arch/s390 arch/sh arch/sparc arch/um arch/x86 arch/xtensa drivers/gpu drivers/iio
    drivers/infiniband drivers/media drivers/net/ethernet drivers/net/wireless drivers/scsi
    drivers/staging fs sound";

/// Other files without which the build does as well.
const NO_FILES: &str = "
    arch/*.dts arch/*.dtsi Documentation/*.rst Documentation/*.yaml tools/perf/*
    tools/testing/*";

/// Stands for what this module does in a stage's inputs.
pub fn recipe() -> String {
    crate::digest::bytes(
        [CONFIG, canary::SOURCE, include_str!("judge.rs"), include_str!("canary.rs")]
            .concat()
            .as_bytes(),
    )
}

/// What one judgement needs.
pub struct Judge<'a> {
    /// Compilers and make.
    pub build: &'a Tools,
    /// Has a whole Python, in which newer kernels check comments.
    pub rig: &'a Tools,
    /// Package file of sparse.
    pub sparse: &'a Path,
    /// Folder of the series.
    pub series: &'a Path,
    /// Folder to work in.
    pub scratch: &'a Path,
    /// How many compilers may run at once.
    pub jobs: usize,
}

impl Judge<'_> {
    /// Judges the kernel in the package file `deb`. An error means that no
    /// judgement was possible; what is wrong with the driver is in the report.
    pub fn run(&self, package: &str, deb: &Path, step: &Step) -> Result<Report> {
        let tree = self.scratch.join("tree");
        for dir in ["tree", "out", "external", "sparse"] {
            let dir = self.scratch.join(dir);
            // What an interrupted run left may be half.
            crate::stage::remove_tree(&dir)?;
            fs::create_dir_all(&dir)?;
        }
        step.message("unpacking");
        self.unpack(package, deb)?;
        let version = patches::kernel_version(&tree)?;
        let mut report = Report { version, findings: Vec::new() };

        step.message("applying");
        report.add("a misfit is told by file and hunk", &self.misfit(&report.version));
        let applied = patches::apply(self.build, self.series, &tree);
        report.add("takes the series without fuzz", &applied);
        let Ok(names) = applied else { return Ok(report) };

        step.message("configuring");
        self.configure()?;
        step.message("preparing");
        // With other flags later, objects made now would be made again.
        self.make(&[&format!("-j{}", self.jobs), "W=1", "modules_prepare"])
            .and_then(|output| finished(&output).context("modules_prepare"))?;

        step.message("judging");
        report.add("compiles silently: gcc W=1, sparse", &self.in_tree());
        report.add("compiles as external module", &self.external());
        report.add("a faulty file is noticed", &self.canary());
        report.add("checkpatch --strict is content", &self.checkpatch(&names));
        Ok(report)
    }

    fn sandbox(&self) -> Sandbox {
        self.build
            .sandbox()
            .bind_writable(self.scratch, "k")
            .bind(self.series, "series")
            .bind(&self.rig.root().join("usr"), "python")
            .env("PYTHONHOME", "/work/python")
            .env("PYTHONDONTWRITEBYTECODE", "1")
    }

    fn unpack(&self, package: &str, deb: &Path) -> Result<()> {
        let sources = NO_SOURCES.split_whitespace().map(|dir| format!("{dir}/*.[chS]"));
        let files = NO_FILES.split_whitespace().map(str::to_owned);
        let list: String =
            sources.chain(files).map(|pattern| format!("{package}/{pattern}\n")).collect();
        fs::write(self.scratch.join("exclude"), list)?;
        let script = format!(
            "set -e -o pipefail
             dpkg-deb --fsys-tarfile /work/source.deb |
               tar -xO ./usr/src/{package}.tar.xz |
               tar -xJ -C /work/k/tree --strip-components=1 --no-same-owner \
                 --anchored --exclude-from=/work/k/exclude
             dpkg-deb --extract /work/sparse.deb /work/k/sparse"
        );
        let sandbox = self.sandbox().bind(deb, "source.deb").bind(self.sparse, "sparse.deb");
        sandbox
            .output(&["bash", "-c", &script])
            .with_context(|| format!("cannot unpack {}", deb.display()))?;
        Ok(())
    }

    /// Changes a line that the series leans on, and wants to be told.
    fn misfit(&self, version: &str) -> Result<()> {
        let tree = self.scratch.join("tree");
        let path = tree.join("drivers/net/usb/Kconfig");
        let whole = fs::read_to_string(&path)?;
        let other = whole.replace("config USB_HSO\n", "config USB_OTHER\n");
        ensure!(other != whole, "{} has no USB_HSO any more", path.display());
        fs::write(&path, other)?;
        let result = patches::apply(self.build, self.series, &tree);
        fs::write(&path, whole)?;
        let Err(error) = result else { bail!("the series was taken") };
        let text = format!("{error:#}");
        for wanted in ["drivers/net/usb/Kconfig: hunk 1, near line ", version] {
            ensure!(text.contains(wanted), "no {wanted:?} in:\n{text}");
        }
        Ok(())
    }

    /// Runs make in the tree and gives all it said.
    fn make(&self, arguments: &[&str]) -> Result<Output> {
        let fixed = [
            "make",
            "-s",
            "-C",
            "/work/k/tree",
            "O=/work/k/out",
            "ARCH=arm64",
            "CROSS_COMPILE=aarch64-linux-gnu-",
            "PYTHON3=/work/python/bin/python3",
            "CHECK=/work/k/sparse/usr/bin/sparse",
        ];
        process::any_output(&mut self.sandbox().command(&[&fixed[..], arguments].concat())?)
    }

    fn configure(&self) -> Result<()> {
        fs::write(self.scratch.join("config"), CONFIG)?;
        let output = self.make(&["KCONFIG_ALLCONFIG=/work/k/config", "allnoconfig"])?;
        finished(&output).context("allnoconfig")?;
        let config = fs::read_to_string(self.scratch.join("out/.config"))?;
        for wanted in CONFIG.lines() {
            ensure!(
                config.lines().any(|line| line == wanted),
                "the kernel refuses {wanted}: a dependency changed; mend the driver's test config"
            );
        }
        Ok(())
    }

    /// All else is built by now, so the compiler and sparse (`C=1`) see the
    /// driver alone.
    fn in_tree(&self) -> Result<()> {
        let output = self.make(&["W=1", "C=1", OBJECT])?;
        silent(&output)?;
        ensure!(self.scratch.join("out").join(OBJECT).is_file(), "make made no {OBJECT}");
        Ok(())
    }

    fn external(&self) -> Result<()> {
        let dir = self.scratch.join("external");
        fs::copy(
            self.scratch.join("tree").join(OBJECT).with_extension("c"),
            dir.join("simcom_wwan.c"),
        )?;
        fs::write(dir.join("Kbuild"), "obj-m := simcom_wwan.o canary.o\n")?;
        silent(&self.make(&["W=1", "C=1", "M=/work/k/external", "simcom_wwan.o"])?)?;
        ensure!(dir.join("simcom_wwan.o").is_file(), "make made no simcom_wwan.o");
        Ok(())
    }

    /// A judge that never complains would be of no use: it must, here.
    fn canary(&self) -> Result<()> {
        fs::write(self.scratch.join("external/canary.c"), canary::SOURCE)?;
        let output = self.make(&["W=1", "C=1", "M=/work/k/external", "canary.o"])?;
        canary::noticed(&said(&output))
    }

    fn checkpatch(&self, names: &[String]) -> Result<()> {
        let script = "/work/k/tree/scripts/checkpatch.pl";
        for name in names {
            let patch = format!("/work/series/{name}");
            let command =
                ["perl", script, "--strict", "--quiet", "--root=/work/k/tree", patch.as_str()];
            silent(&process::any_output(&mut self.sandbox().command(&command)?)?)?;
        }
        Ok(())
    }
}

impl Report {
    fn add<T>(&mut self, name: &str, result: &Result<T>) {
        let error = result.as_ref().err().map(|error| format!("{error:#}"));
        self.findings.push(Finding { name: name.to_owned(), error });
    }
}

fn said(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

fn finished(output: &Output) -> Result<()> {
    ensure!(output.status.success(), "{}:\n{}", output.status, said(output).trim_end());
    Ok(())
}

/// Succeeded, and had nothing to remark.
fn silent(output: &Output) -> Result<()> {
    finished(output)?;
    let text = said(output);
    ensure!(text.trim().is_empty(), "{}", text.trim_end());
    Ok(())
}
