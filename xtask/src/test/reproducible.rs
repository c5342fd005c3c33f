//! The image from nothing, twice: as a newcomer makes it, and as a stranger
//! does.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::Checks;
use crate::context::Context;
use crate::fresh::{Fresh, NEWCOMER, STRANGER, compare};

/// A fresh Debian 12 ends with an image, and once more has nothing to do.
pub fn newcomer(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let fresh = Fresh::new(ctx)?;
    let out = fresh.build(&NEWCOMER)?;
    checks.check("a fresh Debian 12 ends with an image", image_in(&out));
    let said = fresh.image(&NEWCOMER, "again")?;
    checks.check("the second time no stage runs", nothing_to_do(&said));
    ctx.adopt(fresh.cache(&NEWCOMER), out);
    Ok(())
}

/// Another user, path, umask, time zone, locale, host name and number of jobs,
/// without root: the same bytes.
pub fn stranger(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let fresh = Fresh::new(ctx)?;
    let first = match ctx.adopted() {
        Some((_, out)) => out,
        None => fresh.build(&NEWCOMER)?,
    };
    let second = fresh.build(&STRANGER)?;
    checks.check("the same bytes in other circumstances", compare::results(ctx, &first, &second));
    Ok(())
}

fn image_in(out: &Path) -> Result<()> {
    let image = out.join("pi4b.img");
    let size = image.metadata().with_context(|| format!("no {}", image.display()))?.len();
    ensure!(size > 100 << 20, "{} has only {size} bytes", image.display());
    Ok(())
}

fn nothing_to_do(said: &str) -> Result<()> {
    ensure!(said.contains("nothing changed"), "it did not say that nothing changed:\n{said}");
    Ok(())
}
