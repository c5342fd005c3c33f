//! An emulated machine that runs an image.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::cmdline::{self, Shell};
use super::console::{Console, Heard};
use super::control::{Control, Output};
use super::modem::{self, Modem, Unit};
use super::qemu::{self, Setup};
use super::rig::RigFailure;
use super::room::Room;
use super::{Machine as Model, boot_files, card, devicetree};
use crate::context::Context;
use crate::process;
use crate::tools::{Set, Tools};

/// How long a machine may take to give a shell, and then to be up. On two idle
/// processors it is ten times quicker; a build machine is not idle.
const BOOT: Duration = Duration::from_secs(600);
/// How long it may take to power off.
const POWER_OFF: Duration = Duration::from_secs(180);
/// Between two looks at what has no event to wait for.
const GLANCE: Duration = Duration::from_millis(50);

/// What to boot.
#[derive(Clone, Debug)]
pub struct Options {
    /// The image; it is not changed.
    pub image: PathBuf,
    /// On what.
    pub model: Model,
    /// Words to add to the kernel command line.
    pub extra: Vec<String>,
    /// What is on the USB bus.
    pub modem: Option<Modem>,
}

/// A running machine; dropped, it loses power.
pub struct Machine {
    child: Child,
    control: Option<Control>,
    console: Console,
    /// Ends after QEMU, and before the folder goes.
    modem: Option<modem::Running>,
    room: Room,
    options: Options,
    /// QEMU was started.
    pub started: Instant,
    /// The shell answered.
    pub shell: Instant,
}

impl Machine {
    /// Starts `options.image` and waits until a root shell answers, which is
    /// before the system is up.
    ///
    /// Fails with [`RigFailure`] when QEMU does.
    pub fn boot(ctx: &Context, options: &Options) -> Result<Self> {
        let room = furnish(ctx, options)?;
        let modem = plug(ctx, options, &room)?;
        let (child, console) = launch(ctx, options, &room)?;
        let started = Instant::now();
        let options = options.clone();
        let control = None;
        let mut machine =
            Self { child, control, console, modem, room, options, started, shell: started };
        machine.open()?;
        Ok(machine)
    }

    /// Cuts the power and gives it again: what was only in memory is lost, the
    /// card keeps what had reached it. A modem on the bus loses power, too; its
    /// SIM keeps its messages. Then waits as [`Machine::boot`] does.
    pub fn power_cycle(&mut self, ctx: &Context) -> Result<()> {
        self.kill()?;
        if let Some(modem) = &self.modem {
            modem.ask(r#"{"do": "inflict", "fault": {"effect": "reset"}}"#)?;
        }
        (self.child, self.console) = launch(ctx, &self.options, &self.room)?;
        self.started = Instant::now();
        self.open()
    }

    /// Waits for the shell.
    fn open(&mut self) -> Result<()> {
        let stream = self.connect()?;
        let control = Control::open(stream, self.started + BOOT, || self.alive());
        self.control = Some(control.map_err(|error| self.explain(error))?);
        self.shell = Instant::now();
        Ok(())
    }

    /// Connects to the shell's serial port as soon as QEMU has made it.
    fn connect(&mut self) -> Result<UnixStream> {
        let path = self.room.file(qemu::CONTROL);
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match UnixStream::connect(&path) {
                Ok(stream) => return Ok(stream),
                Err(_) if Instant::now() < deadline => self.alive()?,
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot reach {}", path.display()));
                }
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// Fails when the machine has stopped or its kernel has panicked.
    fn alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            return Err(self.ended(status));
        }
        if self.console.heard().panic.is_some() {
            bail!("the kernel panicked; the end of its console:\n{}", self.console.tail());
        }
        Ok(())
    }

    /// What to say of a QEMU that ended by itself.
    fn ended(&self, status: ExitStatus) -> anyhow::Error {
        let said = fs::read_to_string(self.room.file("qemu.log")).unwrap_or_default();
        // QEMU's shell gives 128 and the signal's number, as shells do.
        let signal = status.code().is_none_or(|code| code >= 128);
        if signal {
            return RigFailure(format!("QEMU ended with {status}: {}", said.trim())).into();
        }
        anyhow!("QEMU ended with {status}: {}", said.trim())
    }

    /// An error of the shell's port, with what the console says; when QEMU
    /// ended, that instead.
    fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        if error.downcast_ref::<RigFailure>().is_some() {
            // The port closes a moment before the process ends.
            let deadline = Instant::now() + Duration::from_secs(5);
            while Instant::now() < deadline {
                if let Ok(Some(status)) = self.child.try_wait() {
                    return self.ended(status);
                }
                std::thread::sleep(GLANCE);
            }
            return error;
        }
        if self.console.heard().panic.is_some() {
            return error;
        }
        error.context(format!("the end of the console:\n{}", self.console.tail()))
    }

    /// Runs `command` by sh(1) as root, without input, for at most `limit`.
    pub fn run(&mut self, command: &str, limit: Duration) -> Result<Output> {
        let control = self.control.as_mut().context("the machine has no shell")?;
        control.run(command, limit).map_err(|error| self.explain(error))
    }

    /// Waits until the system is up and gives the state that systemd reports:
    /// `running`, or `degraded` when a unit failed, or another of
    /// systemctl(1)'s words. Fails with [`RigFailure`] when the machine turns
    /// out to be unsound.
    pub fn wait_running(&mut self) -> Result<String> {
        let left = (self.started + BOOT).saturating_duration_since(Instant::now());
        let output = self.run("systemctl is-system-running --wait", left.max(GLANCE))?;
        let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if state.is_empty() {
            bail!("systemd gives no state: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        self.sane()?;
        Ok(state)
    }

    /// Fails with [`RigFailure`] when the emulated processor computes wrongly.
    ///
    /// It does in some boots of `raspi4b`, from the first to the last: any use
    /// of the C library's UTF-16 converter then ends in an error or in "stack
    /// smashing detected", although every file has the right content.
    /// ModemManager, which looks for its character sets at its start, dies of
    /// it; the next boot of the same image may be sound.
    fn sane(&mut self) -> Result<()> {
        if self.options.model != Model::Raspi4b {
            return Ok(());
        }
        let question = "printf A | iconv -f UTF-8 -t UTF-16BE | od -An -tx1";
        let output = self.run(question, Duration::from_secs(60))?;
        if output.stdout.trim_ascii() != b"00 41" {
            return Err(RigFailure(format!(
                "`{question}` gave {:?} instead of 00 41 {}",
                String::from_utf8_lossy(&output.stdout).trim(),
                String::from_utf8_lossy(&output.stderr).trim(),
            ))
            .into());
        }
        Ok(())
    }

    /// Milestones that the console has shown.
    pub fn heard(&self) -> Heard {
        self.console.heard()
    }

    /// Shuts the system down and waits until the machine is off.
    pub fn power_off(&mut self) -> Result<()> {
        self.run("systemctl --no-block poweroff", Duration::from_secs(60))?.text()?;
        let deadline = Instant::now() + POWER_OFF;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() { Ok(()) } else { Err(self.ended(status)) };
            }
            // The kernel has stopped all and waits for the board to cut the
            // power; nothing is left to be lost.
            let down = self.console.heard().power_down;
            if down.is_some_and(|at| at.elapsed() > Duration::from_secs(5)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "the machine did not power off within {} s; the end of its console:\n{}",
                    POWER_OFF.as_secs(),
                    self.console.tail()
                );
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// Cuts the power.
    pub fn kill(&mut self) -> Result<()> {
        self.control = None;
        // The namespace's keeper takes QEMU with it (unshare --kill-child).
        self.child.kill().context("cannot stop QEMU")?;
        self.child.wait().context("cannot wait for QEMU")?;
        self.console.finish();
        Ok(())
    }

    /// Plugs in a modem: under power from now on, on the bus when it has
    /// booted. The machine must have been started with [`Modem::Later`].
    pub fn plug(&mut self, ctx: &Context, unit: &Unit<'_>) -> Result<()> {
        self.unplug()?;
        self.modem = Some(modem::Running::start(ctx, &self.room, self.options.model, unit)?);
        Ok(())
    }

    /// Pulls the modem out, if there is one.
    pub fn unplug(&mut self) -> Result<()> {
        self.modem.take().map_or(Ok(()), modem::Running::pull)
    }

    /// Sends the modem a control command (`a7670e-emulator --help`,
    /// `--control`), one JSON object; gives what it tells.
    pub fn modem(&self, line: &str) -> Result<serde_json::Value> {
        self.modem.as_ref().context("no modem is plugged in")?.ask(line)
    }

    /// A file of the machine's own folder, which goes with the machine.
    pub fn file(&self, name: &str) -> PathBuf {
        self.room.file(name)
    }

    /// The machine's card, to be looked at when the power is off.
    pub fn card(&self) -> PathBuf {
        self.room.file("card")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.kill();
    }
}

/// Boots `options.image` with console and root shell on this terminal, until
/// the machine powers off or the person leaves (Ctrl-A X).
pub fn interactive(ctx: &Context, options: &Options) -> Result<()> {
    let room = furnish(ctx, options)?;
    let (mut command, rig) = prepare(ctx, options, &room, Shell::Console)?;
    let _modem = plug(ctx, options, &room)?;
    ctx.report.line("Root shell on the machine's console; Ctrl-A X leaves, Ctrl-A H helps.");
    let status =
        command.status().with_context(|| format!("cannot run {}", process::line(&command)))?;
    drop(rig);
    match status.code() {
        Some(0) => Ok(()),
        Some(code) if code < 128 => bail!("QEMU ended with {status}"),
        _ => Err(RigFailure(format!("QEMU ended with {status}")).into()),
    }
}

/// Starts the emulated modem, when it is to be ours.
fn plug(ctx: &Context, options: &Options, room: &Room) -> Result<Option<modem::Running>> {
    let (profile, faults) = match &options.modem {
        Some(Modem::Ours { profile, faults }) => (profile, faults),
        Some(Modem::Later | Modem::UsbIp) => {
            modem::program(ctx)?;
            return Ok(None);
        }
        Some(Modem::Socket(_)) | None => return Ok(None),
    };
    let unit = Unit { profile, faults: faults.as_deref(), boot_ms: None };
    modem::Running::start(ctx, room, options.model, &unit).map(Some)
}

/// A folder with a card that holds the image.
fn furnish(ctx: &Context, options: &Options) -> Result<Room> {
    if !options.image.is_file() {
        bail!(
            "there is no image {}: make it with `cargo xtask image`, or name another with --image",
            options.image.display()
        );
    }
    let room = Room::new(ctx)?;
    card::make(&options.image, &room.file("card"))?;
    Ok(room)
}

/// Starts QEMU with the card in `room`, and listens to its console.
fn launch(ctx: &Context, options: &Options, room: &Room) -> Result<(Child, Console)> {
    let (mut command, _) = prepare(ctx, options, room, Shell::Control)?;
    let errors = fs::File::create(room.file("qemu.log"))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .with_context(|| format!("cannot run {}", process::line(&command)))?;
    let output = child.stdout.take().context("QEMU has no standard output")?;
    Ok((child, Console::listen(output, &room.file("console.log"))?))
}

/// Puts kernel and device tree in `room`, beside the card; gives the command that starts
/// QEMU, and the tools root that it runs in.
fn prepare(
    ctx: &Context,
    options: &Options,
    room: &Room,
    shell: Shell,
) -> Result<(std::process::Command, Tools)> {
    let rig = Tools::get(ctx, Set::Rig)?;
    let sandbox = rig.sandbox();
    let files = boot_files::read(&sandbox, &options.image)?;
    fs::write(room.file("kernel"), &files.kernel)?;
    if options.model == Model::Raspi4b {
        fs::write(room.file("devicetree"), devicetree::for_raspi4b(&files.devicetree)?)?;
    }
    let plan = cmdline::plan(&files.cmdline, options.model, shell, &options.extra);
    let arguments = qemu::arguments(&Setup {
        machine: options.model,
        append: &plan.append,
        console: plan.console,
        interactive: shell == Shell::Console,
        modem: options.modem.as_ref(),
    });
    let mut sandbox = sandbox.bind_writable(room.path(), "machine");
    if let Some(Modem::Socket(path)) = &options.modem {
        let path = path.canonicalize().with_context(|| format!("--usbredir {}", path.display()))?;
        let folder = path.parent().context("--usbredir: not the path of a socket")?;
        sandbox = sandbox.bind_writable(folder, "usb");
    }
    let command = sandbox.cwd(qemu::HOME).command(&arguments)?;
    Ok((command, rig))
}
