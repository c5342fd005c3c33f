//! `cargo xtask emulate`: boots an image on an emulated machine.
//!
//! It is the shipped image, byte for byte, on a card of its own: kernel, device
//! tree and command line come out of its boot partition as the Pi's firmware
//! would take them. The device tree then loses what QEMU lacks
//! ([`devicetree`]), and the command line gains what lets the rig in
//! ([`cmdline`]): systemd's debug shell on a serial port. The image itself has
//! no door for the rig.

mod boot_files;
mod card;
mod cmdline;
mod console;
mod control;
mod devicetree;
mod machine;
mod modem;
mod qemu;
mod rig;
mod room;
mod timeline;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::context::Context;

pub use machine::{Machine as Running, Options};
pub use modem::{DESK, Modem, SOCKET, Unit, program as modem_program};
pub use rig::{RigFailure, retry};

/// The emulated machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Machine {
    /// The Pi 4B's processor, card slot and USB controller, as far as QEMU has
    /// them.
    Raspi4b,
    /// No board that exists: virtio disk and an xHCI USB controller.
    Virt,
}

/// The command's options.
#[derive(Args)]
pub struct Arguments {
    /// The image to boot [default: out/pi4b.img].
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// The machine to boot it on [default: raspi4b; virt with something on the
    /// USB bus].
    #[arg(long, value_enum)]
    machine: Option<Machine>,
    /// Console and root shell on this terminal.
    #[arg(long)]
    console: bool,
    /// The modem on the USB bus: a profile of `a7670e-emulator`
    /// (`a7670e-ecm`, `a7670e-rndis`, `sim7600-ndis`, ...), or a TOML file.
    /// None is there when it is not given.
    #[arg(long, value_name = "PROFILE", conflicts_with_all = ["usbredir", "no_modem"])]
    modem: Option<String>,
    /// What goes wrong with the modem and when: a TOML file.
    #[arg(long, value_name = "FILE", requires = "modem")]
    fault: Option<PathBuf>,
    /// Plug in the device of the program that listens here, by usbredir,
    /// instead of our modem.
    #[arg(long, value_name = "SOCKET", conflicts_with = "no_modem")]
    usbredir: Option<PathBuf>,
    /// Boot without a modem on the USB bus, as without --modem.
    #[arg(long)]
    no_modem: bool,
    /// Run COMMAND as root once the system is up, give its output and exit
    /// status, and end.
    #[arg(long, value_name = "COMMAND", conflicts_with = "console")]
    run: Option<String>,
    /// Seconds that COMMAND may take.
    #[arg(long, value_name = "N", default_value_t = 600, requires = "run",
        value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Words to add to the kernel command line.
    #[arg(long, value_name = "WORDS")]
    append: Option<String>,
}

/// Where `cargo xtask image` leaves the default image, or where an earlier part
/// of a test run left it.
pub fn default_image(ctx: &Context) -> PathBuf {
    ctx.adopted().map_or_else(|| ctx.path("out"), |(_, out)| out).join("pi4b.img")
}

/// Boots the image and does what the options say; the result is the exit
/// status of `--run`'s command.
pub fn run(ctx: &Context, arguments: &Arguments) -> Result<ExitCode> {
    let modem = match (&arguments.usbredir, &arguments.modem) {
        (Some(path), _) => Some(Modem::Socket(path.clone())),
        (None, Some(profile)) => {
            Some(Modem::Ours { profile: profile.clone(), faults: arguments.fault.clone() })
        }
        (None, None) => None,
    };
    // QEMU's model of the Pi's own USB controller is slow and may abort
    // (docs/adr/0009).
    let model = if modem.is_some() { Machine::Virt } else { Machine::Raspi4b };
    let options = Options {
        modem,
        image: arguments.image.clone().unwrap_or_else(|| default_image(ctx)),
        model: arguments.machine.unwrap_or(model),
        extra: arguments.append.iter().flat_map(|w| w.split_whitespace()).map(Into::into).collect(),
    };
    if arguments.console {
        machine::interactive(ctx, &options)?;
        return Ok(ExitCode::SUCCESS);
    }
    match &arguments.run {
        Some(command) => {
            let limit = Duration::from_secs(arguments.timeout);
            retry(ctx, || command_in(ctx, &options, command, limit))
        }
        None => retry(ctx, || boot_and_tell(ctx, &options)),
    }
}

/// `--run`.
fn command_in(
    ctx: &Context,
    options: &Options,
    command: &str,
    limit: Duration,
) -> Result<ExitCode> {
    let step = ctx.report.step("boot");
    let mut machine = Running::boot(ctx, options)?;
    let state = machine.wait_running()?;
    step.done(&state);
    if state != "running" {
        let failed = machine.run("systemctl --failed --no-legend --plain", limit)?;
        ctx.report.warn(format!(
            "the system is {state}:\n{}",
            String::from_utf8_lossy(&failed.stdout).trim_end()
        ));
    }
    let output = machine.run(command, limit)?;
    machine.kill()?;
    std::io::stdout().write_all(&output.stdout)?;
    std::io::stderr().write_all(&output.stderr)?;
    Ok(ExitCode::from(u8::try_from(output.status).unwrap_or(u8::MAX)))
}

/// Without `--run`: boots, prints the time line, powers off.
fn boot_and_tell(ctx: &Context, options: &Options) -> Result<ExitCode> {
    let step = ctx.report.step("boot");
    let mut machine = Running::boot(ctx, options)?;
    step.message("shell answers");
    let state = machine.wait_running()?;
    let up = std::time::Instant::now();
    step.done(&state);
    let line = timeline::of(&mut machine, up)?;
    println!("{line}");
    let step = ctx.report.step("power off");
    machine.power_off()?;
    step.done("");
    if state != "running" {
        bail!("the system came up {state}, not running");
    }
    Ok(ExitCode::SUCCESS)
}
