//! Plans against a real kernel, in a network namespace of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

mod common;

use std::net::Ipv4Addr;

use a7670e::net::model::{Desired, Ipv4, Ipv6, MAIN_TABLE, Observed, PROTOCOL, table};
use a7670e::net::netlink::Netlink;
use a7670e::net::plan::{Plan, Step, orphans, plan, teardown};
use common::namespace::{ip, outside};

/// `wwan0` is the modem's, `eth0` another uplink with its own default route of
/// the same metric, made by somebody else.
fn machine() {
    ip("link set lo up");
    ip("link add wwan0 type veth peer name modem");
    ip("link add eth0 type veth peer name router");
    for link in ["modem", "eth0", "router"] {
        ip(&format!("link set {link} up"));
    }
    ip("address add 10.0.0.2/24 dev eth0");
    ip("route add default via 10.0.0.1 dev eth0 metric 700");
    ip("rule add priority 5210 lookup 52");
}

fn desired(observed: &Observed, host: u8, prefix: u8) -> Desired {
    Desired {
        link: "wwan0".into(),
        index: observed.link_named("wwan0").unwrap().index,
        mtu: Some(1428),
        ipv4: Some(Ipv4 {
            address: Ipv4Addr::new(192, 168, 0, host),
            prefix,
            gateway: Some(Ipv4Addr::new(192, 168, 0, 1)),
        }),
        metric: 700,
        default_route: Some(700),
        dns: None,
        ipv6: Ipv6::Leave,
    }
}

/// The machine, seen before anything was done, and with a plan carried out.
fn planned() -> (Netlink, Observed, Desired, Plan) {
    machine();
    let mut netlink = Netlink::open().unwrap();
    let before = netlink.observe("wwan0").unwrap();
    let wish = desired(&before, 100, 24);
    let steps = plan(&wish, &before).unwrap();
    apply(&mut netlink, &steps);
    (netlink, before, wish, steps)
}

fn apply(netlink: &mut Netlink, plan: &Plan) {
    for step in &plan.steps {
        netlink.apply(plan, step).unwrap();
    }
}

/// All that does not belong to wwan0 and is no count or IPv6 address still
/// being tested.
fn others(observed: &Observed, index: u32) -> Vec<String> {
    let addresses = observed.addresses.iter().filter(|one| one.address.is_ipv4());
    let addresses = addresses.filter(|one| one.index != index).map(|one| format!("{one:?}"));
    let routes = observed.routes.iter().filter(|one| one.destination.0.is_ipv4());
    let routes = routes.filter(|one| one.index != index).map(|one| format!("{one:?}"));
    let rules = observed.rules.iter().filter(|one| one.table != table(index));
    addresses.chain(routes).chain(rules.map(|one| format!("{one:?}"))).collect()
}

#[test]
fn a_plan_comes_true_and_leaves_no_trace() {
    if outside("a_plan_comes_true_and_leaves_no_trace") {
        return;
    }
    let (mut netlink, before, wish, steps) = planned();
    assert_eq!(steps.steps.len(), 8, "{steps}");

    let now = netlink.observe("wwan0").unwrap();
    assert_eq!(plan(&wish, &now).unwrap().steps, &[], "it is verified");
    let link = now.link(wish.index).unwrap();
    assert!(link.up && link.carrier && link.arp);
    assert_eq!((link.mtu, link.mac.is_some()), (1428, true));
    // Our default route came second, as both have the same metric.
    let defaults =
        now.routes.iter().filter(|one| one.table == MAIN_TABLE && one.destination.1 == 0);
    let origins: Vec<u8> = defaults.map(|one| one.protocol).collect();
    assert_eq!(origins, [3, PROTOCOL]);
    assert_eq!(others(&before, wish.index), others(&now, wish.index));

    // Doing it again is no error (a service that was killed does not know).
    apply(&mut netlink, &steps);
    assert_eq!(plan(&wish, &netlink.observe("wwan0").unwrap()).unwrap().steps, &[]);

    let end = teardown("wwan0", wish.index, &netlink.observe("wwan0").unwrap());
    apply(&mut netlink, &end);
    let after = netlink.observe("wwan0").unwrap();
    assert_eq!(teardown("wwan0", wish.index, &after).steps, &[]);
    assert_eq!(others(&before, wish.index), others(&after, wish.index));
    // The kernel is not asked twice for what is gone, but if so, it is no error.
    apply(&mut netlink, &end);
}

#[test]
fn a_cut_after_any_step_is_mended_by_the_next_run() {
    if outside("a_cut_after_any_step_is_mended_by_the_next_run") {
        return;
    }
    machine();
    let mut netlink = Netlink::open().unwrap();
    let before = netlink.observe("wwan0").unwrap();
    let leases = [(100, 24), (101, 24), (101, 32), (7, 16), (100, 24)];
    for cut in 0..12 {
        for (host, prefix) in leases {
            let wish = desired(&before, host, prefix);
            let half = plan(&wish, &netlink.observe("wwan0").unwrap()).unwrap();
            for step in half.steps.iter().take(cut) {
                netlink.apply(&half, step).unwrap();
            }
        }
        // A new process knows nothing of the last.
        let mut fresh = Netlink::open().unwrap();
        let wish = desired(&before, 42, 24);
        for _ in 0..2 {
            let rest = plan(&wish, &fresh.observe("wwan0").unwrap()).unwrap();
            apply(&mut fresh, &rest);
        }
        let now = fresh.observe("wwan0").unwrap();
        assert_eq!(plan(&wish, &now).unwrap().steps, &[], "cut after {cut}");
        let ours = now.addresses.iter().filter(|one| one.protocol == PROTOCOL).count();
        assert_eq!(ours, 1, "cut after {cut}");
        assert_eq!(others(&before, wish.index), others(&now, wish.index), "cut after {cut}");
        apply(&mut fresh, &teardown("wwan0", wish.index, &now));
    }
}

#[test]
fn rules_of_a_pulled_stick_are_found_and_a_refusal_is_named() {
    if outside("rules_of_a_pulled_stick_are_found_and_a_refusal_is_named") {
        return;
    }
    let (mut netlink, _, wish, steps) = planned();
    ip("link delete wwan0");
    let now = netlink.observe("wwan0").unwrap();
    assert!(plan(&wish, &now).is_err());
    let left = orphans(&[], &now);
    assert_eq!(left.len(), 1);
    assert!(left[0].steps.iter().all(|step| matches!(step, Step::RemoveRule(_))), "{}", left[0]);
    apply(&mut netlink, &left[0]);
    assert!(orphans(&[], &netlink.observe("wwan0").unwrap()).is_empty());

    let error = netlink.apply(&steps, &Step::LinkUp).unwrap_err().to_string();
    assert!(error.starts_with("wwan0: cannot switch on: No such device"), "{error}");
}
