//! Listens to the emulated machine's console: keeps all of it in a file,
//! remembers when the milestones passed, notices a panic.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context as _, Result};

/// Lines at the end of the console that an error shows.
const TAIL: usize = 25;
/// The kernel's last word (`panic`, kernel/panic.c).
const PANIC: &[u8] = b"Kernel panic - not syncing";
/// The kernel's last word before it asks the board to power off
/// (`kernel_power_off`, kernel/reboot.c).
const POWER_DOWN: &[u8] = b"reboot: Power down";
/// The kernel hands over to user space (`kernel_init`, init/main.c).
const INIT: &[u8] = b"Run /sbin/init as init process";

/// What was heard so far.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The first line of the kernel.
    pub kernel: Option<Instant>,
    /// The kernel started init.
    pub init: Option<Instant>,
    /// The kernel panicked.
    pub panic: Option<Instant>,
    /// The kernel has stopped everything.
    pub power_down: Option<Instant>,
}

/// The listener.
pub struct Console {
    log: PathBuf,
    heard: Arc<Mutex<Heard>>,
    thread: Option<JoinHandle<()>>,
}

impl Console {
    /// Listens to `source` until it ends, keeping what comes in `log`.
    pub fn listen(mut source: impl Read + Send + 'static, log: &Path) -> Result<Self> {
        let mut file =
            File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let shared = Arc::clone(&heard);
        let thread = thread::spawn(move || {
            let mut line = Vec::new();
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = source.read(&mut chunk) {
                // A full disk must not stop the machine: go on listening.
                let _ = file.write_all(&chunk[..length]);
                let now = Instant::now();
                for byte in &chunk[..length] {
                    if *byte != b'\n' {
                        line.push(*byte);
                        continue;
                    }
                    note(&line, now, &mut shared.lock().unwrap_or_else(PoisonError::into_inner));
                    line.clear();
                }
            }
        });
        Ok(Self { log: log.to_owned(), heard, thread: Some(thread) })
    }

    /// What was heard so far.
    pub fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the source has ended, which it must have been made to.
    pub fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It has no way to panic; were it to, the log would say as much.
            let _ = thread.join();
        }
    }

    /// All of the console so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The end of the console, for an error.
    pub fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<_> = text.trim_end().lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

fn note(line: &[u8], now: Instant, heard: &mut Heard) {
    heard.kernel.get_or_insert(now);
    for (sign, when) in
        [(INIT, &mut heard.init), (PANIC, &mut heard.panic), (POWER_DOWN, &mut heard.power_down)]
    {
        if line.windows(sign.len()).any(|part| part == sign) {
            when.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milestones_are_heard_across_chunks_and_all_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let text = "[    0.0] Booting Linux\r\n[    1.0] Run /sbin/init as init process\r\nx\r\n";
        let (first, second) = text.as_bytes().split_at(40);
        let source = std::io::Read::chain(first, std::io::Cursor::new(second.to_vec()));
        let mut console = Console::listen(source, &dir.path().join("log")).unwrap();
        console.finish();
        let heard = console.heard();
        assert!(heard.kernel.is_some() && heard.init.is_some(), "{heard:?}");
        assert!(heard.panic.is_none() && heard.power_down.is_none(), "{heard:?}");
        assert_eq!(console.text(), text);
        assert!(console.tail().ends_with("\nx"), "{:?}", console.tail());
    }

    #[test]
    fn panic_is_heard() {
        let dir = tempfile::tempdir().unwrap();
        let text = &b"[    2.0] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n"[..];
        let mut console = Console::listen(text, &dir.path().join("log")).unwrap();
        console.finish();
        assert!(console.heard().panic.is_some());
    }
}
