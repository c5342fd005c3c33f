//! The dialogue from power-on to online, in virtual time.

use super::*;
use proptest::prelude::*;

mod faults;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A modem that has booted and registered (or been denied).
fn booted(name: &str) -> Modem {
    let mut modem = Modem::new(Profile::load(name).unwrap(), FaultScript::default(), 0);
    modem.advance(at(20_000));
    modem.take();
    modem
}

fn heard(modem: &mut Modem, port: Port) -> String {
    let bytes = modem.take().into_iter().filter_map(|action| match action {
        Action::Serial { port: from, bytes } if from == port => Some(bytes),
        _ => None,
    });
    String::from_utf8(bytes.flatten().collect()).unwrap()
}

/// The answer without echo.
fn ask(modem: &mut Modem, command: &str) -> String {
    let now = modem.now;
    modem.write(now, Port::At, format!("{command}\r").as_bytes());
    modem.advance(now + at(11));
    let text = heard(modem, Port::At);
    text.strip_prefix(&format!("{command}\r")).unwrap_or(&text).to_owned()
}

#[test]
fn boots_as_real_ones_do() {
    let mut modem = Modem::new(Profile::load("a7670e-ecm").unwrap(), FaultScript::default(), 0);
    modem.write(at(8_000), Port::At, b"AT\r");
    assert_eq!(modem.take(), []);
    modem.advance(at(9_000));
    let mac = [0xae, 0x0c, 0x29, 0xa3, 0x9b, 0x6d];
    let attach = UsbAction::Attach { framing: Framing::Ecm, mac };
    assert_eq!(modem.take(), [Action::Usb(attach)]);
    // Echo only, before it is ready.
    modem.write(at(9_050), Port::At, b"AT\r");
    modem.advance(at(9_099));
    assert_eq!(heard(&mut modem, Port::At), "AT\r");
    modem.advance(at(9_100));
    assert_eq!(heard(&mut modem, Port::Modem), "\r\n*ATREADY: 1\r\n");
    assert_eq!(ask(&mut modem, "AT+CPIN?"), "\r\n+CME ERROR: SIM failure\r\n");
    modem.advance(at(20_000));
    let text = heard(&mut modem, Port::At);
    assert_eq!(
        text,
        "\r\n+CPIN: READY\r\n\r\n+CGEV: EPS PDN ACT 1\r\n\r\nPB DONE\r\n\r\nSMS DONE\r\n"
    );
    assert_eq!(ask(&mut modem, "AT+CPIN?"), "\r\n+CPIN: READY\r\n\r\nOK\r\n");
}

#[test]
fn sms_done_depends_on_seed_and_model() {
    let text = |name, seed| {
        let mut modem = Modem::new(Profile::load(name).unwrap(), FaultScript::default(), seed);
        modem.advance(at(20_000));
        heard(&mut modem, Port::At)
    };
    assert!(text("a7670e-ecm", 1).ends_with("SMS DONE\r\n\r\nPB DONE\r\n"));
    assert!(!text("a7670e-lnxy", 1).contains("SMS DONE"));
}

#[test]
fn registration_has_two_shapes() {
    let mut modem = booted("a7670e-ecm");
    assert_eq!(ask(&mut modem, "AT+CEREG=2"), "\r\nOK\r\n");
    assert_eq!(ask(&mut modem, "AT+CEREG?"), "\r\n+CEREG: 2,1,0957,0A89DD70\r\n\r\nOK\r\n");
    assert!(ask(&mut modem, "AT+CFUN=0").contains("\r\n+CEREG: 0\r\n"));
    assert!(ask(&mut modem, "AT+CFUN=1").contains("\r\n+CEREG: 2\r\n"));
    modem.advance(modem.now + at(2_000));
    assert!(heard(&mut modem, Port::At).contains("\r\n+CEREG: 1,0957,0A89DD70,7\r\n"));
}

#[test]
fn a_wrong_access_point_is_denied_at_the_next_attach() {
    let mut modem = booted("a7670e-ecm");
    ask(&mut modem, "AT+CGDCONT=1,\"IP\",\"wrong\"");
    assert_eq!(ask(&mut modem, "AT+CEREG?"), "\r\n+CEREG: 0,1\r\n\r\nOK\r\n");
    ask(&mut modem, "AT+CFUN=0;+CFUN=1");
    modem.advance(modem.now + at(2_000));
    modem.take();
    assert_eq!(ask(&mut modem, "AT+CEREG?"), "\r\n+CEREG: 0,3\r\n\r\nOK\r\n");
    assert_eq!(ask(&mut modem, "AT+CGPADDR=1"), "\r\nOK\r\n");
}

#[test]
fn packets_pass_when_it_dials_and_is_registered() {
    let mut modem = booted("a7670e-ecm");
    assert!(modem.link().carrier && !modem.link().forwarding);
    ask(&mut modem, "AT+DIALMODE=0");
    assert!(modem.link().forwarding);
    ask(&mut modem, "AT+CFUN=4");
    assert!(!modem.link().forwarding);
}

#[test]
fn the_composition_changes_by_a_reset() {
    let mut modem = booted("a7670e-ecm");
    let now = modem.now;
    modem.write(now, Port::At, b"AT$MYCONFIG=\"usbnetmode\",0\r");
    modem.advance(now + at(10_000));
    let usb: Vec<_> =
        modem.take().into_iter().filter(|action| matches!(action, Action::Usb(_))).collect();
    let mac = [0xae, 0x0c, 0x29, 0xa3, 0x9b, 0x6d];
    let attach = UsbAction::Attach { framing: Framing::Rndis, mac };
    assert_eq!(usb, [Action::Usb(UsbAction::Detach), Action::Usb(attach)]);
}

#[test]
fn the_pin_has_three_tries_and_the_puk_ten() {
    let mut profile = Profile::load("a7670e-ecm").unwrap();
    profile.sim.locked = true;
    let mut modem = Modem::new(profile, FaultScript::default(), 0);
    modem.advance(at(20_000));
    modem.take();
    assert_eq!(ask(&mut modem, "AT+CPIN?"), "\r\n+CPIN: SIM PIN\r\n\r\nOK\r\n");
    for left in [2, 1, 0] {
        assert!(ask(&mut modem, "AT+CPIN=\"0000\"").contains("+CME ERROR"));
        assert!(ask(&mut modem, "AT+SPIC").contains(&format!("+SPIC: {left},10,")));
    }
    assert_eq!(ask(&mut modem, "AT+CPIN?"), "\r\n+CPIN: SIM PUK\r\n\r\nOK\r\n");
    assert!(ask(&mut modem, "AT+CPIN=\"12345678\",\"4321\"").contains("OK"));
    modem.advance(modem.now + at(2_000));
    assert_eq!(modem.stat, Stat::Home);
}

#[test]
fn the_raw_ip_unit_dials_on_command() {
    let mut modem = booted("sim7600-ndis");
    assert!(ask(&mut modem, "AT+DIALMODE?").contains("ERROR"));
    assert!(!modem.link().forwarding && modem.link().lan == Lan::Public);
    assert!(ask(&mut modem, "AT$QCRMCALL=1,1").contains("$QCRMCALL: 1,V4"));
    assert!(modem.link().forwarding);
}

#[test]
fn numbers_instead_of_words() {
    let mut modem = booted("a7670e-ecm");
    assert_eq!(ask(&mut modem, "ATE0V0"), "0\r");
    assert_eq!(ask(&mut modem, "AT+CGMM"), "A7670E-LASE\r\n0\r");
    assert_eq!(ask(&mut modem, "ATV1+CMEE=1"), "\r\nOK\r\n");
    assert_eq!(ask(&mut modem, "AT+CPOL=,2"), "\r\n+CME ERROR: 21\r\n");
    assert_eq!(ask(&mut modem, "AT*CNTI=2"), "\r\nERROR\r\n");
}

/// Everything said on the AT port until the modem has nothing more to do.
fn replies(pieces: &[&[u8]]) -> String {
    let mut modem = booted("a7670e-ecm");
    let now = modem.now;
    for piece in pieces {
        modem.write(now, Port::At, piece);
    }
    modem.advance(now + at(60_000));
    let mut all = Vec::new();
    for action in modem.take() {
        if let Action::Serial { port: Port::At, bytes } = action {
            all.extend(bytes);
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn troubled(script: &str) -> Modem {
    let script = FaultScript::parse(script).unwrap();
    let mut modem = Modem::new(Profile::load("a7670e-ecm").unwrap(), script, 0);
    modem.advance(at(20_000));
    modem.take();
    modem
}

#[test]
fn the_second_question_fails() {
    let mut modem =
        troubled("[[fault]]\non_command = \"at+cpin?\"\nnth = 2\neffect = \"error\"\ncode = 14\n");
    assert!(ask(&mut modem, "AT+CPIN?").contains("READY"));
    assert_eq!(ask(&mut modem, "AT+CPIN?"), "\r\n+CME ERROR: SIM busy\r\n");
    assert!(ask(&mut modem, "AT+CPIN?").contains("READY"));
}

#[test]
fn the_network_goes_and_comes() {
    let mut modem = troubled("");
    modem.inflict(at(21_000), Effect::NoCoverage);
    modem.advance(at(60_000));
    assert!(ask(&mut modem, "AT+CEREG?").contains("+CEREG: 0,2"));
    modem.inflict(at(61_000), Effect::Denied { cause: 13 });
    modem.advance(at(64_000));
    assert!(ask(&mut modem, "AT+CEREG?").contains("+CEREG: 0,3"));
    modem.inflict(at(65_000), Effect::Coverage);
    modem.advance(at(68_000));
    modem.take();
    assert!(ask(&mut modem, "AT+CEREG?").contains("+CEREG: 0,1"));
}

#[test]
fn the_card_goes_and_comes() {
    let mut modem = troubled("[[fault]]\nat_ms = 15000\neffect = \"sim_removed\"\n");
    assert_eq!(ask(&mut modem, "AT+CPIN?"), "\r\n+CME ERROR: SIM not inserted\r\n");
    modem.inflict(at(21_000), Effect::SimInserted);
    modem.advance(at(25_000));
    assert_eq!(modem.stat, Stat::Home);
}

#[test]
fn a_reset_in_mid_command_has_no_answer() {
    let mut modem = troubled("[[fault]]\non_command = \"AT\"\neffect = \"reset\"\n");
    assert_eq!(ask(&mut modem, "AT"), "");
    assert!(!modem.attached);
    modem.advance(at(60_000));
    modem.take();
    assert!(ask(&mut modem, "AT").contains("OK"));
}

#[test]
fn silence_ends() {
    let mut modem = troubled("[[fault]]\nat_ms = 19900\neffect = \"silence\"\nfor_ms = 1000\n");
    assert_eq!(ask(&mut modem, "AT"), "");
    modem.advance(at(21_000));
    assert!(ask(&mut modem, "AT").contains("OK"));
}

#[test]
fn the_device_is_gone_and_back_with_the_modem_up() {
    let mut modem = troubled("");
    modem.inflict(at(21_000), Effect::UsbGone { for_ms: 500 });
    assert!(!modem.link().carrier);
    modem.advance(at(22_000));
    modem.take();
    assert!(modem.link().carrier);
    assert!(ask(&mut modem, "AT+CEREG?").contains("+CEREG: 0,1"));
}

#[test]
fn a_wrong_fault_is_told_with_its_line() {
    let text = "\n[[fault]]\nat_ms = 1\neffect = \"reset\"\n[[fault]]\neffect = \"reset\"\n";
    let error = FaultScript::parse(text).unwrap_err().to_string();
    assert!(error.starts_with("line 5: needs one of at_ms"), "{error}");
}

#[test]
fn a_denial_has_a_cause_and_a_guest_is_admitted() {
    let mut modem =
        troubled("[[fault]]\non_state = \"registered\"\neffect = \"denied\"\ncause = 15\n");
    assert!(ask(&mut modem, "AT+CEREG?").contains("+CEREG: 0,3"));
    assert!(ask(&mut modem, "AT+CEER").contains("EMM cause 15"));
    let now = modem.now;
    modem.inflict(now, Effect::Roaming);
    modem.advance(now + at(3_000));
    modem.take();
    assert!(ask(&mut modem, "AT+CEREG?").contains("+CEREG: 0,5"));
}

#[test]
fn the_data_call_ends_until_the_next_attach() {
    let mut modem = troubled("");
    ask(&mut modem, "AT+DIALMODE=0");
    let now = modem.now;
    modem.inflict(now, Effect::PdnDeact { text: "NW PDN DEACT 1".into() });
    assert_eq!(heard(&mut modem, Port::At), "\r\n+CGEV: NW PDN DEACT 1\r\n");
    assert!(!modem.link().forwarding);
    assert!(ask(&mut modem, "AT+CGACT=1,1").contains("unknown error"));
    ask(&mut modem, "AT+CFUN=0;+CFUN=1");
    modem.advance(modem.now + at(3_000));
    assert!(modem.link().forwarding);
}

#[test]
fn answers_are_slow_split_and_interrupted() {
    let mut modem = troubled("");
    let now = modem.now;
    modem.inflict(now, Effect::Split);
    modem.inflict(now, Effect::Slow { by_ms: 500, for_ms: 1_000 });
    let storm = Effect::UrcStorm { text: "+CSQ: 9,99".into(), count: 3, every_ms: 100 };
    modem.inflict(now, storm);
    modem.write(now, Port::At, b"ATE0\r");
    modem.advance(now + at(509));
    let text = heard(&mut modem, Port::At);
    assert_eq!(text.matches("+CSQ: 9,99").count(), 3, "{text}");
    assert!(!text.contains("OK"), "{text}");
    modem.advance(now + at(510));
    let pieces = modem.take();
    assert_eq!(pieces.len(), "\r\nOK\r\n".len());
}

#[test]
fn a_weak_supply_resets() {
    let mut modem = troubled("");
    let now = modem.now;
    modem.inflict(now, Effect::UnderVoltage);
    modem.advance(now + at(200));
    assert!(modem.take().contains(&Action::Usb(UsbAction::Detach)));
    modem.advance(now + at(20_000));
    assert_eq!(modem.stat, Stat::Home);
}

#[test]
fn questions_by_ussd_need_ims_off() {
    let mut modem = booted("a7670e-ecm");
    assert!(ask(&mut modem, "AT*IMSRCFG=\"switch\"").contains("ERROR"));
    assert!(ask(&mut modem, "AT+CUSD=1,\"*144#\",15").contains("OK"));
    modem.advance(modem.now + at(600));
    assert!(heard(&mut modem, Port::At).contains("+CUSD: 0,\"Your balance"));
    modem.ims = Some(true);
    assert!(ask(&mut modem, "AT+CUSD=1,\"*144#\",15").contains("ERROR"));
    ask(&mut modem, "AT*IMSRCFG=\"switch\",\"off\"");
    assert!(ask(&mut modem, "AT+CUSD=1,\"*144#\",15").contains("OK"));
    let mut answer = |said: &str| {
        ask(&mut modem, &format!("AT+CUSD=1,\"{said}\",15"));
        modem.advance(modem.now + at(600));
        heard(&mut modem, Port::At)
    };
    assert!(answer("*100#").contains("+CUSD: 1,\"1 Data\r\n2 Calls\",15"));
    assert!(answer("2").contains("You chose 2"));
    assert!(answer("2").contains("Your balance"));
    assert!(ask(&mut booted("a7670e-lnxy"), "AT+CUSD=1,\"*144#\",15").contains("ERROR"));
}

#[test]
fn the_card_tells_its_tries_in_the_raw() {
    let mut modem = booted("a7670e-ecm");
    assert!(ask(&mut modem, "AT+CSIM=10,\"0020000100\"").contains("+CSIM: 4,\"63C3\""));
    assert!(ask(&mut modem, "AT+CSIM=10,\"002c000100\"").contains("+CSIM: 4,\"63CA\""));
}

#[test]
fn a_recorded_answer_goes_before_the_profile() {
    let mut modem = booted("a7670e-ecm");
    let text = "# a7670e transcript 1\n0 > AT+CESQ\n500 < +CESQ: 99\n500 < OK\n";
    modem.replay(Transcript::parse(text).unwrap());
    let now = modem.now;
    modem.write(now, Port::At, b"ATE0;+CESQ\rAT+CESQ\rAT\r");
    modem.advance(now + at(400));
    assert!(heard(&mut modem, Port::At).contains("ERROR"));
    modem.advance(now + at(600));
    let text = heard(&mut modem, Port::At);
    assert_eq!(text, "\r\n+CESQ: 99\r\n\r\nOK\r\n\r\nOK\r\n");
}

/// Types at the prompt.
fn type_in(modem: &mut Modem, text: &str) -> String {
    let now = modem.now;
    modem.write(now, Port::At, text.as_bytes());
    modem.advance(now + at(11));
    heard(modem, Port::At)
}

#[test]
fn a_message_goes_out_and_its_report_comes() {
    let mut modem = booted("a7670e-ecm");
    ask(&mut modem, "ATE0");
    assert_eq!(ask(&mut modem, "AT+CNMI=2,1,2,1,0"), "\r\n+CMS ERROR: operation not allowed\r\n");
    assert_eq!(ask(&mut modem, "AT+CNMI=1,1,2,1,0"), "\r\nOK\r\n");
    assert_eq!(ask(&mut modem, "AT+CMGS=22"), "\r\n> ");
    let pdu = "0031000B916407281553F80000AA0AE8329BFD4697D9EC37";
    // One octet more than said.
    assert_eq!(
        type_in(&mut modem, &format!("{pdu}\u{1a}")),
        "\r\n+CMS ERROR: invalid PDU mode parameter\r\n"
    );
    assert_eq!(ask(&mut modem, "AT+CMGS=23"), "\r\n> ");
    assert_eq!(type_in(&mut modem, &format!("{pdu}\u{1a}")), "\r\n+CMGS: 1\r\n\r\nOK\r\n");
    let sent = &modem.sent_messages()[0];
    assert_eq!((sent.to.as_str(), sent.text.as_str()), ("+46708251358", "hellohello"));
    modem.advance(modem.now + at(2_000));
    let report = heard(&mut modem, Port::At);
    assert!(report.starts_with("\r\n+CDS: 25\r\n0006010B916407281553F8"), "{report}");
    assert_eq!(ask(&mut modem, "AT+CMGS=23"), "\r\n> ");
    assert_eq!(type_in(&mut modem, "00\u{1b}"), "\r\nOK\r\n");
}

#[test]
fn a_message_comes_in_is_read_and_deleted() {
    let mut modem = booted("a7670e-ecm");
    let now = modem.now;
    modem.inflict(now, Effect::Sms { from: "+254700000001".into(), text: "reboot".into() });
    assert_eq!(heard(&mut modem, Port::Modem), "\r\n+CMTI: \"SM\",0\r\n");
    modem.take();
    ask(&mut modem, "AT+CMGF=1");
    assert_eq!(
        ask(&mut modem, "AT+CMGL=\"ALL\""),
        "\r\n+CMGL: 0,\"REC UNREAD\",\"+254700000001\",,\"26/11/21,12:00:20+12\"\r\nreboot\r\n\r\nOK\r\n"
    );
    ask(&mut modem, "AT+CMGF=0");
    assert!(ask(&mut modem, "AT+CMGR=0").starts_with("\r\n+CMGR: 1,,25\r\n00040C91"));
    ask(&mut modem, "AT+CMGD=0");
    assert!(ask(&mut modem, "AT+CMGR=0").contains("+CMS ERROR: invalid memory index"));
}

#[test]
fn messages_wait_for_the_network_and_for_room() {
    let mut modem = booted("a7670e-ecm");
    ask(&mut modem, "AT+CFUN=4");
    for number in 0..51 {
        let now = modem.now;
        modem.inflict(now, Effect::Sms { from: "X".into(), text: number.to_string() });
    }
    assert!(ask(&mut modem, "AT+CPMS?").contains("\"SM\",0,50"));
    ask(&mut modem, "AT+CFUN=1");
    modem.advance(modem.now + at(3_000));
    modem.take();
    assert!(ask(&mut modem, "AT+CPMS?").contains("\"SM\",50,50"));
    assert!(ask(&mut modem, "AT+CMGD=7").contains("+CMTI: \"SM\",7"));
}

#[test]
fn the_data_only_model_has_no_messages() {
    let mut modem = booted("a7670e-lnxy");
    assert!(ask(&mut modem, "AT+CMGF=1").ends_with("ERROR\r\n"));
    assert!(ask(&mut modem, "AT+CMGF=?").ends_with("ERROR\r\n"));
}

proptest! {
    #[test]
    fn splits_do_not_matter(cuts in proptest::collection::vec(0usize..64, 0..8)) {
        let whole = b"AT\rATE0\r\nnoise\rAT+CREG=2;+CREG?\rAT+CPIN?\rAT+CGDCONT?\rATI\r".as_slice();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
        cuts.push(0);
        cuts.push(whole.len());
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect();
        prop_assert_eq!(replies(&pieces), replies(&[whole]));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        replies(&[b"AT+CRSM=", &bytes, b"\rAT", &bytes, b"\r"]);
    }

    #[test]
    fn no_command_makes_it_panic(
        name in "\\+(CMGS|CMGL|CMGR|CMGD|CNMI|CPMS|CPIN|CRSM|CLCK|CREG|CFUN|COPS|CGDCONT|CGAUTH|USBNETIP|CMEE|SPIC|CPOL)",
        tail in "[=?,;\"0-9A-F]{0,30}",
    ) {
        replies(&[format!("AT{name}{tail}\r").as_bytes()]);
    }
}
