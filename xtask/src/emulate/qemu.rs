//! QEMU's command line.

use super::Machine;
use super::modem::{self, Modem};

/// Where the rig's files are inside the sandbox.
pub const HOME: &str = "/work/machine";
/// The socket of the shell's serial port, in [`HOME`].
pub const CONTROL: &str = "control";

/// What QEMU is to do.
pub struct Setup<'a> {
    /// The machine.
    pub machine: Machine,
    /// The kernel command line.
    pub append: &'a str,
    /// Which serial port goes to QEMU's standard output (and input, when
    /// interactive).
    pub console: usize,
    /// A person sits at the console: QEMU's escape keys (Ctrl-A) work.
    pub interactive: bool,
    /// What is on the USB bus.
    pub modem: Option<&'a Modem>,
}

/// The arguments, the program's name first.
///
/// The shell calls QEMU, for then QEMU is not the first process of its
/// namespace: such a one cannot be ended by SIGABRT, so a failed assertion
/// would go unnoticed.
pub fn arguments(setup: &Setup<'_>) -> Vec<String> {
    let mut args: Vec<String> =
        ["sh", "-c", "\"$@\"; exit $?", "sh", "qemu-system-aarch64"].map(str::to_owned).to_vec();
    let mut add = |words: &[&str]| args.extend(words.iter().map(|w| (*w).to_owned()));
    // Both boards have four processors; raspi4b takes no other number.
    add(&["-smp", "4", "-m", "2G", "-display", "none", "-nic", "none", "-no-user-config"]);
    add(&["-kernel", &format!("{HOME}/kernel"), "-append", setup.append]);
    // The card is thrown away after the test: nothing need reach the disk.
    let drive = format!("file={HOME}/card,format=raw,cache=unsafe");
    match setup.machine {
        Machine::Raspi4b => {
            add(&["-M", "raspi4b", "-dtb", &format!("{HOME}/devicetree")]);
            add(&["-drive", &format!("{drive},if=sd")]);
        }
        Machine::Virt => {
            add(&["-M", "virt", "-cpu", "cortex-a72"]);
            add(&["-drive", &format!("{drive},if=none,id=card")]);
            add(&["-device", "virtio-blk-pci,drive=card", "-device", "qemu-xhci"]);
        }
    }
    let mux = if setup.interactive { "on" } else { "off" };
    add(&["-chardev", &format!("stdio,id=console,signal=off,mux={mux}")]);
    if setup.interactive {
        add(&["-mon", "chardev=console,mode=readline", "-serial", "chardev:console"]);
    } else {
        let socket = format!("socket,id=shell,path={HOME}/{CONTROL},server=on,wait=off");
        add(&["-chardev", &socket, "-monitor", "none"]);
        let mut ports = ["chardev:shell"; 2];
        ports[setup.console] = "chardev:console";
        add(&["-serial", ports[0], "-serial", ports[1]]);
    }
    args.extend(setup.modem.iter().flat_map(|modem| modem::arguments(setup.machine, modem)));
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_ports_are_where_the_kernel_command_line_says() {
        let setup = Setup {
            machine: Machine::Raspi4b,
            append: "x y",
            console: 1,
            interactive: false,
            modem: None,
        };
        let args = arguments(&setup);
        let serial: Vec<_> = args
            .iter()
            .zip(args.iter().skip(1))
            .filter(|(option, _)| *option == "-serial")
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(serial, ["chardev:shell", "chardev:console"]);
        assert!(args.windows(2).any(|pair| pair == ["-append", "x y"]));
    }
}
