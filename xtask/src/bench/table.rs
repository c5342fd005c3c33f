//! The table that a benchmark prints.

use std::time::Instant;

use anyhow::{Context as _, Result};

/// Rows of what was measured, what is wanted, and what came out.
#[derive(Default)]
pub struct Table {
    text: String,
}

impl Table {
    /// Adds a row.
    pub fn row(&mut self, what: &str, target: &str, measured: &str) {
        self.text.push_str(&format!("{what:40} {target:22} {measured}\n"));
    }

    /// Adds a row with the time that `run` takes.
    pub fn timed<T>(
        &mut self,
        what: &str,
        target: &str,
        run: impl FnOnce() -> Result<T>,
    ) -> Result<()> {
        let start = Instant::now();
        run().with_context(|| what.to_owned())?;
        self.row(what, target, &format!("{:.1} s", start.elapsed().as_secs_f64()));
        Ok(())
    }

    /// All rows, a line each.
    pub fn text(&self) -> &str {
        &self.text
    }
}
