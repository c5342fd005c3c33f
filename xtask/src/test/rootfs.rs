//! `cargo xtask test rootfs`: the fast way to configure, judged by the slow.

use anyhow::{Context as _, Result};

use super::Checks;
use crate::context::Context;
use crate::definition::Definition;
use crate::rootfs::{self, Mode, compare};
use crate::tools::{Set, Tools};
use crate::tree::archive;

/// The differences that do not matter, with reasons.
const ACCEPTED: &str = "images/rootfs-differences.txt";

/// Builds both ways and compares.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let definition = Definition::load(ctx, "pi4b")?;
    let tools = Tools::get(ctx, Set::Build)?;
    let cross = rootfs::build(ctx, &tools, &definition, Mode::Cross)?;
    let cross = archive::read(&cross.path("rootfs.tar"))?;
    let emulated = rootfs::build(ctx, &tools, &definition, Mode::Emulated)?;
    let emulated = archive::read(&emulated.path("rootfs.tar"))?;
    let path = ctx.path(ACCEPTED);
    let list = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let list = compare::accepted(&list).with_context(|| format!("in {}", path.display()))?;
    checks.check(
        "cross-configured and emulated roots differ only as listed",
        compare::judge(&compare::compare(&cross, &emulated)?, &list),
    );
    Ok(())
}
