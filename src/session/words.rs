//! What a session is told and what it wants done.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::Rival;
use crate::at::{AtError, Command, Reply};
use crate::modem::catalogue::NetKind;
use crate::modem::machine::Memory;
use crate::modem::manager;
use crate::net::model::Observed;
use crate::net::plan::{Plan, Step};
use crate::net::probe::{Outcome, Target};
use crate::policy::budget::Usage;
use crate::policy::ladder::{History, Rung};
use crate::sms::desk::{ManagerCall, ManagerEvent, Message, News};
use crate::sms::spool;

/// Time and date. They may jump apart: the date is set when the network comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Since some moment; never goes back.
    pub now: Duration,
    /// Seconds of the Unix epoch.
    pub wall: u64,
}

/// A modem as the bus shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Model family, for example `A76XX`.
    pub model: String,
    /// What its network function speaks.
    pub kind: NetKind,
    /// Path of the AT port, when it is there and free.
    pub port: Option<String>,
    /// Somebody else has the AT port and was asked to let go of it.
    pub held: bool,
    /// Name of the network device, when it is there.
    pub link: Option<String>,
}

/// What the session is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// This is plugged in now; `None`: nothing is.
    Device(Option<Device>),
    /// The AT port is open.
    PortOpened,
    /// It could not be opened.
    PortFailed(String),
    /// It broke or went away.
    PortClosed,
    /// It said this.
    Bytes(Vec<u8>),
    /// A person's command; answered by [`Action::Answer`].
    Request {
        /// The caller's number.
        id: u64,
        /// What to send.
        command: Command,
    },
    /// Something about the network may have changed.
    Hint,
    /// How a plan went; a look follows by itself.
    Applied(Vec<Failure>),
    /// The state of the network.
    Observed(Observed),
    /// A DHCP message came from the link.
    Dhcp(Vec<u8>),
    /// What a probe found.
    Probed(Outcome),
    /// ModemManager's side.
    Manager(manager::Event),
    /// The same, of messages.
    ManagerMessage(ManagerEvent),
    /// Of a ModemManager that is to keep away from the modem.
    Rival(Rival),
}

/// A step that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub step: Step,
    /// Why not.
    pub reason: String,
    /// What the step would change is another program's, to be left alone.
    pub foreign: bool,
}

/// What the session wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Open the AT port; answered by an event.
    OpenPort(String),
    /// Close it; not answered.
    ClosePort,
    /// Write this to it.
    Write(Vec<u8>),
    /// Watch ModemManager from now on, or no more; its news are
    /// [`Event::Manager`].
    WatchManager(bool),
    /// Give the modem to ModemManager, and watch what it makes of it.
    HandOver,
    /// Take it back. [`Event::Device`] with its port tells that it is done.
    TakeBack,
    /// Ask ModemManager for this; answered by [`manager::Event::Answered`].
    Manager(manager::Call),
    /// Ask it for this of messages; answered by [`Event::ManagerMessage`].
    ManagerMessage {
        /// The modem's object.
        modem: String,
        /// What to do.
        call: ManagerCall,
    },
    /// Look at the network; answered by [`Event::Observed`].
    Observe,
    /// Carry this out, then tell, then look.
    Apply(Plan),
    /// Listen for DHCP on the link of this index.
    Listen(u32),
    /// Listen no more.
    Deafen,
    /// Send a DHCP message on that link.
    Send {
        /// Source address.
        from: Ipv4Addr,
        /// Destination.
        to: Ipv4Addr,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Ask for IPv6 routers on the link of this index; not answered.
    Solicit(u32),
    /// Make a probe; answered by [`Event::Probed`]. One that is under way is given
    /// up, and not answered.
    Probe {
        /// Through this link.
        link: String,
        /// Asking these name servers.
        servers: Vec<Ipv4Addr>,
        /// For this.
        target: Target,
    },
    /// Keep this before anything that follows is done.
    Remember(Memory),
    /// Keep what was tried, before anything that follows is done.
    Keep(History),
    /// Keep the count of data.
    Count(Usage),
    /// Do what the modem itself cannot do: USB, power, reboot.
    Climb(Rung),
    /// The end of a person's command.
    Answer {
        /// The caller's number.
        id: u64,
        /// What came of it.
        result: Result<Reply, AtError>,
    },
    /// Keep this message before anything that follows is done; else
    /// [`super::Session::restore_messages`], and nothing that follows.
    KeepMessage(spool::Record),
    /// Forget this message.
    ForgetMessage(u64),
    /// Read what is kept of messages again: [`super::Session::restore_messages`],
    /// or [`super::Session::stop_messages`] when it still cannot be read.
    LoadMessages,
    /// Tell whoever listens what became of a message.
    Tell(Box<News>),
    /// Run the owner's program for a message that came;
    /// [`super::Session::program_ended`].
    RunProgram(Box<Message>),
    /// Judge this text and do what it says; [`super::Session::obeyed`].
    Obey {
        /// Its message.
        id: u64,
        /// What it says.
        text: String,
    },
    /// The network's answer to USSD came: what follows `+CUSD:`.
    Ussd(String),
    /// A line for the log: the verdict is another, or a rung is used.
    Say(String),
    /// [`Session::report`] has news.
    Changed,
}

/// What earlier runs kept.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Of the machine.
    pub memory: Memory,
    /// Of the ladder.
    pub history: History,
    /// Of the budget.
    pub usage: Usage,
    /// Of the desk.
    pub messages: spool::Kept,
    /// Why it cannot be read, if so; then messages wait.
    pub unreadable: Option<String>,
    /// Identifies this boot; see [`crate::policy::budget::Reading::boot`].
    pub boot: u64,
}
