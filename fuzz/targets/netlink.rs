//! Lists of the kernel: any bytes are read or refused.
#![no_main]

use a7670e::net::model::Observed;
use a7670e::net::netlink::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut observed = Observed::default();
    _ = read(&mut observed, bytes);
    assert!(observed.links.iter().all(|link| !link.name.is_empty()));
});
