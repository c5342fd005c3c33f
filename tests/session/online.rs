//! Coming up, from plug to proof.

use std::sync::Arc;
use std::time::Duration;

use a7670e::policy::budget::Rules;
use a7670e::session::Settings;
use a7670e_emulator::fault::Effect;
use a7670e_emulator::profile::Profile;

use crate::rig::{Rig, secs};
use crate::wishes::{Apns, settings};

#[test]
fn every_profile_comes_online_in_time() {
    for (name, _) in Profile::list().unwrap() {
        let mut rig = Rig::of(name);
        assert!(rig.until(secs(60), Rig::online), "{name}: {}", rig.describe());
        println!("{name}: cold, online {:?} after power-on", rig.now);
        // Its context is set and it has attached before, as on every start but
        // the first: what is measured is our time, not the network's.
        rig.run(secs(60));
        rig.inflict(Effect::UsbGone { for_ms: 1000 });
        assert!(rig.until(secs(2), |rig| !rig.online()), "{name}");
        assert!(rig.until(secs(20), Rig::online), "{name}: {}", rig.describe());
        let since = |when: Option<Duration>| when.unwrap() - rig.opened.unwrap();
        let (registered, routed) = (since(rig.registered), since(rig.routed));
        let online = rig.now - rig.opened.unwrap();
        println!(
            "{name}: warm, from the AT port: registered known {registered:?}, route and DNS \
             {routed:?}, proven {online:?}"
        );
        assert!(registered <= Duration::from_millis(500), "{name}: {registered:?}");
        assert!(routed <= Duration::from_millis(1500), "{name}: {routed:?}");
    }
}

/// The database has several, and the network refuses the first.
#[test]
fn an_access_point_that_is_refused_gives_way_to_the_next() {
    let profile = Profile::load("a7670e-ecm").unwrap();
    let providers = Arc::new(Apns(&["old.example", "safaricom"]));
    let mut rig = Rig::new(&profile, "", Settings { providers, ..settings() });
    assert!(rig.until(secs(120), Rig::online), "{}", rig.describe());
    println!("online with the second access point {:?} after power-on", rig.now);
    assert!(rig.rungs.is_empty(), "{:?}", rig.rungs);
}

/// The kernel asks for routers when a link comes up, which is long before the
/// modem's word that data may flow.
#[test]
fn ipv6_is_taken_only_while_data_may_flow() {
    let profile = Profile::load("a7670e-ecm").unwrap();
    let rules = Rules { cap: Some(5_000_000), first_day: 1, reserve: 1_500_000 };
    let mut rig = Rig::new(&profile, "", Settings { ipv6: true, rules, ..settings() });
    let accept_ra = |rig: &Rig| rig.kernel.observe().accept_ra;
    assert!(rig.until(secs(60), |rig| rig.kernel.runs()), "{}", rig.describe());
    assert_eq!((accept_ra(&rig), rig.solicited.len()), (Some(0), 0));
    assert!(rig.until(secs(60), Rig::online), "{}", rig.describe());
    rig.run(secs(60));
    assert_eq!(accept_ra(&rig), Some(2));
    let pauses: Vec<_> = rig.solicited.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(rig.solicited.len(), 3, "{:?}", rig.solicited);
    assert!(pauses.iter().all(|pause| *pause >= secs(4)), "{pauses:?}");

    rig.kernel.count(3_600_000, 0);
    rig.run(secs(20));
    assert_eq!(accept_ra(&rig), Some(0), "{}", rig.describe());
    assert_eq!(rig.solicited.len(), 3, "{:?}", rig.solicited);
}
