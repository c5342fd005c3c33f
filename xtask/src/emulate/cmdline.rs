//! The kernel command line of an emulated boot: the image's own, and what lets
//! the rig in.

use super::Machine;

/// How the rig gets a root shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// On the serial port that is not the console, for programs.
    Control,
    /// On the console, for a person.
    Console,
}

/// A command line and which serial port is what.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// For `-append`.
    pub append: String,
    /// Which `-serial` (0 or 1) the kernel writes to; with [`Shell::Control`]
    /// the shell is on the other.
    pub console: usize,
}

/// Adds to the image's command line `own` what `machine` and `shell` need, and
/// `extra`. The image's choice of consoles is replaced: nothing else may speak
/// on the shell's port.
pub fn plan(own: &str, machine: Machine, shell: Shell, extra: &[String]) -> Plan {
    let mut words: Vec<&str> =
        own.split_whitespace().filter(|word| !word.starts_with("console=")).collect();
    let console = match (machine, shell) {
        // The PL011 is the shell's; the mini UART is written to by the kernel
        // and must never be opened, be it by a getty, by the generator of
        // gettys or as /dev/console: with its interrupts on, QEMU's model of
        // it (hw/char/bcm2835_aux.c) interrupts without end, and the first
        // processor does nothing else any more.
        (Machine::Raspi4b, Shell::Control) => {
            words.extend([
                "console=ttyS1,115200",
                "console=tty1",
                "systemd.getty_auto=0",
                "systemd.mask=serial-getty@ttyS1.service",
                "systemd.debug_shell=ttyAMA0",
            ]);
            1
        }
        (Machine::Virt, Shell::Control) => {
            words.extend(["console=ttyAMA0,115200", "systemd.debug_shell=ttyAMA1"]);
            0
        }
        // A login prompt would take turns with the shell.
        (_, Shell::Console) => {
            words.extend([
                "console=ttyAMA0,115200",
                "systemd.getty_auto=0",
                "systemd.mask=serial-getty@ttyS1.service",
                "systemd.mask=serial-getty@ttyAMA0.service",
                "systemd.debug_shell=ttyAMA0",
            ]);
            0
        }
    };
    // Some of the board's regulators and clocks have no driver in the rig;
    // their users would wait 10 seconds for them (drivers/base/dd.c).
    words.push("deferred_probe_timeout=1");
    words.extend(extra.iter().map(String::as_str));
    Plan { append: words.join(" "), console }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "console=ttyAMA0,115200 console=tty1 root=PARTUUID=1-02 rootwait";

    fn has(plan: &Plan, word: &str) -> bool {
        plan.append.split(' ').any(|w| w == word)
    }

    #[test]
    fn nothing_else_speaks_on_the_shells_port() {
        for (machine, shell, console) in
            [(Machine::Raspi4b, "ttyAMA0", "ttyS1"), (Machine::Virt, "ttyAMA1", "ttyAMA0")]
        {
            let plan = plan(OWN, machine, Shell::Control, &[]);
            assert!(has(&plan, &format!("systemd.debug_shell={shell}")), "{}", plan.append);
            assert!(has(&plan, &format!("console={console},115200")), "{}", plan.append);
            assert!(!plan.append.contains(&format!("console={shell}")), "{}", plan.append);
        }
    }

    #[test]
    fn the_images_own_words_stay_in_front_and_extra_ones_come_last() {
        let plan = plan(OWN, Machine::Virt, Shell::Control, &["quiet".to_owned()]);
        assert!(plan.append.starts_with("root=PARTUUID=1-02 rootwait "), "{}", plan.append);
        assert!(plan.append.ends_with(" quiet"), "{}", plan.append);
    }

    #[test]
    fn a_person_gets_console_and_shell_in_one() {
        let plan = plan(OWN, Machine::Raspi4b, Shell::Console, &[]);
        assert_eq!(plan.console, 0);
        assert!(has(&plan, "console=ttyAMA0,115200") && has(&plan, "systemd.debug_shell=ttyAMA0"));
    }
}
