//! What others may send to sockets of the service: name servers and pages to
//! the probe, anybody in its group to the control socket.
#![no_main]

use a7670e::net::probe::{dns_answer, dns_query, http_status};
use a7670e::protocol::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(status) = http_status(bytes) {
        assert!(status <= 999);
    }
    let query = dns_query(7, "example.org").expect("a host name");
    _ = dns_answer(&query, bytes);
    // Past the header and the question, which few inputs get right.
    let mut reply = query.clone();
    (reply[2], reply[7]) = (0x80, 3);
    reply.extend(bytes);
    _ = dns_answer(&query, &reply);
    // The name in the question is whatever the configuration says.
    if let Some(name) = std::str::from_utf8(bytes).ok().and_then(|text| dns_query(7, text)) {
        assert!(name.len() <= 255 + 17);
    }
    _ = parse(bytes);
});
