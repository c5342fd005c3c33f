//! Carries out scenarios on one emulated machine, one modem after the other.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::guest;
use super::scenario::{Scenario, Step, Until};
use crate::context::Context;
use crate::emulate::{Machine, Modem, Options, RigFailure, Running, Unit};

/// Between two questions of the same step.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one question may take, on a machine that is busy: a shell that gave
/// no answer is of no more use.
const QUESTION: Duration = Duration::from_secs(120);
/// How long the machine may take to notice that a modem is gone.
const LEAVE: u64 = 30;

/// How long a step took, and what it showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// [`Step::Run`]'s text.
    pub about: String,
    /// Seconds since the last modem was plugged in, pulled out or made to fail.
    pub seconds: f64,
    /// What the machine said.
    pub said: String,
}

/// A machine that is up, and its bus.
pub struct Bench<'a> {
    ctx: &'a Context,
    machine: Running,
    /// The last thing that happened to the modem.
    since: Instant,
    marks: Vec<Mark>,
}

impl<'a> Bench<'a> {
    /// Boots the image that the tests judge on `model`, with an empty bus.
    pub fn boot(ctx: &'a Context, model: Machine) -> Result<Self> {
        Self::boot_image(ctx, model, crate::test::image(ctx)?)
    }

    /// Boots another image.
    pub fn boot_image(ctx: &'a Context, model: Machine, image: PathBuf) -> Result<Self> {
        let options = Options { image, model, extra: Vec::new(), modem: Some(Modem::Later) };
        let mut machine = Running::boot(ctx, &options)?;
        let state = machine.wait_running()?;
        ensure!(state == "running", "the machine came up {state}");
        machine.run(&guest::install(), QUESTION)?.text()?;
        Ok(Self { ctx, machine, since: Instant::now(), marks: Vec::new() })
    }

    /// Carries out `scenario`; gives how long what took, as far as it got, and
    /// whether all of it held. Fails with [`RigFailure`] when the machine is of
    /// no more use.
    pub fn carry_out(&mut self, scenario: &Scenario) -> Result<(Vec<Mark>, Result<()>)> {
        self.marks.clear();
        let mut result = self.units("stop", scenario);
        if result.is_ok() {
            result = scenario.steps.iter().try_for_each(|step| self.step(scenario, step));
        }
        if let Err(error) = result {
            // The machine's own words, before the modem goes.
            result = Err(unless_rig(error, |error| self.explain(error))?);
        }
        let left = self.leave().and_then(|()| self.units("start", scenario));
        if let Err(error) = left {
            let error = unless_rig(error, |error| error)?;
            result = result.and(Err(error.context("after the scenario")));
        }
        Ok((std::mem::take(&mut self.marks), result))
    }

    fn step(&mut self, scenario: &Scenario, step: &Step) -> Result<()> {
        match step {
            Step::Run { about, command, until, within } => {
                let said = self.ask(about, command, *until, *within)?;
                let seconds = self.since.elapsed().as_secs_f64();
                self.marks.push(Mark { about: (*about).to_owned(), seconds, said });
            }
            Step::Inflict(fault) => {
                self.since = Instant::now();
                let line = format!(r#"{{"do": "inflict", "fault": {fault}}}"#);
                self.machine.modem(&line)?;
            }
            Step::Upset(script) => {
                self.since = Instant::now();
                self.machine.run(&guest::script(script), QUESTION)?.text()?;
            }
            Step::Modem(until) => {
                let state = self.machine.modem(r#"{"do": "state"}"#)?;
                until.judge(&state.to_string()).context("the modem's state")?;
            }
            Step::Sent(until) => {
                let sent = self.machine.modem(r#"{"do": "sent"}"#)?;
                until.judge(&sent.to_string()).context("the messages that it sent")?;
            }
            Step::Plug => {
                let faults = self.machine.file("faults.toml");
                std::fs::write(&faults, scenario.faults)?;
                self.since = Instant::now();
                let unit = Unit {
                    profile: scenario.profile,
                    faults: Some(&faults),
                    boot_ms: scenario.boot_ms,
                };
                self.machine.plug(self.ctx, &unit)?;
            }
            Step::Unplug => {
                self.since = Instant::now();
                self.machine.unplug()?;
            }
            Step::Repeat(times, steps) => {
                for time in 1..=*times {
                    for step in steps {
                        self.step(scenario, step).with_context(|| format!("time {time}"))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Asks until the answer is right, and gives it.
    fn ask(&mut self, about: &str, command: &str, until: Until, within: u64) -> Result<String> {
        let deadline = Instant::now() + Duration::from_secs(within);
        let script = guest::script(command);
        loop {
            let judged = self.machine.run(&script, QUESTION).and_then(|output| {
                let said = String::from_utf8_lossy(&output.stdout);
                until.judge(&said).map_err(|error| {
                    let stderr = String::from_utf8_lossy(&output.stderr);
                    anyhow!("{error:#}, exit status {} {}", output.status, stderr.trim_end())
                })?;
                Ok(said.into_owned())
            });
            match judged {
                Ok(said) => return Ok(said),
                Err(error) if error.downcast_ref::<RigFailure>().is_some() => return Err(error),
                Err(error) if Instant::now() > deadline => {
                    return Err(error.context(format!("not within {within} s: {about}")));
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Stops or starts what the scenario is to be without.
    fn units(&mut self, verb: &str, scenario: &Scenario) -> Result<()> {
        if scenario.without.is_empty() {
            return Ok(());
        }
        let command = format!("systemctl {verb} {}", scenario.without.join(" "));
        self.machine.run(&command, Duration::from_secs(90))?.text()?;
        Ok(())
    }

    /// Pulls the modem out and waits until the machine has noticed.
    fn leave(&mut self) -> Result<()> {
        self.machine.unplug()?;
        self.ask(
            "nothing of the modem is left",
            "ls -d /dev/a7670e /dev/ttyUSB* /sys/class/net/wwan* 2>/dev/null",
            Until::Silent,
            LEAVE,
        )
        .map(drop)
    }

    /// An error with what kernel and services said of late.
    fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        let command = "ip -brief address; ip route; ls /dev/a7670e; \
            journalctl --boot --no-pager --output=short-monotonic --lines=40";
        match self.machine.run(command, QUESTION) {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                anyhow!("{error:#}\nThe machine:\n{}", said.trim_end())
            }
            Err(_) => error,
        }
    }

    /// Whether the machine still does what it is told.
    pub fn answers(&mut self) -> bool {
        self.machine.run("true", QUESTION).is_ok()
    }

    /// Ends the machine; fails when its kernel complained about itself.
    pub fn end(mut self) -> Result<()> {
        let complaints = "dmesg | grep -E 'BUG:|Oops|Internal error|WARNING:|Call trace' || true";
        let text = self.machine.run(complaints, QUESTION)?.text()?;
        ensure!(text.is_empty(), "{text}");
        self.machine.unplug()?;
        self.machine.power_off()
    }
}

/// Lets a failure of the rig pass as such and changes any other error.
fn unless_rig(
    error: anyhow::Error,
    change: impl FnOnce(anyhow::Error) -> anyhow::Error,
) -> Result<anyhow::Error> {
    if error.downcast_ref::<RigFailure>().is_some() { Err(error) } else { Ok(change(error)) }
}
