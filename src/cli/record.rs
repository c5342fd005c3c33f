//! `a7670e record`: what is said on the AT port, into a file that may be shown
//! to others.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::args::Asked;
use super::client::{Client, write_out};
use crate::protocol::{Params, Transcript};

/// Between two times of asking for what was said since.
const PAUSE: Duration = Duration::from_millis(250);

/// Records for so many seconds. The file must not be there yet.
///
/// # Errors
/// The file is there or cannot be made or written; the service does not answer.
pub fn record(client: &mut Client, asked: &Asked, file: &Path, seconds: u32) -> Result<()> {
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .with_context(|| format!("cannot make {}", file.display()))?;
    let end = Instant::now() + Duration::from_secs(u64::from(seconds));
    let mut lines = 0;
    loop {
        let params = Params { modem: asked.modem.clone(), ..Params::default() };
        let Transcript { text } = client.ask("transcript", params, Duration::ZERO)?;
        lines += text.lines().filter(|line| !line.starts_with('#')).count();
        out.write_all(text.as_bytes())
            .with_context(|| format!("cannot write {}", file.display()))?;
        if Instant::now() >= end {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    out.sync_all().with_context(|| format!("cannot write {}", file.display()))?;
    write_out(&format!(
        "{lines} lines in {}. Numbers of SIM, modem and telephone are replaced, and so are \
         messages, names and passwords; look through it before you show it to anybody.\n",
        file.display()
    ))
}
