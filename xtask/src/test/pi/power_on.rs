//! From power-on to online, the modem plugged in all the while: one boot for
//! each way that modems carry data.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::context::Context;
use crate::emulate::{self, Machine, Modem, Options, Running};

/// Machines, and profiles of the emulator. On the Pi's own USB controller once;
/// what the ways of carrying data differ in is above it.
pub const BOOTS: [(Machine, &str); 4] = [
    (Machine::Virt, "a7670e-ecm"),
    (Machine::Virt, "a7670e-rndis"),
    (Machine::Virt, "sim7600-ndis"),
    (Machine::Raspi4b, "a7670e-ecm"),
];

/// From the moment that the system can be asked. Not a measurement: far more
/// than it takes.
const DEADLINE: Duration = Duration::from_secs(180);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(500);

/// Seconds from power-on of `model` until `a7670e why` says `online`.
pub fn online(ctx: &Context, model: Machine, profile: &str) -> Result<f64> {
    let modem = Modem::Ours { profile: profile.to_owned(), faults: None };
    let options =
        Options { image: crate::test::image(ctx)?, model, extra: Vec::new(), modem: Some(modem) };
    emulate::retry(ctx, || {
        let mut machine = Running::boot(ctx, &options)?;
        let asked = Instant::now();
        loop {
            let why = machine.run("a7670e why --json", DEADLINE)?;
            let answer: Value = serde_json::from_slice(&why.stdout).unwrap_or_default();
            if answer.pointer("/0/verdict").is_some_and(|verdict| verdict == "online") {
                break;
            }
            if asked.elapsed() > DEADLINE {
                let log = machine.run("a7670e why; journalctl -u a7670e --no-pager", DEADLINE)?;
                ensure!(false, "not online: {}", String::from_utf8_lossy(&log.stdout));
            }
            std::thread::sleep(PAUSE);
        }
        let seconds = machine.started.elapsed().as_secs_f64();
        machine.kill()?;
        Ok(seconds)
    })
}
