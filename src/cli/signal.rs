//! `a7670e signal`: how well the modem hears.

use std::fmt::Write as _;

use crate::modem::machine::State;
use crate::protocol::Status;

/// What `+CSQ` can tell: -113 dBm is its 0, -51 its 31 (TS 27.007 §8.5).
const WEAKEST: f32 = -113.0;
const STRONGEST: f32 = -51.0;

/// Characters of the graph.
const WIDTH: usize = 31;

/// A line for each modem.
pub fn render(status: &Status) -> String {
    let mut out = String::new();
    for modem in &status.modems {
        let state = modem.session.as_ref().map(|report| &report.cellular.state);
        let words = state.and_then(words).unwrap_or_else(|| "not known".to_owned());
        let graph = bar(state.and_then(|state| state.signal.rssi_dbm));
        // Writing to a String cannot fail.
        _ = writeln!(out, "{}  [{graph}]  {words}", modem.modem.usb_path);
    }
    if status.modems.is_empty() {
        out.push_str("no modem\n");
    }
    out
}

/// The numbers; `None` while there is none.
pub fn words(state: &State) -> Option<String> {
    let signal = &state.signal;
    let number = |name: &str, value: Option<f32>, unit: &str| {
        value.map(|value| format!("{name} {value:.0} {unit}"))
    };
    let parts = [
        number("RSSI", signal.rssi_dbm, "dBm"),
        number("RSRP", signal.rsrp_dbm, "dBm"),
        number("RSRQ", signal.rsrq_db, "dB"),
        number("SINR", signal.sinr_db, "dB"),
        state.technology.map(|technology| format!("{technology:?}")),
        state.band.clone(),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn bar(rssi_dbm: Option<f32>) -> String {
    let share = rssi_dbm.map_or(0.0, |rssi| (rssi - WEAKEST) / (STRONGEST - WEAKEST));
    // Between 0 and WIDTH by the clamp.
    let full = (share.clamp(0.0, 1.0) * WIDTH as f32).round() as usize;
    format!("{}{}", "#".repeat(full), ".".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::at::reply::Signal;

    #[test]
    fn the_graph_grows_with_the_signal() {
        assert_eq!(bar(None), ".".repeat(WIDTH));
        assert_eq!(bar(Some(-51.0)), "#".repeat(WIDTH));
        assert_eq!(bar(Some(-200.0)), bar(Some(-113.0)));
        assert_eq!(bar(Some(-82.0)).matches('#').count(), 16);
    }

    #[test]
    fn only_what_is_known_is_said() {
        assert_eq!(words(&State::default()), None);
        let signal = Signal { rssi_dbm: Some(-73.0), sinr_db: Some(9.0), ..Signal::default() };
        let state = State { signal, band: Some("B20".into()), ..State::default() };
        assert_eq!(words(&state).as_deref(), Some("RSSI -73 dBm, SINR 9 dB, B20"));
    }
}
