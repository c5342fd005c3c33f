//! Each fault at each moment of coming up: what is seen, what is tried, and how
//! long it takes to be back.

use std::time::Duration;

use a7670e::modem::machine::{CellularSettings, Secret};
use a7670e::net::probe::PROBE_BYTES;
use a7670e::policy::ladder::{DEFAULT, Limit, Rung};
use a7670e::policy::verdict::Verdict;
use a7670e::session::Settings;
use a7670e_emulator::fault::Effect;
use a7670e_emulator::link::LinkFaults;
use a7670e_emulator::profile::Profile;

use crate::rig::{Rig, secs};
use crate::wishes::settings;

/// So long a fault that lasts is left.
const HOLD: Duration = secs(600);
/// Back online within so much time of a fault's end.
const BACK: Duration = secs(700);

/// With all rungs, so that it shows when one is used that should not be.
fn all_rungs() -> Settings {
    let limits = DEFAULT.map(|limit| Limit { enabled: true, ..limit });
    Settings { limits: limits.to_vec(), ..settings() }
}

type Moment = (&'static str, fn(&Rig) -> bool);

const MOMENTS: [Moment; 5] = [
    ("start", |rig| rig.kernel.modem_index().is_some()),
    ("SIM", |rig| rig.count("AT+CPIN?") > 0),
    ("registration", |rig| rig.count("AT+CEREG?") > 0),
    ("data", |rig| rig.count("AT+CGPADDR") > 0),
    ("online", Rig::online),
];

/// Ends by itself, or only when it is undone; then with which verdict meanwhile.
enum Kind {
    Passes,
    Lasts(Effect, &'static [Verdict]),
}

fn link(faults: LinkFaults) -> Effect {
    Effect::Link { faults }
}

fn faults() -> Vec<(&'static str, Effect, Kind)> {
    use Kind::{Lasts, Passes};
    use Verdict as V;
    let none = LinkFaults::default;
    let denied = &[V::Denied];
    vec![
        ("silence 5 s", Effect::Silence { for_ms: Some(5000) }, Passes),
        ("silence 90 s", Effect::Silence { for_ms: Some(90_000) }, Passes),
        ("reset", Effect::Reset, Passes),
        ("USB gone 0.5 s", Effect::UsbGone { for_ms: 500 }, Passes),
        ("USB gone 40 s", Effect::UsbGone { for_ms: 40_000 }, Passes),
        ("data call ended", Effect::PdnDeact { text: "NW PDN DEACT 1".into() }, Passes),
        ("other LAN", Effect::Lan { third: 5 }, Passes),
        ("slow answers", Effect::Slow { by_ms: 2000, for_ms: 60_000 }, Passes),
        ("bytes one by one", Effect::Split, Passes),
        ("under-voltage", Effect::UnderVoltage, Passes),
        (
            "storm of codes",
            Effect::UrcStorm { text: "+CSQ: 20,99".into(), count: 500, every_ms: 20 },
            Passes,
        ),
        ("false alarm", Effect::Urc { text: "+CPIN: NOT READY".into() }, Passes),
        ("text message", Effect::Sms { from: "+254700000001".into(), text: "hi".into() }, Passes),
        ("garbage", Effect::Garbage { count: 400 }, Passes),
        ("no coverage", Effect::NoCoverage, Lasts(Effect::Coverage, &[V::NoCoverage])),
        ("denied", Effect::Denied { cause: 11 }, Lasts(Effect::Coverage, denied)),
        ("roaming", Effect::Roaming, Lasts(Effect::Coverage, denied)),
        ("emergency only", Effect::EmergencyOnly, Lasts(Effect::Coverage, denied)),
        ("SIM pulled", Effect::SimRemoved, Lasts(Effect::SimInserted, &[V::NoSim])),
        (
            "no lease",
            link(LinkFaults { no_lease: true, ..none() }),
            Lasts(link(none()), &[V::NoLease, V::Online]),
        ),
        (
            "no internet",
            link(LinkFaults { no_internet: true, ..none() }),
            Lasts(link(none()), &[V::NoInternet, V::Online, V::NoLease]),
        ),
        (
            "no DNS",
            link(LinkFaults { dns_dead: true, ..none() }),
            Lasts(link(none()), &[V::Dns, V::Online]),
        ),
        (
            "a bad line",
            link(LinkFaults { latency_ms: 700, jitter_ms: 400, loss_permille: 200, ..none() }),
            Lasts(link(none()), &[V::Online]),
        ),
    ]
}

/// Whatever is tried stays within what is allowed.
fn within_limits(rig: &Rig, case: &str) {
    assert_eq!(rig.count("AT+CPIN="), 0, "{case}");
    let reboots = rig.climbed.iter().filter(|(_, rung)| *rung == Rung::Reboot).count();
    assert_eq!(reboots, 0, "{case}: {}", rig.describe());
    let bytes = rig.probes.len() as u64 * PROBE_BYTES;
    let budget = rig.settings.probe.bytes_per_day;
    assert!(bytes <= budget, "{case}: {bytes} bytes of probes");
}

#[test]
fn each_fault_at_each_moment_is_seen_and_overcome() {
    let profile = Profile::load("a7670e-ecm").unwrap();
    println!("{:<18}{:<14}{:<14}{:<44}s to recover", "fault", "moment", "verdict", "rungs");
    for (name, effect, kind) in &faults() {
        for (moment, reached) in MOMENTS {
            let case = format!("{name} at {moment}");
            let mut rig = Rig::new(&profile, "", all_rungs());
            assert!(rig.until(secs(60), reached), "{case}: {}", rig.describe());
            rig.run(Duration::from_millis(5));
            rig.inflict(effect.clone());
            let mut seen = None;
            if let Kind::Lasts(undo, expected) = kind {
                rig.run(HOLD);
                // It may be coming up just then, after something was tried.
                let told = |rig: &Rig| expected.contains(&rig.verdict());
                assert!(rig.until(secs(120), told), "{case}: {}", rig.describe());
                seen = Some(rig.verdict());
                rig.inflict(undo.clone());
            } else {
                // What happens at once has to be noticed before it is mended.
                rig.until(secs(40), |rig| !rig.online());
            }
            let began = rig.now;
            let lasting = moment == "online" && *name == "other LAN";
            let back = if lasting { BACK * 2 } else { BACK };
            assert!(rig.until(back, Rig::online), "{case}: {}", rig.describe());
            let took = (rig.now - began).as_secs_f64();
            within_limits(&rig, &case);
            let rungs: Vec<String> =
                rig.rungs.iter().map(|(_, rung)| format!("{rung:?}")).collect();
            let seen = seen.map_or("-".to_owned(), |verdict| format!("{verdict:?}"));
            println!("{name:<18}{moment:<14}{seen:<14}{:<44}{took:.1}", rungs.join(" "));
        }
    }
}

/// After the half minute that data may take to come back by itself two calls are
/// tried; the third time the modem leaves the network and comes again.
#[test]
fn a_data_call_that_the_network_ended_is_not_waited_for_twice() {
    let mut rig = Rig::new(&Profile::load("a7670e-ecm").unwrap(), "", all_rungs());
    assert!(rig.until(secs(60), Rig::online), "{}", rig.describe());
    let ended = rig.now;
    rig.inflict(Effect::PdnDeact { text: "NW PDN DEACT 1".into() });
    assert!(rig.until(secs(5), |rig| !rig.online()), "{}", rig.describe());
    assert!(rig.until(secs(120), Rig::online), "{}", rig.describe());
    let took = rig.now - ended;
    assert!(took < secs(100), "{took:?}: {}", rig.describe());
    let rungs: Vec<Rung> = rig.rungs.iter().map(|(_, rung)| *rung).collect();
    assert_eq!(rungs, [Rung::Redial, Rung::Redial, Rung::CfunCycle]);
}

#[test]
fn a_locked_card_is_never_blocked() {
    let mut profile = Profile::load("a7670e-ecm").unwrap();
    profile.sim.locked = true;
    for (pin, verdict, tries) in [
        (None, Verdict::PinNeeded, 0),
        (Some("9999"), Verdict::PinNeeded, 1),
        (Some("1234"), Verdict::Online, 1),
    ] {
        let cellular = CellularSettings { pin: pin.map(Secret::new), ..Default::default() };
        let mut rig = Rig::new(&profile, "", Settings { cellular, ..all_rungs() });
        rig.run(secs(900));
        assert_eq!(rig.verdict(), verdict, "{pin:?}: {}", rig.describe());
        // Neither the service's restarts nor the modem's spend another try.
        for _ in 0..5 {
            rig.restart_after(secs(1));
            rig.run(secs(60));
            rig.inflict(Effect::Reset);
            rig.run(secs(60));
        }
        assert_eq!(rig.verdict(), verdict, "{pin:?}: {}", rig.describe());
        let spent = if verdict == Verdict::Online { rig.count("AT+CPIN=") } else { tries };
        assert_eq!(rig.count("AT+CPIN="), spent, "{pin:?}");
        assert!(rig.climbed.is_empty(), "{:?}", rig.climbed);
    }
}

#[test]
fn at_the_cap_nobody_else_gets_a_packet_through() {
    let mut rules = settings().rules;
    rules.cap = Some(5_000_000);
    let mut rig =
        Rig::new(&Profile::load("a7670e-ecm").unwrap(), "", Settings { rules, ..all_rungs() });
    assert!(rig.until(secs(60), Rig::online), "{}", rig.describe());
    let mut used: u64 = 0;
    for _ in 0..3600 {
        if rig.kernel.modem_default().is_some() {
            used += 100_000;
            rig.kernel.count(100_000, 0);
        }
        rig.run(secs(1));
    }
    assert_eq!(rig.verdict(), Verdict::CapReached, "{}", rig.describe());
    assert!(rig.kernel.modem_default().is_none() && used <= 5_000_000, "{used}");
    assert!(used >= 3_400_000, "stopped long before: {used}");
    assert!(rig.rungs.is_empty(), "{:?}", rig.rungs);
}

/// Whatever keeps it, it says so in the end.
#[test]
fn coming_up_does_not_last_for_ever() {
    let profile = Profile::load("a7670e-ecm").unwrap();
    for (faults, verdict) in [
        // The SIM never gets ready; a command is never answered.
        (every("AT+CPIN?", "effect = \"error\"\ncode = 14"), Verdict::NoSim),
        (every("AT+CPIN?", "effect = \"silence\"\nfor_ms = 1"), Verdict::PortSilent),
        // What LTE does not say, GPRS does.
        (every("AT+CEREG?", "effect = \"error\""), Verdict::Online),
        (every("AT+CGPADDR=1", "effect = \"silence\"\nfor_ms = 1"), Verdict::NoDataPath),
    ] {
        let mut rig = Rig::new(&profile, &faults, settings());
        let told = rig.until(secs(400), |rig| rig.verdict() == verdict);
        assert!(told, "{verdict:?}: {}", rig.describe());
    }
}

/// Faults that strike each time.
fn every(command: &str, effect: &str) -> String {
    let fault = |nth| format!("[[fault]]\non_command = '{command}'\nnth = {nth}\n{effect}\n");
    (1..400).map(fault).collect()
}
