//! `a7670e control`: who has the AT port, and who shall have it.

use std::time::Duration;

use anyhow::Result;

use super::args::Asked;
use super::client::{Client, write_out};
use crate::config::Control;
use crate::protocol::Params;
use crate::session::{ControlReport, Holder};

/// The service answers at once; the change itself takes seconds.
const TAKES: Duration = Duration::from_secs(5);

/// Sets who shall have the AT port, if that is wanted, and shows how it is.
///
/// # Errors
/// There is no such modem.
pub fn control(client: &mut Client, asked: &Asked, wanted: Option<Control>) -> Result<()> {
    let modem = asked.modem.clone();
    let params = Params { modem, control: wanted, ..Params::default() };
    let report: ControlReport = client.ask("control", params, TAKES)?;
    if asked.json {
        return write_out(&super::line(&report)?);
    }
    write_out(&format!("{}\n", describe(&report)))
}

/// A line for people.
pub fn describe(report: &ControlReport) -> String {
    let version = report.modemmanager.as_ref().map_or(String::new(), |text| format!(" {text}"));
    let holder = match report.holder {
        Holder::Service => "the service has the AT port".to_owned(),
        Holder::ModemManager => format!("ModemManager{version} has the AT port"),
    };
    let note = report.note.as_ref().map_or(String::new(), |note| format!("; {note}"));
    let wanted = match (report.wanted, report.holder) {
        (Control::Direct, Holder::Service) | (Control::ModemManager, Holder::ModemManager) => "",
        (Control::Direct, _) => ", which is to change",
        (Control::ModemManager, _) => ", and ModemManager is to have it",
    };
    format!("{holder}{wanted}{note}")
}
