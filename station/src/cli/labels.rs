//! `station labels`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::provision::{chosen, records_of};
use crate::fleet::Fleet;
use crate::label::{Label, Page, png, sheets, svg};
use crate::records::Records;

/// Which units, and how to draw them.
#[derive(Args)]
pub struct Arguments {
    /// The units: TOML, or CSV when it is called so.
    #[arg(long, value_name = "FILE")]
    fleet: PathBuf,
    /// The records, which know what units reported, when they are not beside the
    /// fleet's file.
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// These units only, in this order.
    #[arg(long = "unit", value_name = "ID")]
    units: Vec<String>,
    /// Many on sheets of A4, so many beside and below each other.
    #[arg(long, value_name = "COLUMNSxROWS", value_parser = grid)]
    sheet: Option<(u32, u32)>,
    /// As pictures or as drawings.
    #[arg(long, value_enum, default_value_t = Form::Png)]
    form: Form,
    /// Folder for them, one file a unit or a sheet; made when it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Png,
    Svg,
}

fn grid(text: &str) -> Result<(u32, u32), String> {
    let parsed = text
        .split_once('x')
        .and_then(|(columns, rows)| Some((columns.parse().ok()?, rows.parse().ok()?)));
    parsed.ok_or_else(|| "must be as 3x8: columns and rows".to_owned())
}

/// Draws the labels.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let fleet = Fleet::load(&arguments.fleet)?;
    let units = chosen(&fleet, &arguments.units)?;
    let path = arguments.records.clone().unwrap_or_else(|| records_of(&arguments.fleet));
    let mut reported = BTreeMap::new();
    // Labels may be wanted before any card is written.
    if arguments.records.is_some() || path.exists() {
        let cards = Records::view(&path)?.all()?;
        reported.extend(
            cards
                .into_iter()
                .filter(|card| card.enrolled.is_some())
                .map(|card| (card.unit, (card.imei, card.mac))),
        );
    }
    let labels: Vec<Label> = units
        .iter()
        .map(|unit| {
            let id = unit.id.as_str().to_owned();
            let (imei, mac) = reported.remove(&id).unwrap_or_default();
            Label { unit: id, host: unit.hostname(), imei, mac }
        })
        .collect();
    let pages: Vec<(String, Page)> = match arguments.sheet {
        Some((columns, rows)) => {
            let pages = sheets(&labels, columns, rows)?.into_iter();
            (1..).zip(pages).map(|(number, page)| (format!("sheet-{number}"), page)).collect()
        }
        None => labels
            .iter()
            .map(|label| Ok((label.unit.clone(), label.page()?)))
            .collect::<Result<_>>()?,
    };
    fs::create_dir_all(&arguments.out)
        .with_context(|| format!("{}: cannot be made", arguments.out.display()))?;
    for (name, page) in &pages {
        let (ending, bytes) = match arguments.form {
            Form::Png => ("png", png(page)?),
            Form::Svg => ("svg", svg(page).into_bytes()),
        };
        let path = arguments.out.join(format!("{name}.{ending}"));
        fs::write(&path, bytes)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    say!("{} labels in {} files", labels.len(), pages.len());
    Ok(true)
}
