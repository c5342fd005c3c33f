//! What `buildroot-ext/` has of the repository's own files.

use super::{From, Row, made};

/// The files that the package `a7670e` installs lie beside its `.mk`, those of the
/// card image in the board's folder.
pub const ROWS: &[Row] = &[
    Row { to: "LICENSE-APACHE", from: From::File("LICENSE-APACHE") },
    Row { to: "LICENSE-MIT", from: From::File("LICENSE-MIT") },
    Row {
        to: "patches/linux",
        from: From::Patches("Upstream: N/A, not submitted: it has not run on a real modem yet"),
    },
    Row { to: "board/a7670e_pi4b/cmdline.txt", from: From::Made(made::command_line) },
    Row { to: "board/a7670e_pi4b/config.txt", from: From::File("images/boot/config.txt") },
    Row { to: "board/a7670e_pi4b/linux.config", from: From::File("images/pi4b.config") },
    Row { to: "package/a7670e/a7670e.hash", from: From::Made(made::licence_hashes) },
    Row { to: "package/a7670e/linux.config", from: From::Made(made::modem_fragment) },
    Row {
        to: "package/a7670e/60-a7670e.rules",
        from: From::File("images/files/usr/lib/udev/rules.d/60-a7670e.rules"),
    },
    Row {
        to: "package/a7670e/70-a7670e.link",
        from: From::File("images/files/usr/lib/systemd/network/70-a7670e.link"),
    },
    Row {
        to: "package/a7670e/70-a7670e.rules",
        from: From::File("images/files/usr/share/polkit-1/rules.d/70-a7670e.rules"),
    },
    Row {
        to: "package/a7670e/78-a7670e-modemmanager.rules",
        from: From::File("images/files/usr/lib/udev/rules.d/78-a7670e-modemmanager.rules"),
    },
    Row {
        to: "package/a7670e/81-a7670e-modemmanager.rules",
        from: From::File("images/files/usr/lib/udev/rules.d/81-a7670e-modemmanager.rules"),
    },
    Row {
        to: "package/a7670e/a7670e-dbus.conf",
        from: From::File("images/files/usr/share/dbus-1/system.d/a7670e.conf"),
    },
    Row {
        to: "package/a7670e/a7670e-first-boot.service",
        from: From::File("images/files/usr/lib/systemd/system/a7670e-first-boot.service"),
    },
    Row {
        to: "package/a7670e/a7670e-modprobe.conf",
        from: From::File("images/files/usr/lib/modprobe.d/a7670e.conf"),
    },
    Row {
        to: "package/a7670e/a7670e-modules.conf",
        from: From::File("images/files/usr/lib/modules-load.d/a7670e.conf"),
    },
    Row {
        to: "package/a7670e/a7670e.service",
        from: From::File("images/files/usr/lib/systemd/system/a7670e.service"),
    },
];
