//! `a7670e status`: everything on a page.

use std::fmt::Write as _;

use crate::cli::signal;
use crate::cli::usage::bytes;
use crate::protocol::{ModemStatus, Status};
use crate::session::Report;

/// The page.
pub fn render(status: &Status) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |text: String| _ = writeln!(out, "{text}");
    let daemon = &status.daemon;
    line(format!(
        "service  a7670e {}, process {}, up {} s",
        daemon.version, daemon.pid, daemon.uptime_s
    ));
    for modem in &status.modems {
        line(String::new());
        ports(modem, &mut line);
        if let Some(report) = &modem.session {
            session(report, &mut line);
        }
        for problem in &modem.modem.problems {
            line(format!("  problem  {problem}"));
        }
    }
    for device in &status.unrecognised {
        line(String::new());
        line(format!("device {}  {}, no known modem", device.usb_path, device.usb_id));
        line(format!("  interfaces {}", device.interfaces.join(" ")));
    }
    if status.modems.is_empty() {
        line(String::new());
        line("no modem is plugged in, or it has not started yet (it takes about 10 s)".to_owned());
    }
    out
}

fn ports(status: &ModemStatus, line: &mut impl FnMut(String)) {
    let modem = &status.modem;
    let state = status.session.as_ref().map_or("starting", |report| report.summary.as_str());
    line(format!("modem {}  {} ({}): {state}", modem.usb_path, modem.model, modem.usb_id));
    for port in &modem.ports {
        line(format!("  {:<8} {}  ({})", port.role.name(), port.device, port.link));
    }
    let network = &modem.network;
    let kind = format!("{:?}", network.kind).to_uppercase();
    line(format!(
        "  {:<8} {}  ({kind}, {})",
        "network",
        network.device.as_deref().unwrap_or("none"),
        network.driver.as_deref().unwrap_or("no driver")
    ));
}

fn session(report: &Report, line: &mut impl FnMut(String)) {
    let state = &report.cellular.state;
    if let Some(operator) = &state.operator {
        let apn = state.apn.as_deref().filter(|apn| !apn.is_empty());
        let apn = apn.map_or(String::new(), |apn| format!(", APN {apn}"));
        line(format!("  {:<8} {operator}{apn}", "operator"));
    }
    if let Some(signal) = signal::words(state) {
        line(format!("  {:<8} {signal}", "signal"));
    }
    if let Some(network) = &report.network {
        for wanted in &network.wanted {
            line(format!("  {:<8} {wanted}", "has"));
        }
        for step in &network.plan {
            line(format!("  {:<8} {step}", "to do"));
        }
    }
    if let Some(why) = &report.messages_wait {
        line(format!("  {:<8} text messages wait: {why}", "sms"));
    }
    let usage = &report.usage;
    let cap = usage.cap.map_or(String::new(), |cap| format!(" of {}", bytes(cap)));
    line(format!("  {:<8} {}{cap} this month", "data", bytes(usage.rx.saturating_add(usage.tx))));
}
