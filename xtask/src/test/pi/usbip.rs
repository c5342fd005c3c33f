//! The modem by USB/IP: the emulated machine's kernel takes it over the network
//! by `vhci_hcd`, as a real Pi takes it from a developer's desk.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::first_boot::{DEADLINE, boot, is_online, options, wait_for};
use super::scenarios::PAGE;
use crate::context::Context;
use crate::emulate::{self, DESK, Modem};
use crate::process;

/// Its name.
pub const NAME: &str = "usbip";

/// What `usbip attach` does, in the image's own Perl: asks for the device
/// (`OP_REQ_IMPORT`, Documentation/usb/usbip_protocol.rst), and gives the connection
/// to the kernel (`attach`, drivers/usb/usbip/vhci_sysfs.c). DESK is put in.
const ATTACH: &str = r#"modprobe vhci_hcd && perl -MSocket -e '
    my ($host, $port) = split /:/, "DESK";
    socket(my $s, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
    connect($s, sockaddr_in($port, inet_aton($host))) or die "connect: $!";
    syswrite $s, pack("n n N a32", 0x111, 0x8003, 0, "1-1");
    my $reply = "";
    while (length $reply < 320) {
        sysread($s, $reply, 320 - length $reply, length $reply) or die "reply: $!";
    }
    my ($version, $code, $status) = unpack "n n N", $reply;
    $code == 3 && $status == 0 or die "refused: $version $code $status";
    my ($bus, $device, $speed) = unpack "N N N", substr $reply, 296;
    open my $attach, ">", "/sys/devices/platform/vhci_hcd.0/attach" or die "attach: $!";
    syswrite $attach, sprintf "0 %d %d %d", fileno $s, $bus << 16 | $device, $speed
        or die "attach: $!";
'"#;

/// Gives it back.
const DETACH: &str = "echo 0 >/sys/devices/platform/vhci_hcd.0/detach";

/// Attaches, goes online, carries a page, and detaches.
pub fn run(ctx: &Context) -> Result<()> {
    let image = crate::test::image(ctx)?;
    emulate::retry(ctx, || {
        let modem = Desk::start(ctx)?;
        let mut machine = boot(ctx, &options(&image, Some(Modem::UsbIp)))?;
        modem.connect(UnixStream::connect(machine.file(emulate::SOCKET))?)?;
        let link = "ls /sys/bus/virtio/drivers/virtio_net/virtio*/net";
        let link = machine.run(link, DEADLINE)?.text().context("the network card")?;
        let up = format!("ip link set {link} up && ip address replace 10.0.2.15/24 dev {link}");
        machine.run(&up, DEADLINE)?.text()?;
        machine.run(&ATTACH.replace("DESK", DESK), DEADLINE)?.text().context("attaching")?;
        is_online(&mut machine)?;
        let page = machine.run(PAGE, DEADLINE)?.text()?;
        ensure!(page == "200000", "the page has {page} bytes");
        // It is where it is said to be.
        let place = machine.run("readlink -f /sys/class/net/wwan0/device", DEADLINE)?.text()?;
        ensure!(place.contains("/vhci_hcd.0/"), "wwan0 is {place}");
        machine.run(DETACH, DEADLINE)?.text()?;
        wait_for(&mut machine, "no-modem")?;
        machine.kill()
    })
}

/// The emulator, on a port of the loopback.
struct Desk {
    child: Child,
    /// It has to find somebody there when it says more.
    said: BufReader<ChildStdout>,
    address: String,
}

impl Desk {
    fn start(ctx: &Context) -> Result<Self> {
        let mut command = Command::new(emulate::modem_program(ctx)?);
        command.args(["--profile", "a7670e-ecm", "--usbip", "127.0.0.1:0"]);
        process::die_with_caller(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let what = format!("cannot run {}", process::line(&command));
        let mut child = command.spawn().with_context(|| what.clone())?;
        let said = child.stdout.take().context(what)?;
        let mut desk = Self { child, said: BufReader::new(said), address: String::new() };
        let mut line = String::new();
        while desk.said.read_line(&mut line)? > 0 {
            if let Some(address) = line.trim_end().strip_prefix("USB/IP on ") {
                desk.address = address.to_owned();
                return Ok(desk);
            }
            line.clear();
        }
        bail!("the emulator does not say where it listens")
    }

    /// Joins QEMU's socket and the emulator's port until one of them ends.
    fn connect(&self, machine: UnixStream) -> Result<()> {
        let device = TcpStream::connect(&self.address).context(self.address.clone())?;
        device.set_nodelay(true)?;
        let (from, to) = (device.try_clone()?, machine.try_clone()?);
        std::thread::spawn(move || {
            carry(from, &to);
            let _ = to.shutdown(Shutdown::Both);
        });
        std::thread::spawn(move || {
            carry(machine, &device);
            let _ = device.shutdown(Shutdown::Both);
        });
        Ok(())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Until one end is closed, which is how a device is pulled out.
fn carry(mut from: impl Read, mut to: impl Write) {
    let _ = std::io::copy(&mut from, &mut to);
}
