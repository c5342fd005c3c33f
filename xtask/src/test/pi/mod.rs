//! The emulated modem on the emulated machine's USB bus: one boot carries all
//! scenarios, one modem after the other.
//!
//! A scenario is a row of [`scenarios::all`]. The machine is `virt`, whose
//! xHCI survives everything that is done to the bus (docs/adr/0009).

mod bench;
mod guest;
mod power_on;
mod scenario;
mod scenarios;

use std::time::Instant;

use anyhow::{Result, bail};

use super::Checks;
use crate::context::Context;
use crate::emulate::{Machine, RigFailure};
use bench::{Bench, Mark};
use scenario::Scenario;

/// The name of the boots with a modem on the bus.
const POWER_ON: &str = "power-on";

/// How often a scenario is tried when the rig fails under it.
const ATTEMPTS: usize = 3;

/// Carries out the scenarios, all or the one that was asked for.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let all = scenarios::all();
    let wanted: Vec<_> = all.iter().filter(|it| checks.wants(it.name)).collect();
    let from_power_on = checks.wants(POWER_ON);
    if wanted.is_empty() && !from_power_on {
        let names: Vec<_> = all.iter().map(|it| it.name).collect();
        bail!("no such scenario; there are {POWER_ON}, {}", names.join(", "));
    }
    if from_power_on {
        for profile in power_on::PROFILES {
            let seconds = power_on::online(ctx, profile);
            if let Ok(seconds) = &seconds {
                println!("        {profile}: online {seconds:.1} s after power-on");
            }
            checks.check(&format!("{profile} is online after power-on"), seconds.map(drop));
        }
    }
    let mut bench = None;
    let mut rows = Vec::new();
    for scenario in wanted {
        let start = Instant::now();
        let (marks, result) = carry_out(ctx, &mut bench, scenario)?;
        let passed = checks.check(scenario.name, result);
        rows.push(Row { name: scenario.name, passed, marks, all: start.elapsed().as_secs_f64() });
    }
    print!("{}", table(&rows));
    if let Some(bench) = bench {
        checks.check("the machine took no harm", bench.end());
    }
    Ok(())
}

/// Carries `scenario` out on `bench`, which is booted when there is none, and
/// anew when the rig failed.
fn carry_out<'a>(
    ctx: &'a Context,
    bench: &mut Option<Bench<'a>>,
    scenario: &Scenario,
) -> Result<(Vec<Mark>, Result<()>)> {
    let mut attempt = 1;
    loop {
        let result = match bench.take() {
            Some(bench) => Ok(bench),
            None => boot(ctx),
        }
        .and_then(|it| bench.insert(it).carry_out(scenario));
        match result {
            Err(error) if attempt < ATTEMPTS && error.downcast_ref::<RigFailure>().is_some() => {
                ctx.report.warn(format!("{}: {error:#}; trying again", scenario.name));
                *bench = None;
                attempt += 1;
            }
            result => return result,
        }
    }
}

fn boot(ctx: &Context) -> Result<Bench<'_>> {
    let step = ctx.report.step("boot");
    let bench = Bench::boot(ctx, Machine::Virt)?;
    step.done("running");
    Ok(bench)
}

/// What the table tells of a scenario.
struct Row {
    name: &'static str,
    passed: bool,
    marks: Vec<Mark>,
    /// Seconds in all.
    all: f64,
}

/// What took how long, in seconds since the modem was last plugged in, pulled
/// out or made to fail.
fn table(rows: &[Row]) -> String {
    let mut text =
        format!("{:24} {:6} {:>7}  what, and after how many seconds\n", "", "", "all, s");
    for Row { name, passed, marks, all } in rows {
        let marks: Vec<_> =
            marks.iter().map(|mark| format!("{} {:.1}", mark.about, mark.seconds)).collect();
        let verdict = if *passed { "ok" } else { "FAILED" };
        text.push_str(&format!("{name:24} {verdict:6} {all:7.1}  {}\n", marks.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_short_enough_for_the_table() {
        let mut names: Vec<_> = scenarios::all().iter().map(|it| it.name).collect();
        assert!(names.iter().all(|name| name.len() <= 24 && !name.contains(['/', ' '])));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_table_tells_all() {
        let marks = vec![Mark { about: "online".to_owned(), seconds: 12.34 }];
        let text = table(&[Row { name: "replug", passed: false, marks, all: 50.0 }]);
        assert!(text.ends_with("replug                   FAILED    50.0  online 12.3\n"), "{text}");
    }
}
