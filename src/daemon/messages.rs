//! Text messages of one modem: what clients ask for, and what to do when the
//! disk fails.

use super::adopt::Owner;
use super::task::Task;
use crate::modem::usb_path::UsbPath;
use crate::protocol::{MessagesCall, SmsList};
use crate::session::Action;
use crate::sms::desk::{Desk, Message, NotDone};

impl Task {
    /// Does what a client asks. What it is told is on the disk.
    pub(super) fn messages(&mut self, call: MessagesCall) -> Result<SmsList, NotDone> {
        let clock = self.shared.clock();
        let Some(desk) = self.session.messages() else {
            // The same words as for sending.
            return self.session.send_messages(clock, Vec::new()).map(SmsList::page);
        };
        if let MessagesCall::Adopt(from) = &call {
            return self.adopt(from);
        }
        let show = |id| desk.message(id).map(|message| vec![message]);
        match call {
            MessagesCall::List(after) => Ok(SmsList::page(later(desk, after))),
            MessagesCall::Outbox(after) => {
                Ok(SmsList::page(later(desk, after).filter(|one| one.direction == "out")))
            }
            MessagesCall::Show(id) => show(id).map(SmsList::page),
            MessagesCall::Delete(id) => {
                let message = show(id)?;
                // What is still to be done is not part of this.
                _ = self.carry_out();
                self.session.delete_message(clock, id)?;
                if self.carry_out() { Ok(SmsList::page(message)) } else { Err(unwritable()) }
            }
            // Before.
            MessagesCall::Adopt(_) => Ok(SmsList::page([])),
            MessagesCall::Send(requests) => {
                // What is still to be done is not part of this.
                _ = self.carry_out();
                let accepted = self.session.send_messages(clock, requests)?;
                if self.carry_out() {
                    return Ok(SmsList::page(accepted));
                }
                // All or none: those that were kept before it failed go again.
                for message in accepted {
                    if let Err(error) = self.files.forget_message(message.id) {
                        tracing::error!("modem at {}: {error:#}", self.path);
                    }
                }
                self.load_messages();
                Err(unwritable())
            }
        }
    }

    /// Takes over the messages of a place that nobody is at.
    fn adopt(&mut self, from: &UsbPath) -> Result<SmsList, NotDone> {
        let refused = |why: String| Err(NotDone::Refused(why));
        if self.shared.by_text.in_use().contains(&from.to_string()) {
            return refused(format!("there is a modem at {from}: its messages are its own"));
        }
        _ = self.carry_out();
        if !self.session.messages().is_some_and(Desk::is_idle) {
            return refused("a message is being sent or read at this moment; try again".to_owned());
        }
        match self.files.adopt(&self.path, from) {
            Ok(0) => refused(format!("no messages were left at {from}")),
            Ok(_) => {
                self.take_up_messages();
                let all = self.session.messages().map(Desk::messages).unwrap_or_default();
                Ok(SmsList::page(all))
            }
            Err(error) => {
                self.take_up_messages();
                refused(format!("{error:#}"))
            }
        }
    }

    /// Keeps or forgets a message; whether it was done. If not, what is on the disk
    /// counts from now on.
    pub(super) fn store(&mut self, action: &Action) -> bool {
        let done = match action {
            Action::KeepMessage(record) => self.files.keep_message(record),
            Action::ForgetMessage(id) => self.files.forget_message(*id),
            _ => return true,
        };
        let Err(error) = done else { return true };
        tracing::error!("modem at {}: {error:#}; text messages wait", self.path);
        self.load_messages();
        false
    }

    /// Messages stay with the modem: while it is away they are free for the place
    /// where it turns up, and once it has said who it is it takes along what is its
    /// own.
    pub(super) fn follow_modem(&mut self) {
        let present = self.device.is_some();
        if present == self.by_text.parked {
            self.by_text.parked = !present;
            if present {
                self.shared.by_text.in_use().insert(self.path.to_string());
                self.take_up_messages();
            } else {
                self.shared.by_text.in_use().remove(&self.path.to_string());
                self.session.park_messages(self.shared.clock());
                self.files.leave_messages();
                self.by_text.owner = None;
            }
        }
        let identity = self.session.modem_state().map(|state| &state.identity);
        let known = identity.filter(|identity| present && identity.iccid.is_some());
        let Some(owner) = known
            .map(|identity| Owner { iccid: identity.iccid.clone(), imei: identity.imei.clone() })
        else {
            return;
        };
        // A part that is being sent would be taken for one whose answer was lost.
        let idle = self.session.messages().is_some_and(Desk::is_idle);
        if idle && self.by_text.owner.as_ref() != Some(&owner) {
            self.claim(owner);
        }
    }

    fn claim(&mut self, owner: Owner) {
        let in_use = self.shared.by_text.in_use().clone();
        let claimed = self.files.claim(&self.path, &owner, |place| !in_use.contains(place));
        self.by_text.owner = Some(owner);
        match claimed {
            Ok((taken, left)) => {
                for (place, count) in left {
                    tracing::warn!(
                        "{count} messages wait for the SIM or the modem that was at {place}: \
                         `a7670e sms adopt {place}` gives them to this one"
                    );
                }
                if taken > 0 {
                    tracing::info!("modem at {}: brought {taken} messages along", self.path);
                    self.take_up_messages();
                }
            }
            Err(error) => {
                tracing::error!("modem at {}: {error:#}", self.path);
                self.take_up_messages();
            }
        }
    }

    /// Goes on at once from what is on the disk.
    fn take_up_messages(&mut self) {
        self.load_messages();
        self.session.resume_messages(self.shared.clock());
    }

    /// Goes on from what is on the disk, or not at all while it cannot be read.
    pub(super) fn load_messages(&mut self) {
        let clock = self.shared.clock();
        match self.files.load_messages() {
            Ok(kept) => self.session.restore_messages(clock, kept),
            Err(error) => {
                tracing::error!("modem at {}: {error:#}; text messages wait", self.path);
                self.session.stop_messages(clock, format!("{error:#}"));
            }
        }
    }
}

fn unwritable() -> NotDone {
    NotDone::Refused("the message store cannot be written: see the service's log".to_owned())
}

fn later(desk: &Desk, after: u64) -> impl Iterator<Item = Message> {
    desk.messages().into_iter().filter(move |message| message.id > after)
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use tokio::sync::broadcast;

    use super::*;
    use crate::config::{ProviderFile, parse};
    use crate::daemon::by_text::ByText;
    use crate::daemon::climb::Tools;
    use crate::daemon::task::Shared;
    use crate::dbus::Bus;
    use crate::session::{Device, DnsScope, Event, Settings};
    use crate::sms::pdu::Address;
    use crate::sms::spool::{Priority, SendRequest};

    pub(in crate::daemon) fn task(folder: &Path) -> Task {
        let config = parse(Path::new("x"), "").unwrap();
        let providers = Arc::new(ProviderFile::default());
        let settings = Settings::of(&config, providers, DnsScope::None).unwrap();
        let place = || folder.join("nothing");
        let shared = Shared {
            tools: Tools {
                sysfs: place(),
                dev: place(),
                state: place(),
                supply: None,
                reboot: None,
            },
            dns: None,
            manages: false,
            bus: Bus::default(),
            start: tokio::time::Instant::now(),
            news: broadcast::channel(16).0,
            by_text: ByText::new(None, None, folder),
        };
        Task::new("1-1".parse().unwrap(), Arc::new(shared), settings, folder).unwrap()
    }

    fn request(to: &str) -> SendRequest {
        SendRequest {
            to: Address::number(to).unwrap(),
            text: "hi".to_owned(),
            class: None,
            report: false,
            validity: None,
            priority: Priority::Normal,
        }
    }

    fn ids(task: &mut Task) -> Vec<u64> {
        task.load_messages();
        let list = task.messages(MessagesCall::List(0)).unwrap();
        list.messages.iter().map(|message| message.id).collect()
    }

    #[test]
    fn of_several_recipients_all_are_accepted_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut task = task(folder.path());
        let mut news = task.shared.news.subscribe();
        // The second cannot be kept: no file takes the place of a folder.
        let second = folder.path().join("1-1/sms/out-2.json");
        fs::create_dir(&second).unwrap();
        let both = || MessagesCall::Send(vec![request("20123"), request("20124")]);
        match task.messages(both()) {
            Err(NotDone::Refused(why)) => assert!(why.contains("cannot be written"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(news.try_recv().is_err(), "nobody is told that one was accepted");
        fs::remove_dir(&second).unwrap();
        assert!(ids(&mut task).is_empty());
        let accepted = task.messages(both()).unwrap();
        assert_eq!((accepted.messages.len(), ids(&mut task).len()), (2, 2));
    }

    #[test]
    fn messages_go_along_to_another_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = task(folder.path());
        let owner = |sim: &str| Owner { iccid: Some(sim.to_owned()), imei: None };
        let device = || {
            let link = None;
            let kind = crate::modem::catalogue::NetKind::Ecm;
            Some(Device { model: "A76XX".to_owned(), kind, port: None, held: false, link })
        };
        let plug = |task: &mut Task, device: Option<Device>| {
            task.device = device;
            let clock = task.shared.clock();
            task.session.event(clock, Event::Device(task.device.clone()));
            _ = task.carry_out();
            task.follow_modem();
            _ = task.carry_out();
        };
        plug(&mut first, device());
        first.claim(owner("sim"));
        let id = first.messages(MessagesCall::Send(vec![request("20123")])).unwrap().messages[0].id;
        let shared = Arc::clone(&first.shared);
        let settings = first.by_text.settings.clone();
        let mut second =
            Task::new("1-2".parse().unwrap(), shared, settings, folder.path()).unwrap();
        plug(&mut second, device());
        let all = |task: &mut Task| {
            let list = task.messages(MessagesCall::List(0)).unwrap();
            list.messages.iter().map(|message| message.id).collect::<Vec<_>>()
        };
        // The first is still there.
        second.claim(owner("sim"));
        assert_eq!((all(&mut first), all(&mut second)), (vec![id], vec![]));
        plug(&mut first, None);
        let refused = first.messages(MessagesCall::List(0)).unwrap_err();
        assert!(refused.to_string().contains("not plugged in"), "{refused}");
        second.claim(owner("another"));
        assert!(all(&mut second).is_empty());
        second.claim(owner("sim"));
        assert_eq!(all(&mut second), [id]);
        // All is another; somebody says what shall be.
        plug(&mut second, None);
        plug(&mut first, device());
        first.claim(owner("a third"));
        assert!(all(&mut first).is_empty());
        let adopt = |task: &mut Task, from: &str| {
            task.messages(MessagesCall::Adopt(from.parse().unwrap()))
                .map(|list| list.messages.len())
        };
        for (from, why) in [("1-1", "there is a modem"), ("1-3", "no messages were left")] {
            let refused = adopt(&mut first, from).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(adopt(&mut first, "1-2"), Ok(1));
        plug(&mut first, None);
        plug(&mut second, device());
        second.claim(owner("a third"));
        assert_eq!(all(&mut second), [id]);
        // The first comes back, with another SIM.
        plug(&mut first, device());
        first.claim(owner("another"));
        assert!(all(&mut first).is_empty());
        assert_eq!(all(&mut second), [id]);
    }

    #[test]
    fn what_is_not_forgotten_is_not_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let mut task = task(folder.path());
        let sent = task.messages(MessagesCall::Send(vec![request("20123")])).unwrap();
        let id = sent.messages[0].id;
        let odd = folder.path().join(format!("1-1/sms/in-{id}.json"));
        fs::create_dir(&odd).unwrap();
        match task.messages(MessagesCall::Delete(id)) {
            Err(NotDone::Refused(why)) => assert!(why.contains("cannot be written"), "{why}"),
            other => panic!("{other:?}"),
        }
        fs::remove_dir(&odd).unwrap();
        let sent = task.messages(MessagesCall::Send(vec![request("20123")]));
        assert!(sent.is_err(), "the store is not looked at all the time");
        task.load_messages();
        let id = task.messages(MessagesCall::Send(vec![request("20123")])).unwrap().messages[0].id;
        assert_eq!(task.messages(MessagesCall::Delete(id)).unwrap().messages[0].id, id);
        assert_eq!(task.messages(MessagesCall::Show(id)), Err(NotDone::NoMessage(id)));
    }
}
