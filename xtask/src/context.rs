//! What every command needs to know: where the repository, the cache and the
//! results are, how many jobs may run, and how to speak to the user.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result};

use crate::report::Report;

/// The settings of one run.
pub struct Context {
    /// Top of the repository.
    pub repo: PathBuf,
    /// Where downloads, tools and stage results are kept between runs.
    pub cache: PathBuf,
    /// How many compilers run at once.
    pub jobs: usize,
    /// Answer yes to the question whether host packages may be installed.
    pub yes: bool,
    /// A difference between the lock and the archive is an error.
    pub locked: bool,
    /// Tells the user what goes on.
    pub report: Report,
    /// See [`Context::adopt`].
    adopted: OnceLock<(PathBuf, PathBuf)>,
}

impl Context {
    /// Finds the repository and the cache.
    ///
    /// The cache is `$A7670E_CACHE`, else `$XDG_CACHE_HOME/a7670e`, else
    /// `~/.cache/a7670e`; it is made when absent.
    pub fn new(yes: bool, locked: bool, jobs: Option<usize>) -> Result<Self> {
        // Cargo sets it when it runs us; else we know where we were compiled.
        let package = std::env::var("CARGO_MANIFEST_DIR");
        let package = package.as_deref().unwrap_or(env!("CARGO_MANIFEST_DIR"));
        let repo = Path::new(package).parent().context("xtask lies in no repository")?.to_owned();
        let cache = cache_dir()?;
        std::fs::create_dir_all(&cache)
            .with_context(|| format!("cannot make the cache {}", cache.display()))?;
        let jobs = match jobs {
            Some(jobs) => jobs,
            None => std::thread::available_parallelism().map_or(1, Into::into),
        };
        Ok(Self {
            repo,
            // Bind mounts and `chdir` need the real path.
            cache: cache.canonicalize()?,
            jobs,
            yes: yes || std::env::var_os("CI").is_some(),
            locked,
            report: Report::new(),
            adopted: OnceLock::new(),
        })
    }

    /// Lets later parts of a test run go on with the cache and the results of
    /// an earlier part, so that no stage is built a third time.
    pub fn adopt(&self, cache: PathBuf, out: PathBuf) {
        // A part that runs twice keeps what the first run made.
        let _ = self.adopted.set((cache, out));
    }

    /// What was adopted, if anything: cache and results.
    pub fn adopted(&self) -> Option<(PathBuf, PathBuf)> {
        self.adopted.get().cloned()
    }

    /// The cache that stages use: the adopted one, or the user's.
    pub fn working_cache(&self) -> &Path {
        self.adopted.get().map_or(&self.cache, |(cache, _)| cache)
    }

    /// A folder of the cache that holds stages, made when absent.
    pub fn stages_dir(&self, stage: &str) -> Result<PathBuf> {
        let dir = self.working_cache().join("stages").join(stage);
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }

    /// For tests: everything in `dir`, which is there.
    #[cfg(test)]
    pub fn in_folder(dir: &Path) -> Result<Self> {
        let cache = dir.join("cache");
        std::fs::create_dir_all(&cache)?;
        Ok(Self {
            repo: dir.to_owned(),
            cache,
            jobs: 2,
            yes: true,
            locked: true,
            report: Report::new(),
            adopted: OnceLock::new(),
        })
    }

    /// A file or folder of the repository.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.repo.join(relative)
    }

    /// A folder of the cache, made when absent.
    pub fn cache_dir(&self, relative: &str) -> Result<PathBuf> {
        let dir = self.cache.join(relative);
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }
}

fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("A7670E_CACHE") {
        return Ok(dir.into());
    }
    if let Some(dir) = std::env::var_os("XDG_CACHE_HOME") {
        return Ok(Path::new(&dir).join("a7670e"));
    }
    let home = std::env::var_os("HOME").context(
        "neither A7670E_CACHE nor HOME is set: name a folder for the build cache in A7670E_CACHE",
    )?;
    Ok(Path::new(&home).join(".cache/a7670e"))
}
