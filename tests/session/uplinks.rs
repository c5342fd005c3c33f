//! Beside another uplink: which of the two comes first, and when networks clash.

use std::net::Ipv4Addr;

use a7670e::policy::verdict::Verdict;
use a7670e_emulator::link::LinkFaults;
use a7670e_emulator::profile::Profile;

use crate::kernel::ETH;
use crate::rig::{Rig, secs};
use crate::wishes::settings;

fn beside(metric: u32) -> Rig {
    let mut rig = Rig::of("a7670e-ecm");
    rig.kernel.plug_eth(Ipv4Addr::new(10, 0, 0, 2), metric);
    assert!(rig.until(secs(60), Rig::online), "{}", rig.describe());
    rig.run(secs(1));
    rig
}

/// Whether the modem's name servers are for all names; nothing when none are set.
fn primary(rig: &Rig) -> Option<bool> {
    rig.kernel.observe().dns.map(|dns| dns.primary)
}

fn first(rig: &Rig) -> Option<u32> {
    rig.kernel.defaults().first().map(|route| route.index)
}

#[test]
fn the_lowest_metric_comes_first_and_the_other_takes_over() {
    let mut rig = beside(100);
    assert_eq!((primary(&rig), first(&rig)), (Some(false), Some(ETH)));
    rig.kernel.unplug_eth();
    rig.run(secs(1));
    // The rig tells of the kernel's changes at its next event.
    rig.run(secs(11));
    assert_eq!((primary(&rig), first(&rig)), (Some(true), rig.kernel.modem_index()));
    rig.kernel.plug_eth(Ipv4Addr::new(10, 0, 0, 2), 100);
    rig.run(secs(12));
    assert_eq!((primary(&rig), first(&rig)), (Some(false), Some(ETH)));
}

#[test]
fn what_is_proven_not_to_work_comes_last() {
    let mut rig = beside(900);
    assert_eq!((primary(&rig), first(&rig)), (Some(true), rig.kernel.modem_index()));
    rig.link_faults(LinkFaults { no_internet: true, ..LinkFaults::default() });
    let last = |rig: &Rig| first(rig) == Some(ETH) && primary(rig) == Some(false);
    assert!(rig.until(secs(800), last), "{}", rig.describe());
    assert_eq!(rig.kernel.modem_default().map(|route| route.metric), Some(20_700));
    // And stays so while nothing changes.
    let told = rig.until(secs(15), |rig| rig.verdict() == Verdict::NoInternet);
    assert!(told, "{}", rig.describe());
    rig.link_faults(LinkFaults::default());
    let back = |rig: &Rig| first(rig) == rig.kernel.modem_index() && primary(rig) == Some(true);
    assert!(rig.until(secs(700), |rig| rig.online() && back(rig)), "{}", rig.describe());
}

#[test]
fn a_clash_is_resolved_by_moving_the_modems_network() {
    let mut rig = Rig::of("a7670e-ecm");
    rig.kernel.plug_eth(Ipv4Addr::new(192, 168, 0, 7), 900);
    assert!(rig.until(secs(90), Rig::online), "{}", rig.describe());
    println!("moved and online {:?} after power-on", rig.now);
    assert_eq!(rig.count("AT+USBNETIP"), 1, "{}", rig.describe());
    let gateway = rig.kernel.modem_default().and_then(|route| route.gateway);
    assert_eq!(gateway, Some(Ipv4Addr::new(192, 168, 69, 1).into()));
}

/// Firmware that refuses to move, or restarts and stays where it was.
#[test]
fn a_network_that_does_not_move_is_left_alone() {
    for effect in ["error", "reset"] {
        let faults: String = (1..50)
            .map(|nth| {
                format!(
                    "[[fault]]\non_command = 'AT+USBNETIP*'\nnth = {nth}\neffect = '{effect}'\n"
                )
            })
            .collect();
        let profile = Profile::load("a7670e-ecm").unwrap();
        let mut rig = Rig::new(&profile, &faults, settings());
        rig.kernel.plug_eth(Ipv4Addr::new(192, 168, 0, 7), 900);
        rig.run(secs(3600));
        assert_eq!(rig.verdict(), Verdict::Clash, "{effect}: {}", rig.describe());
        assert_eq!(rig.count("AT+USBNETIP"), 2, "{effect}");
        assert_eq!(first(&rig), Some(ETH), "{effect}");
    }
}
