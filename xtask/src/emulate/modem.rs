//! The emulated modem beside an emulated machine: the workspace's own
//! `a7670e-emulator`, on QEMU's USB bus by a Unix socket.
//!
//! QEMU listens on that socket: a modem that connects is plugged in, one whose
//! connection ends is pulled out, and the next one may come. So one boot can
//! carry many modems, one after the other.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Machine;
use super::room::Room;
use crate::context::Context;
use crate::process;

/// QEMU's socket for the USB device, in the machine's folder.
pub const SOCKET: &str = "usb";

/// Where the machine finds a USB device by USB/IP ([`Modem::UsbIp`]), in QEMU's user
/// network (10.0.2.0/24, in which the machine is 10.0.2.15); the port is IANA's.
pub const DESK: &str = "10.0.2.100:3240";

/// What is on the USB bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Modem {
    /// Our emulator.
    Ours {
        /// A profile's name, or a file's.
        profile: String,
        /// A fault script.
        faults: Option<PathBuf>,
    },
    /// Somebody else's device: its program listens on this socket, and QEMU
    /// connects to it.
    Socket(PathBuf),
    /// An empty socket of the bus, for modems that come later
    /// ([`super::Running::plug`]).
    Later,
    /// Far away: what the machine's own kernel asks by USB/IP at [`DESK`] comes to
    /// QEMU's socket, and goes on from there by whoever connects to it. There is no
    /// other way out of that network. Only on `virt`.
    UsbIp,
}

/// A modem to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit<'a> {
    /// A profile's name, or a file's.
    pub profile: &'a str,
    /// A fault script.
    pub faults: Option<&'a Path>,
    /// Milliseconds from power-on to `*ATREADY`, when not the profile's.
    pub boot_ms: Option<u64>,
}

/// How long the modem may take to answer on its control socket.
const ANSWER: Duration = Duration::from_secs(5);

/// The running emulator; dropped, it ends.
pub struct Running {
    child: Child,
    control: PathBuf,
}

impl Running {
    /// Builds and starts the emulator for the machine in `room`. It connects
    /// once QEMU listens.
    pub fn start(ctx: &Context, room: &Room, model: Machine, unit: &Unit<'_>) -> Result<Self> {
        let mut command = Command::new(program(ctx)?);
        let control = room.file("modem");
        // A modem before this one may have left it.
        let _ = std::fs::remove_file(&control);
        command.args(["--profile", unit.profile]);
        command.arg("--usbredir").arg(room.file(SOCKET));
        command.arg("--control").arg(&control);
        if let Some(faults) = unit.faults {
            command.arg("--fault").arg(faults);
        }
        if let Some(boot_ms) = unit.boot_ms {
            command.args(["--boot-ms", &boot_ms.to_string()]);
        }
        if model == Machine::Raspi4b {
            command.arg("--dwc2");
        }
        process::die_with_caller(&mut command);
        let log = std::fs::File::create(room.file("modem.log"))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", process::line(&command)))?;
        // A wrong profile or script ends it at once; a right one makes its
        // control socket.
        while !control.exists() {
            if let Some(status) = child.try_wait()? {
                let said = std::fs::read_to_string(room.file("modem.log")).unwrap_or_default();
                bail!("the emulated modem ended with {status}: {}", said.trim());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { child, control })
    }

    /// Sends the control command `line`, one JSON object, and gives what it
    /// tells.
    pub fn ask(&self, line: &str) -> Result<Value> {
        let what = || format!("asking the modem {line}");
        let mut stream = UnixStream::connect(&self.control).with_context(what)?;
        stream.set_read_timeout(Some(ANSWER))?;
        writeln!(stream, "{line}").with_context(what)?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).with_context(what)?;
        let mut answer: Value = serde_json::from_str(&answer).with_context(what)?;
        match answer.get_mut("ok") {
            Some(told) => Ok(told.take()),
            None => bail!("{}: it answered {answer}", what()),
        }
    }

    /// Pulls the modem out of the bus and ends it. The host's pending transfers
    /// are cancelled first, without which some of QEMU's USB controllers stop
    /// it at the next plug (hw/usb/hcd-dwc2.c).
    pub fn pull(self) -> Result<()> {
        const AWAY: u64 = 24 * 3600 * 1000;
        self.ask(&format!(
            r#"{{"do": "inflict", "fault": {{"effect": "usb_gone", "for_ms": {AWAY}}}}}"#
        ))?;
        // It carries out one question after the other: with this answer the
        // first has reached the bus.
        self.ask(r#"{"do": "state"}"#)?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The emulator's program, built as this program was; once in a run, so that
/// later modems are there at once and are the same.
pub fn program(ctx: &Context) -> Result<&'static Path> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if BUILT.get().is_none() {
        let built = build(ctx)?;
        // Another thread may have been quicker, with the same result.
        let _ = BUILT.set(built);
    }
    BUILT.get().map(PathBuf::as_path).context("the emulator was not built")
}

fn build(ctx: &Context) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let folder = own.parent().context("this program has no folder")?;
    let target = folder.parent().context("this program is in no target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "a7670e-emulator", "--target-dir"]).arg(target);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let status = command.current_dir(&ctx.repo).status().context("cannot run cargo")?;
    if !status.success() {
        bail!("the emulator could not be built: {}", process::line(&command));
    }
    Ok(folder.join("a7670e-emulator"))
}

/// QEMU's arguments for `modem` on the bus of `model`.
pub fn arguments(model: Machine, modem: &Modem) -> Vec<String> {
    let home = super::qemu::HOME;
    let chardev = match modem {
        Modem::Ours { .. } | Modem::Later | Modem::UsbIp => {
            format!("socket,id=modem,path={home}/{SOCKET},server=on,wait=off")
        }
        // The socket's folder is bound into the sandbox.
        Modem::Socket(path) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("socket,id=modem,path=/work/usb/{name},reconnect=1")
        }
    };
    // dwc2 has one port; without its number QEMU would put a hub on it.
    let port = if model == Machine::Raspi4b { ",port=1" } else { "" };
    let device = match modem {
        Modem::UsbIp => "virtio-net-pci,netdev=desk,romfile=".to_owned(),
        _ => format!("usb-redir,chardev=modem{port}"),
    };
    let mut words = vec!["-chardev".to_owned(), chardev];
    if *modem == Modem::UsbIp {
        let network = format!("user,id=desk,restrict=on,guestfwd=tcp:{DESK}-chardev:modem");
        words.extend(["-netdev".to_owned(), network]);
    }
    words.extend(["-device".to_owned(), device]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemu_listens_for_our_modem_and_connects_to_anothers() {
        let ours = Modem::Ours { profile: "a7670e-ecm".into(), faults: None };
        let text = arguments(Machine::Raspi4b, &ours).join(" ");
        assert!(text.contains("path=/work/machine/usb,server=on") && text.contains("port=1"));
        let text = arguments(Machine::Virt, &Modem::Socket("/run/x/y.sock".into())).join(" ");
        assert!(text.contains("path=/work/usb/y.sock,") && !text.contains("server"), "{text}");
    }
}
