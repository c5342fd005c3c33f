//! Secrets in the configuration. What serde would say of a wrong value repeats
//! the value; so the errors are our own.

use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, de};

use crate::modem::machine::Secret;

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Secret;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a text in quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"');
                if plain && !text.is_empty() && text.len() <= 100 {
                    Ok(Secret::new(text))
                } else {
                    Err(E::custom(
                        "a secret must be 1 to 100 printable ASCII characters without a quote",
                    ))
                }
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
                Err(E::custom("a secret must stand in quotes"))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
                self.visit_i64(0)
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
                self.visit_i64(0)
            }
        }
        from.deserialize_any(Visitor)
    }
}

/// `{ file = "/path" }` or `{ secret = "…" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretValue {
    /// In a file that only its owner may read.
    File(PathBuf),
    /// In the configuration itself.
    Inline(Secret),
}

const FORM: &str = "must be { file = \"/path/of/a/root-only/file\" } or { secret = \"…\" }";

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<SecretValue, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Form {
            File(PathBuf),
            Secret(Secret),
        }

        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = SecretValue;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str(FORM)
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretValue, E> {
                Err(E::custom(FORM))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretValue, E> {
                Err(E::custom(FORM))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretValue, E> {
                Err(E::custom(FORM))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretValue, E> {
                Err(E::custom(FORM))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<SecretValue, A::Error> {
                Ok(match Form::deserialize(MapAccessDeserializer::new(map))? {
                    Form::File(path) => SecretValue::File(path),
                    Form::Secret(secret) => SecretValue::Inline(secret),
                })
            }
        }
        from.deserialize_any(Visitor)
    }
}
