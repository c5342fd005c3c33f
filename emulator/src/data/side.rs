//! The carrier's side of the data path: the far end within, or a TUN device.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use super::far::FarEnd;
use super::tun::Tun;
use crate::link::LinkFaults;

/// What is behind the carrier.
#[derive(Debug)]
pub enum FarSide {
    /// The servers within.
    Within(Box<FarEnd>),
    /// A network of this machine.
    Tun(Tun),
}

impl FarSide {
    /// Takes over those faults that are the far end's.
    pub fn set_faults(&mut self, faults: &LinkFaults) {
        if let FarSide::Within(far) = self {
            far.set_portal(faults.captive_portal);
        }
    }

    /// What to wait on when packets are wanted.
    pub fn poll_fd(&self) -> Option<PollFd<'_>> {
        match self {
            FarSide::Within(_) => None,
            FarSide::Tun(tun) => Some(PollFd::from_borrowed_fd(tun.fd(), PollFlags::IN)),
        }
    }

    /// When there is something to do although nothing comes.
    pub fn next_event(&mut self, now: Duration) -> Option<Duration> {
        match self {
            FarSide::Within(far) => far.next_event(now),
            FarSide::Tun(_) => None,
        }
    }

    /// A packet from the modem.
    ///
    /// # Errors
    /// The TUN device is gone.
    pub fn take_in(&mut self, now: Duration, packet: Vec<u8>) -> io::Result<()> {
        match self {
            FarSide::Within(far) => {
                far.take_in(now, packet);
                Ok(())
            }
            FarSide::Tun(tun) => tun.take_in(&packet),
        }
    }

    /// The next packet to the modem.
    ///
    /// # Errors
    /// The TUN device is gone.
    pub fn give_out(&mut self, now: Duration) -> io::Result<Option<Vec<u8>>> {
        match self {
            // The servers say more when what they said is taken.
            FarSide::Within(far) => Ok(far.give_out().or_else(|| {
                far.advance(now);
                far.give_out()
            })),
            FarSide::Tun(tun) => tun.give_out(),
        }
    }
}
