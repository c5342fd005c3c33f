//! Part `verify`: the image is good, and every kind of fault is found by the
//! question that is there for it.

mod bench;
mod faults;

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, Result, ensure};

use super::Checks;
use crate::context::Context;
use crate::tools::{Set, Tools};
use crate::verify::{self, Verdict};
use bench::Bench;
use faults::{FAULTS, Fault};

/// Runs the part.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let tools = Tools::get(ctx, Set::Build)?;
    let dir = tempfile::tempdir_in(&ctx.cache)?;
    let image = super::image(ctx)?;
    let good = image.as_path();

    checks.check("the image is good", all_good(&verify::judge(ctx, &tools, good)?));
    let packed = dir.path().join("packed.img.zst");
    zstd::stream::copy_encode(File::open(good)?, File::create(&packed)?, 1)?;
    checks.check("so it is when compressed", all_good(&verify::judge(ctx, &tools, &packed)?));

    // One after the other they would take minutes.
    let queue = Mutex::new(FAULTS.iter());
    let checks = Mutex::new(checks);
    std::thread::scope(|scope| {
        for _ in 0..ctx.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.next());
                    let Some(fault) = next else { break };
                    let result = found(ctx, &tools, good, dir.path(), fault);
                    if let Ok(mut checks) = checks.lock() {
                        checks.check(fault.name, result);
                    }
                }
            });
        }
    });
    Ok(())
}

fn all_good(verdict: &Verdict) -> Result<()> {
    let bad: Vec<_> = verdict.findings.iter().filter(|f| !f.ok).collect();
    ensure!(bad.is_empty(), "{bad:#?}");
    ensure!(verdict.ok && !verdict.findings.is_empty(), "no verdict");
    Ok(())
}

/// A copy of `good` with the fault is bad for the reason that was to be found.
fn found(ctx: &Context, tools: &Tools, good: &Path, dir: &Path, fault: &Fault) -> Result<()> {
    let bench = Bench::new(ctx, tools, good, dir)?;
    (fault.make)(&bench).context("the image could not be broken")?;
    let verdict = verify::judge(ctx, tools, &bench.image)?;
    ensure!(!verdict.ok, "found nothing bad");
    let bad = verdict.bad();
    if fault.alone {
        ensure!(bad == fault.found_by, "wanted {:?}, found: {}", fault.found_by, told(&verdict));
    }
    for name in fault.found_by {
        ensure!(bad.contains(name), "{name:?} is content; found: {}", told(&verdict));
    }
    let details: String = verdict.findings.iter().filter(|f| !f.ok).map(|f| &*f.detail).collect();
    ensure!(details.contains(fault.says), "no word of {:?}; found: {}", fault.says, told(&verdict));
    Ok(())
}

fn told(verdict: &Verdict) -> String {
    let bad = verdict.findings.iter().filter(|f| !f.ok);
    bad.map(|f| format!("{}: {}", f.name, f.detail)).collect::<Vec<_>>().join("\n")
}
