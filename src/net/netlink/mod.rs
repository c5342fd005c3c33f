//! The kernel's routing socket: looks at the state of the network and carries
//! out plans. The only place that knows the netlink crates.
//!
//! Calls are plain, not asynchronous: the kernel does what a request asks for
//! within the call that sends it, under its own lock (`rtnetlink_rcv_msg`), so
//! an asynchronous wrapper would wait in the same place.

mod decode;
mod encode;
pub mod monitor;
mod socket;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;
use rustix::io::Errno;
use thiserror::Error;

use super::model::Observed;
use super::plan::{Plan, Step};
use socket::Socket;

/// Why the network could not be seen or changed.
#[derive(Debug, Error)]
pub enum NetError {
    /// No routing socket, or it broke.
    #[error("the kernel's routing socket: {0}")]
    Socket(#[source] io::Error),
    /// A list could not be read.
    #[error("cannot list the {what} of this machine: {source}")]
    List {
        /// What was to be listed.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The kernel refused a step.
    #[error("{link}: cannot {step}: {source}{}", advice(.source))]
    Step {
        /// Name of the link.
        link: String,
        /// The step, in words.
        step: String,
        /// Why not.
        source: io::Error,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => " (this needs CAP_NET_ADMIN)",
        ErrorKind::ReadOnlyFilesystem => " (is /proc/sys writable for this service?)",
        _ => "",
    }
}

/// A way to the kernel's network configuration, of the network namespace in
/// which it was opened.
pub struct Netlink {
    socket: Socket,
}

impl Netlink {
    /// Opens the socket. Looking needs no privilege, changing CAP_NET_ADMIN.
    ///
    /// # Errors
    /// No file descriptors are left.
    pub fn open() -> Result<Netlink, NetError> {
        Ok(Netlink { socket: Socket::open().map_err(NetError::Socket)? })
    }

    /// All links, addresses, routes and rules; `accept_ra` and `ra_metric` of
    /// `link`. Name servers are not the kernel's business: `dns` is `None`.
    ///
    /// # Errors
    /// The kernel gave no complete list.
    pub fn observe(&mut self, link: &str) -> Result<Observed, NetError> {
        let mut observed = Observed::default();
        for (what, request) in [
            ("links", Message::GetLink(LinkMessage::default())),
            ("addresses", Message::GetAddress(AddressMessage::default())),
            ("routes", Message::GetRoute(RouteMessage::default())),
            ("rules", Message::GetRule(RuleMessage::default())),
        ] {
            self.socket
                .dump(request, |message| note(&mut observed, &message))
                .map_err(|source| NetError::List { what, source })?;
        }
        observed.accept_ra = sysctl(link, "accept_ra");
        observed.ra_metric = sysctl(link, "ra_defrtr_metric");
        Ok(observed)
    }

    /// Carries out one step on the link of `plan`. Steps for name servers are
    /// not the kernel's; they are left out.
    ///
    /// # Errors
    /// The kernel refused. That something to add is there, or something to
    /// remove is not, is no error.
    pub fn apply(&mut self, plan: &Plan, step: &Step) -> Result<(), NetError> {
        match self.carry_out(plan, step) {
            Err(error) if done_already(step, &error) => Ok(()),
            Err(source) => {
                Err(NetError::Step { link: plan.link.clone(), step: step.to_string(), source })
            }
            Ok(()) => Ok(()),
        }
    }

    fn carry_out(&mut self, plan: &Plan, step: &Step) -> io::Result<()> {
        let (message, flags) = match step {
            Step::SetMtu(mtu) => (Message::SetLink(encode::mtu(plan.index, *mtu)), 0),
            Step::LinkUp => (Message::SetLink(encode::up(plan.index)), 0),
            Step::AcceptRa(value) => return set_sysctl(&plan.link, "accept_ra", u32::from(*value)),
            Step::RaMetric(metric) => return set_sysctl(&plan.link, "ra_defrtr_metric", *metric),
            // An address belongs to one link, so replacing touches no other.
            Step::AddAddress(one) => {
                (Message::NewAddress(encode::address(one)), NLM_F_CREATE | NLM_F_REPLACE)
            }
            Step::RemoveAddress(one) => (Message::DelAddress(encode::address(one)), 0),
            // Not to be replaced: a route of the same metric may be another
            // link's. Appended, it comes second.
            Step::AddRoute(route) => {
                (Message::NewRoute(encode::route(route)), NLM_F_CREATE | NLM_F_APPEND)
            }
            Step::RemoveRoute(route) => (Message::DelRoute(encode::route(route)), 0),
            // Without NLM_F_EXCL the kernel would make it twice.
            Step::AddRule(rule) => (
                Message::NewRule(encode::rule(rule)),
                NLM_F_CREATE | netlink_packet_core::NLM_F_EXCL,
            ),
            Step::RemoveRule(rule) => (Message::DelRule(encode::rule(rule)), 0),
            Step::SetDns(_) | Step::ClearDns | Step::Manager(_) => return Ok(()),
        };
        self.socket.request(message, NLM_F_ACK | flags)
    }
}

/// Adds to `observed` what one answer of the kernel (`struct nlmsghdr`s, one
/// after another) lists. Pure.
///
/// # Errors
/// A message is cut off; those before it were added.
pub fn read(observed: &mut Observed, answer: &[u8]) -> io::Result<()> {
    socket::messages(answer, |_, message| {
        if let Some(NetlinkPayload::InnerMessage(message)) = socket::decoded(message) {
            note(observed, &message);
        }
    })
}

fn note(observed: &mut Observed, message: &Message) {
    match message {
        Message::NewLink(message) => observed.links.extend(decode::link(message)),
        Message::NewAddress(message) => observed.addresses.extend(decode::address(message)),
        Message::NewRoute(message) => observed.routes.extend(decode::route(message)),
        Message::NewRule(message) => observed.rules.extend(decode::rule(message)),
        _ => {}
    }
}

/// Whether the kernel's refusal means that there is nothing to do.
fn done_already(step: &Step, error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    match step {
        Step::AddAddress(_) | Step::AddRoute(_) | Step::AddRule(_) => errno == Some(Errno::EXIST),
        Step::RemoveAddress(_) => {
            matches!(errno, Some(Errno::ADDRNOTAVAIL | Errno::NODEV))
        }
        Step::RemoveRoute(_) => matches!(errno, Some(Errno::SRCH | Errno::NODEV)),
        Step::RemoveRule(_) => errno == Some(Errno::NOENT),
        _ => false,
    }
}

/// `/proc/sys/net/ipv6/conf/LINK/NAME`. Link names hold no slash
/// (`dev_valid_name` in net/core/dev.c).
fn sysctl_path(link: &str, name: &str) -> PathBuf {
    ["/proc/sys/net/ipv6/conf", link, name].iter().collect()
}

fn sysctl<T: std::str::FromStr>(link: &str, name: &str) -> Option<T> {
    fs::read_to_string(sysctl_path(link, name)).ok()?.trim_end().parse().ok()
}

fn set_sysctl(link: &str, name: &str, value: u32) -> io::Result<()> {
    fs::write(sysctl_path(link, name), value.to_string())
}
