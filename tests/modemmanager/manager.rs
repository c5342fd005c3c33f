//! Debian's ModemManager, in its own folder, on a bus of the test's own.

#![allow(dead_code, reason = "every test crate uses its own part")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use zbus::zvariant::Value;
use zbus::{Connection, connection};

use crate::DEADLINE;
use crate::common::debian::{Root, Running, bus};
use crate::polkit::{self, Polkit};

const VARIABLE: &str = "A7670E_MODEMMANAGER_ROOT";
const OTHER: &str = "A7670E_MODEMMANAGER_OTHER";
const NAME: &str = "org.freedesktop.ModemManager1";
const PATH: &str = "/org/freedesktop/ModemManager1";

/// The emulated modem's AT port, as udev names it.
const PORT: &str = "ttyUSB1";

/// ModemManager and its bus.
pub struct Manager {
    folder: PathBuf,
    root: PathBuf,
    address: String,
    bus: Connection,
    child: Option<Child>,
    _daemon: Running,
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Manager {
    /// A bus, and ModemManager's folder with the modem's `/sys` and `/dev`; it does
    /// not run yet. To be called in a mount namespace of the test's own.
    pub fn new(folder: &Path) -> Manager {
        let (daemon, address) = bus(&Root::of(VARIABLE), folder);
        let root = std::env::var_os(OTHER).or_else(|| std::env::var_os(VARIABLE)).unwrap();
        let root = fs::canonicalize(root).unwrap();
        let mount = |arguments: &[&Path]| {
            let status = Command::new("mount").args(arguments).status().unwrap();
            assert!(status.success(), "mount {arguments:?}");
        };
        fs::create_dir_all(folder.join("dev/pts")).unwrap();
        mount(&["--bind".as_ref(), "/dev/pts".as_ref(), &folder.join("dev/pts")]);
        mount(&["--bind".as_ref(), "/sys".as_ref(), &root.join("sys")]);
        mount(&["--rbind".as_ref(), &folder.join("dev"), &root.join("dev")]);
        mount(&["--bind".as_ref(), folder, &root.join("run")]);
        let bus = serve(&address);
        Manager { folder: folder.into(), root, address, bus, child: None, _daemon: daemon }
    }

    /// The bus's address, outside of ModemManager's folder.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn program(&self, path: &str) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.root).arg(path).env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/run/bus");
        command.env("LC_ALL", "C.UTF-8");
        command
    }

    /// Starts it, and tells it of the modem's port as udev would.
    pub fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut program = self.program("/usr/sbin/ModemManager");
        program.args(["--debug", "--test-enable", "--test-no-udev", "--test-no-suspend-resume"]);
        self.child = Some(program.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let port = self.folder.join("dev").join(PORT);
        let start = Instant::now();
        while !port.exists() || !self.report() {
            assert!(start.elapsed() < DEADLINE, "it is not told of the port:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn report(&self) -> bool {
        let event = HashMap::from([
            ("action", Value::from("add")),
            ("name", Value::from(PORT)),
            ("subsystem", Value::from("tty")),
        ]);
        let call = self.bus.call_method(Some(NAME), PATH, Some(NAME), "ReportKernelEvent", &event);
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(call).is_ok()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // chroot(1) becomes what it runs.
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What it said last.
    pub fn said(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// What mmcli(1) prints.
    pub fn mmcli(&self, arguments: &[&str]) -> String {
        let output = self.program("/usr/bin/mmcli").args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "mmcli {arguments:?}: {told}\n{}", self.said());
        String::from_utf8(output.stdout).unwrap()
    }

    /// A value that it shows of the modem.
    pub fn value(&self, key: &str) -> String {
        let shown = self.mmcli(&["-m", "any", "-K"]);
        let line = shown.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        let line = line.unwrap_or_else(|| panic!("mmcli shows no {key}:\n{shown}"));
        line.split_once(':').unwrap().1.trim().to_owned()
    }
}

/// A folder in which the service finds the fake sysfs at the path at which
/// ModemManager finds it, too.
pub fn home(folder: &Path) -> PathBuf {
    let bind = |from: &Path, to: &str| {
        let status = Command::new("mount").arg("--bind").args([from, Path::new(to)]).status();
        assert!(status.unwrap().success(), "{to} cannot be mounted over");
    };
    crate::common::tree(&folder.join("sys"));
    bind(&folder.join("sys"), "/sys");
    let home = folder.join("home");
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::symlink("/sys", home.join("sys")).unwrap();
    std::os::unix::fs::symlink(folder.join("dev"), home.join("dev")).unwrap();
    home
}

impl Manager {
    /// Its version.
    pub fn version(&self) -> String {
        let told = self.mmcli(&["--version"]);
        let line = told.lines().next().unwrap_or_default();
        line.strip_prefix("mmcli ").unwrap_or_else(|| panic!("{told}")).to_owned()
    }

    /// How many modems it shows.
    pub fn modems(&self) -> usize {
        self.mmcli(&["-L"]).matches("/Modem/").count()
    }

    /// Whether somebody else has had it let go of the device `uid`.
    pub fn is_inhibited(&self, uid: &str) -> bool {
        let wish = (uid, true);
        let call = self.bus.call_method(Some(NAME), PATH, Some(NAME), "InhibitDevice", &wish);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        match runtime.block_on(call) {
            Err(zbus::Error::MethodError(_, text, _)) => {
                text.is_some_and(|text| text.contains("already inhibited"))
            }
            // It is the test's now, which shows that it was nobody's.
            other => panic!("{other:?}"),
        }
    }
}

/// Serves polkit's part on the bus for as long as the test runs.
fn serve(address: &str) -> Connection {
    let (give, take) = mpsc::channel();
    let address = address.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bus = connection::Builder::address(address.as_str())
                .unwrap()
                .name(polkit::NAME)
                .unwrap()
                .serve_at(polkit::PATH, Polkit)
                .unwrap()
                .build()
                .await
                .unwrap();
            give.send(bus).unwrap();
            std::future::pending::<()>().await;
        });
    });
    take.recv().unwrap()
}
