//! `station watch`.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::desk::state::{State, history};
use crate::records::Records;
use crate::watch::stream::follow;
use crate::watch::view;

/// So often the records are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Which desk, and how.
#[derive(Args)]
pub struct Arguments {
    /// The desk's address, as `station serve` printed it.
    #[arg(value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7670")]
    address: String,
    /// The file with the desk's token, when it has one.
    #[arg(long, value_name = "FILE", env = "STATION_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Follow these records instead of a desk.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "token_file"])]
    records: Option<PathBuf>,
}

/// Runs the command, until the desk is closed or nobody reads any more.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let mut shown = Shown { terminal: io::stdout().is_terminal(), before: State::default() };
    if let Some(path) = &arguments.records {
        loop {
            shown.show(records(path)?);
            thread::sleep(LOOK);
        }
    }
    let token = match &arguments.token_file {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .with_context(|| format!("{}: cannot be read", path.display()))?,
        ),
        None => None,
    };
    let address = arguments.address.trim_start_matches("http://").trim_end_matches('/');
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let token = token.as_deref().map(str::trim);
    runtime.block_on(follow(address, token, |state| shown.show(state)))?;
    Ok(true)
}

/// A state of which only the records are known.
fn records(path: &Path) -> Result<State> {
    let cards = Records::view(path)?.all()?;
    let mut state = State { history: history(&cards), ..State::default() };
    state.image.name = path.display().to_string();
    Ok(state)
}

struct Shown {
    terminal: bool,
    before: State,
}

impl Shown {
    fn show(&mut self, now: State) {
        let text = if self.terminal {
            // Home, and clear to the end (ECMA-48, CUP and ED).
            format!("\x1b[H\x1b[J{}", view::screen(&now, columns()))
        } else {
            let lines = view::changes(&self.before, &now);
            lines.iter().map(|line| format!("{line}\n")).collect()
        };
        self.before = now;
        let mut out = io::stdout().lock();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            // Nobody reads any more.
            std::process::exit(0);
        }
    }
}

/// The terminal's width; 80 where it does not say.
fn columns() -> usize {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request writes one winsize to the address, which outlives the
    // call (ioctl_tty(2)).
    let done = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    if done == 0 && size.ws_col > 0 { usize::from(size.ws_col).max(20) } else { 80 }
}
