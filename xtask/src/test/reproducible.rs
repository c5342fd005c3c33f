//! The image from nothing, twice: as a newcomer makes it, and as a stranger
//! does.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::Checks;
use crate::context::Context;
use crate::fresh::record::{self, Built};
use crate::fresh::{Fresh, NEWCOMER, STRANGER, compare};

/// A fresh Debian 12 ends with an image, and once more has nothing to do.
pub fn newcomer(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let fresh = Fresh::new(ctx)?;
    let out = fresh.build(&NEWCOMER, None)?;
    checks.check("a fresh Debian 12 ends with an image", image_in(&out));
    let said = fresh.image(&NEWCOMER, "again")?;
    checks.check("the second time no stage runs", nothing_to_do(&said));
    ctx.adopt(fresh.cache(&NEWCOMER), out);
    Ok(())
}

/// `stranger/kernel-twice`: the kernel, too, is built by both.
pub const KERNEL_TWICE: &str = "kernel-twice";

/// Another user, path, umask, time zone, locale, host name and number of jobs,
/// without root: the same bytes. The kernel is compared with the record of
/// other builds; where there is none of these inputs, or [`KERNEL_TWICE`] is
/// asked for, it is built twice here.
pub fn stranger(ctx: &Context, checks: &mut Checks) -> Result<()> {
    ensure!(
        checks.only.is_empty() || checks.asked(KERNEL_TWICE),
        "no such check; there is {KERNEL_TWICE}"
    );
    let fresh = Fresh::new(ctx)?;
    let first = match ctx.adopted() {
        Some((_, out)) => out,
        None => fresh.build(&NEWCOMER, None)?,
    };
    let kernel = record::kernel_in(&fresh.cache(&NEWCOMER))?;
    let (built, recorded) = (Built::of(&kernel)?, Built::recorded(ctx)?);
    let known = built.key == recorded.key && !checks.asked(KERNEL_TWICE);
    if known {
        checks.check("the kernel is what other machines built", as_recorded(&built, &recorded));
    }
    let second = fresh.build(&STRANGER, known.then_some(kernel.as_path()))?;
    let same = compare::results(ctx, &first, &second);
    if checks.check("the same bytes in other circumstances", same) && !known {
        println!("        built twice; {} can say: {} {}", record::FILE, built.key, built.digest);
    }
    Ok(())
}

fn as_recorded(built: &Built, recorded: &Built) -> Result<()> {
    ensure!(
        built == recorded,
        "{}: the kernel on record is {}, this one {}",
        record::FILE,
        recorded.digest,
        built.digest
    );
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
