//! Cross-configure, inner half: unpacks the image's packages and configures
//! them, the build machine's programs laid over the image's.
//!
//! While dpkg configures, no package writes programs; so `/usr/bin` and
//! `/usr/sbin` of the image can be covered by the same programs of the twin,
//! whose libraries lie where the image has none. Maintainer scripts then run
//! unmodified, in the image, at native speed. What they change in the covered
//! folders (links of alternatives, modes) is caught and carried over.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use rustix::fs::Mode;
use serde::{Deserialize, Serialize};

use super::helpers::Helpers;
use super::mounts::{self, chroot};
use super::{carry, clean, ids, prove};
use crate::process;
use crate::tree::{archive, folder};

/// First argument with which this program calls itself inside the namespaces.
pub const ENTER: &str = "__rootfs";

/// Host name inside: no machine has it, so that a script which writes the host
/// name down is found out.
pub const HOST_NAME: &str = "a7670e-build-machine";

/// Folders that hold programs.
const PROGRAMS: [&str; 2] = ["bin", "sbin"];

/// What to do, as told by the outer half.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    /// An empty folder to mount a tmpfs on.
    pub work: PathBuf,
    /// The twin's tree.
    pub twin: PathBuf,
    /// Name and file of every package.
    pub debs: Vec<(String, PathBuf)>,
    /// dpkg's options that leave files out.
    pub filters: Vec<String>,
    /// Set when the build machine is of another architecture than the image.
    pub foreign: Option<Foreign>,
    /// The file that pins system ids.
    pub ids: PathBuf,
    /// The latest time that a file may bear, in seconds since 1970.
    pub epoch: u64,
    /// Where `rootfs.tar` and the logs go.
    pub out: PathBuf,
}

/// How programs of the build machine run inside the image.
#[derive(Debug, Serialize, Deserialize)]
pub struct Foreign {
    /// The twin's folders with libraries and loader, which the image lacks.
    pub libraries: Vec<String>,
    /// Links that these need: path and target.
    pub links: Vec<(String, String)>,
    /// A static qemu-aarch64, for the few programs that must be the image's.
    pub qemu: PathBuf,
}

/// Entry point of the inner process; its standard output tells the phases.
pub fn main() -> ExitCode {
    let plan = std::env::args().nth(2).context("no plan given");
    let done = plan.and_then(|p| serde_json::from_str(&p).context("unreadable plan"));
    match done.and_then(|plan: Plan| run(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(plan: &Plan) -> Result<()> {
    rustix::system::sethostname(HOST_NAME.as_bytes()).context("cannot set the host name")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    mounts::make_private()?;
    let mut phase = Phases { last: Instant::now() };

    mounts::tmpfs(&plan.work)?;
    std::env::set_current_dir(&plan.work)?;
    let work = Work { plan, target: plan.work.join("target"), tools: plan.work.join("tools") };
    work.lay_out()?;
    work.unpack()?;
    phase.done("unpack");
    let helpers = work.cover()?;
    work.configure()?;
    if let Some(helpers) = helpers {
        helpers.uncover()?;
    }
    work.uncover()?;
    phase.done("configure");
    work.link_libraries()?;
    work.ask_dpkg()?;
    phase.done("dpkg --verify");
    let mut root = folder::read(&work.target)?;
    clean::clean(&mut root);
    let report = prove::prove(&root, HOST_NAME)?;
    fs::write(plan.out.join("proof.log"), report)?;
    let unpinned = ids::unpinned(&root, &fs::read_to_string(&plan.ids)?)?;
    fs::write(plan.out.join("unpinned.log"), unpinned.join("\n"))?;
    phase.done("prove");
    archive::write(&root, &plan.out.join("rootfs.tar"), plan.epoch)?;
    phase.done("pack");
    Ok(())
}

/// Tells how long each phase took.
struct Phases {
    last: Instant,
}

impl Phases {
    fn done(&mut self, name: &str) {
        println!("{name}: {} ms", self.last.elapsed().as_millis());
        self.last = Instant::now();
    }
}

/// The tmpfs: `target` is the image, `tools` the twin made writable.
struct Work<'a> {
    plan: &'a Plan,
    target: PathBuf,
    tools: PathBuf,
}

impl Work<'_> {
    fn lay_out(&self) -> Result<()> {
        let (plan, target) = (self.plan, &self.target);
        fs::create_dir_all(target)?;
        fs::create_dir_all(&self.tools)?;
        mounts::bind(&plan.twin, Path::new("twin"))?;
        mounts::overlay(&["twin"], "tools.upper", &self.tools)?;
        mounts::system(&self.tools)?;
        mounts::bind(target, &self.tools.join("target"))?;
        for (index, dir) in self.pools().iter().enumerate() {
            mounts::bind(dir, &self.tools.join(format!("pool/{index}")))?;
        }
        for dir in ["info", "updates", "triggers", "alternatives"] {
            fs::create_dir_all(target.join("var/lib/dpkg").join(dir))?;
        }
        fs::create_dir_all(target.join("var/log"))?;
        for file in ["status", "available"] {
            fs::write(target.join("var/lib/dpkg").join(file), "")?;
        }
        // The twin's dpkg takes its own architecture for native.
        if plan.foreign.is_some() {
            fs::write(target.join("var/lib/dpkg/arch"), format!("{}\n", super::packages::ARCH))?;
        }
        Ok(())
    }

    /// The folders in which package files lie.
    fn pools(&self) -> Vec<&Path> {
        let mut dirs: Vec<_> = self.plan.debs.iter().filter_map(|(_, f)| f.parent()).collect();
        dirs.sort();
        dirs.dedup();
        dirs
    }

    /// A package file as `tools` sees it.
    fn inside(&self, file: &Path) -> Result<String> {
        let index = self.pools().iter().position(|dir| Some(*dir) == file.parent());
        let name = file.file_name().and_then(|n| n.to_str());
        match (index, name) {
            (Some(index), Some(name)) => Ok(format!("/pool/{index}/{name}")),
            _ => bail!("{} is no name for a package file", file.display()),
        }
    }

    fn unpack(&self) -> Result<()> {
        // base-files brings the links /bin, /lib and /sbin, base-passwd the
        // accounts: all others may count on them.
        let is_base = |name: &str| matches!(name, "base-files" | "base-passwd");
        for (base, log) in [(true, "unpack-base.log"), (false, "unpack.log")] {
            let mut argv: Vec<String> = [
                "dpkg",
                "--root=/target",
                "--force-script-chrootless",
                "--force-unsafe-io",
                "--force-depends",
                "--no-triggers",
                "--log=/dev/null",
            ]
            .map(String::from)
            .to_vec();
            argv.extend(self.plan.filters.iter().cloned());
            argv.push("--unpack".into());
            for (_, file) in self.plan.debs.iter().filter(|(name, _)| is_base(name) == base) {
                argv.push(self.inside(file)?);
            }
            self.logged(&self.tools, &argv, log)?;
        }
        // Before any script asks for an id of its own choice.
        fs::copy(&self.plan.ids, self.tools.join("ids.conf")).context("cannot copy the ids")?;
        self.logged(&self.tools, &["systemd-sysusers", "--root=/target", "/ids.conf"], "ids.log")
    }

    /// Lays the twin's programs over the image's.
    fn cover(&self) -> Result<Option<Helpers>> {
        let target = &self.target;
        if let Some(foreign) = &self.plan.foreign {
            for dir in &foreign.libraries {
                mounts::bind(&Path::new("twin").join(dir), &target.join(dir))?;
            }
            for (path, to) in &foreign.links {
                symlink(to, target.join(path)).with_context(|| format!("cannot link /{path}"))?;
            }
        }
        // No service is started; libraries are linked by the image's own
        // ldconfig; keys that a script would make must not be in an image.
        let patches = [
            ("sbin/policy-rc.d", "#!/bin/sh\nexit 101\n"),
            ("sbin/ldconfig", "#!/bin/sh\nexit 0\n"),
            ("bin/ssh-keygen", "#!/bin/sh\nexit 0\n"),
        ];
        for dir in PROGRAMS {
            fs::create_dir_all(Path::new("patch").join(dir))?;
        }
        for (path, text) in patches {
            let path = Path::new("patch").join(path);
            fs::write(&path, text)?;
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        for dir in PROGRAMS {
            let (patch, twin) = (format!("patch/{dir}"), format!("twin/usr/{dir}"));
            let upper = format!("caught-{dir}");
            mounts::overlay(&[&patch, &twin], &upper, &target.join("usr").join(dir))?;
        }
        mounts::system(target)?;
        mounts::tmpfs(&target.join("run"))?;
        mounts::tmpfs(&target.join("tmp"))?;
        let Some(foreign) = &self.plan.foreign else { return Ok(None) };
        let wrappers = self.plan.work.join("wrappers");
        Helpers::cover(target, &wrappers, &foreign.qemu).map(Some)
    }

    fn configure(&self) -> Result<()> {
        // For the twin's dpkg, packages for all architectures are not of the
        // image's, so it takes dependencies for unmet; whether they really
        // are met, `ask_dpkg` asks. Because it therefore also minds the order
        // less, the two that all others count on go first.
        let steps: [(&[&str], &str); 2] = [
            (&["base-passwd", "base-files"], "configure-base.log"),
            (&["--pending"], "configure.log"),
        ];
        for (packages, log) in steps {
            let mut argv = vec![
                "dpkg",
                "--force-unsafe-io",
                "--force-depends",
                "--log=/dev/null",
                "--configure",
            ];
            argv.extend(packages);
            self.logged(&self.target, &argv, log)?;
            let said = fs::read(self.plan.out.join(log))?;
            prove::scripts_said(&String::from_utf8_lossy(&said))?;
        }
        Ok(())
    }

    /// Takes the twin away again and carries over what scripts changed.
    fn uncover(&self) -> Result<()> {
        let target = &self.target;
        for dir in ["dev", "proc", "run", "tmp", "usr/bin", "usr/sbin"] {
            mounts::detach(&target.join(dir))?;
        }
        if let Some(foreign) = &self.plan.foreign {
            for dir in &foreign.libraries {
                mounts::detach(&target.join(dir))?;
                fs::remove_dir(target.join(dir))
                    .with_context(|| format!("a script wrote to /{dir}, which the image lacks"))?;
            }
            for (path, _) in &foreign.links {
                fs::remove_file(target.join(path))?;
            }
        }
        let mut log = String::new();
        for dir in PROGRAMS {
            let caught = PathBuf::from(format!("caught-{dir}"));
            carry::over(&caught, &target.join("usr").join(dir), &mut log)?;
        }
        fs::write(self.plan.out.join("carried.log"), log)?;
        Ok(())
    }

    /// Writes ld.so.cache. Another architecture's ldconfig would pass over
    /// the image's libraries, so it is emulated (0.1 s).
    fn link_libraries(&self) -> Result<()> {
        let ldconfig = self.target.join("usr/sbin/ldconfig");
        let mut command = match &self.plan.foreign {
            Some(foreign) => {
                let mut command = Command::new(&foreign.qemu);
                command.arg(ldconfig);
                command
            }
            None => Command::new(ldconfig),
        };
        process::output(command.arg("-r").arg(&self.target).env_clear())?;
        Ok(())
    }

    /// dpkg's and apt's own judgement of the result.
    fn ask_dpkg(&self) -> Result<()> {
        for question in ["--audit", "--verify"] {
            let argv = ["dpkg", "--root=/target", question];
            let mut command = chroot(&self.tools, &argv, self.plan.epoch);
            let output = process::any_output(&mut command)?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            prove::dpkg_said(question, &said, &self.plan.filters)?;
        }
        let arch = super::packages::ARCH;
        let argv = [
            "apt-get".to_owned(),
            format!("-oAPT::Architecture={arch}"),
            format!("-oAPT::Architectures::={arch}"),
            "-oDir::State::status=/target/var/lib/dpkg/status".to_owned(),
            "-oDir::Cache::pkgcache=".to_owned(),
            "-oDir::Cache::srcpkgcache=".to_owned(),
            "-oDebug::NoLocking=1".to_owned(),
            "check".to_owned(),
        ];
        self.logged(&self.tools, &argv, "check.log").context("dependencies are not met")
    }

    fn logged<S: AsRef<str>>(&self, root: &Path, argv: &[S], log: &str) -> Result<()> {
        let mut command = chroot(root, argv, self.plan.epoch);
        process::logged(&mut command, &self.plan.out.join(log))
    }
}
