//! What several tests have in hand: a running program, and a slot for cards.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Linux, `include/uapi/linux/loop.h`.
const ADD: libc::c_ulong = 0x4C80;
const REMOVE: libc::c_ulong = 0x4C81;

/// Above the numbers that the kernel gives to who asks for a free device: the
/// tests' programs may overwrite whatever is put in here. A device's number has 20
/// bits.
const FIRST: u32 = 1 << 19;

/// A running program that ends with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A loop device of the test's own that comes and goes as a card in a reader does,
/// and is gone with the test.
pub struct Slot {
    number: u32,
    /// Its device file.
    pub path: PathBuf,
}

impl Slot {
    /// A slot with nothing in it.
    pub fn new() -> Self {
        let number = FIRST + std::process::id() % FIRST;
        assert!(control(ADD, number), "this test needs root and loop devices");
        let slot = Self { number, path: format!("/dev/loop{number}").into() };
        // In a container nobody else makes it.
        if !slot.path.exists() {
            let number = number.to_string();
            let made = Command::new("mknod").arg(&slot.path).args(["b", "7", &number]).status();
            assert!(made.unwrap().success(), "{} cannot be made", slot.path.display());
        }
        slot
    }

    /// As `--overwrite-in` has it.
    pub fn name(&self) -> &str {
        self.path.file_name().unwrap().to_str().unwrap()
    }

    pub fn put_in(&self, file: &Path) {
        assert!(Command::new("losetup").arg(&self.path).arg(file).status().unwrap().success());
    }

    pub fn take_out(&self) {
        let done = Command::new("losetup").arg("--detach").arg(&self.path).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The card may be out already.
            let _ = Command::new("losetup").arg("--detach").arg(&self.path).status();
        }
        // A program that was killed may take a moment to let go of it.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !control(REMOVE, self.number) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        // The kernel has taken away its own.
        let _ = fs::remove_file(&self.path);
    }
}

fn control(request: libc::c_ulong, number: u32) -> bool {
    let Ok(control) = File::options().read(true).write(true).open("/dev/loop-control") else {
        return false;
    };
    // SAFETY: both requests take a number and no address (loop(4)); the descriptor
    // is open until the end.
    let done = unsafe { libc::ioctl(control.as_raw_fd(), request, libc::c_ulong::from(number)) };
    done >= 0
}
