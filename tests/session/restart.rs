//! The service is killed at every moment and starts again: what runs goes on,
//! what is stale goes.

use std::time::Duration;

use a7670e::policy::ladder::Rung;
use a7670e::policy::verdict::Verdict;
use a7670e_emulator::fault::Effect;
use a7670e_emulator::link::LinkFaults;
use a7670e_emulator::profile::Profile;

use crate::rig::{Rig, secs};
use crate::wishes::settings;

#[test]
fn killed_at_any_action_it_comes_online_and_an_online_session_stays_so() {
    let profile = Profile::load("a7670e-ecm").unwrap();
    let mut clean = Rig::new(&profile, "", settings());
    assert!(clean.until(secs(60), Rig::online));
    let coming_up = clean.actions;
    clean.run(secs(40));
    println!("{coming_up} actions to be online, {} to 40 s later", clean.actions);
    let mut slowest = Duration::ZERO;
    for at in 1..=clean.actions {
        let mut rig = Rig::new(&profile, "", settings());
        rig.kill = Some(at);
        let killed = rig.until(secs(120), |rig| rig.session.is_none());
        assert!(killed, "action {at}: {}", rig.describe());
        let (had, before) = (rig.kernel.modem_default(), rig.kernel.withdrawn);
        let kept = |rig: &Rig| had.is_none() || rig.kernel.modem_default() == had;
        let gone = rig.until(secs(30), |rig| !kept(rig));
        assert!(!gone, "action {at}: the route is gone: {}", rig.describe());
        assert_eq!(rig.kernel.withdrawn, before, "action {at}");
        assert!(rig.until(secs(60), Rig::online), "action {at}: {}", rig.describe());
        slowest = slowest.max(rig.now);
    }
    println!("slowest: online {slowest:?} after power-on");
}

/// ModemManager takes its time after a restart of the service: data flows on,
/// and nothing is tried that could not help.
#[test]
fn a_port_that_another_still_has_is_waited_for() {
    let mut rig = Rig::of("a7670e-ecm");
    assert!(rig.until(secs(60), Rig::online));
    rig.run(secs(40));
    let route = rig.kernel.modem_default();
    rig.stop();
    rig.hold(true);
    rig.start();
    rig.run(secs(120));
    let report = rig.session.as_ref().unwrap().report(rig.clock());
    assert_eq!(report.verdict, Verdict::ComingUp);
    assert!(report.cellular.port_error.is_some_and(|reason| reason.contains("ModemManager")));
    assert_eq!(rig.kernel.modem_default(), route);
    rig.hold(false);
    assert!(rig.until(secs(5), Rig::online), "{}", rig.describe());
    assert!(rig.rungs.is_empty(), "{}", rig.describe());
}

/// A port that is wedged for good is no reason to end data that flows, until it
/// does so no more, or for too long.
#[test]
fn a_wedged_port_is_left_alone_while_data_flows() {
    let wedged = || {
        let mut rig = Rig::of("a7670e-ecm");
        assert!(rig.until(secs(60), Rig::online));
        rig.run(secs(40));
        rig.inflict(Effect::Silence { for_ms: None });
        let silent = |rig: &Rig| rig.verdict() == Verdict::PortSilent;
        assert!(rig.until(secs(120), silent), "{}", rig.describe());
        rig
    };
    let mut rig = wedged();
    let route = rig.kernel.modem_default();
    rig.run(secs(5 * 3600));
    assert!(route.is_some() && rig.rungs.is_empty(), "{}", rig.describe());
    assert_eq!(rig.kernel.modem_default(), route);
    let next = rig.session.as_ref().unwrap().report(rig.clock()).next.unwrap();
    assert!(next.held && next.rung == Rung::UsbReauthorise, "{next:?}");
    // The data ends as well: now it is worth it.
    let ended = rig.now;
    rig.link_faults(LinkFaults { no_internet: true, ..LinkFaults::default() });
    assert!(rig.until(secs(1200), |rig| !rig.rungs.is_empty()), "{}", rig.describe());
    println!("{:?} after the end of data: {:?}", rig.now - ended, rig.rungs);
    assert_eq!(rig.rungs[0].1, Rung::UsbReauthorise);

    let mut rig = wedged();
    assert!(rig.until(secs(7 * 3600), |rig| !rig.rungs.is_empty()), "{}", rig.describe());
    assert!(rig.now >= secs(6 * 3600), "{:?}", rig.now);
    assert_eq!(rig.rungs[0].1, Rung::UsbReauthorise);
}

/// While the service is away, something ends the connection: its route is gone
/// soon after the start.
#[test]
fn what_went_stale_meanwhile_is_gone_soon() {
    let profile = Profile::load("a7670e-ecm").unwrap();
    for (effect, online_again) in [
        (Effect::UsbGone { for_ms: 4000 }, true),
        (Effect::Reset, true),
        (Effect::Lan { third: 5 }, true),
        (Effect::PdnDeact { text: "NW PDN DEACT 1".into() }, true),
        (Effect::NoCoverage, false),
        (Effect::Denied { cause: 11 }, false),
        (Effect::Roaming, false),
        (Effect::SimRemoved, false),
    ] {
        let mut rig = Rig::new(&profile, "", settings());
        assert!(rig.until(secs(60), Rig::online));
        rig.run(secs(40));
        let stale = rig.kernel.modem_default();
        rig.stop();
        rig.inflict(effect.clone());
        rig.run(secs(6));
        rig.start();
        let gone = rig.until(secs(10), |rig| rig.kernel.modem_default() != stale);
        assert!(gone, "{effect:?}: {}", rig.describe());
        if online_again {
            assert!(rig.until(secs(300), Rig::online), "{effect:?}: {}", rig.describe());
        } else {
            rig.run(secs(200));
            assert!(rig.kernel.modem_default().is_none(), "{effect:?}: {}", rig.describe());
        }
    }
}

/// A port that says nothing is no reason to end what works.
#[test]
fn a_silent_port_leaves_the_route_alone_also_over_a_restart() {
    let mut rig = Rig::of("a7670e-ecm");
    assert!(rig.until(secs(60), Rig::online));
    rig.run(secs(40));
    let route = rig.kernel.modem_default();
    rig.inflict(Effect::Silence { for_ms: Some(45_000) });
    let gone = rig.until(secs(20), |rig| rig.kernel.modem_default() != route);
    assert!(!gone, "{}", rig.describe());
    rig.restart_after(secs(1));
    let gone = rig.until(secs(35), |rig| rig.kernel.modem_default() != route);
    assert!(!gone, "{}", rig.describe());
    assert!(rig.until(secs(60), Rig::online), "{}", rig.describe());
    assert_eq!(rig.kernel.modem_default(), route);
}
