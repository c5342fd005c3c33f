//! The real service, started in a folder of the test's own, and what it leaves
//! in the kernel.

#![allow(dead_code, reason = "every test crate uses its own part")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::namespace::ip;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_a7670e");

/// Far more than anything here takes, on a slow machine too.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub const CONFIG: &str = r#"
[network]
dns = "none"
probe = { target = "http://example.test/204" }
"#;

/// No bus: this machine's own services are not for tests.
pub const NO_BUS: &str = "unix:path=/nonexistent";

/// The service.
pub struct Service {
    pub child: Child,
    pub socket: PathBuf,
}

impl Service {
    pub fn start(root: &Path, config: &str) -> Service {
        Service::start_on(NO_BUS, root, config)
    }

    /// With this address of the system's bus.
    pub fn start_on(bus: &str, root: &Path, config: &str) -> Service {
        std::fs::write(root.join("a7670e.toml"), config).unwrap();
        let socket = root.join("control.sock");
        let mut command = Command::new(PROGRAM);
        command.arg("run");
        for (option, name) in [
            ("--sysfs", "sys"),
            ("--dev", "dev"),
            ("--state", "state"),
            ("--config", "a7670e.toml"),
            ("--provisioning", "none"),
            ("--socket", "control.sock"),
        ] {
            command.arg(option).arg(root.join(name));
        }
        command.env("DBUS_SYSTEM_BUS_ADDRESS", bus);
        if std::env::var_os("A7670E_TEST_LOG").is_none() {
            command.stderr(Stdio::null());
        }
        Service { child: command.spawn().unwrap(), socket }
    }

    pub fn ask(&self, arguments: &[&str]) -> Option<Value> {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--json").arg("--socket").arg(&self.socket);
        let output = command.output().unwrap();
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    pub fn verdict(&self) -> String {
        let why = self.ask(&["why"]).unwrap_or_default();
        why[0]["verdict"].as_str().unwrap_or("not running").to_owned()
    }

    /// Waits for a verdict; tells how long that took.
    pub fn wait(&self, verdict: &str) -> Duration {
        let start = Instant::now();
        loop {
            let found = self.verdict();
            if found == verdict {
                return start.elapsed();
            }
            if start.elapsed() > DEADLINE {
                let why = self.ask(&["status"]).unwrap_or_default();
                panic!("{found} instead of {verdict}: {why:#}\n{}", ip("route show table all"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// What carries our mark, in words.
pub fn ours() -> String {
    let mut all = ip("-4 route show table all proto 167");
    for line in ip("rule show").lines().filter(|line| line.contains("proto 167")) {
        all.push_str(line);
    }
    for line in ip("-4 address show").lines().filter(|line| line.contains("proto 167")) {
        all.push_str(line);
    }
    all
}

/// What is there while the modem may be used: one of each, all of the same link.
pub fn whole() -> Result<(), String> {
    let links = ip("-o link show");
    // One end of a pair has the name of the other behind its own.
    let is_link = |line: &&str| line.contains(": wwan0: ") || line.contains(": wwan0@");
    let link = links.lines().find(is_link).ok_or("no wwan0")?;
    let index = link.split(':').next().and_then(|index| index.trim().parse::<u32>().ok());
    let table = (7_670_000 + index.ok_or("no index")?).to_string();
    let routes = ip("-4 route show table all proto 167");
    let bound = routes.lines().filter(|line| line.contains(&format!("table {table}"))).count();
    let default = routes.contains("default via 192.168.0.1 dev wwan0");
    let rules = ip("rule show");
    let rules: Vec<_> = rules.lines().filter(|line| line.contains("proto 167")).collect();
    let ours = rules.iter().filter(|rule| rule.contains(&table)).count();
    let addresses = ip("-4 -o address show dev wwan0").lines().count();
    let counts = (bound, routes.lines().count(), default, rules.len(), ours, addresses);
    if counts == (2, 3, true, 2, 2, 1) {
        return Ok(());
    }
    Err(format!("{counts:?}\n{routes}{rules:?}"))
}

/// Loads a page from the far end, by the route that everybody uses.
pub fn download(bytes: usize) -> Duration {
    let start = Instant::now();
    let mut stream = TcpStream::connect(("192.0.2.80", 80)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let request =
        format!("GET /bytes/{bytes} HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..40]));
    assert!(answer.len() > bytes);
    start.elapsed()
}
