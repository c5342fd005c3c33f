//! The real service with an emulated modem, in a network namespace: online,
//! pulled, killed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use a7670e_emulator::fault::Effect;
use a7670e_emulator::link::LinkFaults;
use serde_json::Value;

mod common;
use common::namespace::{ip, outside};
use common::tree;

#[path = "online/rig.rs"]
mod rig;

use rig::Rig;

const PROGRAM: &str = env!("CARGO_BIN_EXE_a7670e");

/// Far more than anything here takes, on a slow machine too.
const DEADLINE: Duration = Duration::from_secs(60);

const CONFIG: &str = r#"
[network]
dns = "none"
probe = { target = "http://example.test/204" }
"#;

/// The service.
struct Service {
    child: Child,
    socket: std::path::PathBuf,
}

impl Service {
    fn start(root: &Path, config: &str) -> Service {
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
        // No bus: this machine's own services are not for tests.
        command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent");
        if std::env::var_os("A7670E_TEST_LOG").is_none() {
            command.stderr(Stdio::null());
        }
        Service { child: command.spawn().unwrap(), socket }
    }

    fn ask(&self, arguments: &[&str]) -> Option<Value> {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--json").arg("--socket").arg(&self.socket);
        let output = command.output().unwrap();
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    fn verdict(&self) -> String {
        let why = self.ask(&["why"]).unwrap_or_default();
        why[0]["verdict"].as_str().unwrap_or("not running").to_owned()
    }

    /// Waits for a verdict; tells how long that took.
    fn wait(&self, verdict: &str) -> Duration {
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

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end.
    fn stop(mut self) {
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
fn ours() -> String {
    let mut all = ip("-4 route show table all proto 167");
    for line in ip("rule show").lines().filter(|line| line.contains("proto 167")) {
        all.push_str(line);
    }
    for line in ip("-4 address show").lines().filter(|line| line.contains("proto 167")) {
        all.push_str(line);
    }
    all
}

/// Loads a page from the far end, by the route that everybody uses.
fn download(bytes: usize) -> Duration {
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

#[test]
fn online_pulled_and_stopped() {
    if outside("online_pulled_and_stopped") {
        return;
    }
    ip("link set lo up");
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path(), "a7670e-ecm", 300, "");
    let service = Service::start(folder.path(), CONFIG);
    println!("online after {:?}", service.wait("online"));
    assert!(ip("-4 route").contains("default via 192.168.0.1 dev wwan0 proto 167"));
    println!("100 kB in {:?}", download(100_000));

    let status = service.ask(&["status"]).unwrap();
    let session = &status["modems"][0]["session"];
    assert_eq!(session["network"]["plan"], serde_json::json!([]), "{status:#}");
    assert_eq!(session["network"]["lease"]["address"], "192.168.0.2");
    assert_eq!(session["cellular"]["phase"], "connected");
    let at = service.ask(&["at", "AT+CSQ"]).unwrap();
    assert!(at["lines"][0].as_str().unwrap().starts_with("+CSQ: "), "{at}");

    let url = "http://192.0.2.80/bytes/400000";
    let measured = service.ask(&["test", url, "--bytes", "300000"]).unwrap();
    println!("test: {measured}");
    assert_eq!(measured["lost"][0], 0);
    assert!(measured["down_bit_s"].as_u64() > Some(100_000), "{measured}");
    assert!((100_000..400_000).contains(&measured["bytes"].as_u64().unwrap()), "{measured}");
    let report = service.ask(&["doctor"]).unwrap();
    let failed = report.as_array().unwrap().iter().filter(|line| line["ok"] == false);
    let failed: Vec<_> = failed.filter(|line| line["harmless"].is_null()).collect();
    assert!(failed.is_empty(), "{failed:#?}");

    // Pulled and plugged in again, by itself.
    assert!(service.ask(&["at", "AT+CRESET"]).is_some());
    println!("gone after {:?}", service.wait("no-modem"));
    assert_eq!(ours(), "", "something of ours is left");
    println!("back after {:?}", service.wait("online"));
    download(1000);

    service.stop();
    assert_eq!(ours(), "", "something of ours is left");
    drop(rig);
}

/// What the owner wrote.
const RESOLV_CONF: &str = "nameserver 10.9.9.9\n";

/// Gives this mount namespace an /etc and a /var/lib of its own.
fn own_etc() {
    for folder in ["/etc", "/var/lib"] {
        let status = Command::new("mount").args(["-t", "tmpfs", "tmpfs", folder]).status().unwrap();
        assert!(status.success());
    }
    std::fs::create_dir("/var/lib/a7670e").unwrap();
    std::fs::write("/etc/resolv.conf", RESOLV_CONF).unwrap();
}

fn resolv_conf() -> String {
    std::fs::read_to_string("/etc/resolv.conf").unwrap()
}

/// Whether the modem may use the network, after what happened while nobody
/// looked after it.
fn happen(rig: &Rig, number: u32, admitted: bool) -> bool {
    let (effect, admitted) = match number {
        0 => (Effect::Denied { cause: 11 }, false),
        1 | 2 => (Effect::Coverage, true),
        3 => (Effect::Reset, admitted),
        _ => (Effect::UsbGone { for_ms: 100 }, admitted),
    };
    rig.inflict(effect);
    admitted
}

/// What is there while the modem may be used: one of each, all of the same link.
fn whole() -> Result<(), String> {
    let links = ip("-o link show");
    let link = links.lines().find(|line| line.contains(": wwan0: ")).ok_or("no wwan0")?;
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

#[test]
fn killed_200_times_it_leaves_nothing_wrong() {
    if outside("killed_200_times_it_leaves_nothing_wrong") {
        return;
    }
    ip("link set lo up");
    own_etc();
    let folder = tempfile::tempdir().unwrap();
    let config = CONFIG.replace("none", "resolv.conf");
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let (mut random, mut kills, mut admitted) = (7_u32, 0, true);
    let mut next = |below: u32| {
        // Numerical Recipes' LCG: the same moments in every run.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % below
    };
    let (mut slowest, mut slowest_denied) = (Duration::ZERO, Duration::ZERO);
    let mut service = Service::start(folder.path(), &config);
    while kills < 200 {
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(u64::from(next(150))));
            service.kill();
            kills += 1;
            service = Service::start(folder.path(), &config);
        }
        service.kill();
        kills += 1;
        admitted = match next(8) {
            event @ 0..5 => happen(&rig, event, admitted),
            _ => admitted,
        };
        service = Service::start(folder.path(), &config);
        if admitted {
            slowest = slowest.max(service.wait("online"));
            assert_eq!(whole(), Ok(()));
            assert!(resolv_conf().contains("nameserver 192.168.0.1\n"), "{}", resolv_conf());
        } else {
            slowest_denied = slowest_denied.max(service.wait("denied"));
            assert_eq!(ours(), "", "something of ours is left");
            assert_eq!(resolv_conf(), RESOLV_CONF);
        }
    }
    println!(
        "{kills} kills; right again {slowest:?} after the start, taken down after {slowest_denied:?}"
    );
    service.stop();
    assert_eq!(ours(), "", "something of ours is left");
    assert_eq!(resolv_conf(), RESOLV_CONF);
}

/// The commands of coming up: at each the modem is pulled.
const STEPS: [&str; 14] = [
    "ATE0",
    "AT+CMEE=1",
    "AT+CFUN?",
    "AT+CICCID",
    "AT+CPIN?",
    "AT+CEREG=2",
    "AT+CGREG=2",
    "AT+CIMI",
    "AT+CRSM=176,28589,0,0,4",
    "AT+CGDCONT?",
    "AT+CEREG?",
    "AT+DIALMODE?",
    "AT+CGPADDR=1",
    "AT+CGMM",
];

#[test]
fn pulled_at_each_step_it_comes_back_by_itself() {
    if outside("pulled_at_each_step_it_comes_back_by_itself") {
        return;
    }
    ip("link set lo up");
    for step in STEPS {
        let folder = tempfile::tempdir().unwrap();
        let faults =
            format!("[[fault]]\non_command = \"{step}\"\neffect = \"usb_gone\"\nfor_ms = 300\n");
        let rig = Rig::new(folder.path(), "a7670e-ecm", 100, &faults);
        let service = Service::start(folder.path(), CONFIG);
        let start = Instant::now();
        // What comes last may come when it is online already, for a moment.
        while rig.plugged() < 2 {
            assert!(start.elapsed() < DEADLINE, "{step} was never sent");
            std::thread::sleep(Duration::from_millis(10));
        }
        // The bus is looked at 50 ms after an event; until then the service may
        // take the modem that left for the one that is there.
        while service.verdict() != "online" || whole().is_err() {
            assert!(start.elapsed() < DEADLINE, "{}: {:?}", service.verdict(), whole());
            std::thread::sleep(Duration::from_millis(10));
        }
        let took = start.elapsed();
        println!("pulled for 300 ms at {step}: online {took:.1?} after the start");
        service.stop();
        drop(rig);
    }
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let service = Service::start(folder.path(), CONFIG);
    service.wait("online");
    let start = Instant::now();
    // Half a gigabyte does not get through in the time that it takes to pull it.
    // The thread ends with the program: TCP waits for minutes before it gives up.
    std::thread::spawn(|| std::panic::catch_unwind(|| download(500_000_000)));
    while rig.with(|modem, _| modem.carried().1) < 1_000_000 {
        assert!(start.elapsed() < DEADLINE, "the download does not begin");
    }
    rig.inflict(Effect::UsbGone { for_ms: 300 });
    service.wait("no-modem");
    service.wait("online");
    println!("pulled while downloading: online again after {:.1?}", start.elapsed());
    download(1000);
    service.stop();
    drop(rig);
}

fn way() -> String {
    ip("route get 192.0.2.80")
}

fn wait_for_way(device: &str) -> Duration {
    let start = Instant::now();
    while !way().contains(&format!("dev {device} ")) {
        assert!(start.elapsed() < DEADLINE, "not {device}: {}", ip("route"));
        std::thread::sleep(Duration::from_millis(10));
    }
    start.elapsed()
}

#[test]
fn of_two_uplinks_the_metric_decides_and_the_other_takes_over() {
    if outside("of_two_uplinks_the_metric_decides_and_the_other_takes_over") {
        return;
    }
    ip("link set lo up");
    ip("link add eth0 type veth peer name router");
    ip("link set router up");
    ip("link set eth0 up");
    ip("address add 10.0.0.2/24 dev eth0");
    ip("route add default via 10.0.0.1 dev eth0 metric 100");
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    let config = CONFIG.replace("/204\"", "/204\", interval = 2");
    let service = Service::start(folder.path(), &config);
    service.wait("online");
    wait_for_way("eth0");
    ip("link set eth0 down");
    println!("the cable is pulled: the modem takes over after {:.1?}", wait_for_way("wwan0"));
    download(1000);

    // Now the modem comes first, and its line dies while the link stays.
    ip("link set eth0 up");
    ip("route add default via 10.0.0.1 dev eth0 metric 900");
    wait_for_way("wwan0");
    let dead = LinkFaults { no_internet: true, ..LinkFaults::default() };
    rig.inflict(Effect::Link { faults: dead });
    println!("the line is dead: the cable takes over after {:.1?}", wait_for_way("eth0"));
    assert_eq!(service.verdict(), "no-internet");
    rig.inflict(Effect::Link { faults: LinkFaults::default() });
    println!("the line is back: the modem is used after {:.1?}", wait_for_way("wwan0"));
    download(1000);
    service.stop();
    drop(rig);
}

/// Not a test: `cargo xtask bench online` runs it and reads what it prints, a
/// name and a number a line.
#[test]
#[ignore = "a measurement"]
fn bench() {
    if outside("bench") {
        return;
    }
    ip("link set lo up");
    let mut rounds = Vec::new();
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        // The service first, as at a boot: it waits for the modem.
        tree(&folder.path().join("sys"));
        let service = Service::start(folder.path(), CONFIG);
        while service.ask(&["status"]).is_none() {}
        let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
        let state = |status: &Value| status["modems"][0]["session"].clone();
        let mut times = [None::<Duration>; 3];
        let mut start = None;
        while times.iter().any(Option::is_none) {
            if start.is_none() && rig.is_ready() {
                start = Some(Instant::now());
            }
            let Some(start) = start else { continue };
            let session = state(&service.ask(&["status"]).unwrap());
            let found = [
                !session["cellular"]["registration"].is_null(),
                session["network"]["metric"].is_u64()
                    && session["network"]["plan"].as_array().is_some_and(Vec::is_empty),
                session["verdict"] == "online",
            ];
            for (time, found) in times.iter_mut().zip(found) {
                if found && time.is_none() {
                    *time = Some(start.elapsed());
                }
            }
            assert!(start.elapsed() < DEADLINE, "{session:#}");
        }
        rounds.push(times.map(|time| time.unwrap().as_millis()));
        let memory = std::fs::read_to_string(format!("/proc/{}/status", service.child.id()));
        let memory = memory.unwrap();
        for line in memory.lines() {
            if let Some(kib) = line.strip_prefix("VmRSS:") {
                println!("rss_kib {}", kib.trim().trim_end_matches(" kB"));
            }
        }
        service.stop();
    }
    for (name, at) in [("registered_ms", 0), ("route_ms", 1), ("proven_ms", 2)] {
        let mut values: Vec<_> = rounds.iter().map(|round| round[at]).collect();
        values.sort_unstable();
        println!("{name} {}", values[values.len() / 2]);
    }
    println!("binary_bytes {}", std::fs::metadata(PROGRAM).unwrap().len());
}
