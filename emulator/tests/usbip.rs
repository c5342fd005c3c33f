//! The whole emulator as a USB/IP client on a TCP connection finds it.

// Only tests are in this file, but clippy does not take their helpers for such.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use a7670e_emulator::bus::Bus;
use a7670e_emulator::data::DataPath;
use a7670e_emulator::data::far::FarEnd;
use a7670e_emulator::data::side::FarSide;
use a7670e_emulator::fault::FaultScript;
use a7670e_emulator::modem::Modem;
use a7670e_emulator::profile::Profile;
use a7670e_emulator::serve::serve;
use a7670e_emulator::usb::host::HostPort;
use a7670e_emulator::usb::usbip::port::UsbIpPort;

const DEADLINE: Duration = Duration::from_secs(20);
const LIST: [u8; 8] = [0x01, 0x11, 0x80, 0x05, 0, 0, 0, 0];

struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
    address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(|thread| thread.join().unwrap());
        ended.unwrap().unwrap();
    }
}

fn run() -> Running {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    let port = UsbIpPort::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = port.address().unwrap();
    let thread = std::thread::spawn(move || {
        let mut profile = Profile::load("a7670e-ecm").unwrap();
        profile.timing = profile.timing.scaled(100);
        let far = FarSide::Within(Box::new(FarEnd::new(0)));
        let port = HostPort::UsbIp(port);
        let mut bus = Bus::new(profile.usb.clone(), port, DataPath::new(0), far);
        let mut modem = Modem::new(profile, FaultScript::default(), 0);
        serve(&mut modem, &mut [], Some(&mut bus), None, || seen.load(Ordering::Relaxed))
    });
    Running { stop, thread: Some(thread), address }
}

/// A client's connection.
struct Client(TcpStream);

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Client(stream)
    }

    fn get(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The import of 1-1, once the modem is on its bus.
    fn import(address: SocketAddr) -> Client {
        let start = Instant::now();
        loop {
            let mut list = Client::connect(address);
            list.0.write_all(&LIST).unwrap();
            if list.get(12)[11] == 1 {
                break;
            }
            assert!(start.elapsed() < DEADLINE, "no device");
        }
        let mut client = Client::connect(address);
        let mut request = vec![0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0];
        request.extend(b"1-1");
        request.resize(40, 0);
        client.0.write_all(&request).unwrap();
        assert_eq!(client.get(8), [0x01, 0x11, 0, 3, 0, 0, 0, 0]);
        client.get(312);
        client
    }

    fn submit(&mut self, number: u32, input: bool, endpoint: u32, length: u32, setup: [u8; 8]) {
        let fields = [1, number, 0x0001_0002, u32::from(input), endpoint, 0, length, 0, 0, 0];
        let mut bytes: Vec<u8> = fields.iter().flat_map(|it: &u32| it.to_be_bytes()).collect();
        bytes.extend(setup);
        self.0.write_all(&bytes).unwrap();
    }

    /// The next answer: its number, status and data, which `input` transfers have.
    fn answer(&mut self, input: impl Fn(u32) -> bool) -> (u32, i32, Vec<u8>) {
        let header = self.get(48);
        let field = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
        assert_eq!(field(0), 3);
        let data = if input(field(4)) { self.get(field(24) as usize) } else { Vec::new() };
        (field(4), field(20) as i32, data)
    }
}

#[test]
fn a_client_talks_to_the_modem_until_it_resets() {
    let running = run();
    let mut client = Client::import(running.address);
    client.submit(1, false, 0, 0, [0, 9, 1, 0, 0, 0, 0, 0]);
    assert_eq!(client.answer(|_| false), (1, 0, vec![]));
    client.submit(2, false, 0, 0, [0x21, 0x22, 3, 0, 4, 0, 0, 0]);
    assert_eq!(client.answer(|_| false), (2, 0, vec![]));
    let mut number = 2;
    let mut until = |client: &mut Client, say: &[u8], wanted: &str| {
        // One input waits, while the command is said again as before *ATREADY.
        let start = Instant::now();
        let mut text = String::new();
        number += 1;
        client.submit(number, true, 6, 512, [0; 8]);
        let mut input = number;
        number += 1;
        client.submit(number, false, 15, say.len() as u32, [0; 8]);
        client.0.write_all(say).unwrap();
        while !text.contains(wanted) {
            assert!(start.elapsed() < DEADLINE, "{text}");
            let (answered, status, data) = client.answer(|it| it == input);
            assert_eq!(status, 0);
            if answered == input {
                text += &String::from_utf8_lossy(&data);
                if text.contains("ATREADY") && !text.contains(wanted) {
                    number += 1;
                    client.submit(number, false, 15, say.len() as u32, [0; 8]);
                    client.0.write_all(say).unwrap();
                }
                number += 1;
                input = number;
                client.submit(input, true, 6, 512, [0; 8]);
            }
        }
        text
    };
    until(&mut client, b"AT\r", "\r\nOK\r\n");

    // Another client sees it, and is refused.
    let mut other = Client::connect(running.address);
    let mut request = vec![0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0];
    request.extend(b"1-1");
    request.resize(40, 0);
    other.0.write_all(&request).unwrap();
    assert_eq!(other.get(8), [0x01, 0x11, 0, 3, 0, 0, 0, 1]);

    // A reset takes the device off the bus; then it can be had again.
    client.submit(1000, false, 15, 10, [0; 8]);
    client.0.write_all(b"AT+CRESET\r").unwrap();
    let mut rest = Vec::new();
    // Data that the emulator did not read any more makes it a reset.
    let ended = client.0.read_to_end(&mut rest);
    assert!(ended.is_ok() || ended.unwrap_err().kind() == std::io::ErrorKind::ConnectionReset);
    drop(Client::import(running.address));
}
