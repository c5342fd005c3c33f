//! Carries many scenarios out, on several machines side by side: a scenario
//! waits more than it computes.

use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::time::Instant;

use anyhow::{Result, anyhow};

use super::bench::{Bench, Mark};
use super::scenario::Scenario;
use crate::context::Context;
use crate::emulate::{Machine, RigFailure};

/// How often a scenario is tried when the rig fails under it.
const ATTEMPTS: usize = 3;

/// What came of a scenario.
pub struct Outcome {
    /// Its place in the list.
    pub index: usize,
    /// How long what took.
    pub marks: Vec<Mark>,
    /// Whether all of it held.
    pub result: Result<()>,
    /// Seconds in all.
    pub seconds: f64,
}

/// Carries all of `scenarios` out on so many machines, and tells each outcome
/// when it is there. The last word is on the machines themselves: an error says
/// what harm one took.
pub fn carry_out(
    ctx: &Context,
    scenarios: &[Scenario],
    machines: usize,
    mut tell: impl FnMut(Outcome),
) -> Result<()> {
    let next = Mutex::new(0..scenarios.len());
    let (sender, outcomes) = mpsc::channel();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..machines.clamp(1, scenarios.len().max(1)))
            .map(|_| {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || work(ctx, scenarios, next, &sender))
            })
            .collect();
        drop(sender);
        outcomes.iter().for_each(&mut tell);
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err(anyhow!("a worker panicked"))))
            .collect::<Result<Vec<()>>>()
    })?;
    Ok(())
}

/// One machine's share: whatever is next, until nothing is left.
fn work(
    ctx: &Context,
    scenarios: &[Scenario],
    next: &Mutex<std::ops::Range<usize>>,
    outcomes: &Sender<Outcome>,
) -> Result<()> {
    let mut bench = None;
    loop {
        let index = match next.lock() {
            Ok(mut next) => next.next(),
            Err(_) => None,
        };
        let Some(index) = index else { break };
        let start = Instant::now();
        let (marks, result) = match attempt(ctx, &mut bench, &scenarios[index]) {
            Ok(done) => done,
            Err(error) => (Vec::new(), Err(error)),
        };
        let seconds = start.elapsed().as_secs_f64();
        // The receiver outlives the workers.
        _ = outcomes.send(Outcome { index, marks, result, seconds });
    }
    bench.map_or(Ok(()), Bench::end)
}

/// Carries `scenario` out on `bench`, which is booted when there is none, and
/// anew when the rig failed.
fn attempt<'a>(
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
            Err(error) => {
                // Of no more use.
                *bench = None;
                return Err(error);
            }
            Ok((marks, Err(error))) => {
                if bench.as_mut().is_some_and(|bench| !bench.answers()) {
                    *bench = None;
                }
                return Ok((marks, Err(error)));
            }
            Ok(done) => return Ok(done),
        }
    }
}

fn boot(ctx: &Context) -> Result<Bench<'_>> {
    let step = ctx.report.step("boot");
    let bench = Bench::boot(ctx, Machine::Virt)?;
    step.done("running");
    Ok(bench)
}
