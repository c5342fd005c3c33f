//! Secrets, and where to get them: in the fleet file itself, or better by
//! reference to a file, a variable of the environment, or a command's output.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Deserializer, de};

pub use a7670e_unit::Secret as Revealed;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// Here.
    Inline(Revealed),
    /// The content of a file, without the line's end. In a fleet file a relative
    /// path begins where that file is.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
    /// What a command prints, without the line's end. It is run when the card
    /// is written, not before.
    Command(Vec<String>),
    /// Nowhere yet: the desk makes one for each card.
    Make,
}

/// For secrets that somebody else has chosen.
const NOT_MADE: &str = "cannot be made here: only ssh_host_key and wireguard.private_key can";

/// Errors must not repeat the value, as serde's own do.
const FORM: &str = "must be a text, { file = \"…\" }, { env = \"…\" }, { secret = \"…\" }, \
                    { command = [\"…\"] }, or for a key { make = true }";

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(from).map_err(|_| de::Error::custom(FORM))?;
        Self::of(value).ok_or_else(|| de::Error::custom(FORM))
    }
}

impl SecretRef {
    fn of(value: toml::Value) -> Option<Self> {
        let text = |value: toml::Value| match value {
            toml::Value::String(text) => Some(text),
            _ => None,
        };
        let table = match value {
            toml::Value::String(text) => return Some(Self::Inline(Revealed::from(text))),
            toml::Value::Table(table) if table.len() == 1 => table,
            _ => return None,
        };
        let (key, value) = table.into_iter().next()?;
        match (key.as_str(), value) {
            ("secret", value) => text(value).map(|it| Self::Inline(Revealed::from(it))),
            ("file", value) => text(value).map(|it| Self::File(it.into())),
            ("env", value) => text(value).map(Self::Env),
            ("make", toml::Value::Boolean(true)) => Some(Self::Make),
            ("command", toml::Value::Array(words)) if !words.is_empty() => {
                words.into_iter().map(text).collect::<Option<_>>().map(Self::Command)
            }
            _ => None,
        }
    }

    /// Gets the secret.
    ///
    /// # Errors
    /// It is not there; why, without the secret.
    pub fn reveal(&self) -> Result<Revealed, String> {
        let text = match self {
            Self::Inline(secret) => return Ok(secret.clone()),
            Self::File(path) => fs::read_to_string(path)
                .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?,
            Self::Env(name) => std::env::var(name)
                // The error itself would show a value that is no UTF-8.
                .map_err(|_| format!("the variable {name} is not set, or no text"))?,
            Self::Command(words) => run(words)?,
            Self::Make => return Err(NOT_MADE.into()),
        };
        let mut text = text;
        if text.ends_with('\n') {
            text.pop();
        }
        Ok(Revealed::from(text))
    }

    /// Checks the secret, where it can be had without running anything.
    pub(super) fn check(
        &self,
        field: &str,
        rule: impl FnOnce(&str) -> bool,
        says: &str,
    ) -> Result<(), String> {
        if matches!(self, Self::Command(_)) {
            return Ok(());
        }
        let secret = self.reveal().map_err(|why| format!("its {field}: {why}"))?;
        if rule(secret.reveal()) { Ok(()) } else { Err(format!("its {field} {says}")) }
    }
}

fn run(words: &[String]) -> Result<String, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("an empty command".into());
    };
    let out = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    if !out.status.success() {
        let why = String::from_utf8_lossy(&out.stderr).trim().to_owned();
        return Err(format!("`{program}` failed ({}): {why}", out.status));
    }
    String::from_utf8(out.stdout).map_err(|_| format!("`{program}` printed no text"))
}
