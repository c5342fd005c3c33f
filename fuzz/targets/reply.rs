//! The readers of replies take any line.
#![no_main]

use a7670e::at::{Command, Final, fields, reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    let lines = vec![line.to_owned()];
    _ = (Final::parse(line), fields(line), Command::typed(line));
    _ = (reply::word(&lines, "+CGMR"), reply::digits(&lines, "+CGSN"));
    _ = (reply::sim_state(line), reply::tries(line), reply::iccid(&lines));
    _ = (reply::mnc_length(line), reply::context(line), reply::address(line, 1));
    _ = (reply::auth_type(line, 1), reply::dial_mode(&lines), reply::bands(line));
    _ = (reply::usb_net_mode(line), reply::usb_net_third(line), reply::operator(line));
    _ = (reply::csq(line), reply::serving(line));
    _ = (reply::registration(line, true), reply::registration(line, false));
});
