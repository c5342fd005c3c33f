//! What a kernel drives, read from its binaries.
//!
//! Neither a configuration nor `modules.alias` tells of drivers that are built
//! in. The binary does: a driver's match table is an array of
//! `struct of_device_id` (`include/linux/mod_devicetable.h`), whose
//! `compatible` is a field of 128 bytes after two of 32, so a name in a table
//! cannot be mistaken for a name in a message. Modules carry their tables as
//! aliases (`scripts/mod/file2alias.c`); a module without the alias is not
//! loaded for the device, so only the alias counts there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;

use aho_corasick::{AhoCorasick, MatchKind};
use anyhow::{Context as _, Result, bail};

/// Fields of `struct of_device_id`, in bytes.
const NAME: usize = 32;
const COMPATIBLE: usize = 128;

/// An arm64 `Image` has this at offset 56 (`Documentation/arch/arm64/booting.rst`).
const MAGIC: (usize, &[u8]) = (56, b"ARM\x64");

/// How much of a stream of modules is looked at at once, and how much of the
/// chunk before is kept: an alias is shorter.
const CHUNK: usize = 8 << 20;
const OVERLAP: usize = 1024;

/// How sure we are that a kernel drives a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// The name does not occur.
    None,
    /// The name stands in the code, in no match table: it is read by other
    /// code (a property of the board, a child that a driver looks up itself).
    Mention,
    /// A driver matches it.
    Driver,
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "-",
            Self::Mention => "mention",
            Self::Driver => "driver",
        })
    }
}

/// What was found of the wanted keys.
#[derive(Clone, Debug, Default)]
pub struct Evidence(BTreeMap<String, Strength>);

#[cfg(test)]
impl<const N: usize> From<[(&str, Strength); N]> for Evidence {
    fn from(items: [(&str, Strength); N]) -> Self {
        Self(items.into_iter().map(|(key, strength)| (key.to_owned(), strength)).collect())
    }
}

impl Evidence {
    /// What was found of `key`.
    pub fn of(&self, key: &str) -> Strength {
        self.0.get(key).copied().unwrap_or(Strength::None)
    }

    /// One line for each key that was found.
    pub fn text(&self) -> String {
        self.0.iter().map(|(key, strength)| format!("{strength} {key}\n")).collect()
    }

    /// Reads what [`Self::text`] wrote.
    pub fn parse(text: &str) -> Result<Self> {
        let line = |line: &str| {
            let (strength, key) = line.split_once(' ')?;
            let all = [Strength::None, Strength::Mention, Strength::Driver];
            Some((key.to_owned(), all.into_iter().find(|s| s.to_string() == strength)?))
        };
        let read = |l: &str| line(l).with_context(|| format!("{l:?} is no evidence"));
        Ok(Self(text.lines().map(read).collect::<Result<_>>()?))
    }

    fn add(&mut self, key: &str, strength: Strength) {
        let known = self.0.entry(key.to_owned()).or_insert(strength);
        *known = strength.max(*known);
    }

    /// Looks for `wanted` in an uncompressed arm64 `image` and in `modules`, a
    /// stream of uncompressed module files one after the other.
    pub fn find(wanted: &BTreeSet<String>, image: &[u8], mut modules: impl Read) -> Result<Self> {
        if image.get(MAGIC.0..MAGIC.0 + MAGIC.1.len()) != Some(MAGIC.1) {
            bail!("the kernel is no uncompressed arm64 Image");
        }
        let keys: Vec<&String> = wanted.iter().collect();
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(&keys)
            .context("cannot search for the names")?;
        let mut found = Self::default();
        for hit in search.find_overlapping_iter(image) {
            found.add(keys[hit.pattern()], built_in(image, hit.start(), hit.end()));
        }
        for key in keys.iter().filter(|key| amba_id(key).is_some_and(|id| has_amba(image, id))) {
            found.add(key, Strength::Driver);
        }
        let mut window = Vec::new();
        loop {
            let read = (&mut modules).take(CHUNK as u64).read_to_end(&mut window)?;
            for hit in search.find_overlapping_iter(&window) {
                found.add(keys[hit.pattern()], module(&window, hit.start(), hit.end()));
            }
            if read == 0 {
                break;
            }
            window.drain(..window.len().saturating_sub(OVERLAP));
        }
        Ok(found)
    }
}

/// What `data[start..end]`, a wanted name, is in a kernel image.
fn built_in(data: &[u8], start: usize, end: usize) -> Strength {
    let fields = start.checked_sub(2 * NAME).and_then(|from| data.get(from..start));
    let rest = data.get(end..start + COMPATIBLE);
    match (fields, rest) {
        (Some(fields), Some(rest))
            if fields.chunks(NAME).all(is_field) && rest.iter().all(|b| *b == 0) =>
        {
            Strength::Driver
        }
        _ => mention(data, start, end),
    }
}

/// What `data[start..end]`, a wanted name, is in a module.
fn module(data: &[u8], start: usize, end: usize) -> Strength {
    let line = data[..start].iter().rposition(|b| *b == 0).map_or(0, |nul| nul + 1);
    let before = &data[line..start];
    let ends = |with: &[u8]| data[end..].starts_with(with);
    // alias=of:N<name>T<type>C<compatible>, then C* if more may follow.
    if before.starts_with(b"alias=of:N") && before.ends_with(b"C") && (ends(b"\0") || ends(b"C*\0"))
    {
        return Strength::Driver;
    }
    mention(data, start, end)
}

/// A whole string, or a part of one, which means nothing. Nor does a word
/// without a vendor (`cache`), which stands for many things.
fn mention(data: &[u8], start: usize, end: usize) -> Strength {
    let whole = (start == 0 || data[start - 1] == 0) && data.get(end) == Some(&0);
    if whole && data[start..end].contains(&b',') { Strength::Mention } else { Strength::None }
}

/// A string of visible characters, padded with zeros to the field's end.
fn is_field(field: &[u8]) -> bool {
    let length = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    field[..length].iter().all(u8::is_ascii_graphic) && field[length..].iter().all(|b| *b == 0)
}

/// The peripheral id of an `amba:` key.
fn amba_id(key: &str) -> Option<u32> {
    u32::from_str_radix(key.strip_prefix("amba:")?, 16).ok()
}

/// Whether `image` has a `struct amba_id` (id, mask; aligned to 8) that matches
/// `id`. Every mask covers at least the part number and the designer, bits 0 to
/// 19 (`include/linux/amba/bus.h`).
fn has_amba(image: &[u8], id: u32) -> bool {
    image.chunks_exact(8).any(|pair| {
        let word =
            |at: usize| u32::from_le_bytes([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]);
        let (have, mask) = (word(0), word(4));
        mask & 0xf_ffff == 0xf_ffff && have != 0 && have == id & mask
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<u8> {
        let mut image = vec![0; 64];
        image[56..60].copy_from_slice(b"ARM\x64");
        image
    }

    fn table(kind: &str, compatible: &str) -> Vec<u8> {
        let mut id = vec![0; 200];
        id[NAME..NAME + kind.len()].copy_from_slice(kind.as_bytes());
        id[2 * NAME..2 * NAME + compatible.len()].copy_from_slice(compatible.as_bytes());
        id
    }

    fn find(keys: &[&str], image: &[u8], modules: &[u8]) -> Vec<Strength> {
        let wanted = keys.iter().map(|k| (*k).to_owned()).collect();
        let found = Evidence::find(&wanted, image, modules).unwrap();
        keys.iter().map(|k| found.of(k)).collect()
    }

    #[test]
    fn tells_tables_from_strings_in_the_image() {
        let mut data = image();
        data.extend(table("", "v,clock"));
        data.extend(table("cpu", "v,typed"));
        data.extend(b"text before\0v,said\0 and behind; v,part of a text\0");
        let found = find(&["v,clock", "v,typed", "v,said", "v,part", "v,none"], &data, b"");
        use Strength::{Driver, Mention, None};
        assert_eq!(found, [Driver, Driver, Mention, None, None]);
    }

    #[test]
    fn a_longer_name_is_no_evidence_for_a_shorter_one() {
        let mut data = image();
        data.extend(table("", "v,i2c-slave"));
        assert_eq!(find(&["v,i2c"], &data, b"\0alias=of:N*T*Cv,i2c-slave\0"), [Strength::None]);
    }

    #[test]
    fn modules_count_by_their_aliases() {
        let mut data = vec![0; 40];
        data.extend(b"license=GPL\0alias=of:N*T*Cv,aliasC*\0alias=of:N*T*Cv,plain\0");
        data.extend(table("", "v,table"));
        let found = find(&["v,alias", "v,plain", "v,table"], &image(), &data);
        assert_eq!(found, [Strength::Driver, Strength::Driver, Strength::Mention]);
    }

    #[test]
    fn an_alias_across_two_chunks_is_found() {
        let alias = b"\0alias=of:N*T*Cv,far\0";
        let mut data = vec![b'x'; CHUNK - 12];
        data.extend(alias);
        data.extend(vec![b'x'; 99]);
        assert_eq!(find(&["v,far"], &image(), &data), [Strength::Driver]);
    }

    #[test]
    fn amba_ids_match_under_their_mask() {
        let mut data = image();
        // drivers/tty/serial/amba-pl011.c
        data.extend(0x0004_1011_u32.to_le_bytes());
        data.extend(0x000f_ffff_u32.to_le_bytes());
        let found = find(&["amba:00341011", "amba:00041061"], &data, b"");
        assert_eq!(found, [Strength::Driver, Strength::None]);
    }

    #[test]
    fn a_plain_word_says_nothing() {
        assert_eq!(find(&["cache"], &image(), b"\0cache\0"), [Strength::None]);
    }

    #[test]
    fn text_round_trip() {
        let found = Evidence::from([("v,a", Strength::Driver), ("v,b", Strength::Mention)]);
        assert_eq!(Evidence::parse(&found.text()).unwrap().0, found.0);
        assert!(Evidence::parse("perhaps v,a\n").is_err());
    }

    #[test]
    fn a_compressed_kernel_is_refused() {
        assert!(Evidence::find(&BTreeSet::new(), b"\x1f\x8b", &b""[..]).is_err());
    }
}
