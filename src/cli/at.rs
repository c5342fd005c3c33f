//! `a7670e at`: a person's AT command, between the service's own.

use std::time::Duration;

use anyhow::Result;

use super::args::Asked;
use super::client::{Client, write_out};
use crate::protocol::{AtAnswer, Params};

/// The longest that a command may take by the modem's manual (a scan for
/// operators), and as much again for what is before it in the queue.
const LONGEST: Duration = Duration::from_secs(600);

/// The modem answered with an error, which has been shown.
#[derive(Debug, thiserror::Error)]
#[error("the modem refused")]
pub struct Refused;

/// Sends the command and shows the answer as the modem gave it.
///
/// # Errors
/// [`Refused`]; there is no answer.
pub fn at(client: &mut Client, asked: &Asked, command: &str, timeout_s: Option<u16>) -> Result<()> {
    let params = Params {
        modem: asked.modem.clone(),
        command: Some(command.to_owned()),
        timeout_s,
        ..Params::default()
    };
    let answer: AtAnswer = client.ask("at", params, LONGEST)?;
    if asked.json {
        write_out(&super::line(&answer)?)?;
    } else {
        let lines = answer.lines.iter().chain([&answer.result]);
        write_out(&lines.map(|line| format!("{line}\n")).collect::<String>())?;
    }
    if answer.ok { Ok(()) } else { Err(Refused.into()) }
}
