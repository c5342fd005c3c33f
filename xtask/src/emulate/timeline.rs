//! The time line of an emulated boot.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::machine::Machine;

/// Units that are listed with the time each took.
const SLOWEST: usize = 10;
/// How long a question to systemd may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The time line of `machine`, whose system was up at `up`: wall time on this
/// host, then the machine's own account, and the units that failed.
pub fn of(machine: &mut Machine, up: Instant) -> Result<String> {
    let heard = machine.heard();
    let mut text = String::from("Wall time since power-on, s\n");
    let milestones = [
        ("kernel's first line", heard.kernel),
        ("init started", heard.init),
        ("root shell answers", Some(machine.shell)),
        ("system is up", Some(up)),
    ];
    for (name, when) in milestones {
        if let Some(when) = when {
            let seconds = when.saturating_duration_since(machine.started).as_secs_f64();
            writeln!(text, "{seconds:7.1}  {name}")?;
        }
    }
    let mut ask = |title: &str, command: &str| -> Result<()> {
        let answer = machine.run(command, LIMIT)?.text()?;
        if !answer.is_empty() {
            write!(text, "\n{title}\n{answer}\n")?;
        }
        Ok(())
    };
    ask("The machine's own account", "systemd-analyze time --no-pager")?;
    ask("What it waited for", "systemd-analyze critical-chain --no-pager")?;
    ask("Slowest units", &format!("systemd-analyze blame --no-pager | head -n {SLOWEST}"))?;
    ask("Failed units", "systemctl --failed --no-legend --plain --no-pager")?;
    Ok(text.trim_end().to_owned())
}
