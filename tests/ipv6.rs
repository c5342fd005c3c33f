//! The real service and a router that offers IPv6 behind the modem: taken when
//! data may flow, and nothing of it left at the cap or at the end.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

mod common;
use common::namespace::{ip, outside};

#[path = "online/rig.rs"]
mod rig;
#[path = "online/router.rs"]
mod router;
#[path = "online/service.rs"]
mod service;
#[path = "online/wire.rs"]
mod wire;

use rig::Rig;
use service::{CONFIG, DEADLINE, Service, download};

/// Beyond the router.
const FAR: &str = "2001:db8:ffff::1";

fn accept_ra() -> String {
    let path = "/proc/sys/net/ipv6/conf/wwan0/accept_ra";
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

/// What the router gave.
fn given() -> String {
    let addresses = ip("-6 -o address show dev wwan0 scope global");
    let routes = ip("-6 route show table all dev wwan0");
    // The link's own are there without a router.
    let routes = routes.lines().filter(|line| {
        !line.contains("fe80::/64") && !line.contains("local ") && !line.contains("ff00::/8")
    });
    addresses + &routes.collect::<Vec<_>>().join("\n")
}

/// It gave an address that may be used, and a default route.
fn usable() -> bool {
    let given = given();
    let address =
        |line: &str| line.contains("2001:db8:a7:670e:") && line.contains("global dynamic");
    given.lines().any(address) && given.contains("default via fe80::1 proto ra metric 700")
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "{what}: {}", given());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends something far away.
fn send() -> std::io::Result<usize> {
    UdpSocket::bind(("::", 0))?.send_to(b"hello", (FAR, 9))
}

/// What `a7670e plan` is about, in its own words.
fn plan(service: &Service, part: &str) -> bool {
    let plan = service.ask(&["plan"]).unwrap();
    assert_eq!(plan[0]["plan"], serde_json::json!([]), "{plan:#}");
    plan[0]["wanted"].as_array().unwrap().iter().any(|line| line.as_str().unwrap() == part)
}

#[test]
fn what_a_router_offers_is_taken_and_gone_at_the_cap() {
    if outside("what_a_router_offers_is_taken_and_gone_at_the_cap") {
        return;
    }
    ip("link set lo up");
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    rig.router.on.store(true, Ordering::Relaxed);
    // 1.5 MB of it are held back.
    let config = format!("{CONFIG}[data]\ncap = \"2 MB\"\n");
    let service = Service::start(folder.path(), &config);
    service.wait("online");
    wait("no address", usable);
    assert_eq!(accept_ra(), "2");
    assert!(plan(&service, "IPv6 as routers offer it, default route metric 700"));
    send().unwrap();
    wait("nothing passes", || rig.router.forwarded.load(Ordering::Relaxed) > 0);

    download(600_000);
    service.wait("cap-reached");
    wait("something is left", || given().is_empty());
    assert_eq!(accept_ra(), "0");
    assert!(plan(&service, "no IPv6"));
    let before = rig.router.forwarded.load(Ordering::Relaxed);
    assert!(send().is_err(), "{}", ip("-6 route show table all"));
    // Nor does the kernel take what a router says from now on.
    let asked = rig.router.asked.load(Ordering::Relaxed);
    assert_eq!(rig.router.forwarded.load(Ordering::Relaxed), before);
    println!("{asked} solicitations");
    service.stop();
    assert_eq!((given().as_str(), accept_ra().as_str()), ("", "0"));
}

#[test]
fn nothing_of_a_router_is_left_at_the_end_or_when_it_is_not_wanted() {
    if outside("nothing_of_a_router_is_left_at_the_end_or_when_it_is_not_wanted") {
        return;
    }
    ip("link set lo up");
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new(folder.path(), "a7670e-ecm", 100, "");
    rig.router.on.store(true, Ordering::Relaxed);
    let mut service = Service::start(folder.path(), CONFIG);
    service.wait("online");
    wait("no address", usable);
    // An address of the owner's own is no business of ours.
    ip("-6 address add 2001:db8:1::1/64 dev wwan0 nodad");

    // Killed, and then told otherwise.
    service.kill();
    assert!(given().contains("proto ra"));
    drop(service);
    let config = CONFIG.replace("[network]", "[network]\nipv6 = false");
    let service = Service::start(folder.path(), &config);
    service.wait("online");
    wait("something is left", || !given().contains("2001:db8:a7:670e:"));
    assert!(!given().contains("proto ra"), "{}", given());
    assert!(given().contains("2001:db8:1::1/64") && given().contains("2001:db8:1::/64"));
    assert_eq!(accept_ra(), "0");
    service.stop();

    let service = Service::start(folder.path(), CONFIG);
    service.wait("online");
    wait("no address", usable);
    service.stop();
    assert!(!given().contains("2001:db8:a7:670e:") && !given().contains("proto ra"), "{}", given());
    assert!(given().contains("2001:db8:1::1/64"));
    assert_eq!(accept_ra(), "0");
    drop(rig);
}
