//! From the modem's first word to online: the service, and beside it Debian's
//! ModemManager on the same emulated modem, as far as ModemManager goes alone.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::table::Table;
use crate::context::Context;
use crate::definition::Definition;
use crate::test::rust::cargo;
use crate::{process, rootfs};

/// What the measurement in `tests/online.rs` prints, what it means, and what is
/// wanted of it.
const ROWS: [(&str, &str, &str, f64, &str); 5] = [
    ("registered_ms", "AT ready to registered known", "<= 500 ms", 1.0, "ms"),
    ("route_ms", "AT ready to address, routes", "<= 1500 ms", 1.0, "ms"),
    ("proven_ms", "AT ready to proven online", "", 1.0, "ms"),
    ("rss_kib", "memory (RSS)", "<= 5 MB", 1024e-6, "MB"),
    ("binary_bytes", "program, this machine's", "<= 3 MB", 1e-6, "MB"),
];

/// Measures. The modem answers each command in 10 ms.
pub fn run(ctx: &Context, table: &mut Table) -> Result<()> {
    let ours = said(cargo(
        ctx,
        &[
            "test",
            "--release",
            "--locked",
            "--package=a7670e",
            "--test=online",
            "--",
            "--ignored",
            "--exact",
            "bench",
            "--nocapture",
        ],
    ))?;
    for (name, what, target, scale, unit) in ROWS {
        let value = worst(&ours, name)? * scale;
        table.row(what, target, &format!("{value:.3} {unit}"));
    }
    let definition = Definition::load(ctx, "pi4b")?;
    let mut theirs = cargo(
        ctx,
        &[
            "test",
            "--release",
            "--locked",
            "--package=a7670e-emulator",
            "--test=modemmanager",
            "--",
            "--ignored",
            "--nocapture",
        ],
    );
    theirs.env("A7670E_MODEMMANAGER_ROOT", rootfs::native_twin(ctx, &definition)?);
    let value = worst(&said(theirs)?, "modemmanager_registered_ms")?;
    table.row("ModemManager: port to registered", "", &format!("{value:.0} ms"));
    Ok(())
}

fn said(mut command: Command) -> Result<String> {
    let output = process::any_output(&mut command)?;
    anyhow::ensure!(output.status.success(), "{}", process::failure(&command, &output));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The largest of the numbers that are printed under a name.
fn worst(text: &str, name: &str) -> Result<f64> {
    let values = text.lines().filter_map(|line| {
        let (found, value) = line.split_once(' ')?;
        (found == name).then(|| value.trim().parse::<f64>().ok())?
    });
    values.reduce(f64::max).with_context(|| format!("the measurement tells no `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_what_is_said_counts() {
        let text = "running\nrss_kib 4300\nrss_kib 4400\nroute_ms 9\n";
        assert_eq!(worst(text, "rss_kib").unwrap(), 4400.0);
        assert!(worst(text, "other").is_err());
    }
}
