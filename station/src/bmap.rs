//! Reads bmap files, version 1.x and 2.0: which blocks of an image to write,
//! with their checksums.
//!
//! A bmap does not say what the blocks that it leaves out mean. Ours are free
//! space, and say so by [`FREE`]; bmaptool's are holes of a sparse file, which
//! must read zero (dm-verity fails otherwise on a card with old data).
//! The format: bmap-tools, `BmapCreate.py`.

use std::ops::Range;

use sha2::{Digest, Sha256};

/// The comment in bmaps whose unlisted blocks need no defined content.
pub const FREE: &str = "unlisted blocks are free space";

/// Largest bmap that is read, in bytes: one of a 512 GB card with every other
/// block mapped would not fit a desk's memory anyhow.
pub const MAX_FILE: u64 = 64 << 20;

/// What the blocks are that a map does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holes {
    /// Free space of a file system: any content will do.
    Free,
    /// They must read zero.
    Zero,
}

/// A range of the image that must be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its bytes.
    pub range: Range<u64>,
    /// SHA-256 of its content, when the map has it.
    pub sha256: Option<[u8; 32]>,
}

/// A map that has been checked: ranges ascend, do not overlap, and end within
/// the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bmap {
    /// Bytes of the image.
    pub size: u64,
    /// What to write.
    pub ranges: Vec<Mapped>,
    /// What lies between.
    pub holes: Holes,
}

/// Why a map cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BmapError {
    /// No XML.
    #[error("it is no XML: {0}")]
    Xml(String),
    /// An element is missing, twice there, or says what cannot be.
    #[error("<{0}> {1}")]
    Element(&'static str, String),
    /// A bad range.
    #[error("range {number}, {text:?}, {why}")]
    Range {
        /// Which one, from 1.
        number: usize,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file does not have the checksum that it names.
    #[error("it is damaged: its own checksum does not fit")]
    Damaged,
}

impl Bmap {
    /// Bytes that the map lists.
    #[must_use]
    pub fn mapped(&self) -> u64 {
        self.ranges.iter().map(|it| it.range.end - it.range.start).sum()
    }

    /// Reads the text of a bmap file.
    ///
    /// # Errors
    /// It is no bmap, contradicts itself, or is damaged.
    pub fn parse(text: &str) -> Result<Self, BmapError> {
        let document =
            roxmltree::Document::parse(text).map_err(|error| BmapError::Xml(error.to_string()))?;
        let root = document.root_element();
        if !root.has_tag_name("bmap") {
            return Err(BmapError::Element("bmap", "is not the outermost element".into()));
        }
        let size = number(root, "ImageSize")?;
        let block = number(root, "BlockSize")?;
        if block == 0 || block % 512 != 0 || block > 1 << 30 {
            return Err(BmapError::Element("BlockSize", format!("{block} cannot be")));
        }
        let blocks = number(root, "BlocksCount")?;
        if blocks != size.div_ceil(block) {
            return Err(BmapError::Element(
                "BlocksCount",
                format!("{blocks} does not fit <ImageSize>"),
            ));
        }
        let hashed = match text_of(root, "ChecksumType")? {
            Some("sha256") => true,
            None => false,
            Some(other) => {
                return Err(BmapError::Element("ChecksumType", format!("{other:?} is not sha256")));
            }
        };
        if let Some(checksum) = text_of(root, "BmapFileChecksum")? {
            verify(text, checksum)?;
        }
        let map = child(root, "BlockMap")?
            .ok_or_else(|| BmapError::Element("BlockMap", "is missing".into()))?;
        let mut ranges = Vec::new();
        let mut end = 0;
        let mut mapped = 0;
        for node in map.children().filter(|node| node.has_tag_name("Range")) {
            let item = range(node, block, size, hashed)?;
            if item.range.start < end {
                return Err(bad(node, "overlaps the one before, or stands before it"));
            }
            end = item.range.end;
            mapped += (item.range.end - item.range.start).div_ceil(block);
            ranges.push(item);
        }
        if let Some(count) = text_of(root, "MappedBlocksCount")? {
            if count.parse() != Ok(mapped) {
                let why = format!("says {count}, the ranges have {mapped}");
                return Err(BmapError::Element("MappedBlocksCount", why));
            }
        }
        let free = document
            .root()
            .descendants()
            .filter(roxmltree::Node::is_comment)
            .any(|node| node.text().is_some_and(|text| text.trim() == FREE));
        let holes = if free { Holes::Free } else { Holes::Zero };
        Ok(Self { size, ranges, holes })
    }
}

/// The only child of that name.
fn child<'a, 'i>(
    root: roxmltree::Node<'a, 'i>,
    name: &'static str,
) -> Result<Option<roxmltree::Node<'a, 'i>>, BmapError> {
    let mut found = root.children().filter(|node| node.has_tag_name(name));
    let first = found.next();
    if found.next().is_some() {
        return Err(BmapError::Element(name, "is there twice".into()));
    }
    Ok(first)
}

fn text_of<'a>(
    root: roxmltree::Node<'a, '_>,
    name: &'static str,
) -> Result<Option<&'a str>, BmapError> {
    Ok(child(root, name)?.and_then(|node| node.text()).map(str::trim))
}

fn number(root: roxmltree::Node<'_, '_>, name: &'static str) -> Result<u64, BmapError> {
    let text = text_of(root, name)?.ok_or_else(|| BmapError::Element(name, "is missing".into()))?;
    text.parse().map_err(|_| BmapError::Element(name, format!("{text:?} is no number")))
}

fn bad(node: roxmltree::Node<'_, '_>, why: &'static str) -> BmapError {
    let number = node.prev_siblings().filter(|it| it.has_tag_name("Range")).count();
    BmapError::Range { number, text: node.text().unwrap_or_default().trim().to_owned(), why }
}

/// One `<Range chksum="…">first-last</Range>`, in blocks.
fn range(
    node: roxmltree::Node<'_, '_>,
    block: u64,
    size: u64,
    hashed: bool,
) -> Result<Mapped, BmapError> {
    let text = node.text().unwrap_or_default().trim();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let parse = |text: &str| text.trim().parse::<u64>();
    let (Ok(first), Ok(last)) = (parse(first), parse(last)) else {
        return Err(bad(node, "is no pair of numbers"));
    };
    let start = first.checked_mul(block);
    let end = last.checked_add(1).and_then(|last| last.checked_mul(block));
    let (Some(start), Some(end)) = (start, end) else {
        return Err(bad(node, "is too large"));
    };
    if first > last || start >= size {
        return Err(bad(node, "is not within the image"));
    }
    // The last block may be a part of one.
    let end = if end > size && end - size < block { size } else { end };
    if end > size {
        return Err(bad(node, "is not within the image"));
    }
    let sha256 = match node.attribute("chksum").filter(|_| hashed) {
        None => None,
        Some(text) => {
            let mut sum = [0; 32];
            hex::decode_to_slice(text, &mut sum).map_err(|_| bad(node, "has no SHA-256"))?;
            Some(sum)
        }
    };
    Ok(Mapped { range: start..end, sha256 })
}

/// The file's checksum is taken with zeros in its own place.
fn verify(text: &str, checksum: &str) -> Result<(), BmapError> {
    let blank = text.replacen(checksum, &"0".repeat(checksum.len()), 1);
    let sum = hex::encode(Sha256::digest(blank.as_bytes()));
    if sum.eq_ignore_ascii_case(checksum) { Ok(()) } else { Err(BmapError::Damaged) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A map without a checksum of its own.
    fn map(ranges: &str, extra: &str) -> String {
        format!(
            "<?xml version=\"1.0\" ?>\n<bmap version=\"1.3\">\n<ImageSize>24000</ImageSize>\n\
             <BlockSize>4096</BlockSize>\n<BlocksCount>6</BlocksCount>\n{extra}\n\
             <BlockMap>\n{ranges}\n</BlockMap></bmap>"
        )
    }

    #[test]
    fn ranges_become_bytes() {
        let it =
            Bmap::parse(&map("<Range>0</Range><Range> 2-3 </Range><Range>5</Range>", "")).unwrap();
        let ranges: Vec<_> = it.ranges.iter().map(|it| it.range.clone()).collect();
        // The image ends within its last block.
        assert_eq!(ranges, [0..4096, 8192..16_384, 20_480..24_000]);
        assert_eq!((it.size, it.mapped(), it.holes), (24_000, 15_808, Holes::Zero));
        let free = map("<Range>0</Range>", &format!("<!-- {FREE} -->"));
        assert_eq!(Bmap::parse(&free).unwrap().holes, Holes::Free);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        for (ranges, extra, want) in [
            ("<Range>3-2</Range>", "", "not within"),
            ("<Range>6</Range>", "", "not within"),
            ("<Range>0-6</Range>", "", "not within"),
            ("<Range>1</Range><Range>1-2</Range>", "", "overlaps"),
            ("<Range>x</Range>", "", "no pair"),
            ("<Range>18446744073709551615</Range>", "", "too large"),
            ("<Range chksum='12'>1</Range>", "<ChecksumType>sha256</ChecksumType>", "no SHA-256"),
            ("<Range>1</Range>", "<ChecksumType>md5</ChecksumType>", "not sha256"),
            ("<Range>1</Range>", "<MappedBlocksCount>2</MappedBlocksCount>", "says 2"),
            ("<Range>1</Range>", "<ImageSize>1</ImageSize>", "twice"),
        ] {
            let error = Bmap::parse(&map(ranges, extra)).unwrap_err().to_string();
            assert!(error.contains(want), "{ranges} {extra}: {error}");
        }
        let error = Bmap::parse(&map("<Range>9</Range>", "")).unwrap_err().to_string();
        assert!(error.starts_with("range 1, \"9\","), "{error}");
    }

    #[test]
    fn damage_to_the_file_is_noticed() {
        let zero = "0".repeat(64);
        let blank =
            map("<Range>0-2</Range>", &format!("<BmapFileChecksum>{zero}</BmapFileChecksum>"));
        let sum = hex::encode(Sha256::digest(blank.as_bytes()));
        let good = blank.replace(&zero, &sum);
        Bmap::parse(&good).unwrap();
        assert_eq!(Bmap::parse(&good.replace("0-2", "0-1")), Err(BmapError::Damaged));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall(ranges in "[0-9<>Range/ -]{0,40}", extra in "\\PC{0,60}") {
            if let Ok(map) = Bmap::parse(&map(&ranges, &extra)) {
                prop_assert!(map.mapped() <= map.size);
            }
        }
    }
}
