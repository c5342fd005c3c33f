//! A modem, a network and a disk around a desk.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;

use super::disk::{ModelDisk, Power};
use crate::at::{AtError, Command, DeviceError, Final, Reply, Urc};
use crate::sms::commands::{Gate, Judgement, Wish};
use crate::sms::desk::{Action, Desk, Ended, Event, Message, News, Time};
use crate::sms::pdu::{
    Address, Deliver, Stamp, Status, StatusReport, Submit, from_hex, split, split_centre, to_hex,
    with_centre,
};
use crate::sms::spool::{Settings, Store};

/// 2026-11-21 20:00 UTC.
pub const START: u64 = 1_795_291_200;

/// What codes are made with.
pub const KEY: &[u8] = b"a key of this test";

pub struct World {
    pub power: Power,
    pub store: Store<ModelDisk>,
    pub settings: Settings,
    pub desk: Option<Desk>,
    pub now: Duration,
    pub wall: u64,
    /// Index to message, as the SIM has them.
    pub sim: BTreeMap<u16, String>,
    /// And as the modem's own memory has them.
    pub own: BTreeMap<u16, String>,
    /// Whether the modem has such a memory.
    pub has_own: bool,
    /// The modem refuses to show what the SIM has.
    pub sim_shut: bool,
    /// Whether the modem's own memory is read from.
    own_chosen: bool,
    /// What the network has taken, each with the text of the part.
    pub network: Vec<(Address, String)>,
    pub told: Vec<News>,
    pub said: Vec<String>,
    /// How the modem ends the next sending instead.
    pub refuse: Option<Final>,
    /// The modem takes the next message and says nothing.
    pub lose: bool,
    /// Somebody has switched to text mode.
    pub text_mode: bool,
    /// What is done to the next reply, once.
    pub spoil: Option<fn(&mut Vec<String>)>,
    /// After so many commands the modem restarts without a word.
    pub restart_after: Option<usize>,
    /// The modem does not know the commands.
    pub data_only: bool,
    pub commands: Vec<String>,
    /// Of messages for which the program was run.
    pub ran: Vec<String>,
    /// How it ends, the next first; well when nothing is here.
    pub ends: VecDeque<Option<Ended>>,
    /// Who judges commands; kept beside the messages.
    pub gate: Gate,
    /// Commands that were done.
    pub done: Vec<Wish>,
    /// Another's command is under way at the modem: ours join the queue behind it
    /// when the desk names them, so before anything is kept.
    pub occupied: bool,
    queue: VecDeque<(u64, Command)>,
    reference: u8,
}

/// The power was cut.
#[derive(Debug)]
pub struct Cut;

impl From<io::Error> for Cut {
    fn from(_: io::Error) -> Cut {
        Cut
    }
}

fn stamp(second: u8) -> Stamp {
    Stamp([0x62, 0x11, 0x12, 0x02, 0x50, second, 0x00])
}

/// Octets behind the service centre's address, of which there are none here.
fn length(pdu: &str) -> usize {
    pdu.len() / 2 - 1
}

impl World {
    pub fn new(settings: Settings) -> World {
        let disk = ModelDisk::default();
        let power = disk.power.clone();
        World {
            power,
            store: Store::new(disk),
            settings,
            desk: None,
            now: Duration::ZERO,
            wall: START,
            sim: BTreeMap::new(),
            own: BTreeMap::new(),
            has_own: true,
            sim_shut: false,
            own_chosen: false,
            network: Vec::new(),
            told: Vec::new(),
            said: Vec::new(),
            refuse: None,
            lose: false,
            text_mode: false,
            spoil: None,
            restart_after: None,
            data_only: false,
            commands: Vec::new(),
            ran: Vec::new(),
            ends: VecDeque::new(),
            gate: Gate::default(),
            done: Vec::new(),
            occupied: false,
            queue: VecDeque::new(),
            reference: 0,
        }
    }

    pub fn time(&self) -> Time {
        Time { now: self.now, wall: self.wall }
    }

    pub fn desk(&mut self) -> &mut Desk {
        self.desk.as_mut().unwrap()
    }

    /// The service starts; the modem is there and registered.
    pub fn start(&mut self) -> Result<(), Cut> {
        let kept = self.store.load().map_err(|_| Cut)?;
        self.desk = Some(Desk::new(self.settings.clone(), kept));
        self.event(Event::Registered(true))?;
        self.event(Event::Ready)
    }

    pub fn cut(&mut self, random: usize) {
        self.power.set(None);
        self.desk = None;
        self.store.disk().cut(random);
    }

    pub fn event(&mut self, event: Event) -> Result<(), Cut> {
        let time = self.time();
        self.desk().event(time, event);
        self.carry_out()
    }

    /// Does what the desk says, as the service does it.
    pub fn carry_out(&mut self) -> Result<(), Cut> {
        loop {
            let actions = self.desk().take();
            if actions.is_empty() {
                return Ok(());
            }
            if self.occupied {
                for action in &actions {
                    match action {
                        Action::Command { id, command } => {
                            self.queue.push_back((*id, command.clone()));
                        }
                        Action::Cancel(id) => self.queue.retain(|(queued, _)| queued != id),
                        _ => {}
                    }
                }
            }
            for action in actions {
                match action {
                    Action::Keep(record) => {
                        if self.store.keep(&record).is_err() {
                            if !self.store.disk().full {
                                return Err(Cut);
                            }
                            let kept = self.store.load().map_err(|_| Cut)?;
                            let time = self.time();
                            self.desk().restore(time, kept);
                            break;
                        }
                    }
                    Action::Forget(id) => self.store.forget(id).map_err(|_| Cut)?,
                    Action::Command { .. } | Action::Cancel(_) if self.occupied => {}
                    Action::Command { id, command } => self.command(id, &command)?,
                    // Not written yet, or answered already.
                    Action::Cancel(_) | Action::Manager(_) => {}
                    Action::Tell(news) => self.told.push(news),
                    Action::Say(text) => self.said.push(text),
                    Action::Run(message) => self.run_program(*message)?,
                    Action::Obey { id, text } => self.obey(id, &text)?,
                }
            }
        }
    }

    fn run_program(&mut self, message: Message) -> Result<(), Cut> {
        self.power.step()?;
        self.ran.push(message.text.unwrap_or_default());
        self.power.step()?;
        let end = self.ends.pop_front().unwrap_or(Some(Ended::Done("is done".to_owned())));
        let time = self.time();
        if let Some(end) = end {
            self.desk().ran(time, message.id, end);
        }
        Ok(())
    }

    fn obey(&mut self, id: u64, text: &str) -> Result<(), Cut> {
        let mut gate = self.gate.clone();
        let judgement = gate.judge(KEY, self.wall, text);
        self.power.step()?;
        self.gate = gate;
        self.power.step()?;
        let answer = match judgement {
            Judgement::Do(wish) => {
                self.done.push(wish);
                Some("it is done".to_owned())
            }
            Judgement::Mistake(why) => Some(why),
            Judgement::Refused(why) => {
                self.said.push(why.to_owned());
                None
            }
        };
        self.power.step()?;
        let time = self.time();
        _ = self.desk().obeyed(time, id, answer);
        Ok(())
    }

    /// The other's command has ended: the modem gets what has queued up.
    pub fn free(&mut self) -> Result<(), Cut> {
        self.occupied = false;
        while let Some((id, command)) = self.queue.pop_front() {
            self.command(id, &command)?;
            self.carry_out()?;
        }
        Ok(())
    }

    /// The first of the queue is answered so, while others still wait in front of
    /// the next.
    pub fn answer_queued(&mut self, lines: Vec<String>) -> Result<(), Cut> {
        let (id, _) = self.queue.pop_front().ok_or(Cut)?;
        let reply = Reply { lines, result: Final::Ok, took: Duration::ZERO };
        self.event(Event::Answer { id, result: Ok(reply) })
    }

    fn command(&mut self, id: u64, command: &Command) -> Result<(), Cut> {
        self.power.step()?;
        self.commands.push(command.text().to_owned());
        let restarts = self.restart_after.take_if(|left| *left == 0).is_some();
        self.restart_after = self.restart_after.map(|left| left - 1);
        let result = if restarts {
            self.restart_silently();
            Some(Err(AtError::TimedOut(Duration::from_secs(9))))
        } else {
            self.answer(command)?
        };
        // The modem has done it; whether the answer arrives is another matter.
        self.power.step()?;
        let time = self.time();
        if let Some(result) = result {
            self.desk().event(time, Event::Answer { id, result });
        }
        Ok(())
    }

    fn answer(&mut self, command: &Command) -> Result<Option<Result<Reply, AtError>>, Cut> {
        let reply = |lines| Ok(Reply { lines, result: Final::Ok, took: Duration::ZERO });
        let refused = |why| Some(Err(AtError::Refused(why)));
        let text = command.text();
        if self.data_only {
            return Ok(refused(Final::Error));
        }
        let index = || text.split_once('=').and_then(|parts| parts.1.parse::<u16>().ok());
        self.text_mode &= text != "AT+CMGF=0";
        let mut lines = if text.starts_with("AT+CMGL") {
            // In text mode the parameter is a word (TS 27.005 §3.4.2).
            if self.text_mode {
                return Ok(refused(Final::Error));
            }
            let line = |(index, pdu): (&u16, &String)| {
                [format!("+CMGL: {index},0,,{}", length(pdu)), pdu.clone()]
            };
            self.memory().iter().flat_map(line).collect()
        } else if let Some(names) = text.strip_prefix("AT+CPMS=") {
            let own = names.starts_with("\"ME\"");
            if own && !self.has_own || !own && self.sim_shut {
                return Ok(refused(Final::Cms(DeviceError::Code(302))));
            }
            self.own_chosen = own;
            Vec::new()
        } else if self.text_mode && text.starts_with("AT+CMGS") {
            // The number of octets is taken for a telephone's, their digits for a
            // text.
            let typed = String::from_utf8(command.typed_at_prompt().unwrap().to_vec()).unwrap();
            let number = text.strip_prefix("AT+CMGS=").unwrap();
            self.network.push((Address::number(number).unwrap(), typed));
            vec!["+CMGS: 1".to_owned()]
        } else if self.text_mode && text.starts_with("AT+CMGR") {
            let header = "+CMGR: \"REC UNREAD\",\"+254700000001\",,\"26/11/21,20:00:00+00\"";
            vec![header.to_owned(), "CAFE".to_owned()]
        } else if text.starts_with("AT+CMGR") {
            match index().and_then(|index| self.memory().get(&index)) {
                Some(pdu) => vec![format!("+CMGR: 0,,{}", length(pdu)), pdu.clone()],
                None => return Ok(refused(Final::Cms(DeviceError::Code(321)))),
            }
        } else if text.starts_with("AT+CMGD") {
            let index = index().unwrap();
            self.memory().remove(&index);
            Vec::new()
        } else if text.starts_with("AT+CMGS") {
            let time = self.time();
            self.desk().event(time, Event::Prompted);
            self.power.step()?;
            if let Some(why) = self.refuse.take() {
                return Ok(refused(why));
            }
            self.reference = self.reference.wrapping_add(1);
            let payload = command.typed_at_prompt().unwrap();
            let octets = from_hex(std::str::from_utf8(payload).unwrap()).unwrap();
            let (_, tpdu) = split_centre(&octets).unwrap();
            let submit = Submit::decode(tpdu).unwrap();
            if submit.report {
                let (to, reference) = (submit.to.clone(), self.reference);
                let report = StatusReport {
                    more: false,
                    reference,
                    to,
                    stamp: stamp(0),
                    discharge: stamp(1),
                    status: Status(0),
                };
                self.arrives(&report.encode());
            }
            self.network.push((submit.to, submit.data.body.text().unwrap()));
            if std::mem::take(&mut self.lose) {
                return Ok(Some(Err(AtError::TimedOut(Duration::from_secs(40)))));
            }
            vec![format!("+CMGS: {}", self.reference)]
        } else {
            Vec::new()
        };
        if let Some(spoil) = self.spoil.filter(|_| lines.len() > 1) {
            self.spoil = None;
            spoil(&mut lines);
        }
        Ok(Some(reply(lines)))
    }

    fn memory(&mut self) -> &mut BTreeMap<u16, String> {
        if self.own_chosen { &mut self.own } else { &mut self.sim }
    }

    /// The modem restarts without a word, and chooses the other memory.
    fn restart_silently(&mut self) {
        self.own_chosen = !self.own_chosen;
        self.text_mode = true;
    }

    /// The network puts a message on the SIM.
    pub fn arrives(&mut self, tpdu: &[u8]) -> u16 {
        let index = (0..).find(|index| !self.sim.contains_key(index)).unwrap();
        self.sim.insert(index, to_hex(&with_centre(None, tpdu)));
        index
    }

    /// Somebody's short text lies in the modem's own memory.
    pub fn text_own(&mut self, text: &str, reference: u16) -> u16 {
        let index = self.text("+254700000003", text, reference)[0];
        let message = self.sim.remove(&index).unwrap();
        let place = (0..).find(|index| !self.own.contains_key(index)).unwrap();
        self.own.insert(place, message);
        place
    }

    /// Somebody sends us a text; its parts arrive.
    pub fn text(&mut self, from: &str, text: &str, reference: u16) -> Vec<u16> {
        let message = split(text, None, reference, false).unwrap();
        let deliver = |data| Deliver {
            more: false,
            report: false,
            reply_path: false,
            from: Address::number(from).unwrap(),
            protocol: 0,
            coding: message.coding,
            stamp: stamp(reference as u8),
            data,
        };
        let octets: Vec<Vec<u8>> =
            message.parts.iter().map(|part| deliver(part.clone()).encode().unwrap()).collect();
        octets.iter().map(|octets| self.arrives(octets)).collect()
    }

    pub fn code(&mut self, name: &str, index: u16) -> Result<(), Cut> {
        self.code_at(name, "SM", index)
    }

    pub fn code_at(&mut self, name: &str, memory: &str, index: u16) -> Result<(), Cut> {
        let line = format!("{name}: \"{memory}\",{index}");
        self.event(Event::Urc(Urc { line, data: None }))
    }

    /// Lets time pass.
    pub fn run(&mut self, seconds: u64) -> Result<(), Cut> {
        let end = self.now + Duration::from_secs(seconds);
        loop {
            let time = self.time();
            let next = self.desk().next_event(time).unwrap_or(end).max(self.now);
            let next = next.min(end);
            self.wall += (next - self.now).as_secs();
            // The wall clock counts whole seconds; no wait is shorter.
            let step = (next - self.now).as_secs();
            self.now = next;
            let time = self.time();
            self.desk().advance(time);
            self.carry_out()?;
            if self.now >= end {
                return Ok(());
            }
            if step == 0 {
                self.now += Duration::from_secs(1);
                self.wall += 1;
            }
        }
    }
}
