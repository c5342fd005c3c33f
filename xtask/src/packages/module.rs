//! The driver's source, out of the patch that adds it to a kernel.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::context::Context;
use crate::kernel;
use crate::patches;

/// The file that the series adds.
const FILE: &str = "drivers/net/usb/simcom_wwan.c";

/// The whole text of the driver. The series is one for all kernels.
///
/// # Errors
/// No patch of the series adds it, or a later one changes it.
pub fn source(ctx: &Context, series: &str) -> Result<String> {
    let dir = ctx.path(series);
    let mut found = None;
    for name in patches::list(&dir, kernel::SERIES)? {
        let path = dir.join(&name);
        let patch =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if !patch.lines().any(|line| line == format!("+++ b/{FILE}")) {
            continue;
        }
        ensure!(found.is_none(), "{name} changes {FILE}: only a patch that adds it can be packed");
        found = Some(added(&patch).with_context(|| format!("in {}", path.display()))?);
    }
    found.with_context(|| format!("no patch of {} adds {FILE}", dir.display()))
}

/// The file's lines, from its only hunk.
fn added(patch: &str) -> Result<String> {
    let head = format!("--- /dev/null\n+++ b/{FILE}\n@@ -0,0 +1,");
    let (_, rest) = patch.split_once(&head).with_context(|| format!("it does not add {FILE}"))?;
    let (header, body) = rest.split_once('\n').context("it ends in the middle")?;
    let count = header.split([' ', '@']).next().unwrap_or_default();
    let count: usize = count.parse().context("a hunk without its number of lines")?;
    let lines: Vec<_> = body.lines().map_while(|line| line.strip_prefix('+')).take(count).collect();
    ensure!(lines.len() == count, "the hunk has {} lines, not {count}", lines.len());
    Ok(lines.iter().flat_map(|line| [*line, "\n"]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file_is_taken() {
        let head = format!("diff --git a/x b/x\n--- /dev/null\n+++ b/{FILE}\n");
        let patch = format!("{head}@@ -0,0 +1,3 @@\n+one\n+\n+\tthree\n-- \n2.39\n");
        assert_eq!(added(&patch).unwrap(), "one\n\n\tthree\n");
        assert!(added(&patch.replace("1,3", "1,4")).is_err(), "a line is missing");
        assert!(added(&patch.replace("/dev/null", "a/old")).is_err());
    }

    #[test]
    fn the_committed_series_has_it() {
        let patch = include_str!("../../../kernel-patches/0001-net-usb-add-simcom_wwan.patch");
        let text = added(patch).unwrap();
        assert!(text.starts_with("// SPDX-License-Identifier: GPL-2.0"));
        assert!(text.ends_with("MODULE_LICENSE(\"GPL\");\n"), "{}", &text[text.len() - 80..]);
    }
}
