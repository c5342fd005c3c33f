//! One `.deb`: its files, its fields and its scripts, packed by Debian's dpkg-deb.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use flate2::{Compression, GzBuilder};

use super::Recipe;

/// Digests of the files, which dpkg --verify reads (deb-md5sums(5); what is in
/// /etc dpkg keeps account of by itself); then the package. One thread, as more
/// would pack in other pieces.
const PACK: &str = "
cd /work/tree
find . \\( -path ./DEBIAN -o -path ./etc \\) -prune -o -type f -printf '%P\\0' |
    LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums
chmod 644 DEBIAN/md5sums
touch -d @$SOURCE_DATE_EPOCH DEBIAN/md5sums DEBIAN
dpkg-deb -Zxz --threads-max=1 --root-owner-group --build /work/tree /work/out
";

/// A file that a package alone has.
#[derive(Clone, Copy, Debug)]
pub enum Text {
    /// The first `/etc/a7670e.toml`.
    Settings,
    /// What DKMS is told of the module.
    Dkms,
}

/// The part of `debian/` that belongs to a package.
struct Parts {
    name: &'static str,
    control: &'static str,
    scripts: &'static [(&'static str, &'static str)],
    /// Why lintian is wrong here, in its own format.
    overrides: &'static str,
}

const PARTS: [Parts; 3] = [
    Parts {
        name: "a7670e",
        control: include_str!("debian/a7670e.control"),
        scripts: &[
            ("postinst", include_str!("debian/a7670e.postinst")),
            ("prerm", include_str!("debian/a7670e.prerm")),
            ("postrm", include_str!("debian/a7670e.postrm")),
        ],
        overrides: include_str!("debian/a7670e.lintian-overrides"),
    },
    Parts {
        name: "a7670e-udev",
        control: include_str!("debian/a7670e-udev.control"),
        scripts: &[
            ("postinst", include_str!("debian/a7670e-udev.postinst")),
            ("postrm", include_str!("debian/a7670e-udev.postrm")),
        ],
        overrides: "",
    },
    Parts {
        name: "simcom-wwan-dkms",
        control: include_str!("debian/simcom-wwan-dkms.control"),
        scripts: &[
            ("postinst", include_str!("debian/simcom-wwan-dkms.postinst")),
            ("prerm", include_str!("debian/simcom-wwan-dkms.prerm")),
        ],
        overrides: "",
    },
];

/// A package while it is put together.
pub struct Deb {
    parts: &'static Parts,
    arch: String,
    words: BTreeMap<&'static str, String>,
    /// Content and whether it is a program, by path without a slash in front.
    files: BTreeMap<String, (Vec<u8>, bool)>,
    conffiles: Vec<String>,
}

impl Deb {
    /// An empty package. `words` stand in its fields and scripts for `@WORD@`.
    ///
    /// # Errors
    /// There is no such package.
    pub fn new(words: &BTreeMap<&'static str, String>, name: &str, arch: &str) -> Result<Self> {
        let parts = PARTS.iter().find(|parts| parts.name == name);
        let parts = parts.with_context(|| format!("debian/ has no package {name}"))?;
        let mut deb = Self {
            parts,
            arch: arch.to_owned(),
            words: words.clone(),
            files: BTreeMap::new(),
            conffiles: Vec::new(),
        };
        if !parts.overrides.is_empty() {
            deb.file(&format!("usr/share/lintian/overrides/{name}"), parts.overrides);
        }
        Ok(deb)
    }

    /// Adds a text.
    pub fn file(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), (text.as_bytes().to_vec(), false));
    }

    /// Adds a text as gzip packs it best, without a time.
    ///
    /// # Errors
    /// Never; writing to memory does not fail.
    pub fn packed(&mut self, path: &str, text: &str) -> Result<()> {
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
        gzip.write_all(text.as_bytes())?;
        self.files.insert(path.to_owned(), (gzip.finish()?, false));
        Ok(())
    }

    /// Adds a text of `debian/`.
    ///
    /// # Errors
    /// It has an unknown word.
    pub fn text(&mut self, path: &str, text: Text) -> Result<()> {
        let text = match text {
            Text::Settings => include_str!("debian/a7670e.toml"),
            Text::Dkms => include_str!("debian/dkms.conf"),
        };
        let text = filled(text, &self.words)?;
        self.file(path, &text);
        Ok(())
    }

    /// Adds a text of `debian/` that is the administrator's to change.
    ///
    /// # Errors
    /// It has an unknown word.
    pub fn conffile(&mut self, path: &str, text: Text) -> Result<()> {
        self.conffiles.push(format!("/{path}\n"));
        self.text(path, text)
    }

    /// Adds a program.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.files.insert(path.to_owned(), (bytes, true));
        Ok(())
    }

    /// Packs it; the file is called `NAME_VERSION_ARCH.deb` in `out`.
    ///
    /// # Errors
    /// `scratch` or `out` cannot be written, or dpkg-deb refuses the package.
    pub fn build(mut self, recipe: &Recipe<'_>, scratch: &Path, out: &Path) -> Result<()> {
        self.words.insert("SIZE", self.size().to_string());
        let tree = scratch.join(self.parts.name);
        crate::stage::remove_tree(&tree)?;
        let mut laid = Laid { top: &tree, epoch: recipe.epoch, dirs: Vec::new() };
        for (path, (bytes, program)) in &self.files {
            laid.put(path, bytes, if *program { 0o755 } else { 0o644 })?;
        }
        let control = filled(self.parts.control, &self.words)?;
        if !control.lines().any(|line| line == format!("Architecture: {}", self.arch)) {
            bail!("debian/{}.control is not for {}", self.parts.name, self.arch);
        }
        laid.put("DEBIAN/control", control.as_bytes(), 0o644)?;
        if !self.conffiles.is_empty() {
            laid.put("DEBIAN/conffiles", self.conffiles.concat().as_bytes(), 0o644)?;
        }
        for (name, script) in self.parts.scripts {
            let script = filled(script, &self.words)?;
            laid.put(&format!("DEBIAN/{name}"), script.as_bytes(), 0o755)?;
        }
        laid.finish()?;
        let sandbox = recipe.tools.sandbox().bind_writable(&tree, "tree").bind_writable(out, "out");
        let sandbox = sandbox.env("SOURCE_DATE_EPOCH", &recipe.epoch.to_string());
        sandbox.output(&["sh", "-ec", PACK])?;
        Ok(())
    }

    /// What it takes on a disk in KiB, as dpkg-gencontrol counts: files in whole
    /// KiB, and one for each folder (deb-substvars(5)).
    fn size(&self) -> u64 {
        let files = self.files.values().map(|(bytes, _)| (bytes.len() as u64).div_ceil(1024));
        let mut dirs: Vec<&str> = Vec::new();
        for path in self.files.keys() {
            dirs.extend(path.match_indices('/').map(|(end, _)| &path[..end]));
        }
        dirs.sort_unstable();
        dirs.dedup();
        files.sum::<u64>() + dirs.len() as u64
    }
}

/// A package's tree on disk: modes and times do not depend on who writes it.
struct Laid<'a> {
    top: &'a Path,
    epoch: u64,
    dirs: Vec<PathBuf>,
}

impl Laid<'_> {
    fn put(&mut self, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let path = self.top.join(path);
        for dir in path.ancestors().skip(1).take_while(|dir| dir.starts_with(self.top)) {
            if !self.dirs.iter().any(|known| known == dir) {
                self.dirs.push(dir.to_owned());
            }
        }
        let dir = path.parent().context("a file outside any folder")?;
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        self.set(&path, mode)
    }

    /// Folders last: what is written into one changes its time.
    fn finish(self) -> Result<()> {
        self.dirs.iter().try_for_each(|dir| self.set(dir, 0o755))
    }

    fn set(&self, path: &Path, mode: u32) -> Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.epoch);
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        file.set_modified(time).with_context(|| format!("no time for {}", path.display()))
    }
}

/// `text` with every `@WORD@` filled in.
fn filled(text: &str, words: &BTreeMap<&'static str, String>) -> Result<String> {
    let mut text = text.to_owned();
    for (word, value) in words {
        text = text.replace(&format!("@{word}@"), value);
    }
    let open = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_uppercase());
    if let Some(word) = text.split('@').skip(1).step_by(2).find(open) {
        bail!("nothing is known for @{word}@");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> BTreeMap<&'static str, String> {
        BTreeMap::from([("VERSION", "1-1".to_owned())])
    }

    #[test]
    fn words_are_filled_in_and_none_is_left() {
        assert_eq!(filled("V: @VERSION@ a@b.example\n", &words()).unwrap(), "V: 1-1 a@b.example\n");
        assert!(filled("V: @OTHER@", &words()).unwrap_err().to_string().contains("@OTHER@"));
    }

    #[test]
    fn size_is_counted_as_debian_does() {
        let mut deb = Deb::new(&words(), "a7670e-udev", "all").unwrap();
        deb.file("usr/share/a", "");
        deb.file("usr/share/b", "x");
        deb.file("usr/c", &"x".repeat(1025));
        assert_eq!(deb.size(), 1 + 2 + 2);
        assert!(Deb::new(&words(), "nosuch", "all").is_err());
    }

    #[test]
    fn what_is_packed_has_no_time_and_says_best() {
        let mut deb = Deb::new(&words(), "a7670e", "arm64").unwrap();
        deb.packed("x.gz", "text").unwrap();
        let bytes = &deb.files["x.gz"].0;
        // RFC 1952, section 2.3: MTIME at 4, XFL at 8, 2 for the best compression.
        assert_eq!((&bytes[4..8], bytes[8]), (&[0; 4][..], 2));
    }

    /// A script that sh cannot read would leave a package half installed.
    #[test]
    fn scripts_are_shell() {
        for script in PARTS.iter().flat_map(|parts| parts.scripts) {
            let mut shell = std::process::Command::new("sh");
            let output = shell.args(["-n", "-c", script.1]).output().unwrap();
            assert!(output.status.success(), "{}: {output:?}", script.0);
            assert!(script.1.starts_with("#!/bin/sh\nset -e\n"), "{}", script.0);
        }
    }
}
