//! What the session says, done.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use std::io;
use tokio::time::sleep;

use super::climb::climb;
use super::modemmanager::watch::Watch;
use super::network;
use super::port;
use super::rival;
use super::task::Task;
use crate::modem::transcript::Side;
use crate::net::dhcp::socket::Socket;
use crate::net::plan::Plan;
use crate::net::probe::{self, Target};
use crate::net::solicit::solicit;
use crate::policy::ladder::Rung;
use crate::session::{Action, Event};
use crate::sms::desk::Message;

/// Wait after the kernel gave no list of the network.
const AGAIN: Duration = Duration::from_secs(1);

impl Task {
    /// Does what the session says, in order; whether all messages were kept.
    pub(super) fn carry_out(&mut self) -> bool {
        let mut kept = true;
        loop {
            let actions = self.session.take();
            if actions.is_empty() {
                return kept;
            }
            self.carry_out_these(actions, &mut kept);
        }
    }

    fn carry_out_these(&mut self, actions: Vec<Action>, kept: &mut bool) {
        let (mut silenced, mut forgetful) = (false, false);
        for action in actions {
            // The desk begins anew when a message was not kept, and only then.
            if forgetful && rests_on_memory(&action) || silenced && waits(&action) {
                continue;
            }
            match action {
                // After one that was not kept the rest waits, too.
                Action::KeepMessage(_) | Action::ForgetMessage(_) if !*kept => {}
                Action::KeepMessage(_) | Action::ForgetMessage(_) => {
                    *kept = self.store(&action);
                    silenced |= !*kept;
                }
                Action::Remember(memory) => {
                    if let Err(error) = self.files.remember(&memory) {
                        // What must not be forgotten must not be done.
                        tracing::error!("modem at {}: {error:#}", self.path);
                        forgetful = true;
                    }
                }
                other => self.act(other),
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::OpenPort(path) => {
                let opening = tokio::task::spawn_blocking(move || port::open(Path::new(&path)));
                self.opening = Some(Box::pin(async { opening.await.map_err(io::Error::other)? }));
            }
            Action::ClosePort => {
                self.port = None;
                self.opening = None;
            }
            Action::Write(bytes) => {
                self.record(Side::Host, &bytes);
                let pushed = self.port.as_mut().map(|port| port.push(&bytes));
                if let Some(Err(error)) = pushed {
                    tracing::warn!("modem at {}: {error}", self.path);
                }
            }
            Action::WatchManager(on) => {
                self.manager = on.then(|| Watch::start(Arc::clone(&self.shared)));
            }
            Action::HandOver => {
                self.rival.hand_over(&self.shared, &self.path);
                let uid = rival::uid(&self.shared.tools.sysfs, &self.path);
                self.manager.iter().for_each(|watch| watch.show(Some(uid.clone())));
            }
            Action::TakeBack => {
                self.rival.plugged();
                self.manager.iter().for_each(|watch| watch.show(None));
            }
            Action::Manager(call) => {
                if let Some(watch) = &self.manager {
                    watch.call(call);
                }
            }
            Action::ManagerMessage { modem, call } => {
                if let Some(watch) = &self.manager {
                    watch.message(modem, call);
                }
            }
            Action::Observe => self.observe(None),
            Action::Apply(plan) => self.observe(Some(plan)),
            Action::Listen(index) => {
                self.dhcp_link = Some(index);
                self.listen();
            }
            Action::Deafen => (self.dhcp, self.dhcp_link) = (None, None),
            Action::Send { from, to, bytes } => {
                self.listen();
                // Refused while the link is not up; the client asks again.
                _ = self.dhcp.as_ref().map(|socket| socket.send(from, to, &bytes));
            }
            // Refused while the link has no address; the session asks again.
            Action::Solicit(index) => {
                if let Err(error) = solicit(index) {
                    tracing::debug!("modem at {}: cannot ask for routers: {error}", self.path);
                }
            }
            Action::Probe { link, servers, target } => self.ask(link, &servers, target),
            // Handled before.
            Action::Remember(_) | Action::KeepMessage(_) | Action::ForgetMessage(_) => {}
            Action::LoadMessages => self.load_messages(),
            // Nobody listens: as well.
            Action::Tell(news) => _ = self.shared.news.send((self.path.clone(), *news)),
            // One at a time; the desk asks again.
            Action::RunProgram(_) if self.by_text.program.is_some() => {}
            Action::RunProgram(message) => self.run_program(*message),
            Action::Obey { id, text } => self.obey(id, &text),
            // Nobody waits for it: as well.
            Action::Ussd(told) => _ = self.shared.by_text.ussd.send((self.path.clone(), told)),
            Action::Keep(history) => {
                let kept = self.files.keep(&history);
                self.tried_is_kept = kept.is_ok();
                kept.unwrap_or_else(|error| tracing::error!("modem at {}: {error:#}", self.path));
            }
            Action::Count(usage) => self.files.count(&usage),
            // One that is forgotten would be followed by another, and another.
            Action::Climb(Rung::Reboot) if !self.tried_is_kept => {
                tracing::error!("modem at {}: no reboot that cannot be noted", self.path);
            }
            // Dropped half-way, it would leave the modem without power.
            Action::Climb(_) if self.climb.is_some() => {}
            Action::Climb(rung) => {
                let (tools, path) = (self.shared.tools.clone(), self.path.clone());
                self.climb = Some(Box::pin(async move { climb(&tools, &path, rung).await }));
            }
            Action::Answer { id, result } => {
                if let Some(answer) = self.answers.remove(&id) {
                    // Who asked may have left.
                    _ = answer.send(result);
                }
            }
            Action::Say(text) => tracing::info!("modem at {}: {text}", self.path),
            Action::Changed => {}
        }
    }

    fn run_program(&mut self, message: Message) {
        let (id, path) = (message.id, self.path.clone());
        let Some(program) = self.shared.by_text.program.clone() else { return };
        let work = async move { (id, program.run(path, message).await) };
        self.by_text.program = Some(Box::pin(work));
    }

    fn listen(&mut self) {
        if let (None, Some(index)) = (&self.dhcp, self.dhcp_link) {
            match Socket::open(index) {
                Ok(socket) => self.dhcp = Some(socket),
                Err(error) => tracing::warn!("modem at {}: no DHCP: {error}", self.path),
            }
        }
    }

    /// Carries a plan out, if there is one, and looks.
    fn observe(&mut self, plan: Option<Plan>) {
        let shared = Arc::clone(&self.shared);
        let link = self.device.as_ref().and_then(|device| device.link.clone()).unwrap_or_default();
        let modem = self.session.dialled_modem();
        self.network = Some(Box::pin(async move {
            let mut events = Vec::new();
            if let Some(plan) = plan {
                tracing::debug!("{plan}");
                events.push(Event::Applied(network::apply(&shared, &plan).await));
            }
            loop {
                match network::observe(&shared, &link, modem.as_deref()).await {
                    Ok(observed) => {
                        events.push(Event::Observed(observed));
                        return events;
                    }
                    Err(error) => {
                        tracing::warn!("{error}");
                        sleep(AGAIN).await;
                    }
                }
            }
        }));
    }

    fn ask(&mut self, link: String, servers: &[std::net::Ipv4Addr], target: Target) {
        let servers: Vec<IpAddr> = servers.iter().copied().map(IpAddr::from).collect();
        self.probe_id = self.probe_id.wrapping_add(1);
        let id = self.probe_id;
        self.probe =
            Some(Box::pin(async move { probe::io::probe(&link, &servers, &target, id).await }));
    }
}

/// Whether what could not be kept must come before it.
fn waits(action: &Action) -> bool {
    matches!(
        action,
        Action::Write(_)
            | Action::Tell(_)
            | Action::RunProgram(_)
            | Action::Obey { .. }
            | Action::Manager(_)
            | Action::ManagerMessage { .. }
    )
}

/// Whether what the modem's machine must remember must come before it: a PIN that
/// was tried, for one, by whichever way.
fn rests_on_memory(action: &Action) -> bool {
    matches!(action, Action::Write(_) | Action::Manager(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::messages::tests::task;
    use crate::daemon::program::Program;
    use crate::modem::machine::{Memory, Secret};
    use crate::modem::manager::Call;

    fn message() -> Message {
        serde_json::from_str(
            r#"{"id":1,"direction":"in","address":"x","text":"x","state":"whole","at":1,
                "detail":null,"stamp":null,"parts":1,"parts_done":1,"references":[],
                "reports":[],"class":null,"waiting":null,"perhaps_twice":false}"#,
        )
        .unwrap()
    }

    /// The desk would wait for its end for ever.
    #[test]
    fn the_program_is_run_although_the_modems_memory_cannot_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut task = task(folder.path());
        let program = Program { line: vec!["/bin/true".to_owned()], limit: AGAIN };
        Arc::get_mut(&mut task.shared).unwrap().by_text.program = Some(program);
        std::fs::create_dir(folder.path().join("1-1/memory.json.new")).unwrap();
        assert!(task.files.remember(&Memory::default()).is_err());
        let run = || Action::RunProgram(Box::new(message()));
        let mut kept = true;
        let actions = vec![Action::Remember(Memory::default()), run()];
        task.carry_out_these(actions, &mut kept);
        assert!(kept && task.by_text.program.is_some());
        let (sim, pin) = ("/SIM/0".to_owned(), Secret::new("1234"));
        assert!(rests_on_memory(&Action::Manager(Call::SendPin { sim, pin })));
        assert!(rests_on_memory(&Action::Write(b"AT+CPIN=1234\r".to_vec())));
    }
}
