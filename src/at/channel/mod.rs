//! One port's dialogue: a queue of commands, one of them in flight.
//!
//! The port is first probed with `AT` until it answers: before that the modem
//! drops or merely echoes what it gets. A command that runs into its time limit
//! makes the port suspect: the channel leaves a prompt that may be open, lets
//! what is on its way drain, and probes again. A port that does not answer the
//! probe either is to be closed and opened again.

mod flight;
mod probe;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use super::command::Command;
use super::framer::{Framer, Line};
use super::result::Final;
use super::urc::{Urc, announces_data, goes_on, is_hex, is_urc};
use flight::Flight;
use probe::{Probe, Step};

/// Most commands that wait. The machine has one or two at a time; the rest is
/// for people.
const MAX_QUEUE: usize = 64;

/// The lines of one code come at once.
const BURST: Duration = Duration::from_secs(1);

/// What a command brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its lines, without echo, unsolicited codes and result.
    pub lines: Vec<String>,
    /// `OK` or `CONNECT`.
    pub result: Final,
    /// From sending it to its result.
    pub took: Duration,
}

/// Why a command brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AtError {
    /// The modem said no.
    #[error("the modem answered {0}")]
    Refused(Final),
    /// The modem said nothing in time.
    #[error("the modem gave no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The modem restarted meanwhile.
    #[error("the modem restarted before it answered")]
    Restarted,
    /// The port went away.
    #[error("the AT port is gone")]
    PortClosed,
    /// It was taken back.
    #[error("the command was cancelled")]
    Cancelled,
    /// Too many others wait.
    #[error("{MAX_QUEUE} commands wait already; try again later")]
    QueueFull,
}

impl AtError {
    /// The number of the `+CME ERROR` that the modem gave.
    pub fn cme(&self) -> Option<u16> {
        match self {
            AtError::Refused(result) => result.cme(),
            _ => None,
        }
    }
}

/// A command's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What [`Channel::submit`] gave.
    pub id: u32,
    /// How it ended.
    pub result: Result<Reply, AtError>,
}

/// What comes out of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write this to the port.
    Write(Vec<u8>),
    /// A command has ended.
    Done(Done),
    /// The modem said something of its own accord.
    Urc(Urc),
    /// The port answers, for the first time or again after silence or a
    /// restart: settings such as echo may be the modem's own again.
    Answering,
    /// The port does not answer. Close it, open it again and say so.
    Reopen,
}

enum Mode {
    Closed,
    Probing(Probe),
    Ready,
}

/// The dialogue over one port.
pub struct Channel {
    mode: Mode,
    framer: Framer,
    queue: VecDeque<(u32, Command)>,
    flight: Option<Flight>,
    /// A code whose PDU is on the next line.
    announced: Option<String>,
    /// A code whose text goes on with the next line, and when it began to.
    open: Option<(Duration, String)>,
    /// Probes that ended in [`Output::Reopen`], one after the other.
    reopened: u32,
    silent_since: Option<Duration>,
    next_id: u32,
    output: VecDeque<Output>,
}

impl Default for Channel {
    fn default() -> Channel {
        Channel {
            mode: Mode::Closed,
            framer: Framer::default(),
            queue: VecDeque::new(),
            flight: None,
            announced: None,
            open: None,
            reopened: 0,
            silent_since: None,
            next_id: 1,
            output: VecDeque::new(),
        }
    }
}

impl Channel {
    /// Puts a command at the end of the queue. It ends in exactly one
    /// [`Output::Done`] with the number that is returned.
    pub fn submit(&mut self, now: Duration, command: Command) -> u32 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        if self.queue.len() >= MAX_QUEUE {
            self.finish(id, Err(AtError::QueueFull));
        } else {
            self.queue.push_back((id, command));
            self.pump(now);
        }
        id
    }

    /// Takes a command back. One that is on its way still has to end before
    /// the next is sent.
    pub fn cancel(&mut self, id: u32) {
        if let Some(at) = self.queue.iter().position(|waiting| waiting.0 == id) {
            self.queue.remove(at);
            self.finish(id, Err(AtError::Cancelled));
        } else if let Some(flight) = self.flight.as_mut().filter(|flight| flight.id == Some(id)) {
            flight.id = None;
            if flight.awaits_prompt() {
                self.output.push_back(Output::Write(vec![ESCAPE]));
            }
            self.finish(id, Err(AtError::Cancelled));
        }
    }

    /// Takes all commands back.
    pub fn flush(&mut self) {
        let ids: Vec<u32> = self.queue.iter().map(|waiting| waiting.0).collect();
        let flying = self.flight.as_ref().and_then(|flight| flight.id);
        for id in ids.into_iter().chain(flying) {
            self.cancel(id);
        }
    }

    /// The port was opened.
    pub fn opened(&mut self, now: Duration) {
        self.closed();
        self.silent_since.get_or_insert(now);
        self.probe(now, Probe::fresh(now, self.reopened));
    }

    /// The port is gone.
    pub fn closed(&mut self) {
        self.fail_all(&AtError::PortClosed);
        self.mode = Mode::Closed;
        self.framer.clear();
        (self.announced, self.open) = (None, None);
    }

    /// Bytes came from the port.
    pub fn receive(&mut self, now: Duration, bytes: &[u8]) {
        if let Mode::Probing(probe) = &mut self.mode {
            probe.heard(now);
        }
        for byte in bytes {
            match self.framer.push(*byte) {
                Some(Line::Text(line)) => self.line(now, line),
                Some(Line::Prompt) => self.prompt(),
                Some(Line::TooLong { .. }) | None => {}
            }
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Duration) {
        match &mut self.mode {
            Mode::Closed => {}
            Mode::Ready => {
                let Some(flight) = self.flight.take_if(|flight| flight.deadline <= now) else {
                    return;
                };
                let waited = flight.waited();
                let leave = if flight.awaits_prompt() { &[ESCAPE, b'\r'][..] } else { b"\r" };
                self.output.push_back(Output::Write(leave.to_vec()));
                self.end(flight, Err(AtError::TimedOut(waited)));
                self.silent_since = Some(now);
                self.probe(now, Probe::drain(now));
            }
            Mode::Probing(probe) => match probe.advance(now) {
                Step::Wait => {}
                Step::Send { leave } => {
                    let probe =
                        if leave { &[ESCAPE, b'\r', b'A', b'T', b'\r'][..] } else { b"AT\r" };
                    self.output.push_back(Output::Write(probe.to_vec()));
                }
                Step::Ready => self.ready(now),
                Step::GiveUp => {
                    self.reopened = self.reopened.saturating_add(1);
                    self.mode = Mode::Closed;
                    self.output.push_back(Output::Reopen);
                }
            },
        }
    }

    /// When [`Channel::advance`] is due.
    pub fn next_event(&self) -> Option<Duration> {
        match &self.mode {
            Mode::Closed => None,
            Mode::Ready => self.flight.as_ref().map(|flight| flight.deadline),
            Mode::Probing(probe) => Some(probe.next_event()),
        }
    }

    /// The next thing to do or to know, in order.
    pub fn take(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// Whether commands are being sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.mode, Mode::Ready)
    }

    /// Whether no command waits or is on its way.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.flight.is_none()
    }

    /// Since when an open port has not answered.
    pub fn silent_since(&self) -> Option<Duration> {
        self.silent_since
    }

    fn line(&mut self, now: Duration, line: String) {
        if let Some(announcement) = self.announced.take() {
            if is_hex(&line) {
                let urc = Urc { line: announcement, data: Some(line) };
                self.output.push_back(Output::Urc(urc));
                return;
            }
            self.urc(announcement);
        }
        if line.starts_with("*ATREADY") {
            self.restarted(now, line);
            return;
        }
        match self.open.take() {
            Some((since, open)) if now.saturating_sub(since) < BURST => {
                return self.code(since, format!("{open}\n{line}"));
            }
            // It was cut short: this is something else.
            Some((_, open)) => self.urc(open),
            None => {}
        }
        let result = Final::parse(&line);
        match &mut self.mode {
            Mode::Closed => {}
            Mode::Probing(probe) => match result {
                Some(result) if probe.result(now, result.is_ok()) => self.ready(now),
                Some(_) => {}
                None if is_urc(&line) => self.code(now, line),
                None => {}
            },
            Mode::Ready => match (&mut self.flight, result) {
                (Some(_), Some(result)) => self.landed(now, result),
                (Some(flight), None) => {
                    if flight.is_echo(&line) {
                    } else if flight.claims(&line) || !is_urc(&line) {
                        flight.keep(line);
                    } else {
                        self.code(now, line);
                    }
                }
                (None, Some(Final::NoCarrier)) => self.urc(line),
                // A result that nobody waits for: of a command given up.
                (None, Some(_)) => {}
                (None, None) => self.code(now, line),
            },
        }
    }

    fn code(&mut self, now: Duration, line: String) {
        if announces_data(&line) {
            self.announced = Some(line);
        } else if goes_on(&line) {
            self.open = Some((now, line));
        } else {
            self.urc(line);
        }
    }

    fn urc(&mut self, line: String) {
        self.output.push_back(Output::Urc(Urc { line, data: None }));
    }

    fn prompt(&mut self) {
        if let Some(bytes) = self.flight.as_mut().and_then(Flight::prompted) {
            self.output.push_back(Output::Write(bytes));
        }
    }

    /// The modem has booted: it knows nothing of what it was told.
    fn restarted(&mut self, now: Duration, line: String) {
        self.urc(line);
        if matches!(self.mode, Mode::Closed) {
            return;
        }
        self.fail_all(&AtError::Restarted);
        self.silent_since.get_or_insert(now);
        self.probe(now, Probe::restarted(now));
    }

    fn probe(&mut self, now: Duration, probe: Probe) {
        self.mode = Mode::Probing(probe);
        self.advance(now);
    }

    fn ready(&mut self, now: Duration) {
        self.mode = Mode::Ready;
        self.reopened = 0;
        self.silent_since = None;
        self.output.push_back(Output::Answering);
        self.pump(now);
    }

    fn pump(&mut self, now: Duration) {
        if !self.is_ready() || self.flight.is_some() {
            return;
        }
        if let Some((id, command)) = self.queue.pop_front() {
            self.output.push_back(Output::Write(format!("{}\r", command.text()).into_bytes()));
            self.flight = Some(Flight::new(id, command, now));
        }
    }

    fn landed(&mut self, now: Duration, result: Final) {
        if let Some(mut flight) = self.flight.take() {
            let (lines, codes) = flight.sort(result.is_ok());
            for line in codes {
                self.urc(line);
            }
            let result = if result.is_ok() {
                Ok(Reply { lines, result, took: now.saturating_sub(flight.sent) })
            } else {
                Err(AtError::Refused(result))
            };
            self.end(flight, result);
        }
        self.pump(now);
    }

    fn end(&mut self, flight: Flight, result: Result<Reply, AtError>) {
        if let Some(id) = flight.id {
            self.finish(id, result);
        }
    }

    fn finish(&mut self, id: u32, result: Result<Reply, AtError>) {
        self.output.push_back(Output::Done(Done { id, result }));
    }

    fn fail_all(&mut self, error: &AtError) {
        if let Some(flight) = self.flight.take() {
            self.end(flight, Err(error.clone()));
        }
        while let Some((id, _)) = self.queue.pop_front() {
            self.finish(id, Err(error.clone()));
        }
    }
}

/// Leaves a prompt without sending (TS 27.005 §3.5.1).
const ESCAPE: u8 = 0x1b;
