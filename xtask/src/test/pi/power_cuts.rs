//! Text messages on a machine whose power is cut at random moments: nothing is
//! lost, nothing is there twice.
//!
//! `A7670E_CUTS` and `A7670E_MESSAGES` (each way) in the environment make it
//! more than the few of every run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::context::Context;
use crate::emulate::{Machine, Modem, Options, Running, Unit};

/// How often, and how many messages each way, when the environment names no number.
const CUTS: usize = 1;
const MESSAGES: usize = 16;

/// The power is cut within this time after the last message was accepted.
const WITHIN: Duration = Duration::from_millis(2500);
/// One question, on a machine that is busy.
const QUESTION: Duration = Duration::from_secs(300);
/// What is under way is to be over by then. Not a measurement.
const OVER: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(500);

/// No limit on what is sent in an hour or kept.
const CONFIG: &str = "cat >/etc/a7670e.toml <<'END' && sync && systemctl restart a7670e
[sms]
per_hour = 0
keep = 5000
END";

/// A message as `a7670e sms list --json` tells it.
#[derive(Debug, Deserialize)]
struct Message {
    id: u64,
    direction: String,
    state: String,
    text: Option<String>,
}

/// Carries it out; gives how many messages to the network ended in which state.
pub fn run(ctx: &Context) -> Result<BTreeMap<String, usize>> {
    let cuts = number("A7670E_CUTS", CUTS)?.max(1);
    let each = number("A7670E_MESSAGES", MESSAGES)?.max(cuts);
    let options = Options {
        image: crate::test::image(ctx)?,
        model: Machine::Virt,
        extra: Vec::new(),
        modem: Some(Modem::Later),
    };
    let mut machine = Running::boot(ctx, &options)?;
    machine.wait_running()?;
    machine.run(CONFIG, QUESTION)?.text()?;
    machine.plug(ctx, &Unit { profile: "a7670e-ecm", faults: None, boot_ms: Some(1000) })?;
    let mut accepted = BTreeMap::new();
    let mut moment = Moments(1);
    for cut in 0..cuts {
        ready(&mut machine)?;
        let round = each * cut / cuts..each * (cut + 1) / cuts;
        for number in round.clone() {
            receive(&machine, number)?;
        }
        // Half of them are accepted for sure; whether the rest is, nobody hears.
        let (heard, unheard) = (round.start..round.start + round.len().div_ceil(2), round.end);
        let said = machine.run(&send(heard.clone()), QUESTION)?.text()?;
        for (number, line) in heard.clone().zip(said.lines()) {
            accepted.insert(id(line)?, to_them(number));
        }
        machine.run(&format!("({}) >/dev/null 2>&1 &", send(heard.end..unheard)), QUESTION)?;
        std::thread::sleep(moment.next(WITHIN));
        machine.power_cycle(ctx)?;
    }
    ready(&mut machine)?;
    let messages = settled(&mut machine, each)?;
    let sent: Vec<Value> = serde_json::from_value(machine.modem(r#"{"do": "sent"}"#)?)?;
    let copies = |text: &str| sent.iter().filter(|part| part["text"] == text).count();
    for number in 0..each {
        let (theirs, ours) = (to_them(number), to_us(number));
        let kept = messages.iter().filter(|one| one.text.as_ref() == Some(&ours)).count();
        ensure!(kept == 1, "{ours:?} was kept {kept} times");
        ensure!(copies(&theirs) <= 1, "{theirs:?} was sent {} times", copies(&theirs));
    }
    let mut table = BTreeMap::new();
    for (id, text) in &accepted {
        let Some(one) = messages.iter().find(|one| one.id == *id) else {
            bail!("{text:?} was accepted as {id} and is lost");
        };
        ensure!(one.text.as_ref() == Some(text), "{id} was {text:?} and is {one:?}");
        match (one.state.as_str(), copies(text)) {
            ("submitted", 1) | ("unknown", 0 | 1) => {}
            (_, copies) => bail!("sent {copies} times: {one:?}"),
        }
        *table.entry(one.state.clone()).or_default() += 1;
    }
    machine.kill()?;
    Ok(table)
}

/// What the environment says of `name`.
pub fn number(name: &str, default: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text} is no number")),
        Err(_) => Ok(default),
    }
}

fn to_them(number: usize) -> String {
    format!("to them, number {number}.")
}

fn to_us(number: usize) -> String {
    format!("to us, number {number}.")
}

/// A script that has these messages accepted, with one answer per line.
fn send(numbers: std::ops::Range<usize>) -> String {
    format!(
        "for n in $(seq {} {}); do said=$(a7670e sms send --json --to +254700000001 \
         \"to them, number $n.\") || exit; printf %s \"$said\" | tr -d '\\n'; echo; done",
        numbers.start,
        numbers.end.saturating_sub(1)
    )
}

fn receive(machine: &Running, number: usize) -> Result<()> {
    let text = to_us(number);
    let line = serde_json::json!({
        "do": "inflict",
        "fault": {"effect": "sms", "from": "+254700000002", "text": text}
    });
    machine.modem(&line.to_string()).map(drop)
}

/// The number that `a7670e sms send --json` tells.
fn id(line: &str) -> Result<u64> {
    let told: Vec<Message> =
        serde_json::from_str(line).with_context(|| format!("sms send said {line:?}"))?;
    Ok(told.first().with_context(|| format!("no message in {line:?}"))?.id)
}

fn list(machine: &mut Running) -> Result<Vec<Message>> {
    let said = machine.run("a7670e sms list --json", QUESTION)?.text()?;
    serde_json::from_str(&said).with_context(|| format!("sms list said {said:?}"))
}

/// Waits until the service takes messages.
fn ready(machine: &mut Running) -> Result<()> {
    wait(|| list(machine).map(drop)).context("the service takes no messages")
}

/// All messages, once none is under way and so many have come.
fn settled(machine: &mut Running, came: usize) -> Result<Vec<Message>> {
    wait(|| {
        let messages = list(machine)?;
        let open = messages.iter().filter(|one| one.state == "accepted").count();
        let there = messages.iter().filter(|one| one.direction == "in").count();
        ensure!(open == 0 && there >= came, "{open} to be sent, {there} of {came} came");
        Ok(messages)
    })
}

fn wait<T>(mut question: impl FnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match question() {
            Err(_) if start.elapsed() < OVER => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// The same moments in every run.
struct Moments(u32);

impl Moments {
    fn next(&mut self, within: Duration) -> Duration {
        // Numerical Recipes' linear congruential generator.
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        within.mul_f64(f64::from(self.0 >> 16) / f64::from(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_asks_for_each_message_once_and_passes_the_answers_on() {
        let script = format!("a7670e() {{ printf '{{\n%s}}\n' \"$6\"; }}\n{}", send(3..6));
        let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        for (line, number) in said.lines().zip(3..) {
            assert_eq!(line, format!("{{{}}}", to_them(number)), "{said}");
        }
        assert_eq!(said.lines().count(), 3, "{said}");
    }

    #[test]
    fn an_answer_has_a_number() {
        let one = r#"[{"id": 9, "direction": "out", "state": "accepted", "text": "x"}]"#;
        assert_eq!(id(one).unwrap(), 9);
        assert!(id("[]").is_err() && id("no").is_err());
    }

    #[test]
    fn moments_are_within_their_time_and_differ() {
        let mut moments = Moments(1);
        let some: Vec<_> = (0..50).map(|_| moments.next(WITHIN)).collect();
        assert!(some.iter().all(|it| *it <= WITHIN));
        assert!(some.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
