//! The modem in real time on a pseudo-terminal and on an abstract socket.

// Only tests are in this file, but clippy does not take their helpers for such.
#![allow(clippy::unwrap_used)]

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use a7670e_emulator::control::Control;
use a7670e_emulator::fault::FaultScript;
use a7670e_emulator::modem::{Modem, Port};
use a7670e_emulator::profile::Profile;
use a7670e_emulator::serve::serve;
use a7670e_emulator::transport::{AbstractSocket, Pty, Transport};

const DEADLINE: Duration = Duration::from_secs(20);

struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(|thread| thread.join().unwrap());
        ended.unwrap().unwrap();
    }
}

fn run(
    transport: impl FnOnce() -> Box<dyn Transport> + Send + 'static,
    control: Option<Control>,
) -> Running {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    let thread = std::thread::spawn(move || {
        let mut profile = Profile::load("a7670e-ecm").unwrap();
        profile.timing = profile.timing.scaled(100);
        let mut modem = Modem::new(profile, FaultScript::default(), 0);
        serve(&mut modem, &mut [transport()], None, control.as_ref(), || {
            seen.load(Ordering::Relaxed)
        })
    });
    Running { stop, thread: Some(thread) }
}

/// Tries until it works.
fn until<T>(mut attempt: impl FnMut() -> std::io::Result<T>) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) => assert!(start.elapsed() < DEADLINE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Asks until the modem is ready to answer.
fn answers(stream: &mut (impl Read + Write)) {
    let start = Instant::now();
    let mut heard = String::new();
    while !heard.contains("\r\n+CPIN: READY\r\n\r\nOK\r\n") {
        assert!(start.elapsed() < DEADLINE, "heard {heard:?}");
        stream.write_all(b"AT+CPIN?\r").unwrap();
        let mut bytes = [0; 512];
        let count = stream.read(&mut bytes).unwrap();
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_pseudo_terminal_answers_and_goes_with_the_modem() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("at");
    let link = path.clone();
    let running = run(move || Box::new(Pty::new(Port::At, link)), None);
    let mut port = until(|| OpenOptions::new().read(true).write(true).open(&path));
    answers(&mut port);
    port.write_all(b"AT+CRESET\r").unwrap();
    let before = path.read_link().ok();
    // Our open end keeps the old terminal's number taken, so a new one differs.
    until(|| match path.read_link() {
        Ok(now) if Some(&now) != before.as_ref() => Ok(()),
        _ => Err(std::io::Error::other("the port did not come back as another")),
    });
    drop(running);
    assert!(!path.is_symlink());
}

#[test]
fn an_abstract_socket_answers() {
    let name = format!("abstract:test-{}", std::process::id());
    let listens = name.clone();
    let _running = run(move || Box::new(AbstractSocket::new(Port::At, listens)), None);
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let mut stream = until(|| UnixStream::connect_addr(&address));
    answers(&mut stream);
}

#[test]
fn the_control_socket_changes_the_modem() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, link) = (folder.path().join("control"), folder.path().join("at"));
    let control = Control::listen(&socket).unwrap();
    let _running = run(move || Box::new(Pty::new(Port::At, link)), Some(control));
    let mut host = UnixStream::connect(&socket).unwrap();
    host.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut answers = BufReader::new(host.try_clone().unwrap());
    let mut ask = |line: &str| {
        writeln!(host, "{line}").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        answer
    };
    let state = |wanted: &str, ask: &mut dyn FnMut(&str) -> String| {
        until(|| match ask("{\"do\": \"state\"}") {
            answer if answer.contains(wanted) => Ok(()),
            answer => Err(std::io::Error::other(answer)),
        });
    };
    state("\"stat\":1", &mut ask);
    let answer = ask("{\"do\": \"inflict\", \"fault\": {\"effect\": \"denied\"}}");
    assert_eq!(answer, "{\"ok\":null}\n");
    state("\"stat\":3", &mut ask);
    assert!(ask("{\"do\": \"fly\"}").starts_with("{\"error\":"));
}
