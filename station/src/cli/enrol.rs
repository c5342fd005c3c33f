//! `station enrol`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::provision::records_of;
use crate::desk::units::now;
use crate::enrol::{MAX, parse};
use crate::records::{Enrolled, Records};

/// Which reports, and into which records.
#[derive(Args)]
pub struct Arguments {
    /// Reports as `a7670e enrol` prints them on a unit, JSON or text messages; `-`
    /// for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The fleet's file.
    #[arg(long, value_name = "FILE", required_unless_present = "records")]
    fleet: Option<PathBuf>,
    /// The records, when they are not beside the fleet's file.
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// Parts were exchanged, or moved from one unit to another: the reports count,
    /// not what was known.
    #[arg(long)]
    replace: bool,
}

/// Takes the reports; gives whether all of them fit.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let name = arguments.file.display();
    let text = if arguments.file == Path::new("-") {
        read(io::stdin().lock())
    } else {
        File::open(&arguments.file).map_err(Into::into).and_then(read)
    };
    let text = text.with_context(|| format!("{name}: cannot be read"))?;
    let reports = parse(&text).with_context(|| format!("{name}"))?;
    let beside = || records_of(arguments.fleet.as_deref().unwrap_or_else(|| "".as_ref()));
    let mut records = Records::reports(&arguments.records.clone().unwrap_or_else(beside))?;
    let mut all = true;
    for report in &reports {
        let unit = report.unit.as_str();
        match records.enrol(report, "file", arguments.replace, now()) {
            Ok(Enrolled::New) => say!("unit {unit}: enrolled"),
            Ok(Enrolled::Changed) => say!("unit {unit}: enrolled, with changes"),
            Ok(Enrolled::Known) => say!("unit {unit}: nothing new"),
            Err(error) => {
                all = false;
                say!("unit {unit}: REFUSED: {error}");
            }
        }
    }
    Ok(all)
}

fn read(from: impl Read) -> Result<String> {
    let mut text = String::new();
    from.take(MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX {
        bail!("it is too long for reports of units");
    }
    Ok(text)
}
