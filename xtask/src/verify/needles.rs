//! What would betray the machine that built the image.

use std::path::Path;

use aho_corasick::{AhoCorasick, MatchKind};
use anyhow::Result;

use crate::context::Context;

/// Shorter ones occur by chance.
const LEAST: usize = 6;
/// Host names that say nothing.
const COMMON_HOSTS: &[&str] =
    &["localhost", "debian", "ubuntu", "raspberrypi", "builder", "a7670e"];
/// Parts of a path that only a compiler on a developer's account leaves.
const TOOLCHAINS: &[&str] = &[".cargo/registry/", ".cargo/git/", ".rustup/toolchains/"];

/// Looks for all of them at once.
pub struct Needles {
    texts: Vec<String>,
    finder: AhoCorasick,
}

impl Needles {
    /// Paths of this run, its user's home, this host's name, and the sandbox
    /// in which the build's tools run.
    pub fn of_this_machine(ctx: &Context) -> Result<Self> {
        let mut texts: Vec<String> = TOOLCHAINS.iter().map(|text| (*text).to_owned()).collect();
        for dir in [&ctx.repo, &ctx.cache] {
            texts.extend(path(dir));
        }
        if let Some(home) =
            std::env::var_os("HOME").filter(|home| Path::new(home) != Path::new("/root"))
        {
            texts.extend(path(Path::new(&home)).map(|home| home + "/"));
        }
        // Where the tools root shows the build's files, and its host name.
        texts.push("/work/".to_owned());
        texts.push(crate::sandbox::HOST.to_owned());
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if host.len() >= LEAST && !COMMON_HOSTS.contains(&host.as_str()) {
            texts.push(host);
        }
        Self::new(texts)
    }

    fn new(mut texts: Vec<String>) -> Result<Self> {
        texts.sort();
        texts.dedup();
        // Overlapping ones all count, so that a false first match does not
        // hide a true second one.
        let finder = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&texts)?;
        Ok(Self { texts, finder })
    }

    /// How many are looked for.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// The first of them in `bytes`, as a whole word or the beginning of a path
    /// that is not part of a longer one; with what stands after it.
    pub fn find(&self, bytes: &[u8]) -> Option<String> {
        self.finder.find_overlapping_iter(bytes).find_map(|found| {
            let text = &self.texts[found.pattern().as_usize()];
            let before = found.start().checked_sub(1).and_then(|at| bytes.get(at));
            let after = bytes.get(found.end());
            let part = |byte: Option<&u8>, more: &[u8]| {
                byte.is_some_and(|b| b.is_ascii_alphanumeric() || more.contains(b))
            };
            // `.cargo/` is always part of a longer path; a path that begins
            // with / is not, and a name ends where it ends.
            if !text.starts_with('.') && part(before, b"/._-~}") {
                return None;
            }
            if !text.ends_with('/') && part(after, b"_-") {
                return None;
            }
            let end = bytes.len().min(found.end() + 40);
            let tail = &bytes[found.start()..end];
            let length = tail.iter().position(|b| !b.is_ascii_graphic()).unwrap_or(tail.len());
            Some(String::from_utf8_lossy(&tail[..length]).into_owned())
        })
    }
}

/// A folder's path when it is telling: /src or /build would be found anywhere.
fn path(dir: &Path) -> Option<String> {
    let text = dir.to_str()?;
    (text.len() >= LEAST && text.matches('/').count() >= 2).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_paths_and_words_only() {
        let texts = ["/work/", "/home/joe/src", "buildhost7", ".cargo/registry/"];
        let needles = Needles::new(texts.iter().map(|t| (*t).to_owned()).collect()).unwrap();
        for (text, found) in [
            ("\0/work/linux/kernel/x.c\0", Some("/work/linux/kernel/x.c")),
            ("see /home/me/work/notes", None),
            ("https://example.org/work/", None),
            ("(/home/joe/src/main.rs)", Some("/home/joe/src/main.rs)")),
            ("/home/joe/srcs", None),
            ("joe@buildhost7 now", Some("buildhost7")),
            ("buildhost70", None),
            ("/home/x/.cargo/registry/src/y.rs", Some(".cargo/registry/src/y.rs")),
            // The first is none, the second is.
            ("a/work/b /work/c", Some("/work/c")),
        ] {
            assert_eq!(needles.find(text.as_bytes()).as_deref(), found, "{text}");
        }
    }
}
