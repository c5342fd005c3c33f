//! Device-tree coverage: what Debian's generic arm64 kernel drives on the
//! Pi 4B, ours drives as well, or a short list says why not.
//!
//! No board is at hand to try it on. The board's device tree names its
//! hardware, and what a kernel drives is written in its binaries; so the two
//! kernels can be compared ([`evidence`]), for each enabled node of the tree
//! ([`nodes`]), against the list of accepted gaps ([`gaps`]).

mod evidence;
mod gaps;
mod kernels;
mod nodes;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};

pub use kernels::{LOCK, request};

use crate::context::Context;
use crate::definition::Definition;
use crate::kernel;
use crate::rootfs::Chosen;
use crate::test::Checks;
use crate::tools::{Set, Tools};
use evidence::{Evidence, Strength};
use gaps::Gaps;
use nodes::Node;

/// The accepted gaps, relative to the repository.
const GAPS: &str = "images/pi4b.dt-gaps.toml";

/// Name of the image definition whose kernel is looked at.
const NAME: &str = "pi4b";

/// Runs the part `devicetree`.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let path = ctx.path(GAPS);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let gaps = Gaps::parse(&text).with_context(|| format!("in {}", path.display()))?;
    let tools = Tools::get(ctx, Set::Build)?;
    // As `cargo xtask image` builds it, so that one of them finds the other's.
    let definition = Definition::load(ctx, NAME)?;
    let epoch = Chosen::get(ctx, &definition)?.target.epoch();
    let kernel = kernel::build(ctx, &tools, &kernel::source(ctx, NAME)?, epoch)?;
    let tree = std::fs::read(kernel.path("bcm2711-rpi-4-b.dtb"))?;
    let nodes = nodes::enabled(&tree)?;
    let wanted = nodes.iter().flat_map(|n| n.keys.iter().cloned()).collect();
    let ours = kernels::ours(&tools, &kernel, &wanted)?;
    let debian = kernels::debian(ctx, &tools, &wanted)?;

    print(&nodes, &debian, &ours, &gaps);
    let missing = missing(&wanted, &debian, &ours);
    for key in &wanted {
        if debian.of(key) > Strength::None && !gaps.has(key) {
            checks.check(&format!("{key} is driven"), driven(key, &missing));
        }
    }
    checks.check("the accepted gaps are gaps", gaps.all_open(&missing));
    checks.check("Debian's kernel drives a good part of the tree", plausible(&wanted, &debian));
    Ok(())
}

/// What Debian's kernel has and ours has not, or only in words.
fn missing(wanted: &BTreeSet<String>, debian: &Evidence, ours: &Evidence) -> BTreeSet<String> {
    wanted.iter().filter(|key| ours.of(key) < debian.of(key)).cloned().collect()
}

fn driven(key: &str, missing: &BTreeSet<String>) -> Result<()> {
    if missing.contains(key) {
        bail!(
            "Debian's kernel has a driver for {key} and ours has none: \
             add it to images/pi4b.config, or to {GAPS} with a reason"
        );
    }
    Ok(())
}

/// A comparison with a kernel in which nothing was found would always pass.
/// The board has far more than 30 kinds of devices that Debian's kernel drives.
fn plausible(wanted: &BTreeSet<String>, debian: &Evidence) -> Result<()> {
    let found = wanted.iter().filter(|key| debian.of(key) == Strength::Driver).count();
    if found < 30 {
        bail!("only {found} of {} were found in it: the search is at fault", wanted.len());
    }
    Ok(())
}

fn print(nodes: &[Node], debian: &Evidence, ours: &Evidence, gaps: &Gaps) {
    println!("{:42} {:34} {:9} {:9}", "node", "compatible", "Debian", "ours");
    for node in nodes {
        for (i, key) in node.keys.iter().enumerate() {
            let path = if i == 0 { node.path.as_str() } else { "" };
            let (theirs, own) = (debian.of(key), ours.of(key));
            let remark = match gaps.reason(key) {
                Some(reason) => format!("accepted: {reason}"),
                None if own < theirs => "MISSING".to_owned(),
                None => String::new(),
            };
            let row = format!(
                "{path:42} {key:34} {:9} {:9} {remark}",
                theirs.to_string(),
                own.to_string()
            );
            println!("{}", row.trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weaker_evidence_is_missing_and_equal_is_not() {
        let wanted: BTreeSet<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
        let debian = Evidence::from([
            ("a", Strength::Driver),
            ("b", Strength::Driver),
            ("c", Strength::Mention),
        ]);
        let ours = Evidence::from([("a", Strength::Driver), ("b", Strength::Mention)]);
        let missing = missing(&wanted, &debian, &ours);
        assert_eq!(missing.iter().collect::<Vec<_>>(), ["b", "c"]);
        assert!(driven("a", &missing).is_ok());
        assert!(format!("{:#}", driven("b", &missing).unwrap_err()).contains("pi4b.config"));
        assert!(plausible(&wanted, &debian).is_err());
    }
}
