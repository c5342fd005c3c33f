//! Every composition, and what must hold for any bus whatever.

use proptest::prelude::*;

use super::*;

fn interface(number: u8, class: [u8; 3]) -> InterfaceFacts {
    InterfaceFacts { number, class, ..InterfaceFacts::default() }
}

fn serial(number: u8, tty: u8) -> InterfaceFacts {
    InterfaceFacts {
        driver: Some("option".into()),
        tty: Some(format!("ttyUSB{tty}")),
        ..interface(number, [0xff, 0, 0])
    }
}

fn network(number: u8, class: [u8; 3], driver: &str, name: &str) -> InterfaceFacts {
    InterfaceFacts {
        driver: Some(driver.into()),
        net: Some(name.into()),
        ..interface(number, class)
    }
}

fn device(path: &str, product: u16, interfaces: Vec<InterfaceFacts>) -> DeviceFacts {
    DeviceFacts { path: path.parse().unwrap(), vendor: 0x1e0e, product, interfaces }
}

fn a76xx_ecm(path: &str, first_tty: u8, net: &str) -> DeviceFacts {
    let interfaces = vec![
        network(0, [2, 6, 0], "cdc_ether", net),
        interface(1, [0x0a, 0, 0]),
        serial(2, first_tty),
        serial(4, first_tty + 1),
        serial(5, first_tty + 2),
    ];
    device(path, 0x9011, interfaces)
}

fn role_map(modem: &Modem) -> Vec<(Role, u8, &str)> {
    modem.ports.iter().map(|p| (p.role, p.interface, p.device.as_str())).collect()
}

#[test]
fn a76xx_with_ecm() {
    let found = inventory(&[a76xx_ecm("1-1.2", 0, "usb0")]);
    let [modem] = &found.modems[..] else { panic!("{found:?}") };
    assert_eq!((modem.model.as_str(), modem.usb_id.as_str()), ("A76XX", "1e0e:9011"));
    assert_eq!(
        role_map(modem),
        [
            (Role::Diag, 2, "/dev/ttyUSB0"),
            (Role::At, 4, "/dev/ttyUSB1"),
            (Role::Modem, 5, "/dev/ttyUSB2")
        ]
    );
    assert_eq!(modem.ports[1].link, "/dev/a7670e/by-path/1-1.2/at");
    assert_eq!(modem.network.kind, NetKind::Ecm);
    assert_eq!(modem.network.device.as_deref(), Some("usb0"));
    assert_eq!(modem.problems, [""; 0]);
}

#[test]
fn a76xx_with_rndis_and_the_extra_port_that_moves_the_numbers() {
    let interfaces = vec![
        network(0, [0xe0, 1, 3], "rndis_host", "wwan0"),
        interface(1, [0x0a, 0, 0]),
        serial(2, 0),
        serial(3, 1),
        serial(4, 2),
        serial(5, 3),
    ];
    let found = inventory(&[device("1-1.4", 0x9011, interfaces)]);
    let [modem] = &found.modems[..] else { panic!("{found:?}") };
    assert_eq!(modem.network.kind, NetKind::Rndis);
    assert_eq!(
        role_map(modem),
        [
            (Role::Diag, 2, "/dev/ttyUSB0"),
            (Role::Extra, 3, "/dev/ttyUSB1"),
            (Role::At, 4, "/dev/ttyUSB2"),
            (Role::Modem, 5, "/dev/ttyUSB3")
        ]
    );
    assert!(modem.problems.is_empty());
}

#[test]
fn two_sticks_are_two_modems_in_order_of_port_number() {
    let found = inventory(&[a76xx_ecm("1-1.10", 0, "wwan0"), a76xx_ecm("1-1.2", 3, "wwan1")]);
    let paths: Vec<_> = found.modems.iter().map(|m| m.usb_path.to_string()).collect();
    assert_eq!(paths, ["1-1.2", "1-1.10"]);
    assert_eq!(found.modems[0].network.device.as_deref(), Some("wwan1"));
    assert_eq!(found.modems[0].ports[1].device, "/dev/ttyUSB4");
}

#[test]
fn sim7600_at_the_same_ids_is_told_apart() {
    let mut interfaces = vec![
        network(0, [2, 2, 0xff], "rndis_host", "usb0"),
        interface(1, [0x0a, 0, 0]),
        InterfaceFacts { class: [0xff, 0xff, 0xff], ..serial(2, 0) },
    ];
    interfaces.extend((3..=6).map(|number| serial(number, number - 2)));
    interfaces.push(interface(7, [0xff, 0x42, 1]));
    let found = inventory(&[device("1-1.1", 0x9011, interfaces)]);
    let [modem] = &found.modems[..] else { panic!("{found:?}") };
    assert_eq!(modem.model, "SIM7600");
    let roles: Vec<_> = modem.ports.iter().map(|p| p.role).collect();
    assert_eq!(roles, [Role::Diag, Role::Nmea, Role::At, Role::Modem, Role::Audio]);
}

#[test]
fn sim7600_with_qmi_and_with_raw_ip_on_the_same_interface() {
    let interfaces = |net: InterfaceFacts| {
        let mut all: Vec<_> = (0..=4).map(|number| serial(number, number)).collect();
        all.push(net);
        all.push(interface(6, [0xff, 0x42, 1]));
        all
    };
    let qmi = InterfaceFacts {
        control: Some("cdc-wdm0".into()),
        ..network(5, [0xff, 0xff, 0xff], "qmi_wwan", "wwan0")
    };
    let raw = network(5, [0xff, 0xff, 0xff], "simcom_wwan", "wwan0");
    for (net, control) in [(qmi, Some("/dev/cdc-wdm0")), (raw, None)] {
        let found = inventory(&[device("2-1", 0x9001, interfaces(net))]);
        let [modem] = &found.modems[..] else { panic!("{found:?}") };
        assert_eq!(modem.network.control.as_deref(), control);
        assert_eq!(modem.network.interface, Some(5));
        assert_eq!(modem.ports[2].role, Role::At);
        assert!(modem.problems.is_empty(), "{:?}", modem.problems);
    }
}

#[test]
fn sim7600_ndis_without_drivers_says_what_to_look_at() {
    let interfaces = (0..=6).map(|number| interface(number, [0xff, 0xff, 0xff])).collect();
    let found = inventory(&[device("1-1", 0x9025, interfaces)]);
    let [modem] = &found.modems[..] else { panic!("{found:?}") };
    assert_eq!(modem.network.kind, NetKind::Ndis);
    assert!(modem.ports.is_empty());
    assert_eq!(modem.problems.len(), 4, "{:?}", modem.problems);
    assert!(modem.problems.iter().any(|p| p.contains("`simcom_wwan`")), "{:?}", modem.problems);
}

#[test]
fn sim7600_ndis_is_where_its_driver_took_it() {
    let mut interfaces: Vec<_> = (0..=4).map(|number| serial(number, number)).collect();
    interfaces.push(network(6, [0xff, 0xff, 0xff], "simcom_wwan", "wwan0"));
    let modem = inventory(&[device("1-1", 0x9025, interfaces)]).modems.remove(0);
    assert_eq!((modem.network.interface, modem.network.kind), (Some(6), NetKind::Ndis));
    assert_eq!(modem.network.device.as_deref(), Some("wwan0"));
    assert!(modem.problems.is_empty(), "{:?}", modem.problems);
}

#[test]
fn a_port_that_is_not_there_yet_is_a_problem_with_a_name() {
    let mut stick = a76xx_ecm("1-1.2", 0, "usb0");
    stick.interfaces[3] = interface(4, [0xff, 0, 0]);
    stick.interfaces.pop();
    let modem = inventory(&[stick]).modems.remove(0);
    assert_eq!(
        modem.problems,
        [
            "the at port (USB interface 4) has no driver; is module `option` loaded?",
            "the modem port (USB interface 5) is missing from this firmware",
        ]
    );
}

#[test]
fn unknown_interfaces_are_reported_not_guessed() {
    let mut stick = a76xx_ecm("1-1.2", 0, "usb0");
    stick.interfaces[0].class = [0x03, 0, 1];
    let found = inventory(&[stick]);
    assert!(found.modems.is_empty());
    assert_eq!(found.unrecognised[0].interfaces[0], "00:03/00/01");
}

#[test]
fn other_devices_and_unconfigured_ones_are_left_alone() {
    let mut keyboard = a76xx_ecm("1-1.1", 0, "usb0");
    keyboard.vendor = 0x046d;
    let unconfigured = device("1-1.2", 0x9011, Vec::new());
    assert_eq!(inventory(&[keyboard, unconfigured]), Inventory::default());
}

fn any_interface() -> impl Strategy<Value = InterfaceFacts> {
    let name = || proptest::option::of("[a-z]{1,4}[0-9]");
    let class = prop_oneof![
        Just([2u8, 6, 0]),
        Just([0xe0, 1, 3]),
        Just([2, 2, 0xff]),
        Just([0xff, 0, 0]),
        any::<[u8; 3]>()
    ];
    (0u8..8, class, name(), name(), name(), name()).prop_map(
        |(number, class, driver, tty, net, control)| InterfaceFacts {
            number,
            class,
            driver,
            tty,
            net,
            control,
        },
    )
}

fn any_device() -> impl Strategy<Value = DeviceFacts> {
    let vendor = prop_oneof![4 => Just(0x1e0e_u16), 1 => any::<u16>()];
    let product = prop_oneof![Just(0x9011_u16), Just(0x9001), Just(0x9025), any::<u16>()];
    let interfaces = proptest::collection::vec(any_interface(), 0..9);
    (1u8..4, proptest::collection::vec(1u8..12, 1..4), vendor, product, interfaces).prop_map(
        |(bus, ports, vendor, product, mut interfaces)| {
            interfaces.sort_by_key(|i| i.number);
            interfaces.dedup_by_key(|i| i.number);
            let ports: Vec<_> = ports.iter().map(u8::to_string).collect();
            let path = format!("{bus}-{}", ports.join(".")).parse().unwrap();
            DeviceFacts { path, vendor, product, interfaces }
        },
    )
}

fn any_bus() -> impl Strategy<Value = Vec<DeviceFacts>> {
    proptest::collection::vec(any_device(), 0..6).prop_map(|mut devices| {
        devices.sort_by(|a, b| a.path.cmp(&b.path));
        devices.dedup_by(|a, b| a.path == b.path);
        devices
    })
}

proptest! {
    /// The order in which the kernel lists devices and interfaces says nothing.
    #[test]
    fn the_order_of_the_facts_does_not_matter(mut bus in any_bus()) {
        let straight = inventory(&bus);
        bus.reverse();
        for device in &mut bus {
            device.interfaces.reverse();
        }
        prop_assert_eq!(inventory(&bus), straight);
    }

    /// A device is judged by itself: another stick never changes it.
    #[test]
    fn sticks_do_not_influence_each_other(bus in any_bus()) {
        let mut together = inventory(&bus);
        let mut alone = Inventory::default();
        for device in &bus {
            let one = inventory(std::slice::from_ref(device));
            alone.modems.extend(one.modems);
            alone.unrecognised.extend(one.unrecognised);
        }
        together.modems.sort_by(|a, b| a.usb_path.cmp(&b.usb_path));
        prop_assert_eq!(together, alone);
    }

    /// Every candidate with interfaces shows up exactly once, and every port
    /// and network device it is given is one that the kernel made.
    #[test]
    fn nothing_is_lost_and_nothing_is_invented(bus in any_bus()) {
        let found = inventory(&bus);
        for device in &bus {
            let candidate = catalogue::is_candidate(device.vendor, device.product)
                && !device.interfaces.is_empty();
            let modem = found.modems.iter().find(|m| m.usb_path == device.path);
            let unknown = found.unrecognised.iter().find(|u| u.usb_path == device.path);
            prop_assert_eq!(candidate, modem.is_some() ^ unknown.is_some());
            prop_assert!(modem.is_none() || unknown.is_none());
            let Some(modem) = modem else { continue };
            for port in &modem.ports {
                let real = device.interfaces.iter().find(|i| i.number == port.interface).unwrap();
                let tty = real.tty.as_deref().unwrap();
                prop_assert_eq!(&port.device, &format!("/dev/{tty}"));
            }
            let all = modem.ports.iter().map(|p| p.role).collect::<Vec<_>>();
            let mut unique = all.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), all.len());
            let at = modem.ports.iter().any(|p| p.role == Role::At);
            prop_assert!(at || modem.problems.iter().any(|p| p.contains("the at port")));
        }
    }
}
