//! Which packages with shared libraries a program needs, and how new: what
//! dpkg-shlibdeps would say, from the program's own table of versions.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::tools::Tools;

/// The package of a library, and how its versions begin in the program.
const LIBRARIES: [(&str, &str, &str); 4] = [
    ("ld-linux-aarch64.so.1", "libc6", "GLIBC_"),
    ("libc.so.6", "libc6", "GLIBC_"),
    ("libgcc_s.so.1", "libgcc-s1", "GCC_"),
    ("libm.so.6", "libc6", "GLIBC_"),
];

/// Names that stand for a version of glibc and have none in them: packed relative
/// relocations came with 2.36 (glibc's NEWS).
const FEATURES: [(&str, &str); 1] = [("GLIBC_ABI_DT_RELR", "2.36")];

/// glibc of Debian 12, the oldest that the packages are for.
const OLDEST: [u32; 2] = [2, 36];

/// The program's part of `Depends:`.
///
/// # Errors
/// It needs a library of an unknown package, or a newer one than Debian 12 has.
pub fn needs(tools: &Tools, program: &Path) -> Result<String> {
    let objdump =
        if crate::tools::arch()? == "arm64" { "objdump" } else { "aarch64-linux-gnu-objdump" };
    let said = tools.sandbox().bind(program, "program").text(&[objdump, "-p", "/work/program"])?;
    fields(&said)
}

/// The same from what `objdump -p` said.
fn fields(said: &str) -> Result<String> {
    let package = |library: &str| {
        let known = LIBRARIES.iter().find(|(name, ..)| *name == library);
        known.with_context(|| format!("no Debian package is known to have {library}"))
    };
    let mut found: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut from = None;
    for line in said.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["NEEDED", library] => {
                found.entry(package(library)?.1).or_default();
            }
            ["required", "from", library] => from = Some(package(library.trim_end_matches(':'))?),
            [hash, _, _, version] if hash.starts_with("0x") => {
                let (library, name, prefix) = from.context("a version of no library")?;
                let feature = FEATURES.iter().find(|(name, _)| *name == version);
                let number = feature.map(|it| it.1).or_else(|| version.strip_prefix(prefix));
                let number = number
                    .and_then(numbers)
                    .with_context(|| format!("unknown version {version} of {library}"))?;
                ensure!(
                    *name != "libc6" || number <= OLDEST.to_vec(),
                    "the program needs {version}, which Debian 12 does not have: see program.ld"
                );
                let newest = found.entry(name).or_default();
                *newest = number.max(newest.clone());
            }
            _ => {}
        }
    }
    if found.is_empty() {
        bail!("the program needs no library: is it dynamic?");
    }
    let field = |(name, version): (&str, Vec<u32>)| {
        let version: Vec<_> = version.iter().map(u32::to_string).collect();
        if version.is_empty() {
            name.to_owned()
        } else {
            format!("{name} (>= {})", version.join("."))
        }
    };
    Ok(found.into_iter().map(field).collect::<Vec<_>>().join(", "))
}

fn numbers(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|it| it.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "
Dynamic Section:
  NEEDED               libgcc_s.so.1
  NEEDED               libc.so.6
  INIT                 0x0000000000047bf8

Version References:
  required from libgcc_s.so.1:
    0x09276060 0x00 11 GCC_4.2.0
    0x0b792650 0x00 08 GCC_3.0
  required from libc.so.6:
    0x00fd0e42 0x00 15 GLIBC_ABI_DT_RELR
    0x06969189 0x00 14 GLIBC_2.29
    0x069691b4 0x00 05 GLIBC_2.4
";

    #[test]
    fn the_newest_version_counts() {
        assert_eq!(fields(SAID).unwrap(), "libc6 (>= 2.36), libgcc-s1 (>= 4.2.0)");
        let plain = SAID.replace("    0x00fd0e42 0x00 15 GLIBC_ABI_DT_RELR\n", "");
        assert_eq!(fields(&plain).unwrap(), "libc6 (>= 2.29), libgcc-s1 (>= 4.2.0)");
    }

    #[test]
    fn what_debian_12_or_nobody_has_is_refused() {
        let refused = |text: &str| format!("{:#}", fields(text).unwrap_err());
        assert!(refused(&SAID.replace("GLIBC_2.29", "GLIBC_2.39")).contains("Debian 12"));
        assert!(refused(&SAID.replace("libc.so.6", "libssl.so.3")).contains("libssl.so.3"));
        assert!(refused(&SAID.replace("GLIBC_2.29", "GLIBC_PRIVATE")).contains("GLIBC_PRIVATE"));
        assert!(refused("a.out: file format elf64\n").contains("dynamic"));
    }
}
