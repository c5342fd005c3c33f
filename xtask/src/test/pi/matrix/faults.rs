//! The rows of the fault matrix. What the effects are is told in
//! `emulator/faults.md`.

use super::{End, Fault, Told, What};

use End::{Cure, Itself, Never};
use Told::{Logged, Nothing, One, Something};
use What::{Machine, Modem, Script};

const ECM: &str = "a7670e-ecm";
const RNDIS: &str = "a7670e-rndis";
const NDIS: &str = "sim7600-ndis";

const COVERAGE: &str = r#"{"effect": "coverage"}"#;
const WELL: &str = r#"{"effect": "link", "faults": {}}"#;
const NEW_LAN: &str = "ip link add lan0 type dummy && \
    ip address add 192.168.0.50/24 dev lan0 && ip link set lan0 up";

/// A fault at power-on.
macro_rules! power_on {
    ($effect:literal) => {
        concat!("[[fault]]\nat_ms = 0\n", $effect, "\n")
    };
}

/// A fault that a command triggers.
macro_rules! on {
    ($command:literal, $effect:literal) => {
        concat!("[[fault]]\non_command = \"", $command, "\"\n", $effect, "\n")
    };
}

/// What nobody should notice, once it is online.
const fn unseen(name: &'static str, profile: &'static str, what: What) -> Fault {
    row(name, profile, what, Nothing, Itself)
}

/// What takes it offline and is over by itself, or by what the service does.
const fn passing(name: &'static str, profile: &'static str, what: What) -> Fault {
    row(name, profile, what, Something, Itself)
}

const fn row(name: &'static str, profile: &'static str, what: What, told: Told, end: End) -> Fault {
    Fault { name, profile, config: "", what, told, end }
}

/// All rows, in order.
pub fn all() -> Vec<Fault> {
    [at_the_port(), of_the_device(), of_the_card(), of_the_radio(), of_the_data(), of_the_pi()]
        .concat()
}

fn at_the_port() -> Vec<Fault> {
    vec![
        unseen("silence-5s", ECM, Modem(r#"{"effect": "silence", "for_ms": 5000}"#)),
        row(
            "silent-from-the-start",
            ECM,
            Script(power_on!("effect = \"silence\"\nfor_ms = 120000")),
            One(&["port-silent"]),
            Itself,
        ),
        row(
            "wedged-at-pin",
            ECM,
            Script(on!("AT+CPIN?", "effect = \"wedged\"\nport = \"at\"")),
            One(&["port-silent"]),
            Itself,
        ),
        unseen("garbage", ECM, Modem(r#"{"effect": "garbage", "count": 400}"#)),
        unseen(
            "storm-of-codes",
            ECM,
            Modem(r#"{"effect": "urc_storm", "text": "+CSQ: 20,99", "count": 500, "every_ms": 5}"#),
        ),
        unseen("false-alarm", ECM, Modem(r#"{"effect": "urc", "text": "+CPIN: NOT READY"}"#)),
        unseen("bytes-one-by-one", ECM, Script(power_on!("effect = \"split\""))),
        unseen("echo-comes-back", ECM, Script(on!("AT+CPIN?", "effect = \"echo\"\non = true"))),
        unseen(
            "slow-answers",
            ECM,
            Script(power_on!("effect = \"slow\"\nby_ms = 1500\nfor_ms = 30000")),
        ),
        unseen(
            "answer-in-two-pieces",
            ECM,
            Script(on!("AT+CEREG?", "effect = \"cut\"\nat = 5\npause_ms = 3000")),
        ),
        unseen("error-at-apn", ECM, Script(on!("AT+CGDCONT=*", "effect = \"error\""))),
        unseen("sim-busy", ECM, Script(on!("AT+CPIN?", "effect = \"error\"\ncode = 14"))),
        unseen(
            "text-message",
            ECM,
            Modem(r#"{"effect": "sms", "from": "+254700000001", "text": "balance low"}"#),
        ),
    ]
}

fn of_the_device() -> Vec<Fault> {
    vec![
        passing("reset", ECM, Modem(r#"{"effect": "reset"}"#)),
        passing("reset-at-apn", ECM, Script(on!("AT+CGDCONT*", "effect = \"reset\""))),
        passing("under-voltage", ECM, Modem(r#"{"effect": "under_voltage"}"#)),
        passing("usb-gone-0.5s", ECM, Modem(r#"{"effect": "usb_gone", "for_ms": 500}"#)),
        row(
            "usb-gone-30s",
            ECM,
            Modem(r#"{"effect": "usb_gone", "for_ms": 30000}"#),
            One(&["no-modem"]),
            Itself,
        ),
        passing(
            "usb-gone-at-pin",
            ECM,
            Script(on!("AT+CPIN?", "effect = \"usb_gone\"\nfor_ms = 2000")),
        ),
        passing(
            "usb-gone-at-registration",
            ECM,
            Script(on!("AT+CEREG?", "effect = \"usb_gone\"\nfor_ms = 2000")),
        ),
        passing("usb-gone-rndis", RNDIS, Modem(r#"{"effect": "usb_gone", "for_ms": 2000}"#)),
        passing("usb-gone-ndis", NDIS, Modem(r#"{"effect": "usb_gone", "for_ms": 2000}"#)),
        passing("other-usb-mode", ECM, Modem(r#"{"effect": "usb_mode", "framing": "rndis"}"#)),
        unseen(
            "no-identity",
            ECM,
            Script(power_on!("effect = \"identity\"\nimei = \"\"\nrevision = \"\"")),
        ),
    ]
}

fn of_the_card() -> Vec<Fault> {
    let inserted = r#"{"effect": "sim_inserted"}"#;
    let locked = power_on!("effect = \"pin_required\"");
    vec![
        row(
            "sim-removed",
            ECM,
            Modem(r#"{"effect": "sim_removed"}"#),
            One(&["no-sim"]),
            Cure(inserted),
        ),
        row(
            "no-sim",
            ECM,
            Script(power_on!("effect = \"sim_removed\"")),
            One(&["no-sim"]),
            Cure(inserted),
        ),
        row("pin-unknown", ECM, Script(locked), One(&["pin-needed"]), Never("[3,10]")),
        Fault {
            config: "[modem]\npin = { secret = \"9999\" }",
            ..row("pin-wrong", ECM, Script(locked), One(&["pin-needed"]), Never("[2,10]"))
        },
        row(
            "puk-needed",
            ECM,
            Script(power_on!("effect = \"puk_required\"")),
            One(&["puk-needed"]),
            Never("[0,10]"),
        ),
    ]
}

fn of_the_radio() -> Vec<Fault> {
    vec![
        row(
            "no-coverage",
            ECM,
            Modem(r#"{"effect": "no_coverage"}"#),
            One(&["no-coverage"]),
            Cure(COVERAGE),
        ),
        row(
            "no-coverage-at-first",
            ECM,
            Script(power_on!("effect = \"no_coverage\"")),
            One(&["no-coverage"]),
            Cure(COVERAGE),
        ),
        row("denied-11", ECM, Modem(r#"{"effect": "denied"}"#), One(&["denied"]), Cure(COVERAGE)),
        row(
            "denied-15",
            ECM,
            Script(power_on!("effect = \"denied\"\ncause = 15")),
            One(&["denied"]),
            Cure(COVERAGE),
        ),
        row("abroad", ECM, Modem(r#"{"effect": "roaming"}"#), One(&["denied"]), Cure(COVERAGE)),
        row(
            "emergency-only",
            ECM,
            Modem(r#"{"effect": "emergency_only"}"#),
            One(&["denied"]),
            Cure(COVERAGE),
        ),
        passing(
            "searching-8s",
            ECM,
            Modem(r#"{"effect": "detach", "searching": true, "for_ms": 8000}"#),
        ),
        passing("detached", ECM, Modem(r#"{"effect": "detach"}"#)),
    ]
}

fn of_the_data() -> Vec<Fault> {
    let ended = r#"{"effect": "pdn_deact"}"#;
    vec![
        passing("call-ended", ECM, Modem(ended)),
        passing("call-ended-ndis", NDIS, Modem(ended)),
        passing(
            "call-ended-by-modem",
            RNDIS,
            Modem(r#"{"effect": "pdn_deact", "text": "ME PDN DEACT 1"}"#),
        ),
        passing("carrier-lost-4s", ECM, Modem(r#"{"effect": "carrier_drop", "for_ms": 4000}"#)),
        row(
            "no-lease",
            ECM,
            Script(power_on!("effect = \"link\"\nfaults = { no_lease = true }")),
            One(&["no-lease"]),
            Cure(WELL),
        ),
        unseen(
            "short-lease-and-nak",
            ECM,
            Script(power_on!("effect = \"link\"\nfaults = { lease_s = 10, nak_renewal = true }")),
        ),
        row(
            "no-internet",
            ECM,
            Script(power_on!("effect = \"link\"\nfaults = { no_internet = true }")),
            One(&["no-internet"]),
            Cure(WELL),
        ),
        row(
            "no-internet-ndis",
            NDIS,
            Script(power_on!("effect = \"link\"\nfaults = { no_internet = true }")),
            One(&["no-internet"]),
            Cure(WELL),
        ),
        row(
            "dns-dead",
            ECM,
            Script(power_on!("effect = \"link\"\nfaults = { dns_dead = true }")),
            One(&["dns"]),
            Cure(WELL),
        ),
        row(
            "captive-portal",
            ECM,
            Script(power_on!("effect = \"link\"\nfaults = { captive_portal = true }")),
            One(&["no-internet"]),
            Cure(WELL),
        ),
        row(
            "wrong-gateway",
            ECM,
            Script(power_on!("effect = \"link\"\nfaults = { wrong_gateway = true }")),
            One(&["no-internet"]),
            Cure(WELL),
        ),
        unseen(
            "poor-line",
            ECM,
            Modem(
                r#"{"effect": "link", "faults": {"latency_ms": 300, "jitter_ms": 200, "loss_permille": 50}}"#,
            ),
        ),
        unseen(
            "narrow-line",
            ECM,
            Modem(r#"{"effect": "link", "faults": {"down_kbit": 500, "up_kbit": 100}}"#),
        ),
    ]
}

/// What others on the Pi do.
fn of_the_pi() -> Vec<Fault> {
    vec![
        passing("lan-of-the-same-network", ECM, Machine(NEW_LAN)),
        unseen("lease-in-the-lans-network", ECM, Script(power_on!("effect = \"lan\"\nthird = 5"))),
        passing("address-deleted", ECM, Machine("ip -4 address flush dev wwan0")),
        passing("route-deleted", ECM, Machine("ip -4 route flush dev wwan0")),
        passing("link-set-down", ECM, Machine("ip link set wwan0 down")),
        row(
            "service-killed",
            ECM,
            Machine("systemctl kill --signal=KILL a7670e"),
            // It takes over what is there, and is online at once.
            Logged("Scheduled restart job"),
            Itself,
        ),
        unseen("resolver-restarted", ECM, Machine("systemctl restart systemd-resolved")),
        unseen("managers-restarted", ECM, Machine("systemctl restart NetworkManager ModemManager")),
    ]
}
