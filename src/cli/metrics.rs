//! `a7670e metrics`: Prometheus text format 0.0.4, for node_exporter's textfile
//! collector or any program that runs others.

use std::fmt::Write as _;

use crate::policy::verdict::Verdict;
use crate::protocol::Status;
use crate::session::Report;

/// Name, kind, help, and how to get it from a report.
type Row = (&'static str, &'static str, &'static str, fn(&Report) -> Option<f64>);

const ROWS: [Row; 11] = [
    ("online", "gauge", "Whether it is proven to be online", |report| {
        Some(f64::from(u8::from(report.verdict == Verdict::Online)))
    }),
    ("port_open", "gauge", "Whether the AT port is open", |report| {
        Some(f64::from(u8::from(report.cellular.port_open)))
    }),
    ("registered", "gauge", "Whether it is registered with a network", |report| {
        let stat = report.cellular.state.registration;
        Some(f64::from(u8::from(stat.is_some_and(crate::at::reply::Stat::is_registered))))
    }),
    ("rssi_dbm", "gauge", "Received power", |report| {
        report.cellular.state.signal.rssi_dbm.map(f64::from)
    }),
    ("rsrp_dbm", "gauge", "Received power of the reference signal", |report| {
        report.cellular.state.signal.rsrp_dbm.map(f64::from)
    }),
    ("rsrq_db", "gauge", "Quality of the reference signal", |report| {
        report.cellular.state.signal.rsrq_db.map(f64::from)
    }),
    ("sinr_db", "gauge", "Signal to noise", |report| {
        report.cellular.state.signal.sinr_db.map(f64::from)
    }),
    ("received_bytes", "counter", "Received this month", |report| Some(report.usage.rx as f64)),
    ("sent_bytes", "counter", "Sent this month", |report| Some(report.usage.tx as f64)),
    ("cap_bytes", "gauge", "The month's cap", |report| report.usage.cap.map(|cap| cap as f64)),
    ("recoveries_day", "gauge", "Rungs of recovery used in the last day, ten at most", |report| {
        Some(report.tried.len() as f64)
    }),
];

/// All numbers.
pub fn render(status: &Status) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    _ = writeln!(out, "# HELP a7670e_up_seconds Since the service started");
    _ = writeln!(out, "# TYPE a7670e_up_seconds gauge");
    _ = writeln!(out, "a7670e_up_seconds {}", status.daemon.uptime_s);
    _ = writeln!(out, "# HELP a7670e_modems Modems on the USB bus");
    _ = writeln!(out, "# TYPE a7670e_modems gauge");
    _ = writeln!(out, "a7670e_modems {}", status.modems.len());
    for (name, kind, help, value) in ROWS {
        let mut samples = String::new();
        for modem in &status.modems {
            let place = &modem.modem.usb_path;
            if let Some(value) = modem.session.as_ref().and_then(value) {
                _ = writeln!(samples, "a7670e_{name}{{modem=\"{place}\"}} {value}");
            }
        }
        if !samples.is_empty() {
            _ = writeln!(out, "# HELP a7670e_{name} {help}");
            _ = write!(out, "# TYPE a7670e_{name} {kind}\n{samples}");
        }
    }
    out
}
