//! Debian's own programs as judges, from a folder into which their packages are
//! unpacked, on a message bus of their own. Nothing in it is installed or
//! configured; the programs are run by its own dynamic loader.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "only tests use it")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A program that ends with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The root with Debian's programs.
pub struct Root(PathBuf);

impl Root {
    /// The folder that the environment variable `variable` names.
    pub fn of(variable: &str) -> Root {
        let root = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set"));
        Root(std::fs::canonicalize(root).unwrap())
    }

    pub fn libraries(&self) -> PathBuf {
        self.0.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH))
    }

    pub fn program(&self, path: &str) -> Command {
        let loader = match std::env::consts::ARCH {
            "aarch64" => "usr/lib/ld-linux-aarch64.so.1",
            _ => "usr/lib64/ld-linux-x86-64.so.2",
        };
        let mut command = Command::new(self.0.join(loader));
        // systemd's programs share a library in a folder of their own.
        let (all, systemd) = (self.libraries(), self.libraries().join("systemd"));
        let libraries = format!("{}:{}", all.display(), systemd.display());
        command.arg("--library-path").arg(libraries).arg(self.0.join(path));
        // glibc's converters must be of the same glibc.
        command.env("GCONV_PATH", self.libraries().join("gconv"));
        command
    }
}

/// A bus on which everybody may do everything, and its address.
pub fn bus(root: &Root, folder: &Path) -> (Running, String) {
    bus_but(root, folder, "")
}

/// The same with these last rules, in the form of dbus-daemon(1).
pub fn bus_but(root: &Root, folder: &Path, rules: &str) -> (Running, String) {
    let config = folder.join("bus.conf");
    let text = format!(
        "<busconfig><type>custom</type><listen>unix:path={}</listen>\
         <policy context='default'><allow send_destination='*' eavesdrop='true'/>\
         <allow eavesdrop='true'/><allow own='*'/>{rules}</policy></busconfig>",
        folder.join("bus").display()
    );
    std::fs::write(&config, text).unwrap();
    let mut child = root
        .program("usr/bin/dbus-daemon")
        .arg(format!("--config-file={}", config.display()))
        .args(["--nofork", "--print-address=1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    (Running(child), address.trim().to_owned())
}
