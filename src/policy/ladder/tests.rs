//! The ladder in virtual time: a single outage, and months of them.

use proptest::prelude::*;

use super::*;

/// With all rungs on.
fn full() -> Vec<Limit> {
    DEFAULT.into_iter().map(|limit| Limit { enabled: true, ..limit }).collect()
}

/// A minute in 2026.
const START: u64 = 1_790_000_000;

#[test]
fn climbs_from_the_cheapest_to_the_dearest() {
    let mut ladder = Ladder::new(full(), History::default());
    let mut wall = START;
    let mut climbed = Vec::new();
    while climbed.last() != Some(&Rung::Reboot) {
        let step = ladder.assess(wall, Verdict::NoInternet).unwrap();
        wall = wall.max(step.at);
        ladder.record(wall, step.rung);
        climbed.push(step.rung);
    }
    assert!(climbed.is_sorted(), "{climbed:?}");
    assert_eq!(climbed.len(), 12);
    // A reboot is the end of half an hour's trying, not of a moment's.
    assert!((1800..3600).contains(&(wall - START)), "{}", wall - START);
}

#[test]
fn a_modem_that_is_taken_away_does_not_reboot_the_device_at_once() {
    let mut limits = full();
    // As shipped: no way to cut the power, but reboots allowed.
    limits.iter_mut().filter(|it| it.rung == Rung::PowerCycle).for_each(|it| it.enabled = false);
    let mut ladder = Ladder::new(limits, History::default());
    let step = ladder.assess(START, Verdict::NoModem).unwrap();
    assert_eq!((step.rung, step.at), (Rung::Reboot, START + HOUR / 2));
    // Back, and away again: the time begins anew.
    ladder.assess(START + 600, Verdict::Online);
    let step = ladder.assess(START + 700, Verdict::NoModem).unwrap();
    assert_eq!((step.rung, step.at), (Rung::Reboot, START + 700 + HOUR / 2));
}

#[test]
fn what_was_waited_for_is_not_waited_for_again() {
    for verdict in [Verdict::NoDataPath, Verdict::NoLease] {
        let mut ladder = Ladder::new(full(), History::default());
        let step = ladder.assess(START, verdict).unwrap();
        assert_eq!((step.rung, step.at), (Rung::Redial, START), "{verdict:?}");
    }
}

#[test]
fn what_a_restart_cannot_mend_is_left_alone() {
    let mut ladder = Ladder::new(full(), History::default());
    for verdict in [
        Verdict::NoSim,
        Verdict::PinNeeded,
        Verdict::PukNeeded,
        Verdict::Denied,
        Verdict::CapReached,
        Verdict::ComingUp,
        Verdict::Online,
    ] {
        for day in 0..30 {
            assert_eq!(ladder.assess(START + day * DAY, verdict), None, "{verdict:?}");
        }
    }
}

#[test]
fn a_short_outage_costs_nothing_and_a_stable_line_starts_over() {
    let mut ladder = Ladder::new(full(), History::default());
    let step = ladder.assess(START, Verdict::Dns).unwrap();
    assert_eq!((step.rung, step.at), (Rung::Reprobe, START + GRACE_S));
    ladder.record(START + 20, Rung::Reprobe);
    ladder.record(START + 30, Rung::Reprobe);
    ladder.assess(START + 40, Verdict::Online);
    assert_eq!(ladder.assess(START + 50, Verdict::Dns).unwrap().rung, Rung::Redial);
    ladder.assess(START + 60, Verdict::Online);
    ladder.assess(START + 60 + STABLE_S, Verdict::Online);
    assert_eq!(ladder.assess(START + 900, Verdict::Dns).unwrap().rung, Rung::Reprobe);
}

#[test]
fn a_wedged_port_does_not_end_data_that_flows_until_it_stops_or_for_long() {
    let silent = Verdict::PortSilent;
    let mut ladder = Ladder::new(DEFAULT.to_vec(), History::default());
    ladder.spare(true);
    let end = START + SPARE_S;
    let held = Step { rung: Rung::UsbReauthorise, at: end, held: true };
    for wall in [START, START + 60, START + HOUR, end - 1] {
        assert_eq!(ladder.assess(wall, silent), Some(held), "{}", wall - START);
    }
    // The proof fails: at once what would have come after the usual grace.
    let mut broken = ladder.clone();
    broken.spare(false);
    let due = Step { rung: Rung::UsbReauthorise, at: START + GRACE_S, held: false };
    assert_eq!(broken.assess(START + HOUR, silent), Some(due));
    // It goes on flowing: not for ever.
    assert_eq!(ladder.assess(end, silent), Some(Step { held: false, ..held }));
    // Nor again and again: what comes next waits as long, and a day sees four.
    let mut wall = end;
    ladder.record(wall, Rung::UsbReauthorise);
    for _ in 0..8 {
        let step = ladder.assess(wall + 1, silent).unwrap();
        assert_eq!((step.at, step.held), (wall + SPARE_S, true));
        wall = step.at;
        ladder.record(wall, step.rung);
    }
    // Another look costs nothing and is never held back.
    let mut ladder = Ladder::new(DEFAULT.to_vec(), History::default());
    ladder.spare(true);
    let look = Step { rung: Rung::Reprobe, at: START + GRACE_S, held: false };
    assert_eq!(ladder.assess(START, Verdict::Dns), Some(look));
}

#[test]
fn disabled_rungs_are_never_used() {
    let mut ladder = Ladder::new(DEFAULT.to_vec(), History::default());
    assert_eq!(ladder.assess(START, Verdict::NoModem), None);
    let mut wall = START;
    for _ in 0..500 {
        let step = ladder.assess(wall, Verdict::NoInternet).unwrap();
        assert!(step.rung < Rung::PowerCycle);
        wall = wall.max(step.at);
        ladder.record(wall, step.rung);
    }
}

/// A Pi without a battery: each boot starts in 1970 and learns the date a minute
/// later, from another uplink.
#[test]
fn a_reboot_that_forgets_the_date_does_not_forget_the_limits() {
    let mut history = History::default();
    let (mut real, mut reboots) = (START, Vec::new());
    while real < START + 5 * DAY {
        let mut ladder = Ladder::new(full(), history);
        let booted = real;
        loop {
            let now = Duration::from_secs(real - booted);
            let wall = if real - booted < 60 { real - booted } else { real };
            ladder.clock(now, wall);
            match ladder.assess(wall, Verdict::NoInternet) {
                Some(step) if step.at <= wall => {
                    ladder.record(wall, step.rung);
                    if step.rung == Rung::Reboot {
                        break reboots.push(real);
                    }
                }
                _ => real += 1,
            }
            if real >= START + 5 * DAY {
                break;
            }
        }
        history = ladder.history().clone();
    }
    assert!(reboots.len() >= 4, "{reboots:?}");
    let spans: Vec<u64> = reboots.windows(3).map(|run| run[2] - run[0]).collect();
    assert!(spans.iter().all(|span| *span >= DAY), "{spans:?}");
}

#[test]
fn an_outage_from_the_future_is_acted_on() {
    let history = History { since: Some(START), ..History::default() };
    let mut ladder = Ladder::new(full(), history);
    ladder.clock(Duration::ZERO, 20);
    assert_eq!(ladder.assess(20, Verdict::Dns).unwrap().at, 20 + GRACE_S);
    assert_eq!(ladder.assess(40, Verdict::Dns).unwrap().at, 40);
}

/// No more than the limit in any window, over the whole log.
fn within_limits(log: &[Tried]) {
    for limit in full() {
        let times: Vec<u64> =
            log.iter().filter(|tried| tried.rung == limit.rung).map(|tried| tried.at).collect();
        for (count, window) in [(limit.per_hour, HOUR), (limit.per_day, DAY)] {
            for run in times.windows(count as usize + 1) {
                let span = run[run.len() - 1] - run[0];
                assert!(span >= window, "{:?}: {} in {span} s", limit.rung, run.len());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// 30 days of a network that comes and goes, with reboots that forget all
    /// but the history.
    #[test]
    fn thirty_days_of_a_flapping_network(
        spans in prop::collection::vec((5_u64..20_000, any::<bool>()), 40..120),
        verdicts in prop::collection::vec(prop::sample::select(vec![
            Verdict::NoInternet, Verdict::Dns, Verdict::NoLease, Verdict::PortSilent,
            Verdict::NoModem, Verdict::NoCoverage, Verdict::PinNeeded, Verdict::Route,
        ]), 8),
    ) {
        let mut ladder = Ladder::new(full(), History::default());
        let (mut wall, end) = (START, START + 30 * DAY);
        let mut log: Vec<Tried> = Vec::new();
        let mut spans = spans.into_iter().cycle().zip(verdicts.into_iter().cycle());
        while wall < end {
            let ((span, online), verdict) = spans.next().unwrap();
            let until = wall + span;
            while wall < until {
                let verdict = if online { Verdict::Online } else { verdict };
                let step = ladder.assess(wall, verdict);
                prop_assert_eq!(step.filter(|_| online), None);
                match step {
                    Some(step) if step.at <= wall => {
                        prop_assert!(helps(step.rung, verdict));
                        ladder.record(wall, step.rung);
                        log.push(Tried { rung: step.rung, at: wall });
                        if step.rung == Rung::Reboot {
                            let kept = serde_json::to_string(ladder.history()).unwrap();
                            ladder = Ladder::new(full(), serde_json::from_str(&kept).unwrap());
                            wall += 40;
                        }
                        wall += 1;
                    }
                    Some(step) => wall = step.at.min(until),
                    None => wall = until,
                }
            }
        }
        within_limits(&log);
        let reboots = log.iter().filter(|tried| tried.rung == Rung::Reboot).count();
        prop_assert!(reboots <= 60, "{} reboots", reboots);
        let kept = ladder.history();
        prop_assert!(kept.tried.len() < 1000 && kept.outage.len() <= 64);
    }

    /// A clock that jumps (no battery: 1970 until the network tells) opens no
    /// door to more than the limits, and stops nothing for ever.
    #[test]
    fn a_jumping_clock_does_no_harm(jumps in prop::collection::vec(0_u64..4_000_000_000, 1..40)) {
        let mut ladder = Ladder::new(full(), History::default());
        for wall in jumps {
            if let Some(step) = ladder.assess(wall, Verdict::NoInternet) {
                prop_assert!(step.at <= wall + DAY + HOUR, "{} {}", step.at, wall);
                if step.at <= wall {
                    ladder.record(wall, step.rung);
                }
            }
        }
    }
}

#[test]
fn a_date_that_was_set_while_the_service_was_off_wipes_no_limit() {
    let limits: Vec<Limit> =
        DEFAULT.iter().map(|limit| Limit { enabled: true, ..*limit }).collect();
    let mut history = History::default();
    // In the first minutes of 1970, as after a boot without a battery.
    for at in [100, 300] {
        history.tried.push(Tried { rung: Rung::Reboot, at });
    }
    let today = 1_795_262_400;
    let mut ladder = Ladder::new(limits, history);
    ladder.clock(Duration::ZERO, today);
    assert_eq!(ladder.history().tried.len(), 2, "both count");
    assert!(ladder.history().tried.iter().all(|tried| tried.at == today));
}
