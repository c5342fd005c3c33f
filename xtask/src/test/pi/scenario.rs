//! What a scenario is: a modem, what is done with it, and what must then hold
//! in the machine.

use std::borrow::Cow;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// One modem: what is done with it in a machine that is up. At the end it is
/// pulled out, whatever came of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name, for the table and for `cargo xtask test pi/NAME`.
    pub name: &'static str,
    /// The emulator's profile.
    pub profile: &'static str,
    /// A fault script, in the emulator's TOML; may be empty.
    pub faults: &'static str,
    /// Milliseconds from power-on to `*ATREADY`, when not the profile's 9.1 s.
    pub boot_ms: Option<u64>,
    /// Units of the machine that are stopped for its duration.
    pub without: &'static [&'static str],
    /// What happens, in order; at the beginning no modem is there.
    pub steps: Vec<Step>,
}

/// Something that is done.
#[derive(Clone, Debug)]
pub enum Step {
    /// Asks the machine until the answer is right.
    Run {
        /// What it shows; begins the time in the table.
        about: &'static str,
        /// A script for sh(1), run as root. `at` and `ping` are
        /// [`super::guest`]'s. It must end by itself.
        command: Cow<'static, str>,
        /// What its output must be like. It need not end well: the output
        /// decides.
        until: Until,
        /// Seconds until it must be so, from the end of the step before.
        within: u64,
    },
    /// Something goes wrong, or right, with the modem: an effect of a fault
    /// script, in JSON.
    Inflict(&'static str),
    /// Something goes wrong in the machine itself: a script for sh(1).
    Upset(&'static str),
    /// What the modem tells of itself (`{"do": "state"}`) must be like this.
    Modem(Until),
    /// What the modem tells of the messages sent by it (`{"do": "sent"}`).
    Sent(Until),
    /// The modem is plugged in, under power from now on.
    Plug,
    /// It is pulled out and loses power.
    Unplug,
    /// Several steps, several times.
    Repeat(usize, Vec<Step>),
}

/// What an output must be like.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// It contains this.
    Says(&'static str),
    /// There is none.
    Silent,
    /// It is JSON, and at this pointer (RFC 6901) stands this text or, in
    /// JSON's form, this other value.
    Json(&'static str, &'static str),
    /// The same, with one of these.
    JsonOneOf(&'static str, &'static [&'static str]),
    /// This has no objection.
    Holds(fn(&str) -> Result<()>),
}

impl Until {
    /// `Err` says in what `text` is not as it must be.
    pub fn judge(self, text: &str) -> Result<()> {
        match self {
            Until::Says(part) => ensure!(text.contains(part), "no {part:?} in {text:?}"),
            Until::Silent => ensure!(text.trim().is_empty(), "{text:?} instead of nothing"),
            Until::Json(pointer, wanted) => one_of(text, pointer, &[wanted])?,
            Until::JsonOneOf(pointer, wanted) => one_of(text, pointer, wanted)?,
            Until::Holds(holds) => holds(text)?,
        }
        Ok(())
    }
}

fn one_of(text: &str, pointer: &str, wanted: &[&str]) -> Result<()> {
    let found = at(text, pointer)?;
    ensure!(wanted.contains(&found.as_str()), "{pointer} is {found}, not {}", wanted.join(" or "));
    Ok(())
}

/// What stands at `pointer` in the JSON `text`.
pub fn at(text: &str, pointer: &str) -> Result<String> {
    let value: Value = serde_json::from_str(text).with_context(|| format!("no JSON: {text:?}"))?;
    let Some(found) = value.pointer(pointer) else { bail!("no {pointer} in {text:?}") };
    Ok(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

/// Shorthand for [`Step::Run`].
pub fn run(
    about: &'static str,
    command: impl Into<Cow<'static, str>>,
    until: Until,
    within: u64,
) -> Step {
    Step::Run { about, command: command.into(), until, within }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_judged() {
        assert!(Until::Says("b").judge("abc").is_ok());
        assert!(Until::Says("x").judge("abc").is_err());
        assert!(Until::Silent.judge(" \n").is_ok());
        assert!(Until::Silent.judge("x").is_err());
        let json = r#"{"verdict": {"kind": "online"}, "n": 3}"#;
        assert!(Until::Json("/verdict/kind", "online").judge(json).is_ok());
        assert!(Until::Json("/n", "3").judge(json).is_ok());
        assert!(Until::JsonOneOf("/n", &["2", "3"]).judge(json).is_ok());
        assert!(Until::JsonOneOf("/n", &["2", "4"]).judge(json).is_err());
        for (pointer, wanted) in [("/verdict/kind", "dns"), ("/none", "3"), ("/n", "4")] {
            assert!(Until::Json(pointer, wanted).judge(json).is_err(), "{pointer}");
        }
        assert!(Until::Json("/n", "3").judge("no JSON").is_err());
        assert!(Until::Holds(|_| bail!("no")).judge("").is_err());
    }
}
