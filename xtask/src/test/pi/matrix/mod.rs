//! The fault matrix: what goes wrong, what the service says of it and does, and
//! how long it takes to be online again. On the emulated machine, with
//! ModemManager and NetworkManager running beside the service, as shipped.
//!
//! The same faults in virtual time, at five moments each, are in
//! `tests/session/faults.rs`; here it is the kernel's drivers, systemd and the
//! rest of the system that they meet.

mod faults;
mod story;

use super::bench::Mark;
use super::scenario::{Scenario, Step, Until, at, run};
use super::scenarios::{PAGE, verdict};

pub use faults::all;

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Its name, for the table and for `cargo xtask test matrix/NAME`.
    pub name: &'static str,
    /// The emulator's profile.
    pub profile: &'static str,
    /// `/etc/a7670e.toml` for this row; none when empty.
    pub config: &'static str,
    /// What happens, and when.
    pub what: What,
    /// What `why` has to say of it.
    pub told: Told,
    /// How it ends.
    pub end: End,
}

/// What happens, and when.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// This fault script, from power-on: while it comes up.
    Script(&'static str),
    /// This effect, once it is online.
    Modem(&'static str),
    /// This script for sh(1), once it is online.
    Machine(&'static str),
}

/// What `why` has to say.
#[derive(Clone, Copy, Debug)]
pub enum Told {
    /// Nothing: once online it stays so.
    Nothing,
    /// That it is not online any more.
    Something,
    /// One of these verdicts.
    One(&'static [&'static str]),
    /// This, in the journal.
    Logged(&'static str),
}

/// How it ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// By itself, or by what the service does.
    Itself,
    /// With this effect, which is what its owner would do.
    Cure(&'static str),
    /// Not at all, and for good reason. The card has these tries left, for PIN
    /// and PUK.
    Never(&'static str),
}

/// Puts back what an earlier row left, as on a first start.
const FRESH: &str = "systemctl stop a7670e; ip link delete lan0 2>/dev/null; \
    rm -rf /var/lib/a7670e/* /etc/a7670e.toml";

/// Makes the service's journal from here on the row's.
const BEGIN: &str = "journalctl --lines=1 --show-cursor --quiet | \
    sed -n 's/^-- cursor: //p' > /run/a7670e-matrix-cursor && echo begun";

/// The service's journal since then; times in seconds of the Unix epoch.
const STORY: &str = "journalctl --unit=a7670e --no-pager --quiet --output=short-unix \
    --after-cursor=\"$(cat /run/a7670e-matrix-cursor)\"";

/// How long it may take to be told, and to be over. Not a measurement: the
/// ladder waits two minutes after its dearest rung.
const TOLD: u64 = 300;
const OVER: u64 = 300;
/// And to be online at first, when ModemManager had the modem before us.
const FIRST: u64 = 240;

/// How long it has to stay online where nothing is to be told, in questions of
/// half a second.
const STEADY: &str = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do \
    a7670e why --json | grep -q '\"verdict\": *\"online\"' || exit; sleep 0.5; done; echo steady";

/// Rows that take little time and differ: what every run of the tests has.
const QUICK: [&str; 14] = [
    "silence-5s",
    "echo-comes-back",
    "reset",
    "usb-gone-0.5s",
    "other-usb-mode",
    "sim-removed",
    "pin-wrong",
    "no-coverage",
    "denied-11",
    "abroad",
    "no-lease",
    "lan-of-the-same-network",
    "route-deleted",
    "managers-restarted",
];

/// Verdicts with which no packet may go to the modem.
const CLOSED: [&str; 3] = ["no-modem", "no-sim", "denied"];

impl Fault {
    /// Whether every run of the tests has it.
    pub fn is_quick(&self) -> bool {
        QUICK.contains(&self.name)
    }

    /// The row as steps.
    pub fn scenario(&self) -> Scenario {
        let config = format!("cat >/etc/a7670e.toml <<'END'\n{}\nEND\n", self.config);
        let config = if self.config.is_empty() { "" } else { &config };
        let fresh = format!("{FRESH}\n{config}systemctl start a7670e && echo fresh");
        let begin = run("begun", BEGIN, Until::Says("begun"), 20);
        let mut steps = vec![run("fresh", fresh, Until::Says("fresh"), 60)];
        let script = match self.what {
            What::Script(script) => {
                steps.extend([begin, Step::Plug]);
                script
            }
            What::Modem(effect) => {
                steps.extend([Step::Plug, verdict("online", "online", FIRST), begin]);
                steps.push(Step::Inflict(effect));
                ""
            }
            What::Machine(command) => {
                steps.extend([Step::Plug, verdict("online", "online", FIRST), begin]);
                steps.push(Step::Upset(command));
                ""
            }
        };
        match self.told {
            Told::Nothing if matches!(self.what, What::Script(_)) => {}
            Told::Nothing => steps.push(run("steady", STEADY, Until::Says("steady"), 20)),
            Told::Something => steps.push(run("told", STORY, Until::Holds(story::is_told), TOLD)),
            Told::Logged(text) => steps.push(run("told", STORY, Until::Says(text), TOLD)),
            Told::One(verdicts) => {
                let until = Until::JsonOneOf("/0/verdict", verdicts);
                steps.push(run("told", "a7670e why --json", until, TOLD));
                if verdicts.iter().all(|verdict| CLOSED.contains(verdict)) {
                    steps.push(no_route());
                }
            }
        }
        if let End::Cure(effect) = self.end {
            steps.push(Step::Inflict(effect));
        }
        if let End::Never(tries) = self.end {
            steps.extend([no_route(), Step::Modem(Until::Json("/tries", tries))]);
        } else {
            steps.push(verdict("over", "online", OVER));
            steps.push(run("a page by name", PAGE, Until::Says("200000"), 60));
        }
        steps.push(run("story", STORY, Until::Holds(|_| Ok(())), 20));
        Scenario {
            name: self.name,
            profile: self.profile,
            faults: script,
            boot_ms: Some(1000),
            without: &[],
            steps,
        }
    }

    /// The row of the table: verdict, rungs, seconds to be online again.
    pub fn row(&self, marks: &[Mark], passed: bool) -> String {
        let mark = |about: &str| marks.iter().find(|mark| mark.about == about);
        let story = mark("story").map_or("", |mark| mark.said.as_str());
        let told = match self.told {
            Told::Nothing => "-".to_owned(),
            Told::Logged(text) => format!("({text})"),
            Told::Something => story::verdicts(story).join(", "),
            Told::One(_) => mark("told")
                .and_then(|mark| at(&mark.said, "/0/verdict").ok())
                .unwrap_or_else(|| "?".to_owned()),
        };
        let seconds = match (self.end, mark("over")) {
            (End::Never(_), _) => "never, as it should be".to_owned(),
            (_, None) => "?".to_owned(),
            (_, Some(over)) => format!("{:.1}", over.seconds),
        };
        let rungs = story::rungs(story).join(", ");
        let passed = if passed { "" } else { "  FAILED" };
        format!("{:<26}{told:<40}{rungs:<44}{seconds}{passed}", self.name)
    }
}

fn no_route() -> Step {
    run("no default route", "ip -4 route show default", Until::Silent, 10)
}

/// The head of the table.
pub fn head() -> String {
    format!("{:<26}{:<40}{:<44}s to recover", "fault", "verdict", "rungs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_more_than_forty_and_all_are_different() {
        let all = all();
        assert!(all.len() >= 40, "{}", all.len());
        let mut names: Vec<_> = all.iter().map(|fault| fault.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        assert!(QUICK.iter().all(|name| names.contains(name)));
    }

    #[test]
    fn a_row_tells_verdict_rungs_and_seconds() {
        let fault = all().into_iter().find(|fault| fault.name == "sim-removed").unwrap();
        let mark = |about: &str, seconds, said: &str| Mark {
            about: about.into(),
            seconds,
            said: said.into(),
        };
        let story = "1.5 pi a7670e[1]: modem at 1-1: no SIM: trying the radio off and on\n";
        let marks = [
            mark("told", 1.0, r#"[{"verdict": "no-sim"}]"#),
            mark("over", 4.21, ""),
            mark("story", 5.0, story),
        ];
        let row = fault.row(&marks, true);
        let words: Vec<_> = row.split("  ").map(str::trim).filter(|it| !it.is_empty()).collect();
        assert_eq!(words, ["sim-removed", "no-sim", "the radio off and on", "4.2"]);
    }
}
