//! Keys that a unit alone has: made by the desk or given, the private half for
//! the card only, the public half for the records.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize as _, Zeroizing};

use crate::fleet::Revealed;

/// Where the SSH server of the unit has its key.
pub const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key";

/// Bytes of a private key, of Ed25519 (RFC 8032 §5.1.5) as of X25519
/// (RFC 7748 §5).
const LEN: usize = 32;

/// A pair of keys.
#[derive(Clone, Debug)]
pub struct Pair {
    /// As its program reads it: a file of OpenSSH's, or base64.
    pub private: Revealed,
    /// As others are told it: `ssh-ed25519 …`, or base64.
    pub public: String,
}

/// What of a unit's keys may be known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Public {
    /// A line of `known_hosts` (sshd(8)).
    pub host_key: Option<String>,
    /// Public half of its tunnel's key.
    pub wireguard_key: Option<String>,
    /// Whether one of them was made for this card.
    pub made: bool,
}

/// Random bytes of the kernel's.
///
/// # Errors
/// It gives none.
pub fn random<const N: usize>() -> std::io::Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    let mut have = 0;
    while have < N {
        // It may be interrupted, and may give less than asked (getrandom(2)).
        match rustix::rand::getrandom(&mut bytes[have..], rustix::rand::GetRandomFlags::empty()) {
            Ok(0) => return Err(std::io::Error::other("the kernel gives no random bytes")),
            Ok(got) => have += got,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

/// Makes a key for an SSH server (Ed25519); `comment` stands behind it.
///
/// # Errors
/// The kernel gives no random bytes.
pub fn make_host_key(comment: &str) -> Result<Pair, String> {
    let seed = random::<LEN>().map_err(|error| format!("cannot be made: {error}"))?;
    host_key_of(&seed, comment)
}

fn host_key_of(seed: &[u8; LEN], comment: &str) -> Result<Pair, String> {
    let data = KeypairData::Ed25519(Ed25519Keypair::from_seed(seed));
    let key = PrivateKey::new(data, comment).map_err(|error| format!("cannot be made: {error}"))?;
    pair(&key)
}

/// The pair of a private key in OpenSSH's form.
///
/// # Errors
/// It is none, of another kind, or has a passphrase, which nobody would type.
pub fn read_host_key(text: &str) -> Result<Pair, String> {
    let key = PrivateKey::from_openssh(text)
        .map_err(|_| "is no private key as `ssh-keygen -t ed25519` makes it".to_owned())?;
    if key.is_encrypted() {
        return Err("has a passphrase, which nobody could type at the unit".to_owned());
    }
    if key.key_data().ed25519().is_none() {
        return Err("must be of Ed25519".to_owned());
    }
    pair(&key)
}

fn pair(key: &PrivateKey) -> Result<Pair, String> {
    let wrong = |error: ssh_key::Error| format!("cannot be written: {error}");
    let mut text = key.to_openssh(LineEnding::LF).map_err(wrong)?;
    let public = key.public_key().to_openssh().map_err(wrong)?;
    Ok(Pair { private: Revealed::from(std::mem::take(&mut *text)), public })
}

/// Makes a key for a tunnel.
///
/// # Errors
/// The kernel gives no random bytes.
pub fn make_wireguard_key() -> Result<Pair, String> {
    let mut bytes = random::<LEN>().map_err(|error| format!("cannot be made: {error}"))?;
    // As `wg genkey` does (RFC 7748 §5, decodeScalar25519).
    bytes[0] &= 248;
    bytes[31] = bytes[31] & 127 | 64;
    let private = Revealed::from(STANDARD.encode(*bytes));
    Ok(Pair { private, public: wireguard_public(&bytes) })
}

/// The pair of a tunnel's private key.
///
/// # Errors
/// It is none.
pub fn read_wireguard_key(text: &str) -> Result<Pair, String> {
    let wrong = || "must be a WireGuard key: 44 characters of base64".to_owned();
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| wrong())?);
    let mut key = Zeroizing::new([0; LEN]);
    if bytes.len() != LEN {
        return Err(wrong());
    }
    key.copy_from_slice(&bytes);
    Ok(Pair { private: Revealed::from(text.to_owned()), public: wireguard_public(&key) })
}

fn wireguard_public(private: &[u8; LEN]) -> String {
    let mut copy = *private;
    let secret = StaticSecret::from(copy);
    copy.zeroize();
    STANDARD.encode(PublicKey::from(&secret).as_bytes())
}

/// The line of `known_hosts` (sshd(8)) for a host of these names and addresses.
#[must_use]
pub fn known_host(names: &[String], public: &str) -> String {
    // The comment is no part of the key.
    let key: Vec<_> = public.split(' ').take(2).collect();
    format!("{} {}", names.join(","), key.join(" "))
}

#[cfg(test)]
mod tests {
    use a7670e_unit::{SshKey, WireKey};

    use super::*;

    #[test]
    fn known_keys_have_their_known_public_halves() {
        // RFC 7748 §6.1, Bob.
        let pair = read_wireguard_key("XasIfmJKikt54X+Lg4AO5m87sSkmGLb9HC+LJ/+I4Os=").unwrap();
        let public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
        assert_eq!(hex::encode(STANDARD.decode(pair.public).unwrap()), public);
        // RFC 8032 §7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let seed = hex::decode(seed).unwrap().try_into().unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let pair = host_key_of(&seed, "me").unwrap();
        let blob = STANDARD.decode(pair.public.split(' ').nth(1).unwrap()).unwrap();
        assert_eq!(hex::encode(&blob[19..]), public);
        let names = ["pump-1".to_owned(), "10.0.0.2".to_owned()];
        let line = known_host(&names, &pair.public);
        assert!(line.starts_with("pump-1,10.0.0.2 ssh-ed25519 AAAA") && !line.ends_with("me"));
    }

    #[test]
    fn other_texts_are_no_keys() {
        for text in ["", "ssh-ed25519 AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----\n"] {
            assert!(read_host_key(text).unwrap_err().contains("ssh-keygen"), "{text}");
        }
        for text in ["", "AAAA", "nonsense, but as long as a key would be, 44="] {
            assert!(read_wireguard_key(text).unwrap_err().contains("44 characters"), "{text}");
        }
    }

    #[test]
    fn made_keys_are_read_again_and_are_never_the_same() {
        let (one, two) = (make_host_key("a").unwrap(), make_host_key("a").unwrap());
        assert_ne!(one.public, two.public);
        assert_eq!(read_host_key(one.private.reveal()).unwrap().public, one.public);
        SshKey::try_from(one.public.clone()).unwrap();
        assert!(one.public.ends_with(" a"), "{}", one.public);
        let (one, two) = (make_wireguard_key().unwrap(), make_wireguard_key().unwrap());
        assert_ne!(one.public, two.public);
        assert_eq!(read_wireguard_key(one.private.reveal()).unwrap().public, one.public);
        for text in [&one.public, one.private.reveal()] {
            WireKey::try_from(text.to_owned()).unwrap();
        }
        let shown = format!("{one:?}");
        assert!(!shown.contains(one.private.reveal()), "{shown}");
    }
}
