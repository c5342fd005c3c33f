//! The signature of the compressed image, as minisign makes and checks it.
//!
//! `A7670E_SIGN_KEY` names the file of the secret key, `A7670E_SIGN_PASSWORD`
//! holds its password when it has one. Neither is ever shown. The signature is
//! the one result that differs from run to run: the scheme salts its nonce.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use minisign::{SecretKey, SecretKeyBox};

use crate::digest;

/// Variable with the path of the secret key.
const KEY: &str = "A7670E_SIGN_KEY";
/// Variable with its password.
const PASSWORD: &str = "A7670E_SIGN_PASSWORD";

/// First line of a signature, which is not signed itself.
const UNTRUSTED: &str = "signature of an a7670e build";

/// Where the key is, and what opens it.
pub struct Key {
    path: PathBuf,
    password: Option<String>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Key {
    /// The key in this file; the password when it has one.
    #[cfg(test)]
    pub fn new(path: PathBuf, password: Option<String>) -> Self {
        Self { path, password }
    }

    /// The key that the environment names, if it names one.
    pub fn from_env() -> Result<Option<Self>> {
        let Some(path) = std::env::var_os(KEY) else { return Ok(None) };
        let password = match std::env::var(PASSWORD) {
            Ok(password) => Some(password),
            Err(std::env::VarError::NotPresent) => None,
            // The error itself would show the value.
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(anyhow!("{PASSWORD} is not UTF-8"));
            }
        };
        Ok(Some(Self { path: path.into(), password }))
    }

    /// Tells one key from another without opening it (which takes seconds
    /// when it has a password): the digest of its file.
    pub fn id(&self) -> Result<String> {
        digest::file(&self.path).with_context(|| format!("{KEY}: the signing key"))
    }

    fn open(&self) -> Result<SecretKey> {
        let what = || format!("{KEY}: {}", self.path.display());
        let text = std::fs::read_to_string(&self.path).with_context(what)?;
        let boxed = SecretKeyBox::from_string(&text)
            .map_err(|e| anyhow!("no minisign secret key: {e}"))
            .with_context(what)?;
        // Without a password the library would ask on the terminal.
        match &self.password {
            Some(password) => boxed
                .into_secret_key(Some(password.clone()))
                .map_err(|e| anyhow!("{PASSWORD} does not open it: {e}")),
            None => boxed
                .into_unencrypted_secret_key()
                .map_err(|e| anyhow!("it cannot be used without a password ({PASSWORD}): {e}")),
        }
        .with_context(what)
    }

    /// Signs the file `path`, which has this digest and is known to others as
    /// `name`; gives the text of the signature file.
    pub fn sign(&self, path: &Path, name: &str, sha256: &str) -> Result<String> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        // Signed with the rest, and free of the time that it has by default.
        let trusted = format!("file:{name} sha256:{sha256}");
        minisign::sign(None, &self.open()?, file, Some(&trusted), Some(UNTRUSTED))
            .map(|signature| signature.to_string())
            .map_err(|e| anyhow!("cannot sign {}: {e}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use minisign::KeyPair;

    use super::*;

    /// A key in a file, with what verifies it.
    fn key(dir: &Path, password: Option<&str>) -> (Key, minisign_verify::PublicKey) {
        let path = dir.join("secret.key");
        let pair = match password {
            Some(word) => KeyPair::generate_encrypted_keypair(Some(word.to_owned())),
            None => KeyPair::generate_unencrypted_keypair(),
        }
        .unwrap();
        let text = pair.sk.to_box(None).unwrap().into_string();
        std::fs::write(&path, text).unwrap();
        let public = minisign_verify::PublicKey::from_base64(&pair.pk.to_base64()).unwrap();
        (Key { path, password: password.map(str::to_owned) }, public)
    }

    #[test]
    fn another_implementation_verifies_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "content").unwrap();
        for password in [None, Some("open sesame")] {
            let (key, public) = key(dir.path(), password);
            let sha256 = digest::file(&path).unwrap();
            let text = key.sign(&path, "pi4b.img.zst", &sha256).unwrap();
            let signature = minisign_verify::Signature::decode(&text).unwrap();
            public.verify(b"content", &signature, false).unwrap();
            assert!(public.verify(b"contend", &signature, false).is_err());
            assert_eq!(signature.trusted_comment(), format!("file:pi4b.img.zst sha256:{sha256}"));
        }
    }

    #[test]
    fn a_wrong_or_missing_password_is_named_but_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "content").unwrap();
        let (mut key, _) = key(dir.path(), Some("open sesame"));
        for password in [None, Some("swordfish".to_owned())] {
            key.password = password;
            let error = format!("{:#}", key.sign(&path, "x", "00").unwrap_err());
            assert!(error.contains("secret.key") && error.contains(PASSWORD), "{error}");
            let shown = format!("{error} {key:?}");
            assert!(!shown.contains("swordfish") && !shown.contains("sesame"), "{shown}");
        }
    }
}
