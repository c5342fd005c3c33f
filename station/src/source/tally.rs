//! Counts and hashes the bytes of the image's file as they are read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minisign_verify::StreamVerifier;
use sha2::{Digest, Sha256};

use super::{Checks, SourceError};

/// What a whole stream showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// SHA-256 of the image's file as it is, packed or not.
    pub sha256: String,
    /// Whether a checksum beside the file agreed.
    pub checksum: bool,
    /// The signature's trusted comment, when one was verified.
    pub signed: Option<String>,
}

struct Inner<'a> {
    file: File,
    sha256: Sha256,
    verifier: Option<StreamVerifier<'a>>,
    checks: &'a Checks,
}

/// A reader whose clones share one file and one count.
#[derive(Clone)]
pub struct Tally<'a>(Arc<Mutex<Inner<'a>>>);

impl<'a> Tally<'a> {
    pub fn new(file: File, path: &Path, checks: &'a Checks) -> Result<Self, SourceError> {
        let verifier = match &checks.signature {
            None => None,
            Some(it) => Some(it.key.verify_stream(&it.signature).map_err(|error| {
                SourceError::wrong(path, format!("its signature cannot be used: {error}"))
            })?),
        };
        let sha256 = Sha256::new();
        Ok(Self(Arc::new(Mutex::new(Inner { file, sha256, verifier, checks }))))
    }

    fn inner(&self) -> MutexGuard<'_, Inner<'a>> {
        // A panic elsewhere ends the stream anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn finish(mut self, path: &Path) -> Result<Verdict, SourceError> {
        io::copy(&mut self, &mut io::sink())
            .map_err(|error| SourceError::unreadable(path, error))?;
        let mut inner = self.inner();
        let sha256 = hex::encode(std::mem::take(&mut inner.sha256).finalize());
        let checks = inner.checks;
        if let Some(want) = &checks.sha256 {
            if *want != sha256 {
                let why = format!(
                    "its SHA-256 is {sha256}, the file beside it says {want}: it is damaged or \
                     not that image; fetch both again"
                );
                return Err(SourceError::wrong(path, why));
            }
        }
        if let Some(verifier) = &mut inner.verifier {
            verifier.finalize().map_err(|error| {
                let why = format!("its signature is not by this key: {error}; do not use it");
                SourceError::wrong(path, why)
            })?;
        }
        let signed = checks.signature.as_ref();
        Ok(Verdict {
            sha256,
            checksum: checks.sha256.is_some(),
            signed: signed.map(|it| it.signature.trusted_comment().to_owned()),
        })
    }
}

impl Read for Tally<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.inner();
        let count = inner.file.read(buffer)?;
        inner.sha256.update(&buffer[..count]);
        if let Some(verifier) = &mut inner.verifier {
            verifier.update(&buffer[..count]);
        }
        Ok(count)
    }
}
