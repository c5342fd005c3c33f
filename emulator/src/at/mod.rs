//! The AT command set. Every handler takes a parsed command and says what the
//! modem answers, or `None` when the command is not one of its own.

mod basic;
mod errors;
mod extra;
mod parse;
mod radio;
mod sim;
mod sms;
mod usbnet;

pub(crate) use errors::final_line;
pub(crate) use parse::{Command, Form, split};

use crate::modem::{Modem, Port};

/// Why a command fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Plain `ERROR`.
    Error,
    /// `+CME ERROR`, told as AT+CMEE has it.
    Cme(u16),
    /// `+CMS ERROR`, in words at AT+CMEE=2 and else as a number.
    Cms(u16),
}

/// Information lines, or a failure.
pub(crate) type Outcome = Result<Vec<String>, Failure>;

fn ok() -> Outcome {
    Ok(Vec::new())
}

fn line(text: impl Into<String>) -> Outcome {
    Ok(vec![text.into()])
}

impl Modem {
    /// Carries out one command.
    pub(crate) fn execute(&mut self, port: Port, command: &Command) -> Outcome {
        if let Some(fixed) = self.profile.at.fixed.get(&command.key()) {
            return Ok(fixed.lines().filter(|it| !it.is_empty()).map(str::to_owned).collect());
        }
        self.basic(port, command)
            .or_else(|| self.extra_command(command))
            .or_else(|| self.sim_command(command))
            .or_else(|| self.radio_command(command))
            .or_else(|| self.usbnet_command(port, command))
            .or_else(|| self.sms_command(port, command))
            .unwrap_or(Err(Failure::Error))
    }
}
