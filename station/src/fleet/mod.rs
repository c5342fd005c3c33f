//! Fleet files: who the units are and what makes each of them its own.
//!
//! A fleet is a TOML file with `[defaults]` and `[[unit]]`, or a CSV file with
//! a column for each value. It is checked as a whole before the first card is
//! written; every error names file, line and column, and none shows a secret.

mod csv;
pub mod render;
mod secret;
mod toml_file;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use a7670e_unit::{place, wording};
pub use secret::{Revealed, SecretRef};
pub use values::{Cellular, FileValue, HostPattern, Peer, SshKey, UnitId, Values, WireGuard};

/// Longest fleet file, in bytes: 10,000 units with keys are some 10 MB.
const MAX_FILE: u64 = 256 << 20;

/// What is wrong with a fleet file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// It cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A place in it is wrong.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1: of characters in TOML, of fields in CSV.
        column: usize,
        /// What is wrong, and what to do.
        message: String,
    },
}

/// A unit with all its values, defaults laid under.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// What it is called in records.
    pub id: UnitId,
    /// The rest.
    pub values: Values,
    /// Where the fleet file says so.
    line: usize,
    column: usize,
}

/// The units of a fleet file, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// The units.
    pub units: Vec<Unit>,
    /// Files that their secrets are read from.
    pub files: Vec<PathBuf>,
}

impl Fleet {
    /// Reads and checks a fleet file: CSV when it is called so, else TOML.
    ///
    /// # Errors
    /// It cannot be read; the first thing that is wrong in it.
    pub fn load(path: &Path) -> Result<Self, FleetError> {
        let unreadable = |error| FleetError::Unreadable { path: path.to_owned(), error };
        if fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE {
            return Err(unreadable(std::io::Error::other("it is too long for a fleet file")));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(path, &text)
    }

    /// Reads and checks a fleet file's text; `path` is for its form and for
    /// errors.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Self, FleetError> {
        let is_csv = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("csv"));
        let mut units = if is_csv { csv::read(path, text)? } else { toml_file::read(path, text)? };
        // Wherever the fleet is read from.
        let base = path.parent().unwrap_or(Path::new(""));
        let files = units.iter_mut().flat_map(|unit| unit.values.beside(base)).collect();
        let wrong = |unit: &Unit, message: String| FleetError::Wrong {
            path: path.to_owned(),
            line: unit.line,
            column: unit.column,
            message,
        };
        let mut seen = BTreeMap::new();
        let mut hosts = BTreeMap::new();
        for (number, unit) in units.iter().enumerate() {
            if let Some(line) = seen.insert(unit.id.as_str(), unit.line) {
                let id = unit.id.as_str();
                return Err(wrong(
                    unit,
                    format!("the unit {id:?} is there twice: in line {line} too"),
                ));
            }
            unit.values.check(&unit.id).map_err(|(field, message)| {
                let at = if is_csv {
                    csv::column_of(text, field).map(|column| (unit.line, column))
                } else {
                    toml_file::place_of(text, number, field)
                };
                let (line, column) = at.unwrap_or((unit.line, unit.column));
                FleetError::Wrong { path: path.to_owned(), line, column, message }
            })?;
            if let Some(host) = unit.hostname() {
                if let Some(line) = hosts.insert(host.clone(), unit.line) {
                    let message = format!(
                        "the host name {host:?} is that of the unit in line {line} too: write \
                         {{id}} in the default, or give each its own"
                    );
                    return Err(wrong(unit, message));
                }
            }
        }
        if units.is_empty() {
            return Err(FleetError::Wrong {
                path: path.to_owned(),
                line: 1,
                column: 1,
                message: "it has no unit".into(),
            });
        }
        Ok(Self { units, files })
    }
}

impl Unit {
    /// Its host name.
    #[must_use]
    pub fn hostname(&self) -> Option<String> {
        self.values.hostname.as_ref().map(|pattern| pattern.of(&self.id))
    }
}

#[cfg(test)]
mod tests;
