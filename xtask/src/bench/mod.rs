//! `cargo xtask bench`: what is fast, beside what else does the same.

mod desk;
mod driver;
mod flash;
mod image;
mod mkosi;
mod online;
mod peak;
mod rivals;
mod rootfs;
mod table;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::process;
use table::Table;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// The image's build and boot, and all that `rootfs` measures.
    Image,
    /// The root file system, beside mkosi and mmdebstrap.
    Rootfs,
    /// From the modem's first word to online, beside ModemManager.
    Online,
    /// simcom_wwan beside cdc_ether and rndis_host, on the same emulated bus.
    Driver,
    /// Writing slow cards, one and many at once, beside dd, bmaptool, bmap-rs and
    /// caligula.
    Flash,
}

/// Measures and prints a table.
pub fn run(ctx: &Context, subject: Subject) -> Result<()> {
    let mut table = Table::default();
    if subject == Subject::Image {
        image::run(ctx, &mut table)?;
    }
    match subject {
        Subject::Image | Subject::Rootfs => rootfs::run(ctx, &mut table)?,
        Subject::Online => online::run(ctx, &mut table)?,
        Subject::Driver => driver::run(ctx, &mut table)?,
        Subject::Flash => flash::run(ctx, &mut table)?,
    }
    print!("{}", table.text());
    Ok(())
}

/// Time that something took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Time {
    /// On the wall.
    wall: f64,
    /// Of all processors, user and system.
    cpu: f64,
}

/// Runs `command`, its output going to `log`, and takes its time, that of all
/// its children included.
fn measure(command: &Command, log: &Path) -> Result<Time> {
    // bash's own `time` counts what its children waited for; so the command
    // and its environment go through a bash.
    let mut shell = Command::new("bash");
    shell.args(["-c", "TIMEFORMAT='%R %U %S'; log=$1; shift; time \"$@\" >\"$log\" 2>&1", "bash"]);
    shell.arg(log).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    let output = process::any_output(&mut shell)?;
    if !output.status.success() {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        anyhow::bail!("{} failed:\n{said}", process::line(command));
    }
    parse(&String::from_utf8_lossy(&output.stderr))
}

fn parse(said: &str) -> Result<Time> {
    let numbers: Vec<f64> =
        said.split_whitespace().map(str::parse).collect::<Result<_, _>>().context("bash's time")?;
    let [wall, user, system] = numbers[..] else { anyhow::bail!("bash's time said {said:?}") };
    Ok(Time { wall, cpu: user + system })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_a_command() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo $WORD"]).env("WORD", "said");
        let time = measure(&command, &log).unwrap();
        assert!(time.wall >= 0.0 && time.cpu >= 0.0);
        assert_eq!(std::fs::read_to_string(log).unwrap(), "said\n");
        assert!(measure(Command::new("false").arg("x"), &dir.path().join("l")).is_err());
    }

    #[test]
    fn reads_bash() {
        assert_eq!(parse("1.5 2.0 0.5\n").unwrap(), Time { wall: 1.5, cpu: 2.5 });
        assert!(parse("what").is_err());
    }
}
