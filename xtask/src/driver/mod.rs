//! `cargo xtask test driver`: builds and judges simcom_wwan on every kernel
//! that `kernel-patches/kernels.toml` names.

mod canary;
mod judge;
mod kernels;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use kernels::Kernel;
pub use kernels::requests;

use crate::archive::{self, Packages};
use crate::context::Context;
use crate::patches;
use crate::stage::{self, Inputs};
use crate::test::Checks;
use crate::tools::{self, Set, Tools};

/// Lock file of the kernel sources.
pub const LOCK: &str = "driver";

/// The folder of the series.
const SERIES: &str = "kernel-patches";

/// One thing that was looked at, and what was wrong with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Finding {
    name: String,
    error: Option<String>,
}

/// All that was found on one kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Report {
    /// Upstream version, such as `6.12.117`.
    version: String,
    findings: Vec<Finding>,
}

/// The tools.
#[derive(Clone, Copy)]
struct With<'a> {
    build: &'a Tools,
    rig: &'a Tools,
    sparse: &'a Packages,
}

/// The test part.
pub fn test(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let kernels = kernels::load(&ctx.path(SERIES))?;
    let build = Tools::get(ctx, Set::Build)?;
    let rig = Tools::get(ctx, Set::Rig)?;
    let sparse = archive::packages(ctx, LOCK, &kernels::sparse(tools::arch()?))?;
    let with = With { build: &build, rig: &rig, sparse: &sparse };
    let results: Vec<(&Kernel, Result<Report>)> = std::thread::scope(|scope| {
        let running: Vec<_> = kernels
            .iter()
            .map(|kernel| (kernel, scope.spawn(|| report(ctx, kernel, with))))
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Report>>| {
            thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the check panicked")))
        };
        running.into_iter().map(|(kernel, thread)| (kernel, join(thread))).collect()
    });
    for (kernel, result) in results {
        match result {
            Ok(report) => {
                for finding in report.findings {
                    let result = finding.error.map_or(Ok(()), |e| Err(anyhow::Error::msg(e)));
                    checks.check(&format!("Linux {:9} {}", report.version, finding.name), result);
                }
            }
            Err(error) => {
                checks.check(&format!("Linux {:9} can be judged", kernel.version), Err(error));
            }
        }
    }
    Ok(())
}

/// Judges one kernel, or recalls that it was found good.
fn report(ctx: &Context, kernel: &Kernel, with: With<'_>) -> Result<Report> {
    let packages = archive::packages(ctx, LOCK, &kernel.request())?;
    let (source, deb) = packages.get(&kernel.package)?;
    let inputs = Inputs::new()
        .value("source", &source.sha256)
        .value("series", patches::digest(&ctx.path(SERIES))?)
        .value("tools", with.build.digest())
        .value("python", with.rig.digest())
        .value("sparse", with.sparse.digest())
        .value("recipe", judge::recipe());
    let mut bad = None;
    let name = format!("driver-{}", kernel.version);
    let stage = stage::run(ctx, &name, inputs, |room| {
        let judge = judge::Judge {
            build: with.build,
            rig: with.rig,
            sparse: with.sparse.get("sparse")?.1,
            series: &ctx.path(SERIES),
            scratch: room.scratch,
            jobs: ctx.jobs,
        };
        let report = judge.run(&kernel.package, deb, room.step)?;
        if let Some(finding) = report.findings.iter().find(|f| f.error.is_some()) {
            let error = anyhow::anyhow!("{} failed", finding.name);
            bad = Some(report);
            // Only what is good is kept.
            return Err(error);
        }
        std::fs::write(room.out.join("report.json"), serde_json::to_vec_pretty(&report)?)?;
        Ok(())
    });
    if let Some(report) = bad {
        return Ok(report);
    }
    let path = stage?.path("report.json");
    serde_json::from_slice(&std::fs::read(&path)?)
        .with_context(|| format!("unreadable {}", path.display()))
}
