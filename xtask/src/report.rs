//! Progress: bars on a terminal, plain lines in a log, both on standard error.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where progress goes. Cheap to clone; safe to use from several threads.
#[derive(Clone)]
pub struct Report {
    bars: MultiProgress,
    terminal: bool,
}

impl Report {
    /// Bars when standard error is a terminal, lines when not.
    pub fn new() -> Self {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let target =
            if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), terminal }
    }

    /// A line that stays.
    pub fn line(&self, text: impl AsRef<str>) {
        self.bars.suspend(|| eprintln!("{}", text.as_ref()));
    }

    /// A line that should be noticed.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.line(format!("warning: {}", text.as_ref()));
    }

    /// A step that takes a while; ends with [`Step::done`] or, when dropped
    /// before, as a failure whose error the caller tells.
    pub fn step(&self, name: &str) -> Step {
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(
            ProgressStyle::with_template("{spinner} {prefix:16} {elapsed:>5} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        if !self.terminal {
            self.line(format!("{name:16} ..."));
        }
        Step { report: self.clone(), bar, name: name.to_owned(), start: Instant::now() }
    }
}

/// One running step of a [`Report`].
pub struct Step {
    report: Report,
    bar: ProgressBar,
    name: String,
    start: Instant,
}

impl Step {
    /// What the step does at the moment (shown on a terminal only).
    pub fn message(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    /// Switches the step to a bar of `total` units, of which `position` are
    /// done.
    pub fn progress(&self, position: u64, total: u64) {
        if self.bar.length() != Some(total) {
            self.bar.set_length(total);
            self.bar.set_style(
                ProgressStyle::with_template(
                    "{spinner} {prefix:16} {elapsed:>5} {wide_bar} {pos}/{len}",
                )
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
        }
        self.bar.set_position(position);
    }

    /// Ends the step with a closing remark; gives how long it took.
    pub fn done(self, remark: &str) -> Duration {
        let took = self.start.elapsed();
        self.bar.finish_and_clear();
        self.report.line(format!("{:16} {:6.1} s  {remark}", self.name, took.as_secs_f64()));
        took
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
