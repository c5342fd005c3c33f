//! Thirty virtual days of a network that comes and goes, of restarts of the
//! service and of the device, with a clock that starts in 1970.

use std::time::Duration;

use a7670e::policy::budget::{Budget, Usage};
use a7670e::policy::ladder::{DEFAULT, Limit, Rung};
use a7670e::session::Settings;
use a7670e_emulator::fault::Effect;
use a7670e_emulator::link::LinkFaults;
use a7670e_emulator::profile::Profile;

use crate::rig::{Rig, START, secs};
use crate::wishes::settings;

const DAY: u64 = 86_400;
const CAP: u64 = 400_000_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// Something goes wrong, for a while.
fn outage(rig: &mut Rig, random: &mut Random) -> Option<Effect> {
    let link = |faults| Effect::Link { faults };
    let none = LinkFaults::default;
    let short = 500 + random.below(5000);
    let (effect, undo) = match random.below(12) {
        0 => (Effect::NoCoverage, Some(Effect::Coverage)),
        1 => (Effect::Denied { cause: 11 }, Some(Effect::Coverage)),
        2 => (Effect::Roaming, Some(Effect::Coverage)),
        3 => (Effect::SimRemoved, Some(Effect::SimInserted)),
        4 => (link(LinkFaults { no_internet: true, ..none() }), Some(link(none()))),
        5 => (link(LinkFaults { dns_dead: true, ..none() }), Some(link(none()))),
        6 => (link(LinkFaults { no_lease: true, ..none() }), Some(link(none()))),
        7 => (Effect::Silence { for_ms: Some(random.below(600_000)) }, None),
        8 => (Effect::UsbGone { for_ms: short }, None),
        9 => (Effect::PdnDeact { text: "NW PDN DEACT 1".into() }, None),
        10 => (Effect::Reset, None),
        _ => (Effect::UnderVoltage, None),
    };
    rig.inflict(effect);
    undo
}

struct Real {
    /// When each rung was used, in true seconds.
    rungs: Vec<(u64, Rung)>,
    seen: usize,
}

/// No more than the limits in any window of true time.
fn within_limits(rungs: &[(u64, Rung)], limits: &[Limit]) {
    for limit in limits {
        let times: Vec<u64> =
            rungs.iter().filter(|(_, rung)| *rung == limit.rung).map(|(at, _)| *at).collect();
        assert!(limit.enabled || times.is_empty(), "{:?} is off", limit.rung);
        for (count, window) in [(limit.per_hour, 3600), (limit.per_day, DAY)] {
            for run in times.windows(count as usize + 1) {
                // Seconds are rounded, and clocks that jump less are not seen.
                let span = run[run.len() - 1] - run[0] + 10;
                assert!(span >= window, "{:?}: {} in {span} s", limit.rung, run.len());
            }
        }
    }
}

fn month(seed: u64, days: u64, reboots: bool) {
    let limits = DEFAULT.map(|limit| Limit {
        enabled: limit.enabled || (reboots && limit.rung == Rung::Reboot),
        ..limit
    });
    let mut wishes = Settings { limits: limits.to_vec(), ..settings() };
    wishes.rules.cap = Some(CAP);
    let mut rig = Rig::new(&Profile::load("a7670e-ecm").unwrap(), "", wishes.clone());
    let periods = Budget::new(wishes.rules, Usage::default());
    let mut random = Random(seed);
    let mut real = Real { rungs: Vec::new(), seen: 0 };
    let (mut used, mut period, mut most) = (0_u64, periods.period(START), 0);
    let (mut undo, mut change) = (None, 300);
    let (mut knows, mut boot) = (0, rig.kept.boot);
    let mut online = 0;
    let mut rate = 20_000;
    for second in 0..days * DAY {
        rig.run(secs(1));
        let truth = START + second;
        // A boot forgets the date until the network tells.
        if rig.kept.boot != boot {
            (boot, knows) = (rig.kept.boot, second + 60 + random.below(600));
            rig.wall = 0_u64.wrapping_sub(rig.now.as_secs());
        }
        if second == knows {
            rig.wall = START;
        }
        for (_, rung) in &rig.rungs[real.seen..] {
            real.rungs.push((truth, *rung));
        }
        real.seen = rig.rungs.len();
        if periods.period(truth) != period {
            (period, used) = (periods.period(truth), 0);
        }
        if rig.kernel.modem_default().is_some() && rig.modem.link().forwarding {
            used += rate;
            rig.kernel.count(rate, 0);
            most = most.max(used);
            assert!(used <= CAP, "day {}: {used} bytes", second / DAY);
        }
        online += u64::from(rig.online());
        if second == change {
            if let Some(undo) = undo.take() {
                rig.inflict(undo);
                change = second + 60 + random.below(4 * 3600);
            } else {
                undo = outage(&mut rig, &mut random);
                rate = [0, 2_000, 20_000, 110_000][random.below(4) as usize];
                let longest = [60, 600, 7200][random.below(3) as usize];
                change = second + 1 + random.below(longest);
            }
            match random.below(12) {
                0 => rig.reboot(),
                1..4 => rig.restart_after(Duration::from_millis(100 + random.below(3000))),
                _ => {}
            }
        }
    }
    within_limits(&real.rungs, &limits);
    let rebooted = real.rungs.iter().filter(|(_, rung)| *rung == Rung::Reboot).count();
    println!(
        "seed {seed}: {days} days, {:.0} % online, {} rungs, {rebooted} reboots, at most {most} \
         bytes in a month, {} wakes a day, {} probes",
        100.0 * online as f64 / (days * DAY) as f64,
        real.rungs.len(),
        rig.wakes / days,
        rig.probes.len(),
    );
    assert_eq!(rig.count("AT+CPIN="), 0);
    if !reboots {
        assert_eq!(rebooted, 0);
    }
}

#[test]
fn days_of_flapping_stay_within_all_limits() {
    let days = std::env::var("A7670E_SIM_DAYS").ok().and_then(|days| days.parse().ok());
    for seed in 1..=3 {
        month(seed, days.unwrap_or(3), seed != 2);
    }
}
