//! `station report`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::provision::records_of;
use crate::records::{Card, Records};

/// Which records, and how to show them.
#[derive(Args)]
pub struct Arguments {
    /// The fleet's file.
    #[arg(long, value_name = "FILE", required_unless_present = "records")]
    fleet: Option<PathBuf>,
    /// The records, when they are not beside the fleet's file.
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// In what form.
    #[arg(long, value_enum, default_value_t = Form::Table)]
    form: Form,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Table,
    Csv,
    Json,
    /// The units' host keys, for ssh's own file of that name.
    KnownHosts,
}

/// Prints the records.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let beside = || records_of(arguments.fleet.as_deref().unwrap_or_else(|| "".as_ref()));
    let path = arguments.records.clone().unwrap_or_else(beside);
    let cards = Records::view(&path)?.all()?;
    let text = match arguments.form {
        Form::Table => table(&cards).into_bytes(),
        Form::Json => format!("{}\n", serde_json::to_string_pretty(&cards)?).into_bytes(),
        Form::Csv => {
            let mut out = csv::Writer::from_writer(Vec::new());
            for card in &cards {
                out.serialize(card)?;
            }
            out.into_inner()?
        }
        Form::KnownHosts => known_hosts(&cards).into_bytes(),
    };
    match io::stdout().write_all(&text) {
        // `report | head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        done => Ok(done.map(|()| true)?),
    }
}

/// A line for each unit that is on a card, of the last one if it is on several.
fn known_hosts(cards: &[Card]) -> String {
    let right = cards.iter().filter(|card| card.state == "right");
    let last: BTreeMap<_, _> =
        right.map(|card| (card.unit.as_str(), card.host_key.as_deref())).collect();
    last.into_values().flatten().flat_map(|line| [line, "\n"]).collect()
}

/// One line a card, in columns as wide as their widest cell.
fn table(cards: &[Card]) -> String {
    const HEAD: [&str; 9] =
        ["NO", "UNIT", "STATE", "CARD", "WRITE", "VERIFY", "KEYS", "IMEI", "WHY"];
    let seconds = |millis: Option<i64>| match millis {
        Some(millis) => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        None => "-".to_owned(),
    };
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(cards.iter().map(|card| {
        let names = [&card.cid, &card.serial];
        let name = names.into_iter().flatten().next().unwrap_or(&card.target);
        [
            card.number.to_string(),
            card.unit.clone(),
            card.state.clone(),
            name.clone(),
            seconds(card.write_ms),
            seconds(card.verify_ms),
            card.keys.clone().unwrap_or_else(|| "-".to_owned()),
            card.imei.clone().unwrap_or_else(|| "-".to_owned()),
            card.why.clone().unwrap_or_default(),
        ]
    }));
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..HEAD.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<_> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}
