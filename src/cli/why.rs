//! `a7670e why`: the verdict, the facts behind it, and what comes next.

use std::fmt::Write as _;

use serde::Serialize;

use crate::modem::usb_path::UsbPath;
use crate::policy::verdict::{Evidence, Proof, Registration, Sim, Verdict};
use crate::protocol::Status;
use crate::session::{ControlReport, Holder, Next, Report};

/// One modem's, for programs.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    /// Which modem; none when there is none.
    modem: Option<&'a UsbPath>,
    verdict: Verdict,
    summary: String,
    reason: Option<&'a str>,
    advice: Option<&'a str>,
    /// Who dials, where the modem does not by itself.
    dials: Option<&'a str>,
    /// Who has the AT port.
    control: Option<&'a ControlReport>,
    evidence: Option<&'a Evidence>,
    next: Option<Next>,
    /// What kept the first boot from making the device what its card says.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_boot: Option<String>,
}

/// What kept the first boot from making the device what its card says.
pub fn first_boot() -> Option<String> {
    let text = std::fs::read_to_string(crate::firstboot::TROUBLE).ok()?;
    Some(text.trim_end().to_owned())
}

/// All modems', or that there is none.
pub fn answers(status: &Status) -> Vec<Answer<'_>> {
    let bare = |modem, verdict: Verdict| Answer {
        modem,
        verdict,
        summary: verdict.to_string(),
        reason: None,
        advice: verdict.advice(),
        dials: None,
        control: None,
        evidence: None,
        next: None,
        first_boot: first_boot(),
    };
    if status.modems.is_empty() {
        return vec![bare(None, Verdict::NoModem)];
    }
    let modems = status.modems.iter();
    modems
        .map(|modem| {
            let place = Some(&modem.modem.usb_path);
            let Some(report) = &modem.session else { return bare(place, Verdict::ComingUp) };
            Answer {
                modem: place,
                verdict: report.verdict,
                summary: report.summary.clone(),
                reason: reason(report),
                advice: report.advice.as_deref(),
                dials: dials(report),
                control: report.cellular.control.as_ref(),
                evidence: Some(&report.evidence),
                next: report.next,
                first_boot: first_boot(),
            }
        })
        .collect()
}

/// For people.
pub fn render(status: &Status) -> String {
    let mut out = String::new();
    if let Some(trouble) = first_boot() {
        // Writing to a String cannot fail.
        _ = writeln!(out, "{trouble}\n");
    }
    if status.modems.is_empty() {
        let advice = Verdict::NoModem.advice().unwrap_or_default();
        // Writing to a String cannot fail.
        _ = writeln!(out, "{}\n  {advice}", Verdict::NoModem);
        for device in &status.unrecognised {
            _ = writeln!(out, "  {} at {} is no known modem", device.usb_id, device.usb_path);
        }
    }
    for modem in &status.modems {
        let place = &modem.modem.usb_path;
        match &modem.session {
            Some(report) => one(&mut out, &place.to_string(), report),
            None => _ = writeln!(out, "modem {place}: {}", Verdict::ComingUp),
        }
    }
    out
}

fn one(out: &mut String, place: &str, report: &Report) {
    // Writing to a String cannot fail.
    _ = writeln!(out, "modem {place}: {}", report.summary);
    if let Some(reason) = reason(report) {
        _ = writeln!(out, "  {reason}");
    }
    if let Some(advice) = &report.advice {
        _ = writeln!(out, "  {advice}");
    }
    _ = writeln!(out);
    for (fact, state) in facts(report) {
        _ = writeln!(out, "  {fact:<10} {state}");
    }
    if let Some(next) = report.next {
        _ = writeln!(out, "\n  next: {}, in {} s", next.rung, next.in_s);
        if next.held {
            _ = writeln!(out, "  (data still flows, so it waits; it comes when that ends)");
        }
    }
    if let Some(error) = &report.cellular.state.last_error {
        _ = writeln!(out, "  last error: {error}");
    }
    if let Some(why) = &report.messages_wait {
        _ = writeln!(out, "  text messages wait: {why}");
    }
}

/// What the part in the way says of itself.
fn reason(report: &Report) -> Option<&str> {
    let network = report.network.as_ref();
    match report.verdict {
        Verdict::Online => None,
        Verdict::PortSilent | Verdict::ComingUp => {
            report.cellular.port_error.as_deref().or(report.cellular.state.reason.as_deref())
        }
        Verdict::NetworkManager => network?.manager.as_ref()?.trouble.as_deref(),
        Verdict::NoDataPath if dials(report).is_some() => {
            report.cellular.state.reason.as_deref().or(dials(report))
        }
        Verdict::Route | Verdict::Dns => {
            network.and_then(|network| network.problems.first()).map(String::as_str)
        }
        _ => report.cellular.state.reason.as_deref(),
    }
}

/// Who dials, where the modem does not by itself.
fn dials(report: &Report) -> Option<&str> {
    report.network.as_ref()?.manager.as_ref()?.dials.as_deref()
}

/// From the USB port to the internet, each with how it is.
fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let evidence = &report.evidence;
    let state = &report.cellular.state;
    let network = report.network.as_ref();
    let three = |fact: Option<bool>, yes: &str, no: &str| {
        match fact {
            Some(true) => yes,
            Some(false) => no,
            None => "not yet",
        }
        .to_owned()
    };
    let sim = match evidence.sim {
        Sim::Unknown => "not known yet",
        Sim::Absent => "not there",
        Sim::Pin => "wants its PIN",
        Sim::Puk => "wants its PUK",
        Sim::Ready => "ready",
    };
    let registration = match evidence.registration {
        Registration::Searching => "searching".to_owned(),
        Registration::NotFound => "no network found".to_owned(),
        Registration::Denied => "refused".to_owned(),
        Registration::Registered => {
            let operator = state.operator.as_deref().unwrap_or("yes");
            let technology =
                state.technology.map_or(String::new(), |technology| format!(", {technology:?}"));
            format!("{operator}{technology}")
        }
    };
    let apn = match state.apn.as_deref() {
        None => "not known yet".to_owned(),
        Some("") => "the network's own choice".to_owned(),
        Some(apn) => apn.to_owned(),
    };
    let lease = network.and_then(|network| network.lease.as_ref());
    let lease = lease.map_or_else(
        || three(evidence.lease, "yes", "none"),
        |lease| match lease.seconds {
            // NetworkManager's, which renews it.
            u32::MAX => format!("{}/{}", lease.address, lease.prefix),
            seconds => format!("{}/{} for {seconds} s", lease.address, lease.prefix),
        },
    );
    let clash = network.and_then(|network| network.clash.as_ref());
    let route = match (clash, network.and_then(|network| network.metric)) {
        (Some(clash), _) => {
            format!("{} has {}/{} already", clash.link, clash.network.0, clash.network.1)
        }
        (None, Some(metric)) if evidence.route == Some(true) => format!("metric {metric}"),
        _ => three(evidence.route, "as it should be", "not as it should be"),
    };
    let proof = match evidence.proof {
        Proof::Pending => "not made yet",
        Proof::Passed => "packets come through",
        Proof::NoDns => "addresses are reached, names are not",
        Proof::Nothing => "nothing is reached",
        Proof::Captive => "somebody else answers (a portal?)",
    };
    let port = match &report.cellular.control {
        Some(control) if control.holder == Holder::ModemManager || control.note.is_some() => {
            super::control::describe(control)
        }
        _ => three(evidence.port, "answers", "silent"),
    };
    let mut facts = vec![
        ("AT port", port),
        ("SIM", sim.to_owned()),
        ("network", registration),
        ("APN", apn),
        ("data path", three(evidence.data_path, "up", "down")),
        ("lease", lease),
        ("route", route),
        ("proof", proof.to_owned()),
    ];
    if let Some(manager) = network.and_then(|network| network.manager.as_ref()) {
        let state = manager.state.as_deref().unwrap_or("does not run");
        let said = manager.trouble.as_deref().unwrap_or(state);
        facts.push(("manager", said.to_owned()));
    }
    if let Some(dials) = dials(report) {
        facts.push(("dialled", dials.to_owned()));
    }
    if evidence.cap_reached {
        facts.push(("data", "the cap is reached".to_owned()));
    }
    facts
}
