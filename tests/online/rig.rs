//! A modem without a bus: the emulated modem's AT port as a pseudo-terminal, its
//! network function as a TAP device or a veth pair, its place on the bus as a fake sysfs. All in
//! the network namespace of the test, with the emulator in a thread.

#![allow(dead_code, reason = "every test crate uses its own part")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use a7670e_emulator::data::DataPath;
use a7670e_emulator::data::far::FarEnd;
use a7670e_emulator::fault::{Effect, FaultScript};
use a7670e_emulator::modem::{Action, Modem, Port, UsbAction};
use a7670e_emulator::profile::Profile;
use a7670e_emulator::transport::{Pty, Transport};

use crate::common::namespace::ip;
use crate::common::{a76xx_ecm, plug, tree, unplug};
use crate::router::Router;
use crate::wire::{Wire, carrier};

/// How long the emulator waits at most before it looks around again.
const TURN: Duration = Duration::from_millis(1);

/// Place of the modem on the fake bus.
pub const PLACE: &str = "1-1";

/// What a test tells the emulator's thread.
pub type Task = Box<dyn FnOnce(&mut Modem, Duration) + Send>;

pub struct Rig {
    tasks: Sender<Task>,
    stop: Arc<AtomicBool>,
    ready: Arc<AtomicBool>,
    plugged: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
    /// Behind its network function.
    pub router: Arc<Router>,
}

impl Rig {
    /// A modem of this profile that answers after `boot_ms`; plugged in at once.
    pub fn new(root: &Path, profile: &str, boot_ms: u64, faults: &str) -> Rig {
        Rig::of(Wire::Tap, root, Profile::load(profile).unwrap(), boot_ms, faults)
    }

    /// The same with this for its network function.
    pub fn on(wire: Wire, root: &Path, profile: &str, boot_ms: u64, faults: &str) -> Rig {
        Rig::of(wire, root, Profile::load(profile).unwrap(), boot_ms, faults)
    }

    /// One of this make.
    pub fn of(wire: Wire, root: &Path, mut profile: Profile, boot_ms: u64, faults: &str) -> Rig {
        tree(&root.join("sys"));
        fs::create_dir_all(root.join("dev")).unwrap();
        profile.timing = profile.timing.scaled(boot_ms);
        let modem = Modem::new(profile, FaultScript::parse(faults).unwrap(), 7);
        let stop = Arc::new(AtomicBool::new(false));
        let (tasks, inbox) = mpsc::channel();
        let bench = Bench::new(root.to_owned(), modem, wire);
        let (ready, plugged) = (Arc::clone(&bench.ready), Arc::clone(&bench.plugged));
        let router = Arc::clone(&bench.router);
        let ended = Arc::clone(&stop);
        let thread = std::thread::spawn(move || bench.run(&inbox, &ended));
        Rig { tasks, stop, ready, plugged, thread: Some(thread), router }
    }

    /// Whether the modem has said `*ATREADY`.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Has the emulator's thread do something with the modem.
    pub fn with<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Modem, Duration) -> T + Send + 'static,
    ) -> T {
        let (answer, result) = mpsc::channel();
        let task = move |modem: &mut Modem, now| answer.send(task(modem, now)).unwrap();
        self.tasks.send(Box::new(task)).unwrap();
        result.recv_timeout(Duration::from_secs(30)).expect("the emulator hangs")
    }

    /// How often it came to the bus.
    pub fn plugged(&self) -> u32 {
        self.plugged.load(Ordering::Relaxed)
    }

    /// Makes something go wrong, or right.
    pub fn inflict(&self, effect: Effect) {
        self.with(move |modem, now| modem.inflict(now, effect));
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there is told of by the assertions that fail here.
            _ = thread.join();
        }
    }
}

/// What the emulator's thread works with.
struct Bench {
    root: PathBuf,
    modem: Modem,
    port: Pty,
    wire: Wire,
    tap: Option<File>,
    data: DataPath,
    far: FarEnd,
    router: Arc<Router>,
    ready: Arc<AtomicBool>,
    plugged: Arc<AtomicU32>,
    start: Instant,
}

impl Bench {
    fn new(root: PathBuf, modem: Modem, wire: Wire) -> Bench {
        let port = Pty::new(Port::At, root.join("dev/ttyUSB1"));
        let (data, far) = (DataPath::new(7), FarEnd::new(7));
        let (router, ready, plugged) = Default::default();
        let start = Instant::now();
        Bench { root, modem, port, wire, tap: None, data, far, router, ready, plugged, start }
    }

    fn run(mut self, tasks: &Receiver<Task>, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let now = self.start.elapsed();
            while let Ok(task) = tasks.try_recv() {
                task(&mut self.modem, now);
            }
            self.modem.advance(now);
            self.act(now);
            self.serial(now);
            self.frames(now);
            self.act(now);
            std::thread::sleep(TURN);
        }
        self.detach();
    }

    fn act(&mut self, now: Duration) {
        for action in self.modem.take() {
            match action {
                Action::Serial { port: Port::At, bytes } => {
                    if bytes.windows(8).any(|part| part == b"*ATREADY") {
                        self.ready.store(true, Ordering::Relaxed);
                    }
                    self.port.write(&bytes).unwrap();
                }
                Action::Serial { .. } | Action::Packet(_) => {}
                Action::Usb(UsbAction::Attach { mac, .. }) => {
                    self.port.attach().unwrap();
                    let tap = self.wire.attach("wwan0", mac);
                    carrier(self.wire, &tap, self.modem.link().carrier);
                    self.tap = Some(tap);
                    self.data.attach(now, self.modem.link());
                    plug(&self.root.join("sys"), PLACE, 0x9011, &a76xx_ecm(0, "wwan0"));
                    // The kernel tells of the network device before the fake sysfs
                    // has it; real ones tell of each interface.
                    nudge();
                    self.plugged.fetch_add(1, Ordering::Relaxed);
                }
                Action::Usb(UsbAction::Detach) => self.detach(),
                Action::Link(link) => {
                    self.data.set_link(now, &link);
                    if let Some(tap) = &self.tap {
                        carrier(self.wire, tap, link.carrier);
                    }
                }
            }
        }
    }

    fn detach(&mut self) {
        if self.tap.is_some() {
            unplug(&self.root.join("sys"), PLACE);
            self.port.detach();
            self.tap = None;
            self.wire.detach();
        }
    }

    fn serial(&mut self, now: Duration) {
        let bytes = self.port.read().unwrap();
        if !bytes.is_empty() {
            self.modem.write(now, Port::At, &bytes);
        }
    }

    fn frames(&mut self, now: Duration) {
        let Some(tap) = &mut self.tap else { return };
        let mut buffer = [0; 2048];
        while let Ok(length) = tap.read(&mut buffer) {
            self.data.from_host(now, &buffer[..length]);
            if let Some(answer) = self.router.hear(&buffer[..length]) {
                tap.write_all(&answer).unwrap();
            }
        }
        for packet in self.data.advance(now) {
            self.far.take_in(now, packet);
        }
        self.far.advance(now);
        while self.data.takes(now) {
            let Some(packet) = self.far.give_out() else { break };
            self.data.from_far(now, packet);
            self.data.advance_down(now);
        }
        while let Some(frame) = self.data.to_host() {
            // Down, or without room: lost, as on a wire.
            _ = tap.write(&frame);
        }
        let (up, down) = self.data.carried();
        if up + down > 0 {
            self.modem.traffic(now, up, down);
        }
    }
}

/// Makes the kernel tell of a device.
fn nudge() {
    ip("link add nudge type veth peer name egdun");
    ip("link del nudge");
}
