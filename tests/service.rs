//! The real binary: started on a fake sysfs, asked over its socket, stopped by
//! a signal.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

mod common;
use common::{a76xx_ecm, a76xx_rndis_extra, plug, tree};

const PROGRAM: &str = env!("CARGO_BIN_EXE_a7670e");

/// Far more than anything here takes, on a slow machine too.
const DEADLINE: Duration = Duration::from_secs(30);

/// A place with a fake sysfs, a notify socket and room for the control socket.
struct Place {
    root: tempfile::TempDir,
    notify: UnixDatagram,
}

impl Place {
    fn new() -> Place {
        let root = tempfile::tempdir().unwrap();
        tree(root.path());
        let notify = UnixDatagram::bind(root.path().join("notify")).unwrap();
        notify.set_read_timeout(Some(DEADLINE)).unwrap();
        Place { root, notify }
    }

    fn socket(&self) -> PathBuf {
        self.root.path().join("control.sock")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(["run", "--sysfs"])
            .arg(self.root.path())
            .arg("--dev")
            .arg(self.root.path().join("dev"))
            .arg("--state")
            .arg(self.root.path().join("state"))
            .arg("--config")
            .arg(self.root.path().join("a7670e.toml"))
            .arg("--provisioning")
            .arg(self.root.path().join("provisioning.toml"))
            .arg("--socket")
            .arg(self.socket())
            // No bus: this machine's own services are not for tests.
            .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
            .env("NOTIFY_SOCKET", self.root.path().join("notify"))
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .env_remove("JOURNAL_STREAM")
            .stderr(Stdio::piped());
        command
    }

    /// The next message to the service manager.
    fn told(&self) -> String {
        let mut buffer = [0; 4096];
        let length = loop {
            match self.notify.recv(&mut buffer) {
                // A machine that was suspended for a moment.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                length => break length.expect("the service manager was told nothing"),
            }
        };
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn start(&self) -> Daemon {
        let daemon = Daemon { child: self.command().spawn().unwrap() };
        let ready = self.told();
        assert!(ready.lines().any(|line| line == "READY=1"), "{ready}");
        daemon
    }

    fn status(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.arg("status").args(arguments).arg("--socket").arg(self.socket());
        command.output().unwrap()
    }

    fn ask(&self, line: &str) -> serde_json::Value {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        writeln!(stream, "{line}").unwrap();
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).unwrap();
        serde_json::from_str(&reply).unwrap()
    }
}

struct Daemon {
    child: Child,
}

impl Daemon {
    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end");
    }

    fn log(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn finds_two_sticks_and_reports_them() {
    let place = Place::new();
    plug(place.root.path(), "1-1.3", 0x9011, &a76xx_ecm(0, "wwan0"));
    plug(place.root.path(), "1-1.2", 0x9011, &a76xx_rndis_extra(3, "wwan1"));
    let daemon = place.start();

    let output = place.status(&["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["daemon"]["pid"], daemon.child.id());
    let modems = status["modems"].as_array().unwrap();
    let paths: Vec<_> = modems.iter().map(|modem| modem["usb_path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["1-1.2", "1-1.3"]);
    assert_eq!(modems[0]["network"]["kind"], "rndis");
    assert_eq!(modems[0]["ports"][2]["role"], "at");
    assert_eq!(modems[0]["ports"][2]["device"], "/dev/ttyUSB5");
    assert_eq!(modems[1]["ports"][1]["link"], "/dev/a7670e/by-path/1-1.3/at");
    assert_eq!(modems[1]["problems"], serde_json::json!([]));

    let text = String::from_utf8(place.status(&[]).stdout).unwrap();
    for part in ["modem 1-1.2  A76XX (1e0e:9011)", "/dev/ttyUSB1", "wwan0  (ECM, cdc_ether)"] {
        assert!(text.contains(part), "{part} not in:\n{text}");
    }
}

#[test]
fn ends_cleanly_on_either_signal() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let place = Place::new();
        let mut daemon = place.start();
        let mode = std::fs::metadata(place.socket()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        daemon.signal(signal);
        assert_eq!(daemon.wait().code(), Some(0));
        assert_eq!(place.told(), "STOPPING=1\n");
        assert!(!place.socket().exists());
        assert_eq!(daemon.log(), "stopping\n");
    }
}

/// Killed while the modem's port had no power.
#[test]
fn what_an_earlier_run_took_from_a_modem_is_given_back() {
    let place = Place::new();
    let (port, gone) = (place.root.path().join("disable"), place.root.path().join("gone/disable"));
    std::fs::write(&port, "1").unwrap();
    let folder = place.root.path().join("state/1-1");
    std::fs::create_dir_all(&folder).unwrap();
    let owed = serde_json::json!({"version": 1, "data": {"files": [port, gone], "back": "0"}});
    std::fs::write(folder.join("cut.json"), owed.to_string()).unwrap();
    let _daemon = place.start();
    assert_eq!(std::fs::read_to_string(port).unwrap(), "0");
    assert!(!folder.join("cut.json").exists());
}

#[test]
fn says_so_when_the_service_is_not_running() {
    let place = Place::new();
    for _ in ["no socket", "a dead daemon's socket"] {
        let output = place.status(&["--json"]);
        assert_eq!(output.status.code(), Some(3));
        assert!(output.stdout.is_empty());
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("the service is not running"), "{message}");
        if !place.socket().exists() {
            drop(UnixListener::bind(place.socket()).unwrap());
        }
    }
    // And a new daemon takes the dead one's place.
    drop(place.start());
}

#[test]
fn a_second_daemon_is_refused() {
    let place = Place::new();
    let _first = place.start();
    let mut second = Daemon { child: place.command().spawn().unwrap() };
    assert_eq!(second.wait().code(), Some(1));
    let log = second.log();
    assert!(log.contains("another a7670e already listens on"), "{log}");
    assert!(place.status(&[]).status.success());
}

#[test]
fn feeds_the_watchdog() {
    let place = Place::new();
    let mut command = place.command();
    command.env("WATCHDOG_USEC", "200000");
    let _daemon = Daemon { child: command.spawn().unwrap() };
    let told: Vec<_> = (0..4).map(|_| place.told()).collect();
    let fed = told.iter().filter(|message| message.contains("WATCHDOG=1")).count();
    assert_eq!(fed, 3, "{told:?}");
}

#[test]
fn bad_requests_do_not_disturb_it() {
    let place = Place::new();
    let _daemon = place.start();
    assert_eq!(place.ask("hello")["error"]["code"], "bad-request");
    assert_eq!(place.ask(r#"{"v":1,"id":5,"method":"x"}"#)["id"], 5);
    // Far more than the service reads of it, or the socket holds.
    let long = "x".repeat(900_000);
    assert_eq!(place.ask(&long)["error"]["code"], "bad-request");
    assert!(place.status(&[]).status.success());
}

#[test]
fn clients_beyond_the_limit_are_told_and_places_come_free() {
    let place = Place::new();
    let _daemon = place.start();
    let request = r#"{"v":1,"id":1,"method":"status"}"#;
    // A reply proves that the connection was taken, not just queued.
    let taken: Vec<_> = (0..16)
        .map(|_| {
            let mut stream = UnixStream::connect(place.socket()).unwrap();
            writeln!(stream, "{request}").unwrap();
            let mut reader = BufReader::new(stream);
            let mut reply = String::new();
            reader.read_line(&mut reply).unwrap();
            assert!(reply.contains("result"), "{reply}");
            reader
        })
        .collect();
    assert_eq!(place.ask(request)["error"]["code"], "busy");
    drop(taken);
    let start = Instant::now();
    while !place.status(&[]).status.success() {
        assert!(start.elapsed() < DEADLINE, "no place comes free");
    }
}

#[test]
fn no_sysfs_is_a_clear_failure() {
    let place = Place::new();
    let output = Command::new(PROGRAM)
        .args(["run", "--sysfs", "/nonexistent", "--socket"])
        .arg(place.socket())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("no sysfs at /nonexistent"), "{message}");
    assert!(!place.socket().exists());
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (argument, part) in [("--help", "Usage: a7670e"), ("--version", "a7670e 0.")] {
        let output = Command::new(PROGRAM).arg(argument).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains(part));
    }
    let output = Command::new(PROGRAM).arg("bogus").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
