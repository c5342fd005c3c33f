//! The rows of `cargo xtask test pi`.

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use super::scenario::{Scenario, Step, Until, run};
use super::{hands, profiles};

/// What would speak to the modem beside the scenario.
const OTHERS: &[&str] = &["ModemManager.service", "a7670e.service"];

/// The command that tells ports, network device and its driver.
const BUS: &str = "ls /dev/a7670e; ls /sys/class/net; \
    basename $(readlink /sys/class/net/wwan0/device/driver)";

/// Loads a page; the name is looked up by systemd-resolved, as for every program.
pub const PAGE: &str =
    "curl --silent --show-error --max-time 40 http://www.example.test/bytes/200000 | wc -c";

/// All scenarios, in order.
pub fn all() -> Vec<Scenario> {
    let lan = "ip link set wwan0 up && ip address replace 192.168.0.2/24 dev wwan0 && \
        ip route replace default via 192.168.0.1 dev wwan0 && \
        resolvectl dns wwan0 192.168.0.1 && resolvectl domain wwan0 '~.' && echo done";
    // The address that the emulated network gives, and its resolver.
    let raw = "ip link set wwan0 up && ip address replace 10.158.12.34/32 dev wwan0 && \
        ip route replace default dev wwan0 && \
        resolvectl dns wwan0 192.0.2.53 && resolvectl domain wwan0 '~.' && echo done";
    let dial = run("dialled", "at AT+DIALMODE=0 AT+CGPADDR=1", Until::Says("+CGPADDR: 1,10."), 20);
    let call = run("dialled", "at 'AT$QCRMCALL=1,1'", Until::Says("$QCRMCALL: 1,V4"), 20);
    vec![
        carries("ecm-carries", "a7670e-ecm", |it| bound(it, "cdc_ether"), dial.clone(), lan),
        carries("rndis-carries", "a7670e-rndis", |it| bound(it, "rndis_host"), dial, lan),
        carries("ndis-carries", "sim7600-ndis", |it| bound(it, "simcom_wwan"), call, raw),
        replug(),
        online("ecm-online", "a7670e-ecm"),
        online("rndis-online", "a7670e-rndis"),
        online("ndis-online", "sim7600-ndis"),
        messages(),
        hands::messages(),
        hands::handover(),
        profiles::link(),
        profiles::link_and_port(),
    ]
}

/// Waits for a verdict of the service.
pub fn verdict(about: &'static str, verdict: &'static str, within: u64) -> Step {
    run(about, "a7670e why --json", Until::Json("/0/verdict", verdict), within)
}

/// The service brings it online, beside ModemManager and NetworkManager; then
/// these steps.
pub fn served(name: &'static str, profile: &'static str, then: Vec<Step>) -> Scenario {
    let mut steps = vec![Step::Plug, verdict("online", "online", 90)];
    steps.extend(then);
    Scenario { name, profile, faults: "", boot_ms: Some(1000), without: &[], steps }
}

/// A page by name through the only uplink; the modem leaves the bus, and is back
/// online by itself.
fn online(name: &'static str, profile: &'static str) -> Scenario {
    served(
        name,
        profile,
        vec![
            run("route", "ip -4 route show default", Until::Says("dev wwan0 proto 167"), 5),
            run("a page by name", PAGE, Until::Says("200000"), 60),
            Step::Inflict(r#"{"effect": "usb_gone", "for_ms": 3000}"#),
            verdict("gone", "no-modem", 30),
            run("nothing left", "ip rule show; ip route show table all", Until::Holds(nothing), 10),
            verdict("online again", "online", 90),
            run("a page again", PAGE, Until::Says("200000"), 60),
        ],
    )
}

fn nothing(text: &str) -> Result<()> {
    ensure!(!text.contains("proto 167"), "still there: {text:?}");
    Ok(())
}

/// The modem is on the bus, bound and named, and carries packets, with nobody
/// but the scenario at its AT port and its network device.
fn carries(
    name: &'static str,
    profile: &'static str,
    bound: fn(&str) -> Result<()>,
    dial: Step,
    configure: &'static str,
) -> Scenario {
    // A frame that fills USB packets of 512 bytes exactly needs an empty one
    // behind it: with the headers of Ethernet (14), IP (20), ICMP (8) and RNDIS
    // (44) these are 470 and 982, 426 and 938, and for raw IP 484 and 996.
    let sizes = "for n in 426 470 484 938 982 996 1472; do ping 192.0.2.80 2 $n || exit; done; \
        echo all sizes";
    Scenario {
        name,
        profile,
        faults: "",
        boot_ms: None,
        without: OTHERS,
        steps: vec![
            Step::Plug,
            run("bound", BUS, Until::Holds(bound), 60),
            run("AT", "at AT AT+CPIN?", Until::Says("READY"), 20),
            run("registered", "at AT+CEREG?", Until::Says("+CEREG: 0,1"), 30),
            dial,
            run("configured", configure, Until::Says("done"), 20),
            run("ping beyond", "ping 192.0.2.80 3", Until::Says("3 of 3"), 30),
            run("all sizes", sizes, Until::Says("all sizes"), 60),
            run(
                "names",
                "resolvectl query www.example.test",
                Until::Says("www.example.test: 192.0.2.80"),
                30,
            ),
        ],
    }
}

/// Out and in again, five times by losing power, five times by leaving the bus.
fn replug() -> Scenario {
    let back = [
        run("bound", BUS, Until::Holds(|text| bound(text, "cdc_ether")), 60),
        run(
            "known to the service",
            "a7670e status --json",
            Until::Json("/modems/0/network/device", "wwan0"),
            20,
        ),
    ];
    let gone = run("gone", "ls /sys/class/net /dev/a7670e; true", Until::Holds(is_gone), 20);
    let leaves = Step::Inflict(r#"{"effect": "usb_gone", "for_ms": 4000}"#);
    Scenario {
        name: "replug",
        profile: "a7670e-ecm",
        faults: "",
        boot_ms: Some(1000),
        without: &["ModemManager.service"],
        steps: vec![
            Step::Repeat(5, [&[Step::Plug], &back[..], &[Step::Unplug, gone.clone()]].concat()),
            Step::Plug,
            back[0].clone(),
            Step::Repeat(5, [&[leaves, gone][..], &back].concat()),
        ],
    }
}

/// A text of three parts, for it needs UCS-2: 67 UTF-16 units are in each (3GPP
/// TS 23.040 section 9.2.3.24.1).
macro_rules! long_text {
    () => {
        "Grüße aus Nairobi 😀, Zählerstand 4711; grüße aus Nairobi 😀, Zählerstand 4712; \
         grüße aus Nairobi 😀, Zählerstand 4713; grüße aus Nairobi 😀, Zählerstand 4714."
    };
}

/// Deletes what the machine keeps of earlier scenarios: the modem, or one like it,
/// was here before.
pub fn no_messages() -> Step {
    let delete = "for id in $(a7670e sms list --json | grep -o '\"id\": *[0-9]*' | \
        grep -o '[0-9]*$'); do a7670e sms delete $id; done; a7670e sms list --json";
    run("no messages", delete, Until::Json("", "[]"), 60)
}

/// Sends it.
pub const SEND: &str =
    concat!("a7670e sms send --json --report --to +254700000001 '", long_text!(), "'");

/// The network has it for the modem.
pub const RECEIVE: &str =
    concat!(r#"{"effect": "sms", "from": "Safaricom", "text": ""#, long_text!(), r#""}"#);

/// A long message goes out and its report comes, and one like it comes in.
fn messages() -> Scenario {
    served(
        "messages",
        "a7670e-ecm",
        vec![
            no_messages(),
            run("accepted", SEND, Until::Json("/0/state", "accepted"), 20),
            run("reported", "a7670e sms outbox --json", Until::Json("/0/state", "reported"), 60),
            Step::Sent(Until::Holds(three_parts)),
            Step::Inflict(RECEIVE),
            run("received", "a7670e sms list --json", Until::Holds(has_come), 60),
        ],
    )
}

/// The text in its parts, in the emulator's reading.
pub fn three_parts(sent: &str) -> Result<()> {
    let sent: Vec<Value> = serde_json::from_str(sent)?;
    let text: String = sent.iter().filter_map(|part| part["text"].as_str()).collect();
    ensure!(text == long_text!() && sent.len() == 3, "{sent:?}");
    Ok(())
}

pub fn has_come(list: &str) -> Result<()> {
    let list: Vec<Value> = serde_json::from_str(list)?;
    let came = list.iter().filter(|one| one["direction"] == "in");
    let texts: Vec<_> = came.map(|one| (&one["address"], &one["text"])).collect();
    ensure!(texts == [(&Value::from("Safaricom"), &Value::from(long_text!()))], "{texts:?}");
    Ok(())
}

/// The ports that every modem has, `wwan0`, and `driver` bound to it.
fn bound(text: &str, driver: &str) -> Result<()> {
    for word in ["at", "diag", "modem", "wwan0", driver] {
        ensure!(text.lines().any(|line| line == word), "no {word} in {text:?}");
    }
    Ok(())
}

fn is_gone(text: &str) -> Result<()> {
    if text.lines().any(|line| line == "at" || line.starts_with("wwan")) {
        bail!("still there: {text:?}");
    }
    Ok(())
}
