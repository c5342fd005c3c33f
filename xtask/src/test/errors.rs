//! Bad input and bad luck: the error says what to do, and nothing half-written
//! takes the place of something whole.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::Checks;
use crate::context::Context;
use crate::{digest, fresh, process, test};

/// Runs this program as a user would, in a copy of the repository.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let image = test::image(ctx)?;
    let dir = tempfile::tempdir_in(ctx.cache_dir("tmp")?)?;
    let user = User {
        repo: dir.path().join("repo"),
        empty: dir.path().join("empty"),
        cache: ctx.working_cache().to_owned(),
        out: dir.path().join("out"),
    };
    fresh::copy_repository(&ctx.repo, &user.repo)?;
    fs::create_dir_all(&user.empty)?;

    checks.check("an unknown key: file, line, what is allowed", user.unknown_key());
    checks.check("an unknown package: its name, before anything is built", user.no_package());
    checks.check("no network: the missing file and the cache that serves", user.no_network());
    checks.check("--locked: a lock that does not fit is an error", user.not_locked());
    checks.check("killed while writing: no half image, and it resumes", user.killed(&image));
    Ok(())
}

struct User {
    repo: PathBuf,
    empty: PathBuf,
    cache: PathBuf,
    out: PathBuf,
}

impl User {
    fn xtask(&self, cache: &Path) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .env("CARGO_MANIFEST_DIR", self.repo.join("xtask"))
            .env("A7670E_CACHE", cache)
            .args(["--yes", "image"]);
        Ok(command)
    }

    /// Defines another image, changed from the default one.
    fn define(&self, name: &str, from: &str, to: &str) -> Result<()> {
        let images = self.repo.join("images");
        let text = fs::read_to_string(images.join("pi4b.toml"))?;
        ensure!(text.contains(from), "images/pi4b.toml has no line {from:?}");
        fs::write(images.join(format!("{name}.toml")), text.replace(from, to))?;
        fs::copy(images.join("pi4b.lock"), images.join(format!("{name}.lock")))?;
        Ok(())
    }

    /// Runs it, which must fail and say all of `words`.
    fn fails(&self, command: &mut Command, words: &[&str]) -> Result<()> {
        let output = process::any_output(command)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success(), "it did not fail:\n{said}");
        for word in words {
            ensure!(said.contains(word), "it does not say {word:?}:\n{said}");
        }
        Ok(())
    }

    fn unknown_key(&self) -> Result<()> {
        self.define("key", "packages = []", "packges = []")?;
        let mut command = self.xtask(&self.empty)?;
        self.fails(command.arg("key"), &["images/key.toml", "line 9", "packges", "`packages`"])
    }

    fn no_package(&self) -> Result<()> {
        self.define("package", "packages = []", "packages = ['no-such-package-here']")?;
        let mut command = self.xtask(&self.empty)?;
        self.fails(command.arg("package"), &["no-such-package-here", "does not exist"])?;
        ensure!(!self.empty.join("stages").exists(), "a stage was begun");
        Ok(())
    }

    fn no_network(&self) -> Result<()> {
        // Nobody listens on the discard port.
        let nowhere = "http://127.0.0.1:9/debian";
        let mut command = self.xtask(&self.empty)?;
        command
            .args(["pi4b", "--locked"])
            .env("A7670E_MIRROR", nowhere)
            .env("A7670E_SECURITY_MIRROR", nowhere);
        let pool = self.empty.join("pool").display().to_string();
        self.fails(&mut command, &["debian/pool/main/", ".deb", &pool, "A7670E_CACHE"])
    }

    fn not_locked(&self) -> Result<()> {
        self.define("unlocked", "packages = []", "packages = ['hello']")?;
        let mut command = self.xtask(&self.cache)?;
        self.fails(command.args(["unlocked", "--locked"]), &["another request", "--locked forbids"])
    }

    /// Kills the build while it writes the disk image, then lets it finish.
    fn killed(&self, image: &Path) -> Result<()> {
        self.define("killed", "hostname = \"a7670e\"", "hostname = \"killed\"")?;
        let mut command = self.xtask(&self.cache)?;
        command.arg("killed").arg("--out").arg(&self.out);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let mut reached = false;
        for line in lines.map_while(Result::ok) {
            if line.starts_with("disk") {
                reached = true;
                child.kill()?;
                break;
            }
        }
        child.wait()?;
        ensure!(reached, "it ended before it wrote a disk image");
        let half = self.out.join("killed.img");
        ensure!(!half.exists(), "{} is there", half.display());
        process::output(&mut command)?;
        let whole = half.metadata().with_context(|| format!("no {}", half.display()))?.len();
        ensure!(whole == image.metadata()?.len(), "the image has {whole} bytes");
        ensure!(digest::file(&half)? != digest::file(image)?, "the host name changed nothing");
        Ok(())
    }
}
