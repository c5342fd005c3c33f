//! Why is it not online? One verdict from plain facts, the first obstacle on the
//! way from the USB port to the internet.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What stands in the way, or that nothing does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No modem on the USB bus.
    NoModem,
    /// Its AT port is not there or does not answer.
    PortSilent,
    /// It sees no SIM.
    NoSim,
    /// The SIM wants a PIN that is not configured, or was refused.
    PinNeeded,
    /// The SIM wants its PUK.
    PukNeeded,
    /// The network refuses this SIM.
    Denied,
    /// No network is heard.
    NoCoverage,
    /// Registered, but no APN is known, or the network refuses it.
    NoApn,
    /// Registered, but the data connection does not come up.
    NoDataPath,
    /// NetworkManager, whose part it is, does not configure the link.
    NetworkManager,
    /// The modem gives no address.
    NoLease,
    /// The modem's network is that of another interface.
    Clash,
    /// There is an address, but the route is not as it should be.
    Route,
    /// Addresses are reached, names are not resolved.
    Dns,
    /// Nothing beyond the modem is reached, or a captive portal answers.
    NoInternet,
    /// The month's data is used up.
    CapReached,
    /// On its way; no obstacle yet.
    ComingUp,
    /// Proven to be online.
    Online,
}

/// What the SIM says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sim {
    /// Not asked yet, or not ready.
    Unknown,
    /// Not there.
    Absent,
    /// Locked by a PIN that we cannot or must not give.
    Pin,
    /// Locked by its PUK.
    Puk,
    /// Usable.
    Ready,
}

/// What the network says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Registration {
    /// Not known yet, or still searching within the usual time.
    Searching,
    /// Searched for longer than is usual.
    NotFound,
    /// Refused by the network, or by our roaming policy.
    Denied,
    /// Registered.
    Registered,
}

/// What the last proof of connectivity found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// None was made yet.
    Pending,
    /// Online.
    Passed,
    /// Reached an address, but no name was resolved.
    NoDns,
    /// Reached nothing.
    Nothing,
    /// Somebody else answered.
    Captive,
}

/// The facts. Each is that of now; what lies behind an obstacle does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// A modem is on the bus.
    pub modem: bool,
    /// Its AT port answers; `None` while it starts.
    pub port: Option<bool>,
    /// The SIM.
    pub sim: Sim,
    /// The network.
    pub registration: Registration,
    /// An APN is known and not refused; `None` before it was tried.
    pub apn: Option<bool>,
    /// The data connection is up; `None` while it comes up.
    pub data_path: Option<bool>,
    /// NetworkManager, whose part it is, keeps the link from being configured.
    #[serde(default)]
    pub manager_fails: bool,
    /// There is a lease; `None` while it is asked for.
    pub lease: Option<bool>,
    /// The lease's network is that of another interface.
    pub clash: bool,
    /// Address, routes and rules are as they should be; `None` before a lease.
    pub route: Option<bool>,
    /// What the proof found.
    pub proof: Proof,
    /// The data cap is reached.
    pub cap_reached: bool,
}

/// The first obstacle.
#[must_use]
pub fn verdict(evidence: &Evidence) -> Verdict {
    if !evidence.modem {
        return Verdict::NoModem;
    }
    match evidence.port {
        None => return Verdict::ComingUp,
        Some(false) => return Verdict::PortSilent,
        Some(true) => {}
    }
    match evidence.sim {
        Sim::Unknown => return Verdict::ComingUp,
        Sim::Absent => return Verdict::NoSim,
        Sim::Pin => return Verdict::PinNeeded,
        Sim::Puk => return Verdict::PukNeeded,
        Sim::Ready => {}
    }
    // It would be pointless to mend what is not to be used.
    if evidence.cap_reached {
        return Verdict::CapReached;
    }
    match evidence.registration {
        Registration::Searching => return Verdict::ComingUp,
        Registration::NotFound => return Verdict::NoCoverage,
        Registration::Denied => return Verdict::Denied,
        Registration::Registered => {}
    }
    if evidence.apn == Some(false) {
        return Verdict::NoApn;
    }
    match (evidence.data_path, evidence.lease) {
        (Some(false), _) => return Verdict::NoDataPath,
        _ if evidence.manager_fails => return Verdict::NetworkManager,
        (_, Some(false)) => return Verdict::NoLease,
        (None, _) | (_, None) => return Verdict::ComingUp,
        _ => {}
    }
    if evidence.clash {
        return Verdict::Clash;
    }
    match evidence.route {
        None => return Verdict::ComingUp,
        Some(false) => return Verdict::Route,
        Some(true) => {}
    }
    match evidence.proof {
        Proof::Pending => Verdict::ComingUp,
        Proof::Passed => Verdict::Online,
        Proof::NoDns => Verdict::Dns,
        Proof::Nothing | Proof::Captive => Verdict::NoInternet,
    }
}

impl Verdict {
    /// What the owner can do; nothing where the service does it alone.
    #[must_use]
    pub fn advice(self) -> Option<&'static str> {
        Some(match self {
            Verdict::NoModem => "Plug the modem in; see that its port gives 2 A.",
            Verdict::NoSim => "Put a SIM in, contacts first, while the modem is unplugged.",
            Verdict::PinNeeded => "Write the SIM's PIN to the configuration.",
            Verdict::PukNeeded => "Unlock the SIM with its PUK in a telephone.",
            Verdict::Denied => "Ask the SIM's provider whether it is active here.",
            Verdict::NoCoverage => "Move the antenna.",
            Verdict::NoApn => "Write the provider's APN, user and password to the configuration.",
            Verdict::CapReached => "Wait for the new month, or raise the cap.",
            _ => return None,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::NoModem => "no modem",
            Verdict::PortSilent => "the modem does not answer",
            Verdict::NoSim => "no SIM",
            Verdict::PinNeeded => "the SIM needs its PIN",
            Verdict::PukNeeded => "the SIM needs its PUK",
            Verdict::Denied => "the network refuses this SIM",
            Verdict::NoCoverage => "no coverage",
            Verdict::NoApn => "no APN that works",
            Verdict::NoDataPath => "no data connection",
            Verdict::NetworkManager => "NetworkManager does not do its part",
            Verdict::NoLease => "the modem gives no address",
            Verdict::Clash => "the modem's network is that of another interface",
            Verdict::Route => "the route is not as it should be",
            Verdict::Dns => "names are not resolved",
            Verdict::NoInternet => "nothing beyond the modem is reached",
            Verdict::CapReached => "the month's data is used up",
            Verdict::ComingUp => "coming up",
            Verdict::Online => "online",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn online() -> Evidence {
        Evidence {
            modem: true,
            port: Some(true),
            sim: Sim::Ready,
            registration: Registration::Registered,
            apn: Some(true),
            data_path: Some(true),
            manager_fails: false,
            lease: Some(true),
            clash: false,
            route: Some(true),
            proof: Proof::Passed,
            cap_reached: false,
        }
    }

    #[test]
    fn the_first_obstacle_counts() {
        assert_eq!(verdict(&online()), Verdict::Online);
        // From the last to the first: each hides those before it in this list.
        type Spoil = fn(&mut Evidence);
        let obstacles: [(Spoil, Verdict); 17] = [
            (|e| e.proof = Proof::Pending, Verdict::ComingUp),
            (|e| e.proof = Proof::Captive, Verdict::NoInternet),
            (|e| e.proof = Proof::NoDns, Verdict::Dns),
            (|e| e.route = Some(false), Verdict::Route),
            (|e| e.clash = true, Verdict::Clash),
            (|e| e.lease = Some(false), Verdict::NoLease),
            (|e| e.manager_fails = true, Verdict::NetworkManager),
            (|e| e.data_path = Some(false), Verdict::NoDataPath),
            (|e| e.apn = Some(false), Verdict::NoApn),
            (|e| e.registration = Registration::NotFound, Verdict::NoCoverage),
            (|e| e.registration = Registration::Denied, Verdict::Denied),
            (|e| e.cap_reached = true, Verdict::CapReached),
            (|e| e.sim = Sim::Puk, Verdict::PukNeeded),
            (|e| e.sim = Sim::Pin, Verdict::PinNeeded),
            (|e| e.sim = Sim::Absent, Verdict::NoSim),
            (|e| e.port = Some(false), Verdict::PortSilent),
            (|e| e.modem = false, Verdict::NoModem),
        ];
        let mut evidence = online();
        for (spoil, expected) in obstacles {
            spoil(&mut evidence);
            assert_eq!(verdict(&evidence), expected, "{evidence:?}");
        }
    }
}
