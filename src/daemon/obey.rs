//! Commands by text message: judged, noted, done, answered.
//!
//! The gate (the highest counter that was used, and wrong codes) is on the disk
//! before anything is done, so that no command is done twice; one whose doing was
//! cut short is not done again. It is one for all modems: a message that was
//! recorded at one is of no use at another.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::by_text::Came;
use super::climb::climb;
use super::task::Task;
use crate::modem::machine::{Access, Auth, Phase, Secret, Source};
use crate::policy::ladder::Rung;
use crate::policy::verdict::Verdict;
use crate::session::{Report, Settings};
use crate::sms::commands::{Apn, Gate, Judgement, Wish};
use crate::state::{Loaded, StateFile};

/// How long the answer may take before a reboot is not put off any more.
const FAREWELL: Duration = Duration::from_secs(60);

/// How long a new access point may take to be online. A modem attaches within
/// five tries of 15 s (TS 24.301 §5.5.1.2.6), and SIMs refuse for minutes.
pub const TRIAL: Duration = Duration::from_secs(600);

/// Longest answer: two messages.
const LONGEST: usize = 300;

/// Judges commands.
pub struct Commands {
    key: Secret,
    gate: Mutex<Gate>,
    file: StateFile,
}

impl Commands {
    /// With what earlier runs kept below `folder`. If it cannot be read, or was
    /// damaged once, a recorded message could be used again: then nothing passes.
    pub fn new(key: Secret, folder: &Path) -> Commands {
        let file = StateFile::new(folder, "commands", 1);
        let gate = match file.load() {
            Ok(Loaded::Kept(gate)) => gate,
            // Also after the start at which it was set aside.
            Ok(Loaded::Nothing) if !file.was_damaged() => Gate::default(),
            Ok(Loaded::Nothing | Loaded::Damaged { .. }) => Gate::closed(),
            Err(error) => {
                tracing::error!("{error}");
                Gate::closed()
            }
        };
        if gate.is_closed() {
            let folder = folder.display();
            tracing::error!(
                "commands by text message are refused: what was kept of earlier ones is damaged, \
                 so that they could be used again; change `sms.commands.key`, then remove \
                 {folder}/commands.json and {folder}/commands.json.damaged",
            );
        }
        Commands { key, gate: Mutex::new(gate), file }
    }

    fn judge(&self, wall: u64, text: &str) -> Result<Judgement> {
        // Whoever panicked has not left it half changed.
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = gate.clone();
        let judgement = next.judge(self.key.reveal().as_bytes(), wall, text);
        if next != *gate {
            self.file.save(&next)?;
            *gate = next;
        }
        Ok(judgement)
    }
}

/// The access point that a command has chosen; kept per modem.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// It; `None` for the configuration's.
    pub apn: Option<Apn>,
    /// As long as it is not proved.
    pub trial: Option<Trial>,
}

/// An access point on trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// What to go back to.
    pub before: Option<Apn>,
    /// The message to answer.
    pub message: u64,
}

/// What the settings come to.
pub fn with(base: &Settings, chosen: &Chosen) -> Settings {
    let mut settings = base.clone();
    if let Some(apn) = &chosen.apn {
        let kinds: &[Auth] =
            if apn.user.is_empty() { &[Auth::None] } else { &[Auth::Pap, Auth::Chap] };
        let access = kinds.iter().map(|auth| Access {
            apn: apn.name.clone(),
            user: apn.user.clone(),
            password: Secret::new(&apn.password),
            auth: *auth,
            source: Source::Sms,
        });
        settings.use_access(access.collect());
    }
    settings
}

impl Task {
    /// Does what a text says, if it has the right code.
    pub(super) fn obey(&mut self, id: u64, text: &str) {
        let clock = self.shared.clock();
        let judged = match &self.shared.by_text.commands {
            Some(commands) => commands.judge(clock.wall, text),
            None => Ok(Judgement::Refused("there is no key")),
        };
        let judged = judged.unwrap_or_else(|error| {
            tracing::error!("modem at {}: {error:#}", self.path);
            Judgement::Refused("what was used cannot be kept")
        });
        let answer = match judged {
            Judgement::Refused(why) => {
                tracing::warn!("modem at {}: message {id} is no command: {why}", self.path);
                None
            }
            Judgement::Mistake(why) => Some(why),
            Judgement::Do(wish) => {
                tracing::info!("modem at {}: message {id} commands: {}", self.path, wish.name());
                match wish {
                    Wish::Status => Some(status(&self.session.report(clock))),
                    Wish::Why => Some(why(&self.session.report(clock))),
                    Wish::Reboot => {
                        let answer = self.session.obeyed(clock, id, Some("rebooting".to_owned()));
                        let until = clock.now.saturating_add(FAREWELL);
                        self.by_text.reboot = Some((id, answer, until));
                        return;
                    }
                    Wish::Apn(apn) => return self.choose(id, apn),
                }
            }
        };
        _ = self.session.obeyed(clock, id, answer.map(|text| cut(&text)));
    }

    /// Takes another access point, on trial.
    fn choose(&mut self, id: u64, apn: Option<Apn>) {
        let clock = self.shared.clock();
        let now = self.files.chosen();
        // What is on trial was never proved.
        let before = now.trial.map_or(now.apn, |trial| trial.before);
        let chosen = Chosen { apn, trial: Some(Trial { before, message: id }) };
        let kept = self.files.choose(&chosen);
        let answer = kept.is_err().then(|| "the choice cannot be kept".to_owned());
        _ = self.session.obeyed(clock, id, answer);
        match kept {
            // Once all that the session wants is done.
            Ok(()) => self.want_anew(),
            Err(error) => tracing::error!("modem at {}: {error:#}", self.path),
        }
    }

    /// What is due of commands: at each turn of the task.
    pub(super) fn command_turn(&mut self) {
        let waits = self.anew_turn();
        let clock = self.shared.clock();
        if let Some((id, answer, until)) = self.by_text.reboot {
            let desk = self.session.messages();
            let answer = answer.and_then(|answer| desk?.message(answer).ok());
            let waits = answer.is_some_and(|answer| answer.state == "accepted");
            if !waits || clock.now >= until {
                self.by_text.reboot = None;
                let (tools, path) = (self.shared.tools.clone(), self.path.clone());
                let work = async move { (id, climb(&tools, &path, Rung::Reboot).await) };
                self.by_text.rebooting = Some(Box::pin(work));
            }
        }
        let Some(until) = self.by_text.trial.filter(|_| !waits) else { return };
        let Chosen { apn, trial } = self.files.chosen();
        let Some(Trial { before, message }) = trial else {
            self.by_text.trial = None;
            return;
        };
        let state = self.session.modem_state();
        let in_use = state.filter(|state| state.phase == Phase::Connected);
        let used = in_use.and_then(|state| state.apn.clone());
        let is_it =
            used.is_some() && apn.as_ref().is_none_or(|apn| used.as_ref() == Some(&apn.name));
        let online = is_it && self.session.verdict() == Verdict::Online;
        if !online && clock.now < until {
            return;
        }
        self.by_text.trial = None;
        let name = |apn: &Option<Apn>| {
            apn.as_ref()
                .map_or("the configuration's APN".to_owned(), |apn| format!("APN {}", apn.name))
        };
        let (next, answer) = if online {
            (Chosen { apn: apn.clone(), trial: None }, format!("online with {}", name(&apn)))
        } else {
            let text = format!("not online with {}: back to {}", name(&apn), name(&before));
            (Chosen { apn: before, trial: None }, text)
        };
        tracing::info!("modem at {}: {answer}", self.path);
        if let Err(error) = self.files.choose(&next) {
            tracing::error!("modem at {}: {error:#}", self.path);
        }
        if !online {
            self.want_anew();
        }
        self.session.answer_message(clock, message, cut(&answer));
    }

    /// Something has come to its end.
    pub(super) fn came(&mut self, came: Came) {
        match came {
            Came::Ran(id, ended) => self.session.program_ended(self.shared.clock(), id, ended),
            Came::Rebooted(id, done) => self.rebooted(id, done),
            // Seen at the next turn.
            Came::Due => {}
        }
    }

    /// A reboot by command came to nothing; else this is not heard.
    fn rebooted(&mut self, id: u64, done: Result<()>) {
        if let Err(error) = done.context("no reboot") {
            tracing::error!("modem at {}: {error:#}", self.path);
            self.session.answer_message(self.shared.clock(), id, cut(&format!("{error:#}")));
        }
    }
}

fn status(report: &Report) -> String {
    let state = &report.cellular.state;
    let address = report.network.as_ref().and_then(|network| network.lease.as_ref());
    let signal = state.signal.rsrp_dbm.or(state.signal.rssi_dbm);
    let mb = |bytes: u64| bytes.div_ceil(1_000_000);
    let cap = report.usage.cap.map_or(String::new(), |cap| format!(" of {}", mb(cap)));
    let parts = [
        Some(report.summary.clone()),
        state.operator.clone(),
        state.technology.map(|technology| format!("{technology:?}")),
        signal.map(|dbm| format!("{dbm:.0} dBm")),
        state.apn.as_ref().map(|apn| format!("APN {apn}")),
        address.map(|lease| lease.address.to_string()),
        Some(format!("{}{cap} MB used", mb(report.usage.rx + report.usage.tx))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn why(report: &Report) -> String {
    let reason = report.cellular.state.reason.clone();
    let next = report.next.map(|next| format!("next in {} s: {}", next.in_s, next.rung));
    let parts = [Some(report.summary.clone()), reason, report.advice.clone(), next];
    parts.into_iter().flatten().collect::<Vec<_>>().join(". ")
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::messages::tests::task;
    use crate::session::DnsScope;

    fn apn(name: &str) -> Option<Apn> {
        Some(Apn { name: name.to_owned(), user: String::new(), password: String::new() })
    }

    #[test]
    fn an_access_point_that_does_not_work_goes_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut task = task(folder.path());
        for (name, before) in [("one", None), ("two", None)] {
            task.choose(1, apn(name));
            task.command_turn();
            let trial = Some(Trial { before, message: 1 });
            assert_eq!(task.files.chosen(), Chosen { apn: apn(name), trial });
            let until = task.by_text.trial.unwrap();
            assert!(until > task.shared.clock().now + TRIAL / 2);
        }
        // Still on trial, so nothing happens.
        task.command_turn();
        assert_eq!(task.files.chosen().apn, apn("two"));
        // Its time is over. What was on trial before it was never proved either.
        task.by_text.trial = Some(Duration::ZERO);
        task.command_turn();
        assert_eq!(task.files.chosen(), Chosen::default());
        assert_eq!(task.by_text.trial, None);
    }

    #[test]
    fn a_damaged_record_of_counters_lets_nothing_pass_until_somebody_looks() {
        use crate::sms::commands::code;
        let folder = tempfile::tempdir().unwrap();
        let key = || Secret::new("a key of this test only");
        let text =
            |counter| format!("{counter} {} why", code(key().reveal().as_bytes(), counter, "why"));
        let done = |commands: &Commands, counter| commands.judge(2_000_000_000, &text(counter));
        let open = || Commands::new(key(), folder.path());
        assert_eq!(done(&open(), 7).unwrap(), Judgement::Do(Wish::Why));
        assert!(matches!(done(&open(), 7).unwrap(), Judgement::Refused(_)), "it is kept");
        let file = folder.path().join("commands.json");
        std::fs::write(&file, "{").unwrap();
        let blocked = folder.path().join("commands.json.new");
        for full in [true, false, false] {
            // Nothing can be written at the start that finds it damaged.
            if full {
                std::fs::create_dir(&blocked).unwrap();
            }
            assert!(matches!(done(&open(), 8).unwrap(), Judgement::Refused(_)));
            _ = std::fs::remove_dir(&blocked);
        }
        std::fs::remove_file(file.with_extension("json.damaged")).unwrap();
        let commands = open();
        // What cannot be kept is not done.
        std::fs::create_dir(&blocked).unwrap();
        assert!(done(&commands, 9).is_err());
        std::fs::remove_dir(&blocked).unwrap();
        assert_eq!(done(&commands, 9).unwrap(), Judgement::Do(Wish::Why));
    }

    #[test]
    fn settings_with_a_chosen_access_point() {
        let folder = tempfile::tempdir().unwrap();
        let task = task(folder.path());
        let base = &task.by_text.settings;
        let chosen = |apn| with(base, &Chosen { apn, trial: None }).cellular.access;
        assert_eq!(chosen(None), base.cellular.access);
        let open = chosen(apn("web"));
        assert_eq!((open.len(), open[0].auth, open[0].source), (1, Auth::None, Source::Sms));
        let user = Some(Apn { user: "me".to_owned(), ..apn("web").unwrap() });
        let kinds: Vec<Auth> = chosen(user).iter().map(|access| access.auth).collect();
        assert_eq!(kinds, [Auth::Pap, Auth::Chap]);
        // By PPP it is dialled with the same.
        let ppp = "[modem]\ncontrol = \"modemmanager\"\ndata = \"ppp\"\n\
                   [network]\nby = \"networkmanager\"\n[cellular]\napn = \"old\"\n";
        let config = crate::config::parse(Path::new("x"), ppp).unwrap();
        let base = Settings::of(&config, base.providers.clone(), DnsScope::None).unwrap();
        let dialled = |apn| with(&base, &Chosen { apn, trial: None }).gsm.unwrap();
        assert_eq!(dialled(None).apn.as_deref(), Some("old"));
        let user = Apn { user: "me".to_owned(), ..apn("web").unwrap() };
        let gsm = dialled(Some(user));
        assert_eq!((gsm.apn.as_deref(), gsm.user.as_str(), gsm.auto), (Some("web"), "me", true));
    }
}
