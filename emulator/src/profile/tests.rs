//! Every profile that is shipped can be used, and says what its unit is.

use super::*;
use crate::modem::Port;

fn numbers(name: &str) -> Vec<u8> {
    let profile = Profile::load(name).unwrap();
    let interfaces = profile.usb.interfaces(profile.network.framing);
    interfaces.iter().map(|interface| interface.number).collect()
}

#[test]
fn all_load() {
    let names: Vec<_> = Profile::list().unwrap().into_iter().map(|(name, _)| name).collect();
    let wanted = ["a7670e-ecm", "a7670e-ecm-if3", "a7670e-lnxy", "a7670e-rndis", "sim7600-ndis"];
    assert_eq!(names, wanted);
}

#[test]
fn interfaces_are_those_of_the_units() {
    assert_eq!(numbers("a7670e-ecm"), [0, 1, 2, 4, 5]);
    assert_eq!(numbers("a7670e-rndis"), [0, 1, 2, 4, 5]);
    assert_eq!(numbers("a7670e-ecm-if3"), [0, 1, 2, 3, 4, 5]);
    assert_eq!(numbers("sim7600-ndis"), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn the_raw_ip_function_is_the_only_bare_one_with_three_endpoints() {
    let profile = Profile::load("sim7600-ndis").unwrap();
    let bare: Vec<u8> = profile
        .usb
        .interfaces(Framing::RawIp)
        .iter()
        .filter(|it| it.class[0] == 0xff && it.endpoints.len() == 3 && !it.acm_descriptors)
        .map(|it| it.number)
        .collect();
    assert_eq!(bare, [5]);
}

#[test]
fn ports_are_those_of_the_units() {
    let ports = |name| Profile::load(name).unwrap().usb.ports();
    assert_eq!(ports("a7670e-ecm"), [Port::Diag, Port::At, Port::Modem]);
    assert_eq!(ports("a7670e-ecm-if3"), [Port::Diag, Port::Extra, Port::At, Port::Modem]);
}

#[test]
fn errors_name_the_place() {
    let error = Profile::load("a7670").unwrap_err().to_string();
    assert!(error.contains("a7670e-rndis"), "{error}");
    let error = Profile::load("none/such.toml").unwrap_err().to_string();
    assert!(error.starts_with("none/such.toml: "), "{error}");
}
