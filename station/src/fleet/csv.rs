//! Fleet files in CSV: a line for each unit, a column for each value. Columns
//! are called as the fields in TOML, `cellular.apn` for one in a table. An
//! empty cell says nothing; a list's parts are set apart by `;`; a secret may
//! be `env:NAME` or `file:PATH`, a key `make`.

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::values::{UnitId, Values};
use super::{FleetError, Unit, wording};

/// All columns besides `id` and `values.…`.
const COLUMNS: [&str; 18] = [
    "hostname",
    "ssh_keys",
    "ssh_host_key",
    "cellular.apn",
    "cellular.user",
    "cellular.password",
    "cellular.auth",
    "cellular.pin",
    "cellular.roaming",
    "cellular.modes",
    "cellular.budget",
    "cellular.metric",
    "wireguard.private_key",
    "wireguard.address",
    "wireguard.peer.public_key",
    "wireguard.peer.endpoint",
    "wireguard.peer.allowed_ips",
    "wireguard.peer.keepalive",
];

/// The units of the file.
pub fn read(path: &Path, text: &str) -> Result<Vec<Unit>, FleetError> {
    let wrong = |line: usize, column: usize, message: String| FleetError::Wrong {
        path: path.to_owned(),
        line,
        column,
        message,
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let broken = |error: csv::Error| {
        let line = error.position().map_or(1, |it| usize::try_from(it.line()).unwrap_or(1));
        wrong(line, 1, format!("{error}"))
    };
    let columns: Vec<String> =
        reader.headers().map_err(broken)?.iter().map(str::to_owned).collect();
    for (number, name) in columns.iter().enumerate() {
        let known = name == "id" || COLUMNS.contains(&name.as_str()) || name.starts_with("values.");
        if !known {
            let message =
                format!("there is no {name:?}; there are id, {}, values.…", COLUMNS.join(", "));
            return Err(wrong(1, number + 1, message));
        }
        if columns[..number].contains(name) {
            return Err(wrong(1, number + 1, format!("the column {name:?} is there twice")));
        }
    }
    let id_column = columns
        .iter()
        .position(|name| name == "id")
        .ok_or_else(|| wrong(1, 1, "the column \"id\" is missing".into()))?;

    let mut units = Vec::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(1, |it| usize::try_from(it.line()).unwrap_or(1));
        let cells: Vec<(usize, &str, &str)> = columns
            .iter()
            .zip(record.iter())
            .enumerate()
            .filter(|(number, (_, cell))| *number != id_column && !cell.is_empty())
            .map(|(number, (name, cell))| (number, name.as_str(), cell))
            .collect();
        let id = UnitId::try_from(record.get(id_column).unwrap_or_default().to_owned())
            .map_err(|why| wrong(line, id_column + 1, why.into()))?;
        let mut row = Table::new();
        for (_, name, cell) in &cells {
            put(&mut row, name, value(name, cell));
        }
        let values = Values::deserialize(Value::Table(row)).map_err(|error| {
            // Which cell is it? The one that is wrong by itself too.
            let culprit = cells.iter().find_map(|(number, name, cell)| {
                let mut alone = Table::new();
                put(&mut alone, name, value(name, cell));
                let error = Values::deserialize(Value::Table(alone)).err()?;
                (!error.message().contains("missing field")).then_some((*number, error))
            });
            let (number, error) = culprit.unwrap_or((id_column, error));
            wrong(line, number + 1, format!("`{}`: {}", columns[number], wording(error.message())))
        })?;
        units.push(Unit { id, values, line, column: id_column + 1 });
    }
    Ok(units)
}

/// Number of a field's column, from 1.
pub fn column_of(text: &str, field: &str) -> Option<usize> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    reader.headers().ok()?.iter().position(|name| name == field).map(|number| number + 1)
}

/// A cell as the value that TOML would have.
fn value(name: &str, cell: &str) -> Value {
    let field = name.rsplit('.').next().unwrap_or(name);
    let text = |text: &str| Value::String(text.to_owned());
    match field {
        _ if name.starts_with("values.") => text(cell),
        "metric" | "keepalive" => cell.parse().map_or_else(|_| text(cell), Value::Integer),
        "ssh_keys" | "address" | "allowed_ips" => {
            Value::Array(cell.split(';').map(|part| text(part.trim())).collect())
        }
        "private_key" | "ssh_host_key" if cell == "make" => {
            Value::Table(Table::from_iter([("make".to_owned(), Value::Boolean(true))]))
        }
        "pin" | "password" | "private_key" | "ssh_host_key" => {
            let (key, value) = match cell.split_once(':') {
                Some((key @ ("env" | "file"), value)) => (key, value),
                _ => ("secret", cell),
            };
            Value::Table(Table::from_iter([(key.to_owned(), text(value))]))
        }
        _ => text(cell),
    }
}

/// Puts a value at a place such as `wireguard.peer.endpoint`; what follows
/// `values.` is one name.
fn put(table: &mut Table, name: &str, value: Value) {
    match name.split_once('.') {
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                if first == "values" {
                    inner.insert(rest.to_owned(), value);
                } else {
                    put(inner, rest, value);
                }
            }
        }
        None => {
            table.insert(name.to_owned(), value);
        }
    }
}
