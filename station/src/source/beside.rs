//! What lies beside an image: map, checksum, signature, public key.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature as Minisign};

use super::SourceError;
use crate::bmap::{self, Bmap};

/// No checksum, signature or key is longer, in bytes.
const MAX_SMALL: u64 = 64 << 10;

/// What the user said about the files beside the image.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The map; when absent, one beside the image is looked for.
    pub bmap: Option<PathBuf>,
    /// Write the whole image, whatever map there is.
    pub no_bmap: bool,
    /// A minisign public key, or the file of one; with it the image must be
    /// signed. When absent, `minisign.pub` beside the image is looked for.
    pub key: Option<String>,
}

/// What a stream of the image is held against.
#[derive(Default)]
pub struct Checks {
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: Option<String>,
    /// Key and signature.
    pub signature: Option<Signature>,
    /// A signature for which no key is known.
    pub unchecked: Option<PathBuf>,
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks")
            .field("sha256", &self.sha256)
            .field("signed", &self.signature.is_some())
            .finish_non_exhaustive()
    }
}

/// A signature and the key that it must be by.
pub struct Signature {
    /// The key.
    pub key: PublicKey,
    /// The signature.
    pub signature: Minisign,
}

/// Reads all of them.
pub fn read(image: &Path, options: &Options) -> Result<(Option<Bmap>, Checks), SourceError> {
    let map = if options.no_bmap { None } else { map(image, options.bmap.as_deref())? };
    let sha256 = checksum(image)?;
    let path = with_suffix(image, ".minisig");
    let text = optional(&path, MAX_SMALL)?;
    let (signature, unchecked) = match (key(image, options.key.as_deref())?, text) {
        (None, None) => (None, None),
        (None, Some(_)) => (None, Some(path)),
        (Some(_), None) if options.key.is_none() => (None, None),
        (Some(_), None) => {
            let why = "there is no such signature, but a key was given: get the signature, or \
                       leave out --key";
            return Err(SourceError::wrong(&path, why));
        }
        (Some(key), Some(text)) => {
            let signature = Minisign::decode(&text).map_err(|error| {
                SourceError::wrong(&path, format!("it is no minisign signature: {error}"))
            })?;
            (Some(Signature { key, signature }), None)
        }
    };
    Ok((map, Checks { sha256, signature, unchecked }))
}

/// All files that [`read`] may read.
pub fn files(image: &Path, options: &Options) -> Vec<PathBuf> {
    let mut files = maps(image, options.bmap.as_deref());
    files.extend([".sha256", ".minisig"].map(|suffix| with_suffix(image, suffix)));
    files.push(image.with_file_name("minisign.pub"));
    files.extend(options.key.as_ref().map(PathBuf::from));
    files
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The file's text, if it is there.
fn optional(path: &Path, most: u64) -> Result<Option<String>, SourceError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SourceError::unreadable(path, error)),
    };
    let mut text = String::new();
    file.take(most + 1)
        .read_to_string(&mut text)
        .map_err(|error| SourceError::unreadable(path, error))?;
    if text.len() as u64 > most {
        return Err(SourceError::wrong(path, format!("it is longer than {most} bytes")));
    }
    Ok(Some(text))
}

/// `pi4b.img.zst` may have `pi4b.img.zst.bmap`, `pi4b.img.bmap`, `pi4b.bmap`.
fn maps(image: &Path, given: Option<&Path>) -> Vec<PathBuf> {
    let mut paths = vec![];
    if let Some(path) = given {
        paths.push(path.to_owned());
    } else {
        paths.push(with_suffix(image, ".bmap"));
        let mut stem = image.to_owned();
        while stem.extension().is_some() {
            stem = stem.with_extension("");
            paths.push(with_suffix(&stem, ".bmap"));
        }
    }
    paths
}

fn map(image: &Path, given: Option<&Path>) -> Result<Option<Bmap>, SourceError> {
    for path in maps(image, given) {
        if let Some(text) = optional(&path, bmap::MAX_FILE)? {
            let map = Bmap::parse(&text).map_err(|error| {
                SourceError::wrong(&path, format!("it is no good bmap: {error}"))
            })?;
            return Ok(Some(map));
        }
        if given.is_some() {
            return Err(SourceError::unreadable(&path, io::ErrorKind::NotFound.into()));
        }
    }
    Ok(None)
}

/// The digest for the image in `IMAGE.sha256`, a file as `sha256sum` writes.
fn checksum(image: &Path) -> Result<Option<String>, SourceError> {
    let path = with_suffix(image, ".sha256");
    let Some(text) = optional(&path, MAX_SMALL)? else { return Ok(None) };
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    let digest = |line: &str| {
        let word = line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        (word.len() == 64 && hex::decode(&word).is_ok()).then_some(word)
    };
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let named = lines.clone().find(|line| {
        line.split_once(char::is_whitespace)
            .is_some_and(|(_, file)| file.trim_start().trim_start_matches('*') == name)
    });
    // Some people's files hold the digest alone.
    let alone = lines.next().filter(|line| !line.trim().contains(char::is_whitespace));
    match named.or(alone).and_then(digest) {
        Some(digest) => Ok(Some(digest)),
        None => Err(SourceError::wrong(&path, format!("it has no SHA-256 for {name}"))),
    }
}

/// The public key that was given, or lies beside the image.
fn key(image: &Path, given: Option<&str>) -> Result<Option<PublicKey>, SourceError> {
    let Some(given) = given else {
        let path = image.with_file_name("minisign.pub");
        return optional(&path, MAX_SMALL)?.map(|text| decode(&path, &text)).transpose();
    };
    if let Ok(key) = PublicKey::from_base64(given) {
        return Ok(Some(key));
    }
    let path = Path::new(given);
    match optional(path, MAX_SMALL)? {
        Some(text) => decode(path, &text).map(Some),
        None => Err(SourceError::wrong(path, "it is neither a minisign public key nor a file")),
    }
}

fn decode(path: &Path, text: &str) -> Result<PublicKey, SourceError> {
    PublicKey::decode(text)
        .or_else(|_| PublicKey::from_base64(text.trim()))
        .map_err(|error| SourceError::wrong(path, format!("it is no minisign public key: {error}")))
}
