//! A secret's text, which shows itself to nobody by accident.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroize as _;

/// A secret. In a file it is `{ secret = "…" }`, or a text in quotes. Its memory is
/// cleared when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(1))?;
        map.serialize_entry("secret", &self.0)?;
        map.end()
    }
}

/// Errors must not repeat the value, as serde's own do.
const FORM: &str = "must be { secret = \"…\" } or a text in quotes";

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wrong = || de::Error::custom(FORM);
        match toml::Value::deserialize(from).map_err(|_| wrong())? {
            toml::Value::String(text) => Ok(Self(text)),
            toml::Value::Table(mut table) if table.len() == 1 => match table.remove("secret") {
                Some(toml::Value::String(text)) => Ok(Self(text)),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Holder {
        it: Secret,
    }

    #[test]
    fn a_secret_is_written_and_read_but_never_shown() {
        for text in ["it = 'x7y'", "it = { secret = 'x7y' }", "[it]\nsecret = 'x7y'"] {
            let holder: Holder = toml::from_str(text).unwrap();
            assert_eq!(holder.it.reveal(), "x7y");
            assert!(!format!("{holder:?}").contains("x7y"));
            assert_eq!(toml::to_string(&holder).unwrap(), "[it]\nsecret = \"x7y\"\n");
        }
        for text in ["it = 1234", "it = { secret = 1234 }", "it = { secert = '1234' }"] {
            let error = toml::from_str::<Holder>(text).unwrap_err();
            assert!(error.message().starts_with("must be"), "{}", error.message());
        }
    }
}
