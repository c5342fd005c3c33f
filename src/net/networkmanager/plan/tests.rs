//! Plans from what NetworkManager may say.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::*;
use crate::modem::machine::{Auth, Secret};
use crate::net::model::{Link, Route};
use crate::net::networkmanager::profile::{Gsm, Value, uuid};
use crate::net::networkmanager::{Call, Change, Dialling};

const INDEX: u32 = 7;

fn wish() -> Wish {
    Wish {
        link: "wwan0".into(),
        index: INDEX,
        open: true,
        metric: 700,
        ipv6: true,
        dns: true,
        anew: false,
        gsm: None,
    }
}

fn gsm() -> Gsm {
    Gsm {
        apn: Some("internet".into()),
        user: "me".into(),
        password: Secret::new("xyzzy"),
        auth: Some(Auth::Chap),
        home_only: true,
        operator: None,
        metric: 700,
        auto: false,
    }
}

fn device(managed: bool, state: u32) -> Device {
    let (place, driver) = ("pci-usb-0:1.2:1.0".to_owned(), "cdc_ether".to_owned());
    Device { place, driver, managed, state, ..Device::default() }
}

/// As NetworkManager tells of a profile: without what is as it would be anyway.
fn told(profile: &Profile) -> Found {
    let mut found = Found::default();
    for (section, key, value) in profile.settings() {
        let default = matches!(value, Value::Flag(false)) || key == "autoconnect";
        if !default || (key == "autoconnect" && *value == Value::Flag(false)) {
            found.0.insert((section.into(), key.into()), value.clone());
        }
    }
    found
}

fn running(device: Option<Device>, profile: Option<Found>, gsm: Option<Found>) -> Seen {
    Seen::Running(Box::new(State { version: "1.52.1".into(), device, profile, gsm, modem: None }))
}

fn kernel(up: bool, metric: Option<u32>) -> Observed {
    let link = Link { up, ..Link::sample(INDEX, "wwan0") };
    let mut observed = Observed { links: vec![link], accept_ra: Some(0), ..Observed::default() };
    let Some(metric) = metric else { return observed };
    let address = IpAddr::from([192, 168, 0, 2]);
    observed.addresses = vec![Address { index: INDEX, address, prefix: 24, metric, protocol: 0 }];
    observed.routes = vec![Route {
        table: MAIN_TABLE,
        destination: (IpAddr::from([0, 0, 0, 0]), 0),
        gateway: Some(IpAddr::from([192, 168, 0, 1])),
        index: INDEX,
        metric,
        source: Some(address),
        protocol: 16,
        onlink: false,
    }];
    observed
}

fn lines(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

#[test]
fn each_step_follows_from_what_is_seen() {
    let (wish, idle) = (wish(), device(false, 10));
    let profile = Profile::ethernet(&wish, &idle);
    let uuid = profile.uuid().to_owned();
    // As it was found, then as it is after each step.
    let first = plan(&wish, &running(Some(idle.clone()), None, None), &kernel(false, None));
    let steps = [plan::Step::LinkUp, plan::Step::Manager(Step::Add(profile.clone()))];
    assert_eq!(first.steps, steps);
    // Not before the profile is there, should it be refused.
    let found = Some(told(&profile));
    let then = plan(&wish, &running(Some(idle), found.clone(), None), &kernel(true, None));
    assert_eq!(then.steps, [plan::Step::Manager(Step::Manage(true))]);
    let waiting = device(true, 50);
    let then = plan(&wish, &running(Some(waiting), found.clone(), None), &kernel(true, None));
    assert_eq!(then.steps, []);
    let active = Device { active: Some(uuid.clone()), ..device(true, ACTIVATED) };
    let seen = running(Some(active.clone()), found.clone(), None);
    assert_eq!(plan(&wish, &seen, &kernel(true, Some(700))).steps, []);

    // Disconnected by another, or connected by another profile.
    let activate = [plan::Step::Manager(Step::Activate { uuid: uuid.clone() })];
    let others = Device { active: Some("other".into()), ..active.clone() };
    for device in [device(true, DISCONNECTED), device(true, FAILED), others] {
        let seen = running(Some(device), found.clone(), None);
        assert_eq!(plan(&wish, &seen, &kernel(true, None)).steps, activate);
    }
    let anew = Wish { anew: true, ..wish.clone() };
    assert_eq!(plan(&anew, &seen, &kernel(true, Some(700))).steps, activate);

    // Another metric: the profile first, then the link.
    let lame = Wish { metric: 20_700, ..wish.clone() };
    assert_eq!(
        lines(&plan(&lame, &seen, &kernel(true, Some(700)))),
        [
            "NetworkManager: change profile a7670e-wwan0: ipv4.route-metric 700 -> 20700, \
             ipv6.route-metric 700 -> 20700",
            "NetworkManager: do what the changed profile says"
        ]
    );
    // A change that was not carried out on the link.
    let reapply = [plan::Step::Manager(Step::Reapply)];
    assert_eq!(plan(&wish, &seen, &kernel(true, Some(50))).steps, reapply);
}

#[test]
fn a_link_that_is_shut_is_disconnected_before_it_is_let_go() {
    let wish = Wish { open: false, ..wish() };
    let profile = Profile::ethernet(&wish, &device(true, ACTIVATED));
    let active = Device { active: Some(profile.uuid().into()), ..device(true, ACTIVATED) };
    let found = Some(told(&profile));
    let observed = kernel(true, Some(700));
    let remove = plan::Step::RemoveAddress(observed.addresses[0]);
    let shut = plan(&wish, &running(Some(active.clone()), found.clone(), None), &observed);
    let manager = [Step::Disconnect, Step::Manage(false)].map(plan::Step::Manager);
    assert_eq!(shut.steps, [&manager[..], std::slice::from_ref(&remove)].concat());
    // It died while it was connected: nobody else would.
    for seen in [Seen::Absent, Seen::NoBus("gone".into()), Seen::Silent("odd".into())] {
        assert_eq!(plan(&wish, &seen, &observed).steps, std::slice::from_ref(&remove));
        assert!(seen.trouble("wwan0").unwrap().contains("NetworkManager"));
        // An open one that runs goes on.
        let open = Wish { open: true, ..wish.clone() };
        assert_eq!(plan(&open, &seen, &observed).steps, []);
    }
    let gone = farewell(&wish, &running(Some(active), found, None), &observed);
    let delete = plan::Step::Manager(Step::Delete { uuid: profile.uuid().into() });
    assert_eq!(gone.steps, [&manager[..], &[delete, remove]].concat());
    assert!(running(None, None, None).trouble("wwan0").unwrap().contains("raw-IP"));
    // What it answers is shown, and nobody is told that it does not run.
    let silent = Seen::Silent("odd".into()).trouble("wwan0").unwrap();
    assert!(silent.contains("odd") && !silent.contains("does not run"), "{silent}");
    let let_go = running(Some(device(false, 10)), None, None);
    assert_eq!(farewell(&wish, &let_go, &kernel(true, None)).steps, []);
}

#[test]
fn the_profile_for_ppp_comes_changes_and_goes() {
    let wanted = Wish { gsm: Some(gsm()), ..wish() };
    let profile = Profile::gsm(&wanted, &gsm());
    let active = Device { active: Some(uuid("pci-usb-0:1.2:1.0")), ..device(true, ACTIVATED) };
    let ethernet = Some(told(&Profile::ethernet(&wanted, &active)));
    let steps = |wish: &Wish, found: Option<Found>| {
        let seen = running(Some(active.clone()), ethernet.clone(), found);
        lines(&plan(wish, &seen, &kernel(true, Some(700))))
    };
    let added = steps(&wanted, None);
    assert_eq!(added.len(), 1, "{added:?}");
    assert!(added[0].contains("a7670e-gsm: ") && added[0].contains("gsm.password=(secret)"));
    assert!(!added[0].contains("xyzzy") && !format!("{profile:?}").contains("xyzzy"));
    let found = told(&profile);
    assert_eq!(steps(&wanted, Some(found.clone())), [""; 0]);
    let other = Gsm { password: Secret::new("plugh"), ..gsm() };
    let changed = steps(&Wish { gsm: Some(other), ..wish() }, Some(found.clone()));
    assert_eq!(
        changed,
        ["NetworkManager: change profile a7670e-gsm: gsm.password (secret) -> (secret)"]
    );
    assert_eq!(steps(&wish(), Some(found)).len(), 1);
    // One of that name without our mark is somebody else's.
    assert_eq!(steps(&wish(), Some(Found::default())), [""; 0]);
}

#[test]
fn a_copy_that_somebody_made_of_ours_is_theirs() {
    let profile = Profile::gsm(&wish(), &gsm());
    let mut found = told(&profile);
    assert!(found.is_ours() && !found.is_ethernet());
    // `nmcli connection clone` gives a name and a UUID, and copies the rest.
    let uuid = ("connection".to_owned(), "uuid".to_owned());
    found.0.insert(uuid, Value::Text("2fa1d0f8-5b0e-4f5c-9f0c-8f3c5f0f6a11".into()));
    assert!(!found.is_ours());
    assert!(told(&Profile::ethernet(&wish(), &device(true, 10))).is_ethernet());
}

#[test]
fn what_the_owner_adds_stays_and_what_hides_the_device_goes() {
    let device = device(true, ACTIVATED);
    let profile = Profile::ethernet(&wish(), &device);
    let mut found = told(&profile);
    let mtu = ("802-3-ethernet".to_owned(), "mtu".to_owned());
    found.0.insert(mtu, Value::Int(1400));
    assert_eq!(profile.changes(&found), []);
    let name = ("connection".to_owned(), "interface-name".to_owned());
    found.0.insert(name, Value::Text("eth9".into()));
    let from = Some(Value::Text("eth9".into()));
    let change = Change { name: "connection.interface-name".into(), from, to: None };
    assert_eq!(profile.changes(&found), [change]);
    // Neither default is nothing.
    let mut found = told(&profile);
    let autoconnect = ("connection".to_owned(), "autoconnect".to_owned());
    found.0.insert(autoconnect, Value::Flag(false));
    found.0.remove(&("connection".to_owned(), "autoconnect-retries".to_owned()));
    let names: Vec<String> = profile.changes(&found).into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["connection.autoconnect", "connection.autoconnect-retries"]);
}

#[test]
fn a_place_has_one_uuid_for_ever() {
    let at_home = device(true, 10);
    assert_eq!(uuid_of(&at_home, "wwan0"), uuid_of(&at_home, "wwan1"));
    // RFC 9562 §5.8: version 8, variant 10. A new value would orphan what is kept.
    assert_eq!(uuid("wwan0"), uuid_of(&Device::default(), "wwan0"));
    assert_eq!(uuid("wwan0").len(), 36);
    assert_eq!(uuid("wwan0").as_bytes()[14], b'8');
    let profile = Profile::ethernet(&wish(), &Device::default());
    let by_name: BTreeMap<_, _> =
        profile.settings().map(|(section, key, value)| ((section, key), value)).collect();
    let name = by_name.get(&("connection", "interface-name"));
    assert_eq!(name, Some(&&Value::Text("wwan0".into())));
    assert!(!by_name.contains_key(&("match", "path")));
}

#[test]
fn a_call_is_dialled_by_its_profile_and_the_link_on_usb_is_left() {
    let modem = "/org/freedesktop/ModemManager1/Modem/3".to_owned();
    let gsm = Gsm { auto: true, ..gsm() };
    let wish = Wish { open: false, gsm: Some(gsm.clone()), ..wish() };
    let call = Call { modem: Some(modem.clone()), may_dial: true, wish: wish.clone() };
    let profile = Profile::gsm(&wish, &gsm);
    let seen = |state: &State| Seen::Running(Box::new(state.clone()));
    let manager = |steps: &[Step]| {
        steps.iter().cloned().map(plan::Step::Manager).collect::<Vec<plan::Step>>()
    };
    let asked = |what| manager(&[Step::Modem(modem.clone(), what)]);
    let uuid = gsm_uuid();
    // As data on USB left it.
    let ethernet = Profile::ethernet(&wish, &device(true, ACTIVATED));
    let mut state = State {
        device: Some(Device {
            active: Some(ethernet.uuid().to_owned()),
            ..device(true, ACTIVATED)
        }),
        profile: Some(told(&ethernet)),
        modem: Some(device(false, 10)),
        ..State::default()
    };
    let observed = kernel(true, Some(700));
    let mut all = manager(&[
        Step::Disconnect,
        Step::Manage(false),
        Step::Delete { uuid: ethernet.uuid().to_owned() },
        Step::Add(profile.clone()),
    ]);
    all.push(plan::Step::RemoveAddress(observed.addresses[0]));
    assert_eq!(dial(&call, &seen(&state), &observed).steps, all);

    let quiet = kernel(false, None);
    let steps = |state: &State| dial(&call, &seen(state), &quiet).steps;
    (state.device, state.profile) = (Some(device(false, 10)), None);
    state.gsm = Some(told(&profile));
    assert_eq!(steps(&state), asked(Dialling::Manage));
    for number in [DISCONNECTED, FAILED] {
        state.modem = Some(device(true, number));
        assert_eq!(steps(&state), asked(Dialling::Dial { uuid: uuid.clone() }));
        // Not yet; but when somebody wants it now.
        let later = Call { may_dial: false, ..call.clone() };
        assert_eq!(dial(&later, &seen(&state), &quiet).steps, []);
        let now = Call { wish: Wish { anew: true, ..wish.clone() }, ..later };
        let dialled = asked(Dialling::Dial { uuid: uuid.clone() });
        assert_eq!(dial(&now, &seen(&state), &quiet).steps, dialled);
    }
    // On its way, up, and up by another profile.
    for (number, active, wanted) in [
        (50, uuid.clone(), Vec::new()),
        (ACTIVATED, uuid.clone(), Vec::new()),
        (ACTIVATED, "other".to_owned(), asked(Dialling::Dial { uuid: uuid.clone() })),
    ] {
        state.modem = Some(Device { active: Some(active), ..device(true, number) });
        assert_eq!(steps(&state), wanted, "{number}");
    }
    // Without the modem, NetworkManager or leave nothing is dialled.
    let nobody = Call { modem: None, ..call.clone() };
    assert_eq!(dial(&nobody, &seen(&state), &quiet).steps, []);
    assert_eq!(dial(&call, &Seen::Absent, &quiet).steps, []);
    let hung_up = Call { wish: Wish { gsm: None, ..wish.clone() }, ..call.clone() };
    let delete = manager(&[Step::Delete { uuid: uuid.clone() }]);
    assert_eq!(dial(&hung_up, &seen(&state), &quiet).steps, delete);
    // Another metric is another profile, and then the call's.
    let lame = Gsm { metric: 20_700, ..gsm };
    let lame = Call { wish: Wish { gsm: Some(lame), ..wish }, ..call.clone() };
    state.modem = Some(Device { active: Some(uuid), ..device(true, ACTIVATED) });
    let changed = lines(&dial(&lame, &seen(&state), &quiet));
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert!(changed[0].contains("ipv4.route-metric 700 -> 20700"), "{changed:?}");
    assert!(changed[1].ends_with("do what the changed profile says"), "{changed:?}");
}

/// NetworkManager's own check of the internet fails, or has yet to be made: that
/// makes no route that is missing, and doing it anew changes nothing.
#[test]
fn what_networkmanager_adds_to_the_metric_is_its_own_affair() {
    let wish = wish();
    let profile = Profile::ethernet(&wish, &device(true, ACTIVATED));
    let active = Some(profile.uuid().to_owned());
    let steps = |connectivity: u32, metric: u32| {
        let device = Device { active: active.clone(), connectivity, ..device(true, ACTIVATED) };
        let seen = running(Some(device), Some(told(&profile)), None);
        plan(&wish, &seen, &kernel(true, Some(metric))).steps
    };
    for connectivity in 0..=4 {
        assert_eq!(steps(connectivity, 700), []);
        let again =
            if connectivity == 4 { vec![plan::Step::Manager(Step::Reapply)] } else { vec![] };
        assert_eq!(steps(connectivity, 20_700), again, "{connectivity}");
        assert_eq!(steps(connectivity, 100), [plan::Step::Manager(Step::Reapply)]);
    }
}
