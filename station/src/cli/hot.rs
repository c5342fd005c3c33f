//! `--hot-add`: further cards while others are written.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::desk::hot::Book;
use crate::desk::look::mark;
use crate::desk::state::State;
use crate::desk::{Desk, Wanted, Work};
use crate::device::Target;
use crate::device::slots::Pattern;
use crate::watch::view;

/// So often the state is looked at; every other time the readers are too.
const TICK: Duration = Duration::from_millis(500);

/// Whether and which cards are taken that nobody named.
#[derive(Args)]
pub struct Hot {
    /// Go on with cards that are put into readers later, if they are blank and
    /// all checks let them pass.
    #[arg(long)]
    hot_add: bool,
    /// Overwrite what is put into this slot later, WHATEVER IT HOLDS: a name in
    /// /dev/disk/by-path, `*` for any part of it.
    #[arg(long, value_name = "SLOT", requires = "hot_add")]
    overwrite_in: Vec<Pattern>,
}

/// How long to wait for further cards.
#[derive(Args)]
pub struct Idle {
    /// With --hot-add: end when nothing was written for so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "hot_add")]
    idle: u64,
}

impl Hot {
    /// The slots whose cards are overwritten; `None` when nothing is taken.
    pub fn slots(&self) -> Option<Vec<Pattern>> {
        self.hot_add.then(|| self.overwrite_in.clone())
    }
}

/// Writes the targets and all that is put in later; gives whether every card is
/// right.
pub fn run(work: Work, targets: &[Target], json: bool, idle: &Idle) -> Result<bool> {
    let desk = Desk::new(work)?;
    let mut book = Book::default();
    desk.watch(&mut book)?;
    let wanted: Vec<_> =
        targets.iter().map(|it| Wanted { path: it.path.clone(), mark: mark(it) }).collect();
    for note in desk.start(&wanted)? {
        desk.note(note);
    }
    let mut before = State::default();
    let mut last = Instant::now();
    for tick in 1_u64.. {
        // Before the state is asked for, so that every outcome is told.
        let busy = desk.count()[0] > 0;
        let now = desk.state(Instant::now());
        tell(&before, &now, json);
        let all = now.fleet.as_ref().is_some_and(|fleet| fleet.left == 0);
        before = now;
        if busy {
            last = Instant::now();
        } else if all || last.elapsed() >= Duration::from_secs(idle.idle) {
            break;
        }
        thread::sleep(TICK);
        if tick % 2 == 0 {
            match desk.watch(&mut book) {
                Ok(0) => {}
                Ok(_) => last = Instant::now(),
                // To end now would cut off the cards that are being written.
                Err(error) => desk.note(error.to_string()),
            }
        }
    }
    let [_, right, wrong] = desk.count();
    let left = before.fleet.map(|fleet| format!("; {} units are left", fleet.left));
    say!("{right} of {} right{}", right + wrong, left.unwrap_or_default());
    Ok(wrong == 0)
}

fn tell(before: &State, now: &State, json: bool) {
    if !json {
        for line in view::changes(before, now) {
            say!("{line}");
        }
        return;
    }
    // Standard output has the cards alone.
    for note in view::new_notes(before, now) {
        say!("note: {note}");
    }
    for job in &now.jobs {
        if before.jobs.contains(job) {
            continue;
        }
        let line = json!({
            "card": job.path, "unit": job.unit, "phase": job.phase, "done": job.done,
            "total": job.total, "end": job.end,
        });
        // The outcomes are in the records and in the exit status too.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}
