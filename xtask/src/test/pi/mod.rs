//! The emulated modem on the emulated machine's USB bus: one boot carries many
//! scenarios, one modem after the other.
//!
//! A scenario is a row of [`scenarios::all`]. The machine is `virt`, whose
//! xHCI survives everything that is done to the bus (docs/adr/0009).

mod bench;
mod crew;
mod first_boot;
mod fleet;
mod guest;
mod hands;
mod matrix;
mod power_cuts;
mod power_on;
mod ppp;
mod profiles;
mod scenario;
mod scenarios;
pub mod throughput;
mod usbip;

use anyhow::{Result, bail};

use super::Checks;
use crate::context::Context;
use crate::emulate;
use bench::Mark;
use scenario::Scenario;

/// The name of the boots with a modem on the bus.
const POWER_ON: &str = "power-on";

/// The name of the messages whose machine loses power.
const POWER_CUTS: &str = "power-cuts";

/// The name of the call by PPP. Its image is one that no other part needs: only
/// by its name.
const PPP: &str = "ppp";

/// Machines side by side. They wait more than they compute; with more, what is
/// due in a second or two comes too late on two processors.
const MACHINES: usize = 3;

/// Carries out the scenarios, all or the one that was asked for.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let mut all = scenarios::all();
    let names: Vec<_> = all.iter().map(|it| it.name).collect();
    all.retain(|it| checks.wants(it.name) && (checks.named || it.name != hands::HANDOVER));
    let (from_power_on, power_cuts) = (checks.wants(POWER_ON), checks.wants(POWER_CUTS));
    let by_ppp = checks.asked(PPP);
    let first_boot = first_boot::NAMES.iter().any(|name| checks.wants(name));
    let fleet = checks.asked(fleet::NAME);
    let by_usbip = checks.wants(usbip::NAME);
    let others = from_power_on || power_cuts || by_ppp || first_boot || fleet || by_usbip;
    if all.is_empty() && !others {
        let others =
            [&[POWER_ON, POWER_CUTS, PPP, fleet::NAME, usbip::NAME], &first_boot::NAMES[..]]
                .concat();
        bail!("no such scenario; there are {}, {}", others.join(", "), names.join(", "));
    }
    if from_power_on {
        for (model, profile) in power_on::BOOTS {
            let seconds = power_on::online(ctx, model, profile);
            let on = format!("{profile} on {model:?}").to_lowercase();
            if let Ok(seconds) = &seconds {
                println!("        {on}: online {seconds:.1} s after power-on");
            }
            checks.check(&format!("{on} is online after power-on"), seconds.map(drop));
        }
    }
    if power_cuts {
        let states = emulate::retry(ctx, || power_cuts::run(ctx));
        if let Ok(states) = &states {
            println!("        messages whose machine lost power: {states:?}");
        }
        checks.check("no message is lost or doubled by power cuts", states.map(drop));
    }
    if by_usbip {
        checks.check("the kernel has the modem by USB/IP", usbip::run(ctx));
    }
    first_boot::run(ctx, checks)?;
    // Needs root and memory, and a few minutes: by its name.
    if fleet {
        fleet::run(ctx, checks)?;
    }
    let mut rows = carry_out(ctx, checks, &all)?;
    if by_ppp {
        let start = std::time::Instant::now();
        let (marks, result) = ppp::carry_out(ctx)?;
        let passed = checks.check(PPP, result);
        rows.push(Row { name: PPP, passed, marks, all: start.elapsed().as_secs_f64() });
    }
    for mark in rows.iter().flat_map(|row| &row.marks).filter(|mark| mark.about == hands::FLOW) {
        println!("pauses of the flow over 250 ms (when it ended, length; in ms):\n{}", mark.said);
    }
    if !rows.is_empty() {
        print!("{}", table(&rows));
    }
    Ok(())
}

/// The fault matrix: all of it by its name, one row by the row's, and in a run of
/// all parts those that take little time.
pub fn matrix(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let mut faults = matrix::all();
    let names: Vec<_> = faults.iter().map(|fault| fault.name).collect();
    faults.retain(|fault| checks.wants(fault.name) && (checks.named || fault.is_quick()));
    if faults.is_empty() {
        bail!("no such fault; there are {}", names.join(", "));
    }
    let scenarios: Vec<_> = faults.iter().map(matrix::Fault::scenario).collect();
    let rows = carry_out(ctx, checks, &scenarios)?;
    println!("{}", matrix::head());
    for (fault, row) in faults.iter().zip(&rows) {
        println!("{}", fault.row(&row.marks, row.passed));
    }
    Ok(())
}

/// Carries `scenarios` out; gives a row for each, in their order.
fn carry_out(ctx: &Context, checks: &mut Checks, scenarios: &[Scenario]) -> Result<Vec<Row>> {
    let mut rows = std::collections::BTreeMap::new();
    // Compiled once, before several threads want it.
    crate::test::image(ctx)?;
    let harm = crew::carry_out(ctx, scenarios, MACHINES, |outcome| {
        let name = scenarios[outcome.index].name;
        let passed = checks.check(name, outcome.result);
        let row = Row { name, passed, marks: outcome.marks, all: outcome.seconds };
        rows.insert(outcome.index, row);
    });
    if !scenarios.is_empty() {
        checks.check("the machines took no harm", harm);
    }
    Ok(rows.into_values().collect())
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
        let marks = vec![Mark { about: "online".to_owned(), seconds: 12.34, said: String::new() }];
        let text = table(&[Row { name: "replug", passed: false, marks, all: 50.0 }]);
        assert!(text.ends_with("replug                   FAILED    50.0  online 12.3\n"), "{text}");
    }
}
