//! A unit's two files on the boot partition.
//!
//! `a7670e.toml` is what the device's service reads, laid under
//! `/etc/a7670e.toml`; `unit.toml` is all else, for the first boot.

use serde::Serialize;
use toml::{Table, Value};

use super::Unit;
use super::secret::{Revealed, SecretRef};
use super::values::is_pin;

/// The files' names, in the order of [`Rendered::texts`].
pub const NAMES: [&str; 2] = ["a7670e.toml", "unit.toml"];

/// The files' texts, which may hold secrets.
#[derive(Debug)]
pub struct Rendered {
    /// In the order of [`NAMES`].
    pub texts: [Revealed; 2],
}

/// Writes the files of a unit; gets its secrets for that. `token` stands on
/// this card only, so that it can be told from all others.
///
/// # Errors
/// A secret cannot be had, or is not what it should be.
pub fn render(unit: &Unit, token: &str) -> Result<Rendered, String> {
    let text = |table: Table| {
        let head = "# Written by the flashing desk.\n";
        toml::to_string(&table)
            .map(|text| Revealed::from(format!("{head}{text}")))
            .map_err(|error| format!("cannot be written as TOML: {error}"))
    };
    Ok(Rendered { texts: [text(config(unit)?)?, text(identity(unit, token)?)?] })
}

/// The text, filled up with empty lines to `len` bytes.
///
/// # Errors
/// It is longer.
pub fn padded(name: &str, text: &Revealed, len: u64) -> Result<Vec<u8>, String> {
    let mut bytes = text.reveal().as_bytes().to_vec();
    let have = bytes.len() as u64;
    if have > len {
        return Err(format!("its {name} has {have} bytes, the image keeps {len} free for it"));
    }
    // Not longer than what was just compared, so it fits.
    bytes.resize(len as usize, b'\n');
    Ok(bytes)
}

/// A table that leaves out what is not there.
#[derive(Default)]
struct Builder(Table);

impl Builder {
    fn put<T: Serialize>(&mut self, name: &str, value: Option<T>) -> Result<(), String> {
        if let Some(value) = value {
            let value = Value::try_from(value).map_err(|error| format!("{name}: {error}"))?;
            self.0.insert(name.to_owned(), value);
        }
        Ok(())
    }

    fn secret(
        &mut self,
        name: &str,
        secret: Option<&SecretRef>,
        rule: fn(&str) -> bool,
    ) -> Result<(), String> {
        let Some(secret) = secret else { return Ok(()) };
        let secret = secret.reveal().map_err(|why| format!("its {name}: {why}"))?;
        if !rule(secret.reveal()) {
            return Err(format!("its {name} is not what it should be"));
        }
        let table = Table::from_iter([("secret".to_owned(), secret.reveal().into())]);
        self.0.insert(name.to_owned(), Value::Table(table));
        Ok(())
    }

    /// Puts a table, unless it is empty.
    fn table(&mut self, name: &str, table: Builder) {
        if !table.0.is_empty() {
            self.0.insert(name.to_owned(), Value::Table(table.0));
        }
    }
}

/// In the form of `docs/a7670e.example.toml`.
fn config(unit: &Unit) -> Result<Table, String> {
    let from = &unit.values.cellular;
    let mut modem = Builder::default();
    modem.secret("pin", from.pin.as_ref(), is_pin)?;
    let mut cellular = Builder::default();
    cellular.put("apn", from.apn.as_ref())?;
    cellular.put("user", from.user.as_ref())?;
    cellular.secret("password", from.password.as_ref(), |text| !text.is_empty())?;
    cellular.put("auth", from.auth)?;
    cellular.put("roaming", from.roaming)?;
    cellular.put("modes", from.modes)?;
    let mut network = Builder::default();
    network.put("metric", from.metric)?;
    let mut data = Builder::default();
    data.put("cap", from.budget.as_ref())?;
    let mut whole = Builder::default();
    for (name, table) in
        [("modem", modem), ("cellular", cellular), ("network", network), ("data", data)]
    {
        whole.table(name, table);
    }
    Ok(whole.0)
}

fn identity(unit: &Unit, token: &str) -> Result<Table, String> {
    let values = &unit.values;
    let mut own = Builder::default();
    own.put("id", Some(&unit.id))?;
    own.put("card", Some(token))?;
    own.put("hostname", unit.hostname())?;
    own.put("ssh_keys", values.ssh_keys.as_ref())?;
    let mut whole = Builder::default();
    whole.table("unit", own);
    if let Some(from) = &values.wireguard {
        let mut wire = Builder::default();
        wire.secret("private_key", Some(&from.private_key), |text| !text.is_empty())?;
        wire.put("address", Some(&from.address))?;
        wire.put("peer", Some(&from.peer))?;
        whole.table("wireguard", wire);
    }
    let mut files = Vec::new();
    for file in &values.files {
        let content = file.content.reveal().map_err(|why| format!("its file {why}"))?;
        let mut one = Builder::default();
        one.put("path", Some(&file.path))?;
        one.put("mode", Some(file.mode.as_ref().map_or("0644", |mode| mode.as_str())))?;
        one.put("content", Some(content.reveal()))?;
        files.push(Value::Table(one.0));
    }
    whole.put("file", (!files.is_empty()).then_some(files))?;
    whole.put("values", (!values.values.is_empty()).then_some(&values.values))?;
    Ok(whole.0)
}
