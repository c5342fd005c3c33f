//! Fleet files in TOML.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::secret::SecretRef;
use super::values::{Cellular, FileValue, HostPattern, SshKey, UnitId, Values, WireGuard};
use super::{FleetError, Unit, place, wording};

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    defaults: Values,
    #[serde(default, rename = "unit")]
    units: Vec<Entry>,
}

/// `[[unit]]`: an id, and what [`Values`] has. (serde cannot put one into the
/// other and still refuse unknown fields.)
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<UnitId>,
    hostname: Option<HostPattern>,
    ssh_keys: Option<Vec<SshKey>>,
    ssh_host_key: Option<SecretRef>,
    #[serde(default)]
    cellular: Cellular,
    wireguard: Option<WireGuard>,
    #[serde(default)]
    files: Vec<FileValue>,
    #[serde(default)]
    values: BTreeMap<String, toml::Value>,
}

/// The units, defaults laid under.
pub fn read(path: &Path, text: &str) -> Result<Vec<Unit>, FleetError> {
    let document: Document = toml::from_str(text).map_err(|error| {
        // The error's own text would show the line, secrets and all.
        let (line, column) = place(text, error.span().map_or(0, |span| span.start));
        FleetError::Wrong { path: path.to_owned(), line, column, message: wording(error.message()) }
    })?;
    let mut counted = Counted { text, at: 0, line: 1 };
    Ok(document
        .units
        .into_iter()
        .map(|entry| {
            let (line, column) = counted.place(entry.id.span().start);
            let values = Values {
                hostname: entry.hostname,
                ssh_keys: entry.ssh_keys,
                ssh_host_key: entry.ssh_host_key,
                cellular: entry.cellular,
                wireguard: entry.wireguard,
                files: entry.files,
                values: entry.values,
            };
            let values = values.over(&document.defaults);
            Unit { id: entry.id.into_inner(), values, line, column }
        })
        .collect())
}

/// Line and column of the value that unit `number`, from 0, has for a field such
/// as `cellular.pin`: its own or, without one, the default.
pub fn place_of(text: &str, number: usize, field: &str) -> Option<(usize, usize)> {
    let document = DeTable::parse(text).ok()?;
    let unit = get(document.get_ref(), "unit")?.get_ref().get(number)?.get_ref();
    let defaults = get(document.get_ref(), "defaults").map(Spanned::get_ref);
    let value = [Some(unit), defaults].into_iter().flatten().find_map(|value| {
        let (tables, name) = field.rsplit_once('.').unwrap_or(("", field));
        let mut table = value.as_table()?;
        for part in tables.split('.').filter(|part| !part.is_empty()) {
            table = get(table, part)?.get_ref().as_table()?;
        }
        get(table, name)
    })?;
    Some(place(text, value.span().start))
}

fn get<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<&'a Spanned<DeValue<'i>>> {
    table.iter().find_map(|(key, value)| (key.get_ref() == name).then_some(value))
}

/// Counts lines once, as units stand in order.
struct Counted<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Counted<'_> {
    fn place(&mut self, at: usize) -> (usize, usize) {
        let between = self.text.get(self.at..at).unwrap_or_default();
        self.line += between.matches('\n').count();
        self.at = at;
        let before = self.text.get(..at).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        (self.line, before[start..].chars().count() + 1)
    }
}
