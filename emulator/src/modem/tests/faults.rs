//! Faults of the port, the card, the network and the link, one by one.

use super::*;

/// Inflicts it on a modem that is registered and dials.
fn struck(effect: Effect) -> Modem {
    let mut modem = booted("a7670e-ecm");
    ask(&mut modem, "AT+DIALMODE=0;+CEREG=1");
    let now = modem.now;
    modem.inflict(now, effect);
    modem
}

fn pass(modem: &mut Modem, ms: u64) {
    modem.advance(modem.now + at(ms));
}

#[test]
fn silence_for_ever_outlasts_everything() {
    let mut modem = struck(Effect::Silence { for_ms: None });
    let now = modem.now;
    modem.inflict(now, Effect::Reset);
    pass(&mut modem, 1_000_000);
    assert_eq!(heard(&mut modem, Port::At), "");
    assert_eq!(ask(&mut modem, "AT"), "");
}

#[test]
fn a_wedged_port_needs_a_usb_reset() {
    let mut modem = struck(Effect::Wedged { port: Port::At });
    assert_eq!(ask(&mut modem, "AT"), "");
    let now = modem.now;
    modem.write(now, Port::Modem, b"AT\r");
    pass(&mut modem, 20);
    assert_eq!(heard(&mut modem, Port::Modem), "AT\r\r\nOK\r\n", "the other port is well");
    let now = modem.now;
    modem.usb_reset(now);
    assert!(ask(&mut modem, "AT").contains("OK"));
    modem.inflict(modem.now, Effect::Wedged { port: Port::At });
    modem.inflict(modem.now, Effect::UsbGone { for_ms: 500 });
    pass(&mut modem, 1_000);
    modem.take();
    assert!(ask(&mut modem, "AT").contains("OK"));
}

#[test]
fn one_answer_is_late_and_holds_what_follows() {
    let mut modem =
        troubled("[[fault]]\non_command = \"AT+CSQ\"\neffect = \"late\"\nby_ms = 3000\n");
    let now = modem.now;
    modem.write(now, Port::At, b"ATE0\rAT+CSQ\rAT+CPIN?\r");
    modem.advance(now + at(3_010));
    let text = heard(&mut modem, Port::At);
    assert!(text.ends_with("\r\nOK\r\n") && !text.contains("CSQ:"), "{text}");
    modem.advance(now + at(3_100));
    let text = heard(&mut modem, Port::At);
    let csq = text.find("+CSQ:").unwrap();
    assert!(csq < text.find("+CPIN: READY").unwrap(), "{text}");
    assert!(ask(&mut modem, "AT+CSQ").contains("+CSQ:"), "only once");
}

#[test]
fn an_answer_is_cut_in_two() {
    let script =
        "[[fault]]\non_command = \"AT+CPIN?\"\neffect = \"cut\"\nat = 6\npause_ms = 2000\n";
    let mut modem = troubled(script);
    assert_eq!(ask(&mut modem, "AT+CPIN?"), "\r\n+CPI");
    pass(&mut modem, 1_980);
    assert_eq!(heard(&mut modem, Port::At), "");
    pass(&mut modem, 20);
    assert_eq!(heard(&mut modem, Port::At), "N: READY\r\n\r\nOK\r\n");
    assert_eq!(ask(&mut modem, "AT+CPIN?"), "\r\n+CPIN: READY\r\n\r\nOK\r\n");
}

#[test]
fn echo_comes_back_and_goes() {
    let mut modem = struck(Effect::Echo { on: false });
    let now = modem.now;
    modem.write(now, Port::At, b"AT\r");
    pass(&mut modem, 20);
    assert_eq!(heard(&mut modem, Port::At), "\r\nOK\r\n");
    modem.inflict(modem.now, Effect::Echo { on: true });
    let now = modem.now;
    modem.write(now, Port::At, b"AT\r");
    pass(&mut modem, 20);
    assert_eq!(heard(&mut modem, Port::At), "AT\r\r\nOK\r\n");
}

#[test]
fn identity_goes_missing() {
    let mut modem = struck(Effect::Identity { imei: Some(String::new()), revision: None });
    assert_eq!(ask(&mut modem, "AT+CGSN"), "\r\nOK\r\n");
    assert!(ask(&mut modem, "AT+CGMR").contains("+CGMR: "));
    modem.inflict(modem.now, Effect::Identity { imei: None, revision: Some(String::new()) });
    assert_eq!(ask(&mut modem, "AT+CGMR"), "\r\nOK\r\n");
}

#[test]
fn the_device_comes_back_with_another_function() {
    let mut modem = struck(Effect::UsbMode { framing: Framing::Rndis });
    pass(&mut modem, 20_000);
    let attached = modem.take().into_iter().find_map(|action| match action {
        Action::Usb(UsbAction::Attach { framing, .. }) => Some(framing),
        _ => None,
    });
    assert_eq!(attached, Some(Framing::Rndis));
    assert_eq!(modem.link().framing, Framing::Rndis);
}

#[test]
fn what_a_profile_lacks_is_told() {
    let fault = Effect::UsbMode { framing: Framing::RawIp };
    let mut modem = booted("a7670e-ecm");
    let told = modem.command(at(21_000), crate::control::ControlCommand::Inflict { fault });
    assert!(told.unwrap_err().contains("usb.network for RawIp"));
    let script = "[[fault]]\nat_ms = 1\neffect = \"usb_mode\"\nframing = \"rawip\"\n";
    let script = FaultScript::parse(script).unwrap();
    assert!(script.fits(&Profile::load("a7670e-ecm").unwrap()).is_err());
    assert_eq!(FaultScript::default().fits(&Profile::load("a7670e-ecm").unwrap()), Ok(()));
}

#[test]
fn the_card_asks_for_its_numbers() {
    let mut modem = struck(Effect::PinRequired);
    assert!(heard(&mut modem, Port::At).contains("+CPIN: SIM PIN\r\n"));
    assert!(!modem.link().forwarding);
    assert!(ask(&mut modem, "AT+CPIN?").contains("+CPIN: SIM PIN"));
    let pin = modem.profile.sim.pin.clone();
    assert!(ask(&mut modem, &format!("AT+CPIN=\"{pin}\"")).contains("OK"));
    pass(&mut modem, 20_000);
    assert!(modem.link().forwarding);
    let mut modem = troubled("[[fault]]\nat_ms = 0\neffect = \"puk_required\"\n");
    assert!(ask(&mut modem, "AT+CPIN?").contains("+CPIN: SIM PUK"));
}

#[test]
fn the_network_detaches() {
    let mut modem = struck(Effect::Detach { for_ms: Some(5_000), searching: true });
    assert_eq!(heard(&mut modem, Port::At), "\r\n+CGEV: NW DETACH\r\n\r\n+CEREG: 2\r\n");
    assert!(!modem.link().forwarding);
    pass(&mut modem, 5_000);
    assert!(heard(&mut modem, Port::At).contains("+CEREG: 1"));
    assert!(modem.link().forwarding);
    let mut modem = struck(Effect::Detach { for_ms: None, searching: false });
    assert!(heard(&mut modem, Port::At).ends_with("+CEREG: 0\r\n"));
    pass(&mut modem, 1_000_000);
    assert!(!modem.link().forwarding);
    ask(&mut modem, "AT+CFUN=1");
    pass(&mut modem, 5_000);
    assert!(modem.link().forwarding);
}

#[test]
fn the_carrier_drops_for_a_while() {
    let mut modem = struck(Effect::CarrierDrop { for_ms: 4_000 });
    let carriers = |modem: &mut Modem| -> Vec<bool> {
        let links = modem.take().into_iter().filter_map(|action| match action {
            Action::Link(link) => Some(link.carrier),
            _ => None,
        });
        links.collect()
    };
    assert_eq!(carriers(&mut modem), [false]);
    pass(&mut modem, 3_999);
    assert!(carriers(&mut modem).is_empty());
    pass(&mut modem, 1);
    assert_eq!(carriers(&mut modem), [true]);
}
