//! What the user sees: targets, progress, outcomes.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::bmap::Holes;
use crate::device::{Kind, Target};
use crate::flash::Outcome;
use crate::progress::{Phase, Progress};
use crate::source::Source;
use crate::watch::view::{label, size};

/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(200);

/// In JSON, progress is told every so many ticks.
const TOLD: u32 = 5;

/// Prints a line of JSON, as long as somebody reads them.
fn tell(line: &serde_json::Value) {
    // The outcomes are in the records and in the exit status too.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Says what is known of the image.
pub fn source(source: &Source) {
    let checks = source.checks();
    let map = source.map.as_ref().map_or("no bmap: all of it is written".to_owned(), |map| {
        let holes = if map.holes == Holes::Free { "free space" } else { "to be zero" };
        format!("{} by its bmap, the rest is {holes}", size(map.mapped()))
    });
    let sum = if checks.sha256.is_some() { "checksum" } else { "no checksum" };
    let signature = match (&checks.signature, &checks.unchecked) {
        (Some(_), _) => "signature",
        (None, Some(_)) => "a signature that is not checked: give --key",
        (None, None) => "no signature",
    };
    let bytes = source.size().map_or("unknown size".to_owned(), size);
    say!("{}: {bytes}, {map}; {sum}, {signature}", source.path().display());
}

/// Shows the targets as a table.
pub fn targets(targets: &[Target]) {
    for target in targets {
        let what = match &target.kind {
            Kind::Loop(file) => format!("loop device on {file}"),
            Kind::Nested(device) => format!("loop device on {device}"),
            Kind::File => "plain file".to_owned(),
            Kind::Disk | Kind::Partition(_) | Kind::Virtual => {
                target.model.clone().unwrap_or_else(|| "unknown model".to_owned())
            }
        };
        let serial = target.cid.as_deref().or(target.serial.as_deref()).unwrap_or("-");
        let path = target.path.display().to_string();
        say!("  {path:16} {:>9}  {what}  {serial}", size(target.size));
    }
}

/// The targets' names in one line.
pub fn names(targets: &[Target]) -> String {
    let names: Vec<_> = targets.iter().map(|it| it.path.display().to_string()).collect();
    names.join(", ")
}

/// Millions of bytes in a second.
fn speed(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64().max(1e-6)
}

/// Shows several cards' progress while they are written.
pub struct Screen {
    cards: Vec<(String, Arc<Progress>)>,
    bars: MultiProgress,
    json: bool,
    over: (Mutex<bool>, Condvar),
    drawn: AtomicBool,
}

impl Screen {
    /// For cards of these names.
    pub fn new(cards: Vec<(String, Arc<Progress>)>, json: bool) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let drawn = AtomicBool::new(!json && !bars.is_hidden());
        Self { cards, bars, json, over: (Mutex::new(false), Condvar::new()), drawn }
    }

    /// Shows progress as long as `work` runs.
    pub fn during(&self, work: impl FnOnce(&Self)) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.watch());
            work(self);
            *self.over.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.over.1.notify_all();
        });
    }

    fn watch(&self) {
        let style = "{prefix:16} {msg:10} {bar:30} {bytes:>10}/{total_bytes} {eta:>4}";
        let style =
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let mut bars = Vec::new();
        if self.drawn.load(Ordering::Relaxed) {
            bars.extend(self.cards.iter().map(|(name, _)| {
                let bar = self.bars.add(ProgressBar::new(0).with_style(style.clone()));
                bar.set_prefix(name.clone());
                bar
            }));
        }
        let mut last = vec![Phase::Waiting; self.cards.len()];
        let mut ticks = 0;
        loop {
            let over = self.over.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (over, _) =
                self.over.1.wait_timeout(over, TICK).unwrap_or_else(PoisonError::into_inner);
            if *over {
                bars.iter().for_each(ProgressBar::finish_and_clear);
                return;
            }
            drop(over);
            ticks += 1;
            for (number, (name, progress)) in self.cards.iter().enumerate() {
                let (phase, done, total) = progress.get();
                let changed = std::mem::replace(&mut last[number], phase) != phase;
                if self.json && (changed || ticks % TOLD == 0) {
                    tell(&json!({"card": name, "phase": phase, "done": done, "total": total}));
                } else if let Some(bar) = bars.get(number) {
                    if changed {
                        bar.set_message(label(phase));
                        bar.reset();
                    }
                    bar.set_length(total);
                    bar.set_position(done);
                } else if changed && !self.json && !matches!(phase, Phase::Done | Phase::Failed) {
                    say!("{name}: {}", label(phase));
                }
            }
        }
    }

    /// Says what became of a card.
    pub fn outcome(&self, number: usize, outcome: &Outcome) {
        let name = &self.cards[number].0;
        if self.json {
            let line = match outcome {
                Ok(it) => json!({
                    "card": name, "result": "right", "bytes": it.bytes,
                    "write_seconds": it.writing.as_secs_f64(),
                    "verify_seconds": it.verifying.as_secs_f64(),
                    "image_sha256": it.whole.sha256, "file_sha256": it.whole.file.sha256,
                    "signed": it.whole.file.signed,
                }),
                Err(error) => json!({"card": name, "result": "failed", "why": error.to_string()}),
            };
            tell(&line);
            return;
        }
        let text = match outcome {
            Ok(it) => format!(
                "{name}: right; {} written in {:.1} s ({:.1} MB/s), read back in {:.1} s ({:.1} MB/s)",
                size(it.bytes),
                it.writing.as_secs_f64(),
                speed(it.bytes, it.writing),
                it.verifying.as_secs_f64(),
                speed(it.bytes, it.verifying),
            ),
            Err(error) => format!("{name}: FAILED: {error}"),
        };
        self.bars.suspend(|| say!("{text}"));
    }
}
