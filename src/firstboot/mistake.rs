//! What is wrong with a file on the boot partition, and where.

use std::fmt;

use super::yaml;
use crate::config;

/// A file of the boot partition that says something.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// Its name.
    pub name: &'static str,
    /// All of it. It may hold secrets.
    pub text: String,
}

/// A place in a file that is wrong. The message has no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file's name.
    pub file: &'static str,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what to do, with the field.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message } = self;
        write!(f, "{}/{file}:{line}:{column}: {message}", super::BOOT)
    }
}

impl std::error::Error for Mistake {}

impl Text {
    /// Reads all of it as TOML.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn toml<T: serde::de::DeserializeOwned>(&self) -> Result<T, Mistake> {
        toml::from_str(&self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.at(at, &a7670e_unit::wording(error.message()))
        })
    }

    /// The error of a field that is there.
    pub fn field(&self, field: &str, message: &str) -> Mistake {
        match config::offset_of(&self.text, field) {
            Some(at) => self.at(at, message),
            None => self.line(1, 1, format!("`{field}`: {message}")),
        }
    }

    /// The error of a place in YAML.
    pub fn yaml(&self, wrong: &yaml::Wrong) -> Mistake {
        self.line(wrong.line, wrong.column, wrong.message.to_owned())
    }

    /// The error of a place by its line and column.
    pub fn line(&self, line: usize, column: usize, message: String) -> Mistake {
        Mistake { file: self.name, line, column, message }
    }

    fn at(&self, at: usize, message: &str) -> Mistake {
        let (line, column) = a7670e_unit::place(&self.text, at);
        let message = match config::field_at(&self.text, at) {
            Some(field) => format!("`{field}`: {message}"),
            None => message.to_owned(),
        };
        self.line(line, column, message)
    }
}
