//! Which kernels the series is for.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::archive::Request;
use crate::context::Context;

/// A kernel of `kernels.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Branch, such as `6.12`.
    pub version: String,
    /// Debian suite that has it.
    pub suite: String,
    /// Debian's package with the source.
    pub package: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kernel: Vec<Kernel>,
}

impl Kernel {
    /// The question to the archive. The package is the same for every
    /// architecture, and what it depends on is not needed.
    pub fn request(&self) -> Request {
        let section = format!("linux-{}", self.version);
        Request::new(&section, "arm64", &self.suite, &[&self.package]).alone()
    }
}

/// Reads `kernels.toml` in the series' folder.
pub fn load(dir: &Path) -> Result<Vec<Kernel>> {
    let path = dir.join("kernels.toml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("in {}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Kernel>> {
    let kernels = toml::from_str::<File>(text)?.kernel;
    ensure!(!kernels.is_empty(), "no [[kernel]] is named");
    for kernel in &kernels {
        let expected = format!("linux-source-{}", kernel.version);
        ensure!(
            kernel.package == expected,
            "kernel {} must come from {expected}, not {}",
            kernel.version,
            kernel.package
        );
    }
    Ok(kernels)
}

/// The question for sparse, for a host of architecture `arch`: trixie's 0.6.4
/// cannot read the headers of Linux 7 (`__typeof_unqual__`, `MODULE_INFO`).
pub fn sparse(arch: &str) -> Request {
    Request::new(&format!("sparse-{arch}"), arch, "sid", &["sparse"]).alone()
}

/// All questions to the archive, for the lock.
pub fn requests(ctx: &Context) -> Result<Vec<Request>> {
    let kernels = load(&ctx.path(super::SERIES))?;
    let tools = ["amd64", "arm64"].map(sparse);
    Ok(kernels.iter().map(Kernel::request).chain(tools).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_list_names_the_promised_branches() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernel-patches");
        let versions: Vec<_> = load(&dir).unwrap().into_iter().map(|k| k.version).collect();
        assert!(versions.contains(&"6.1".to_owned()) && versions.contains(&"6.12".to_owned()));
        assert!(versions.iter().any(|v| v.starts_with("7.")), "{versions:?}");
    }

    #[test]
    fn refuses_unknown_keys_and_other_packages() {
        let good = "[[kernel]]\nversion = \"6.1\"\nsuite = \"s\"\npackage = \"linux-source-6.1\"\n";
        assert_eq!(parse(good).unwrap().len(), 1);
        assert!(parse(&format!("{good}colour = 1\n")).is_err());
        assert!(parse(&good.replace("source-6.1", "source-6.2")).is_err());
        assert!(parse("kernel = []").is_err());
    }
}
