//! Plans against a model of the kernel: does every start end in the same state,
//! also when cut off after any step, and is nothing else touched?

use proptest::prelude::*;

use super::*;
use crate::net::model::Link;

const WWAN: u32 = 3;
const ETH: u32 = 2;

fn desired(host: u8) -> Desired {
    Desired {
        link: "wwan0".into(),
        index: WWAN,
        mtu: Some(1428),
        ipv4: Some(Ipv4 {
            address: Ipv4Addr::new(192, 168, 0, host),
            prefix: 24,
            gateway: Some(Ipv4Addr::new(192, 168, 0, 1)),
        }),
        metric: 700,
        default_route: Some(700),
        dns: Some(NameServers {
            servers: vec![Ipv4Addr::new(192, 168, 0, 1).into()],
            primary: true,
        }),
        ipv6: Ipv6::Refuse,
    }
}

/// Another uplink, with what its manager made, and a VPN's rule.
fn others() -> Observed {
    let eth = Ipv4Addr::new(10, 0, 0, 2);
    let route = |destination, gateway| Route {
        table: MAIN_TABLE,
        destination,
        gateway,
        index: ETH,
        metric: 100,
        source: None,
        protocol: 16,
        onlink: false,
    };
    Observed {
        links: vec![Link::sample(ETH, "eth0"), Link::sample(WWAN, "wwan0")],
        addresses: vec![Address {
            index: ETH,
            address: eth.into(),
            prefix: 8,
            metric: 100,
            protocol: 0,
        }],
        routes: vec![
            route((Ipv4Addr::new(10, 0, 0, 0).into(), 8), None),
            route((Ipv4Addr::UNSPECIFIED.into(), 0), Some(Ipv4Addr::new(10, 0, 0, 1).into())),
        ],
        rules: vec![Rule {
            priority: 5210,
            table: 52,
            from: None,
            oif: None,
            protocol: 0,
            ipv6: false,
        }],
        dns: None,
        accept_ra: Some(1),
        ra_metric: Some(1024),
        manager: None,
    }
}

/// What the kernel does at a step. As there, an address that goes takes along
/// the routes that name it as their source.
fn step(kernel: &mut Observed, step: &Step) {
    match step {
        Step::SetMtu(mtu) => wwan(kernel).mtu = *mtu,
        Step::LinkUp => wwan(kernel).up = true,
        Step::AcceptRa(value) => kernel.accept_ra = Some(*value),
        Step::RaMetric(metric) => kernel.ra_metric = Some(*metric),
        Step::AddAddress(one) => {
            kernel.addresses.retain(|other| !same_address(one, other));
            kernel.addresses.push(*one);
        }
        Step::RemoveAddress(one) => {
            kernel.addresses.retain(|other| other != one);
            kernel.routes.retain(|route| route.source != Some(one.address));
        }
        Step::AddRoute(route) => {
            assert!(wwan(kernel).up, "the network is down: {route}");
            let source = |one: &Address| Some(one.address) == route.source;
            assert!(kernel.addresses.iter().any(source), "no such source: {route}");
            kernel.routes.push(*route);
        }
        Step::RemoveRoute(route) => kernel.routes.retain(|other| other != route),
        Step::AddRule(rule) => kernel.rules.push(rule.clone()),
        Step::RemoveRule(rule) => kernel.rules.retain(|other| other != rule),
        Step::SetDns(dns) => kernel.dns = Some(dns.clone()),
        Step::ClearDns => kernel.dns = None,
        Step::Manager(step) => panic!("no plan of netlink's has {step}"),
    }
}

fn wwan(kernel: &mut Observed) -> &mut Link {
    kernel.links.iter_mut().find(|link| link.index == WWAN).unwrap()
}

fn run(kernel: &mut Observed, plan: &Plan, steps: usize) {
    plan.steps.iter().take(steps).for_each(|one| step(kernel, one));
}

/// What is left without all that is the modem's.
fn rest(observed: &Observed) -> Observed {
    let mut rest = observed.clone();
    rest.links.retain(|link| link.index != WWAN);
    rest.addresses.retain(|one| one.index != WWAN);
    rest.routes.retain(|route| route.index != WWAN);
    rest.rules.retain(|rule| rule.table != table(WWAN));
    (rest.dns, rest.accept_ra, rest.ra_metric) = (None, None, None);
    rest
}

#[test]
fn from_nothing_in_an_order_that_works() {
    let mut kernel = others();
    let plan = plan(&desired(100), &kernel).unwrap();
    assert_eq!(
        plan.to_string(),
        "wwan0: set MTU 1428\n\
         wwan0: refuse IPv6 router advertisements\n\
         wwan0: switch on\n\
         wwan0: add address 192.168.0.100/24\n\
         wwan0: add route table 7670003: 192.168.0.0/24 metric 700\n\
         wwan0: add route table 7670003: default via 192.168.0.1 metric 700\n\
         wwan0: add route default via 192.168.0.1 metric 700\n\
         wwan0: add rule 7670: bound to wwan0 ask table 7670003\n\
         wwan0: add rule 7670: from 192.168.0.100/32 ask table 7670003\n\
         wwan0: use name servers 192.168.0.1"
    );
    run(&mut kernel, &plan, usize::MAX);
    let again = super::plan(&desired(100), &kernel).unwrap();
    assert_eq!(again.to_string(), "wwan0: all is as it should be");
}

#[test]
fn a_default_route_can_be_withdrawn_and_demoted() {
    let mut kernel = others();
    run(&mut kernel, &plan(&desired(100), &others()).unwrap(), usize::MAX);
    let withdrawn = Desired { default_route: None, ..desired(100) };
    let text = plan(&withdrawn, &kernel).unwrap().to_string();
    assert_eq!(text, "wwan0: remove route default via 192.168.0.1 metric 700");
    let demoted = Desired { default_route: Some(20_700), ..desired(100) };
    let text = plan(&demoted, &kernel).unwrap().to_string();
    assert_eq!(
        text,
        "wwan0: add route default via 192.168.0.1 metric 20700\n\
         wwan0: remove route default via 192.168.0.1 metric 700"
    );
}

#[test]
fn a_gateway_outside_the_network_is_on_the_link_all_the_same() {
    let mut desired = desired(100);
    desired.ipv4 = Some(Ipv4 {
        address: Ipv4Addr::new(10, 64, 3, 9),
        prefix: 32,
        gateway: Some(Ipv4Addr::new(10, 64, 3, 1)),
    });
    assert!(routes(&desired).iter().all(|route| route.onlink));
    // And without a gateway everything is one hop away.
    desired.ipv4 = desired.ipv4.map(|ipv4| Ipv4 { gateway: None, ..ipv4 });
    assert!(routes(&desired).iter().all(|route| !route.onlink && route.gateway.is_none()));
}

#[test]
fn a_link_that_is_gone_or_renamed_is_an_error() {
    let gone = Desired { index: 9, ..desired(2) };
    let error = plan(&gone, &others()).unwrap_err().to_string();
    assert_eq!(error, "network device `wwan0` (index 9) is gone");
    let renamed = Desired { link: "wwan1".into(), ..desired(2) };
    let error = plan(&renamed, &others()).unwrap_err().to_string();
    assert!(error.contains("is called `wwan0`, not `wwan1`"), "{error}");
}

#[test]
fn what_a_replugged_stick_left_is_an_orphan() {
    let mut kernel = others();
    run(&mut kernel, &plan(&desired(100), &others()).unwrap(), usize::MAX);
    // The kernel drops addresses and routes with the link, but no rules.
    kernel.links.retain(|link| link.index != WWAN);
    kernel.addresses.retain(|one| one.index != WWAN);
    kernel.routes.retain(|route| route.index != WWAN);
    assert!(orphans(&[WWAN], &kernel).is_empty());
    let plans = orphans(&[17], &kernel);
    assert_eq!(plans.len(), 1);
    assert_eq!((plans[0].index, plans[0].steps.len()), (WWAN, 2));
    run(&mut kernel, &plans[0], usize::MAX);
    assert!(orphans(&[17], &kernel).is_empty());
    assert_eq!(rest(&kernel), rest(&others()));
}

#[test]
fn a_plan_is_plain_json() {
    let plan = plan(&desired(100), &others()).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    assert!(text.contains(r#"{"set-mtu":1428}"#), "{text}");
}

#[test]
fn what_routers_gave_goes_and_what_others_gave_stays() {
    let mut kernel = others();
    run(&mut kernel, &plan(&desired(100), &others()).unwrap(), usize::MAX);
    kernel.accept_ra = Some(2);
    let v6 = |text: &str| IpAddr::V6(text.parse().unwrap());
    let address = |index, address: &str, protocol| Address {
        index,
        address: v6(address),
        prefix: 64,
        metric: 0,
        protocol,
    };
    let route = |index, network: &str, prefix, protocol| Route {
        table: MAIN_TABLE,
        destination: (v6(network), prefix),
        gateway: None,
        index,
        metric: 256,
        source: None,
        protocol,
        onlink: false,
    };
    let mut kept = Vec::new();
    for index in [ETH, WWAN] {
        kernel.addresses.extend([
            address(index, "2001:db8:1::5", ADVERTISED_ADDRESS),
            address(index, "fe80::5", 3),
            address(index, "2001:db8:2::5", 0),
        ]);
        let link_local = route(index, "fe80::", 64, KERNEL_ROUTE);
        let owners = route(index, "2001:db8:2::", 64, KERNEL_ROUTE);
        kernel.routes.extend([
            route(index, "2001:db8:1::", 64, KERNEL_ROUTE),
            route(index, "::", 0, ADVERTISED_ROUTE),
            link_local,
            owners,
        ]);
        kept.extend([link_local, owners]);
    }
    let text = "wwan0: refuse IPv6 router advertisements\n\
                wwan0: remove route 2001:db8:1::/64 metric 256\n\
                wwan0: remove route default metric 256\n\
                wwan0: remove address 2001:db8:1::5/64";
    let refuse = plan(&desired(100), &kernel).unwrap();
    assert_eq!(refuse.to_string(), text);
    let end = teardown("wwan0", WWAN, &kernel).to_string();
    assert!(end.contains(text), "{end}");
    // A link of that name that is not ours, and one of that index that is gone.
    for (name, index) in [("wwan1", WWAN), ("wwan0", 9)] {
        let end = teardown(name, index, &kernel).to_string();
        assert!(!end.contains("IPv6") && !end.contains("2001"), "{end}");
    }
    assert!(orphans(&[], &kernel).iter().all(|plan| !plan.to_string().contains("2001")));

    run(&mut kernel, &refuse, usize::MAX);
    assert_eq!(plan(&desired(100), &kernel).unwrap().steps, &[]);
    let left = |route: &Route| kernel.routes.contains(route);
    assert!(kept.iter().all(left) && kernel.advertised_routes(ETH).count() == 1);
}

fn any_desired() -> impl Strategy<Value = Desired> {
    let ipv4 =
        prop::option::of((2_u8..6, prop::sample::select(vec![16_u8, 24, 32]), any::<bool>()));
    let dns = prop::option::of((prop::collection::vec(1_u8..3, 0..3), any::<bool>()));
    let ipv6 = prop::sample::select(vec![Ipv6::Leave, Ipv6::Accept, Ipv6::Refuse]);
    (ipv4, 0_u32..3, prop::option::of(0_u32..3), dns, ipv6, prop::option::of(1400_u32..1402))
        .prop_map(|(ipv4, metric, default_route, dns, ipv6, mtu)| Desired {
            ipv4: ipv4.map(|(host, prefix, gateway)| Ipv4 {
                address: Ipv4Addr::new(192, 168, 0, host),
                prefix,
                gateway: gateway.then_some(Ipv4Addr::new(192, 168, 0, 1)),
            }),
            metric,
            default_route,
            dns: dns.map(|(hosts, primary)| NameServers {
                servers: hosts
                    .iter()
                    .map(|host| Ipv4Addr::new(192, 168, 0, *host).into())
                    .collect(),
                primary,
            }),
            ipv6,
            mtu,
            ..desired(0)
        })
}

proptest! {
    /// Any sequence of wishes, each cut off after some steps as by a crash.
    #[test]
    fn converges_from_wherever_it_was_cut_off(
        wishes in prop::collection::vec((any_desired(), 0_usize..14), 1..6)
    ) {
        let mut kernel = others();
        for (wish, cut) in &wishes {
            let plan = plan(wish, &kernel).unwrap();
            run(&mut kernel, &plan, *cut);
        }
        let (wish, _) = wishes.last().unwrap();
        let to_the_end = plan(wish, &kernel).unwrap();
        run(&mut kernel, &to_the_end, usize::MAX);
        // An address that goes may take routes along: twice is always enough.
        let rest_of_it = plan(wish, &kernel).unwrap();
        run(&mut kernel, &rest_of_it, usize::MAX);
        prop_assert_eq!(&plan(wish, &kernel).unwrap().steps, &[]);

        let ours = our_addresses(&kernel, WWAN).count();
        prop_assert_eq!(ours, usize::from(wish.ipv4.is_some()));
        prop_assert_eq!(our_routes(&kernel, WWAN).count(), routes(wish).len());
        prop_assert_eq!(rest(&kernel), rest(&others()), "another link was touched");

        let down = teardown("wwan0", WWAN, &kernel);
        run(&mut kernel, &down, usize::MAX);
        prop_assert_eq!(teardown("wwan0", WWAN, &kernel).steps, &[]);
        prop_assert_eq!(rest(&kernel), rest(&others()), "another link was touched");
        prop_assert!(kernel.rules.iter().all(|rule| rule.protocol != PROTOCOL));
    }
}
