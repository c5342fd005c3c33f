//! A model of NetworkManager, and sessions whose data goes by PPP through it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use a7670e::config::{Control, NetworkBy};
use a7670e::modem::machine::{Access, Auth, CellularSettings, Secret, Source};
use a7670e::net::model::{Address, Link, MAIN_TABLE, Observed, Route};
use a7670e::net::networkmanager::profile::{Found, Gsm, Profile, Value, gsm_uuid};
use a7670e::net::networkmanager::{Device, Dialling, Seen, State, Step};
use a7670e::net::plan;
use a7670e::policy::budget::Rules;
use a7670e::policy::verdict::Verdict;
use a7670e::session::{Settings, UsageReport};
use a7670e_emulator::profile::Profile as Make;

use crate::rig::{Rig, secs};
use crate::wishes::settings;

/// From dialling to an address.
const DIAL: Duration = Duration::from_secs(6);

/// NetworkManager with a modem that ModemManager shows, as far as a session sees it.
pub struct Desktop {
    runs: bool,
    profile: Option<Profile>,
    /// When the call that was dialled has its address.
    up_at: Option<Duration>,
    /// No call comes about, which is known at once or after a while.
    refused: bool,
    failing: bool,
    /// It does not answer.
    silent: bool,
    /// The device of the call has no address.
    bare: bool,
    /// The kernel's number of its link, of which each call has another.
    index: u32,
    bytes: u64,
    dialled: Vec<Duration>,
    reapplied: u32,
}

impl Desktop {
    fn new() -> Desktop {
        Desktop {
            runs: true,
            profile: None,
            up_at: None,
            refused: false,
            failing: false,
            silent: false,
            bare: false,
            index: 100,
            bytes: 0,
            dialled: Vec::new(),
            reapplied: 0,
        }
    }

    fn is_up(&self, now: Duration) -> bool {
        self.up_at.is_some_and(|at| at <= now)
    }

    /// Adds to what is seen; `modem`: ModemManager shows it, and it is registered.
    pub fn show(&mut self, now: Duration, modem: bool, observed: &mut Observed) {
        if !modem || !self.runs || self.profile.is_none() || self.refused {
            self.up_at = None;
        }
        if !self.runs {
            observed.manager = Some(Seen::Absent);
            return;
        }
        if self.failing && self.is_up(now) {
            self.up_at = None;
        }
        let up = self.is_up(now);
        let device = Device {
            interface: if up { "ppp0" } else { "ttyUSB2" }.to_owned(),
            managed: true,
            state: match self.up_at {
                None => 30,
                Some(_) if up => 100,
                Some(_) => 50,
            },
            active: self.up_at.map(|_| gsm_uuid()),
            dns: vec![Ipv4Addr::new(192, 0, 2, 53)],
            ..Device::default()
        };
        let state = State {
            version: "1.52.1".to_owned(),
            gsm: self.profile.as_ref().map(found),
            modem: modem.then_some(device),
            ..State::default()
        };
        observed.manager = Some(match self.silent {
            true => Seen::Silent("no answer".to_owned()),
            false => Seen::Running(Box::new(state)),
        });
        if !up {
            return;
        }
        self.bytes += 1000;
        let (address, index) = (IpAddr::from([10, 64, 0, 7]), self.index);
        observed.links.push(Link {
            index,
            name: "ppp0".to_owned(),
            up: true,
            carrier: true,
            arp: false,
            mtu: 1500,
            mac: None,
            rx_bytes: self.bytes,
            tx_bytes: 0,
        });
        if self.bare {
            return;
        }
        observed.addresses.push(Address { index, address, prefix: 32, metric: 0, protocol: 0 });
        observed.routes.push(Route {
            table: MAIN_TABLE,
            destination: (IpAddr::from([0, 0, 0, 0]), 0),
            gateway: None,
            index,
            metric: 700,
            source: None,
            protocol: 4,
            onlink: false,
        });
    }

    /// Does what it is asked for.
    pub fn apply(&mut self, now: Duration, plan: &plan::Plan) {
        for step in &plan.steps {
            let plan::Step::Manager(step) = step else { continue };
            match step {
                Step::Add(profile) | Step::Update(profile, _) => {
                    self.profile = Some(profile.clone())
                }
                Step::Delete { .. } => self.profile = None,
                Step::Modem(_, Dialling::Dial { uuid }) => {
                    assert_eq!(*uuid, gsm_uuid());
                    self.dialled.push(now);
                    self.index += 1;
                    self.up_at = Some(now + DIAL);
                }
                Step::Modem(_, Dialling::Reapply) => self.reapplied += 1,
                other => panic!("{other}"),
            }
        }
    }

    /// Whether a packet comes back.
    pub fn reaches(&self, now: Duration) -> bool {
        self.is_up(now)
    }

    fn says(&self, section: &str, key: &str) -> Option<Value> {
        self.profile
            .as_ref()
            .and_then(|profile| found(profile).0.remove(&(section.into(), key.into())))
    }
}

fn found(profile: &Profile) -> Found {
    let all = profile.settings();
    Found(all.map(|(section, key, it)| ((section.into(), key.into()), it.clone())).collect())
}

fn by_ppp() -> Settings {
    Settings {
        control: Control::ModemManager,
        by: NetworkBy::NetworkManager,
        ppp: true,
        gsm: Some(Gsm {
            apn: None,
            user: String::new(),
            password: Secret::default(),
            auth: None,
            home_only: true,
            operator: None,
            metric: 700,
            auto: true,
        }),
        cellular: CellularSettings { host_dials: true, ..CellularSettings::default() },
        ..settings()
    }
}

/// A modem that dials by itself, as a run with data on USB left it.
fn rig(settings: Settings) -> Rig {
    let mut rig = Rig::new(&Make::load("a7670e-ecm").unwrap(), "", settings);
    rig.desktop = Some(Desktop::new());
    rig.manager_runs(Some("1.24.0"));
    rig
}

fn online(rig: &Rig) -> bool {
    rig.verdict() == Verdict::Online
}

fn desktop(rig: &mut Rig) -> &mut Desktop {
    rig.desktop.as_mut().unwrap()
}

fn dials(rig: &Rig) -> usize {
    rig.desktop.as_ref().unwrap().dialled.len()
}

fn trouble(rig: &Rig) -> String {
    let report = rig.session.as_ref().unwrap().report(rig.clock());
    report.network.unwrap().manager.unwrap().trouble.unwrap_or_default()
}

fn usage(rig: &Rig) -> UsageReport {
    rig.session.as_ref().unwrap().report(rig.clock()).usage
}

#[test]
fn the_modem_is_set_up_and_networkmanager_dials() {
    let mut rig = rig(by_ppp());
    assert!(rig.until(secs(120), online), "{}", rig.describe());
    assert!(rig.manager.has && dials(&rig) == 1, "{}", rig.describe());
    assert_eq!(rig.count("AT+DIALMODE=0"), 0);
    assert!(!rig.modem.link().forwarding, "the modem dials, too");
    // All of it was set before: the access point is the data base's.
    assert_eq!(desktop(&mut rig).says("gsm", "apn"), Some(Value::Text("safaricom".into())));
    let auto = desktop(&mut rig).says("connection", "autoconnect");
    assert_eq!(auto, Some(Value::Flag(true)));
    let session = rig.session.as_ref().unwrap();
    let report = session.report(rig.clock());
    let network = report.network.unwrap();
    assert_eq!((network.link.as_str(), network.plan), ("ppp0", Vec::<String>::new()));
    assert_eq!(network.lease.unwrap().address, Ipv4Addr::new(10, 64, 0, 7));
    let who = network.manager.unwrap().dials.unwrap();
    assert!(who.contains("NetworkManager") && who.contains("on ppp0"), "{who}");
    assert!(session.may_control(Control::Direct).unwrap_err().contains("modem.data"));
    // The link on USB is nobody's.
    assert!(rig.kernel.observe().addresses.is_empty(), "{}", rig.describe());

    // It stays so, and is counted.
    let before = usage(&rig).rx;
    rig.run(secs(3600));
    assert!(online(&rig) && dials(&rig) == 1 && rig.rungs.is_empty(), "{}", rig.describe());
    assert!(usage(&rig).rx > before + 100_000, "{:?}", usage(&rig));
}

#[test]
fn a_call_that_ends_is_dialled_again_and_then_the_ladder_climbs() {
    let mut rig = rig(by_ppp());
    assert!(rig.until(secs(120), online), "{}", rig.describe());
    desktop(&mut rig).up_at = None;
    assert!(rig.until(secs(15), |rig| !online(rig)), "{}", rig.describe());
    assert!(rig.until(secs(60), online), "{}", rig.describe());
    assert_eq!(dials(&rig), 2);

    desktop(&mut rig).refused = true;
    let down = |rig: &Rig| rig.verdict() == Verdict::NoDataPath;
    assert!(rig.until(secs(180), down), "{}", rig.describe());
    assert!(dials(&rig) > 2 && rig.manager.has, "{}", rig.describe());
    // Dialling is NetworkManager's; what it cannot do the modem is taken back for.
    assert!(rig.until(secs(600), |rig| rig.count("AT+CFUN=0") > 0), "{}", rig.describe());
    assert_eq!(rig.count("AT+DIALMODE=0"), 0);
    desktop(&mut rig).refused = false;
    assert!(rig.until(secs(600), online), "{}", rig.describe());
}

/// Dialled as fast as it fails it would be hundreds of times in the hour.
#[test]
fn a_call_that_fails_is_dialled_less_and_less_often() {
    let mut rig = rig(Settings { limits: Vec::new(), ..by_ppp() });
    desktop(&mut rig).failing = true;
    assert!(rig.until(secs(120), |rig| dials(rig) == 3), "{}", rig.describe());
    rig.run(secs(3600));
    let pauses = |rig: &mut Rig| {
        let dialled = &desktop(rig).dialled;
        dialled.windows(2).map(|two| two[1] - two[0]).collect::<Vec<Duration>>()
    };
    let all = pauses(&mut rig);
    assert!(all[0] < secs(20) && all.is_sorted_by(|a, b| *a < *b + secs(10)), "{all:?}");
    assert!((10..20).contains(&all.len()), "{all:?}");
    // What comes about at last, and lasts, is dialled again at once when it ends.
    desktop(&mut rig).failing = false;
    assert!(rig.until(secs(400), online), "{}", rig.describe());
    rig.run(secs(70));
    desktop(&mut rig).up_at = None;
    assert!(rig.until(secs(15), |rig| !online(rig)), "{}", rig.describe());
    assert!(rig.until(secs(30), online), "{}", rig.describe());
}

/// A busy machine, or a bus that is: whose device is there is up.
#[test]
fn a_networkmanager_that_does_not_answer_for_a_moment_ends_no_call() {
    let mut rig = rig(by_ppp());
    assert!(rig.until(secs(120), online), "{}", rig.describe());
    rig.run(secs(30));
    desktop(&mut rig).silent = true;
    assert!(!rig.until(secs(60), |rig| !online(rig)), "{}", rig.describe());
    desktop(&mut rig).silent = false;
    assert!(!rig.until(secs(60), |rig| !online(rig)), "{}", rig.describe());
    assert!(dials(&rig) == 1 && rig.rungs.is_empty(), "{}", rig.describe());
    // Nobody says so, and it is over all the same.
    desktop(&mut rig).silent = true;
    desktop(&mut rig).up_at = None;
    assert!(rig.until(secs(15), |rig| !online(rig)), "{}", rig.describe());
    assert!(trouble(&rig).contains("no answer"), "{}", trouble(&rig));
}

/// To dial would end a call that is well.
#[test]
fn an_address_that_is_gone_for_a_moment_ends_no_call() {
    let mut rig = rig(by_ppp());
    assert!(rig.until(secs(120), online), "{}", rig.describe());
    desktop(&mut rig).bare = true;
    assert!(rig.until(secs(15), |rig| !online(rig)), "{}", rig.describe());
    rig.run(secs(8));
    desktop(&mut rig).bare = false;
    assert!(rig.until(secs(15), online), "{}", rig.describe());
    assert!(dials(&rig) == 1 && rig.rungs.is_empty(), "{}", rig.describe());
    // One that does not come is asked for.
    desktop(&mut rig).bare = true;
    assert!(rig.until(secs(60), |rig| dials(rig) == 2), "{}", rig.describe());
}

#[test]
fn an_access_point_that_never_worked_is_followed_by_the_next() {
    let access = |apn: &str| Access {
        apn: apn.to_owned(),
        user: String::new(),
        password: Secret::default(),
        auth: Auth::None,
        source: Source::Database,
    };
    let ppp = by_ppp();
    let access = vec![access("wrong"), access("safaricom")];
    let wishes = Settings { cellular: CellularSettings { access, ..ppp.cellular }, ..ppp };
    // The network takes both, and has no call for the first.
    let mut profile = Make::load("a7670e-ecm").unwrap();
    profile.cell.apns.push("wrong".into());
    let mut rig = Rig::new(&profile, "", wishes);
    rig.desktop = Some(Desktop::new());
    rig.manager_runs(Some("1.24.0"));
    desktop(&mut rig).refused = true;
    let dialled = |rig: &mut Rig| desktop(rig).says("gsm", "apn");
    assert!(rig.until(secs(120), |rig| dials(rig) > 0), "{}", rig.describe());
    assert_eq!(dialled(&mut rig), Some(Value::Text("wrong".into())));
    assert!(rig.until(secs(300), |rig| rig.rungs.len() > 1), "{}", rig.describe());
    desktop(&mut rig).refused = false;
    assert!(rig.until(secs(300), online), "{}", rig.describe());
    assert_eq!(dialled(&mut rig), Some(Value::Text("safaricom".into())));
}

#[test]
fn who_is_missing_is_named_and_no_restart_is_spent_on_it() {
    let mut rig = rig(by_ppp());
    desktop(&mut rig).runs = false;
    let blamed = |rig: &Rig| rig.verdict() == Verdict::NetworkManager;
    assert!(rig.until(secs(300), blamed), "{}", rig.describe());
    assert!(
        trouble(&rig).contains("NetworkManager, which dials, does not run"),
        "{}",
        trouble(&rig)
    );
    desktop(&mut rig).runs = true;
    assert!(rig.until(secs(120), online), "{}", rig.describe());

    rig.manager_runs(None);
    assert!(rig.until(secs(300), blamed), "{}", rig.describe());
    assert!(trouble(&rig).contains("ModemManager is masked"), "{}", trouble(&rig));
    rig.run(secs(3600));
    assert!(rig.rungs.is_empty(), "{:?}", rig.rungs);
    rig.manager_runs(Some("1.24.0"));
    assert!(rig.until(secs(180), online), "{}", rig.describe());
}

#[test]
fn at_the_cap_the_profile_goes_and_with_it_the_call() {
    let rules = Rules { cap: Some(1_600_000), ..settings().rules };
    let mut rig = rig(Settings { rules, ..by_ppp() });
    assert!(rig.until(secs(120), online), "{}", rig.describe());
    let reached = |rig: &Rig| rig.verdict() == Verdict::CapReached;
    assert!(rig.until(secs(3600), reached), "{}", rig.describe());
    rig.run(secs(60));
    assert!(reached(&rig) && desktop(&mut rig).profile.is_none(), "{}", rig.describe());
    assert!(desktop(&mut rig).up_at.is_none());
}

#[test]
fn back_on_usb_the_modem_dials_by_itself_again() {
    let mut rig = rig(by_ppp());
    assert!(rig.until(secs(120), online), "{}", rig.describe());
    let plan = rig.session.as_ref().unwrap().farewell().unwrap();
    let now = rig.now;
    desktop(&mut rig).apply(now, &plan);
    assert!(desktop(&mut rig).profile.is_none(), "{plan}");
    rig.stop();
    rig.desktop = None;
    rig.manager.has = false;
    rig.settings = settings();
    rig.start();
    assert!(rig.until(secs(120), Rig::online), "{}", rig.describe());
    assert_eq!(rig.count("AT+DIALMODE=0"), 1);
}
