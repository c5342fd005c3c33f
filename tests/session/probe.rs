//! A probe in virtual time, as `a7670e::net::probe::io` makes it: a name of the
//! link's name servers, then the page. The far end has no TCP, so that an echo
//! stands for the page's connection, sent again as TCP does.

use std::net::Ipv4Addr;
use std::time::Duration;

use a7670e::net::probe::{Outcome, Target, dns_answer, dns_query};
use a7670e_emulator::data::packet::{self, Header};

/// As in the real one.
const PATIENCE: Duration = Duration::from_secs(5);
/// TCP sends its first packet again after this and twice as long once more.
const AGAIN: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];
/// The port that questions come from.
const PORT: u16 = 40_000;

enum Stage {
    Name(usize),
    Page(Ipv4Addr),
    Fallback(usize),
}

/// A probe under way.
pub struct Probe {
    source: Ipv4Addr,
    servers: Vec<Ipv4Addr>,
    target: Target,
    stage: Stage,
    began: Duration,
    sent: usize,
    query: Vec<u8>,
}

/// What comes of a moment.
pub enum Next {
    Send(Vec<u8>),
    Done(Outcome),
}

impl Probe {
    pub fn new(now: Duration, source: Ipv4Addr, servers: &[Ipv4Addr], target: Target) -> Probe {
        let query = dns_query(now.subsec_micros() as u16, &target.host).unwrap();
        let servers: Vec<Ipv4Addr> = servers.iter().take(2).copied().collect();
        Probe { source, servers, target, stage: Stage::Name(0), began: now, sent: 0, query }
    }

    /// When [`Probe::advance`] is due.
    pub fn next_event(&self) -> Duration {
        let again = match self.stage {
            Stage::Name(_) => AGAIN.first().filter(|_| self.sent == 0),
            _ => AGAIN.get(self.sent),
        };
        self.began + again.copied().unwrap_or(PATIENCE)
    }

    /// Lets time pass; to be called until there is nothing.
    pub fn advance(&mut self, now: Duration) -> Option<Next> {
        if now < self.next_event() {
            return None;
        }
        if now >= self.began + PATIENCE {
            return self.failed(now);
        }
        self.sent += 1;
        Some(match self.stage {
            Stage::Name(at) => {
                let Some(server) = self.servers.get(at) else { return self.failed(now) };
                Next::Send(packet::udp((self.source, PORT), (*server, 53), &self.query))
            }
            Stage::Page(address) => Next::Send(self.echo(address)),
            Stage::Fallback(at) => Next::Send(self.echo(*self.target.fallback[at].ip())),
        })
    }

    fn echo(&self, to: Ipv4Addr) -> Vec<u8> {
        packet::icmp(self.source, to, [8, 0], b"\0\x07\0\x01")
    }

    fn enter(&mut self, now: Duration, stage: Stage) {
        (self.stage, self.began, self.sent) = (stage, now, 0);
    }

    fn failed(&mut self, now: Duration) -> Option<Next> {
        let next = match self.stage {
            Stage::Name(at) if at + 1 < self.servers.len() => Stage::Name(at + 1),
            Stage::Name(_) if !self.target.fallback.is_empty() => Stage::Fallback(0),
            Stage::Fallback(at) if at + 1 < self.target.fallback.len() => Stage::Fallback(at + 1),
            _ => return Some(Next::Done(Outcome::Nothing)),
        };
        self.enter(now, next);
        self.advance(now)
    }

    /// An IP packet that came by the link.
    pub fn receive(&mut self, now: Duration, bytes: &[u8]) -> Option<Next> {
        let header = Header::of(bytes).filter(|header| header.destination == self.source)?;
        let echoed = bytes.get(header.length) == Some(&0) && packet::ports(bytes).is_none();
        match self.stage {
            Stage::Name(_) if packet::ports(bytes) == Some((53, PORT)) => {
                let address = dns_answer(&self.query, &bytes[header.length + 8..header.total])?;
                self.enter(now, Stage::Page(address));
                self.advance(now)
            }
            Stage::Page(address) if echoed && header.source == address => {
                Some(Next::Done(Outcome::Online))
            }
            Stage::Fallback(_) if echoed => Some(Next::Done(Outcome::NoDns)),
            _ => None,
        }
    }
}
