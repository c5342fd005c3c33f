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
        row("silence-5s", ECM, Modem(r#"{"effect": "silence", "for_ms": 5000}"#), Nothing, Itself),
        row(
            "silent-from-the-start",
            ECM,
            Script("[[fault]]\nat_ms = 0\neffect = \"silence\"\nfor_ms = 40000\n"),
            One(&["port-silent"]),
            Itself,
        ),
        row(
            "wedged-at-pin",
            ECM,
            Script("[[fault]]\non_command = \"AT+CPIN?\"\neffect = \"wedged\"\nport = \"at\"\n"),
            One(&["port-silent"]),
            Itself,
        ),
        row("garbage", ECM, Modem(r#"{"effect": "garbage", "count": 400}"#), Nothing, Itself),
        row(
            "storm-of-codes",
            ECM,
            Modem(r#"{"effect": "urc_storm", "text": "+CSQ: 20,99", "count": 500, "every_ms": 5}"#),
            Nothing,
            Itself,
        ),
        row(
            "false-alarm",
            ECM,
            Modem(r#"{"effect": "urc", "text": "+CPIN: NOT READY"}"#),
            Nothing,
            Itself,
        ),
        row(
            "bytes-one-by-one",
            ECM,
            Script("[[fault]]\nat_ms = 0\neffect = \"split\"\n"),
            Nothing,
            Itself,
        ),
        row(
            "echo-comes-back",
            ECM,
            Script("[[fault]]\non_command = \"AT+CPIN?\"\neffect = \"echo\"\non = true\n"),
            Nothing,
            Itself,
        ),
        row(
            "slow-answers",
            ECM,
            Script("[[fault]]\nat_ms = 0\neffect = \"slow\"\nby_ms = 1500\nfor_ms = 30000\n"),
            Nothing,
            Itself,
        ),
        row(
            "answer-in-two-pieces",
            ECM,
            Script(
                "[[fault]]\non_command = \"AT+CEREG?\"\neffect = \"cut\"\nat = 5\npause_ms = 3000\n",
            ),
            Nothing,
            Itself,
        ),
        row(
            "error-at-apn",
            ECM,
            Script("[[fault]]\non_command = \"AT+CGDCONT=*\"\neffect = \"error\"\n"),
            Nothing,
            Itself,
        ),
        row(
            "sim-busy",
            ECM,
            Script("[[fault]]\non_command = \"AT+CPIN?\"\neffect = \"error\"\ncode = 14\n"),
            Nothing,
            Itself,
        ),
        row(
            "text-message",
            ECM,
            Modem(r#"{"effect": "sms", "from": "+254700000001", "text": "balance low"}"#),
            Nothing,
            Itself,
        ),
    ]
}

fn of_the_device() -> Vec<Fault> {
    vec![
        row("reset", ECM, Modem(r#"{"effect": "reset"}"#), Something, Itself),
        row(
            "reset-at-apn",
            ECM,
            Script("[[fault]]\non_command = \"AT+CGDCONT*\"\neffect = \"reset\"\n"),
            Something,
            Itself,
        ),
        row("under-voltage", ECM, Modem(r#"{"effect": "under_voltage"}"#), Something, Itself),
        row(
            "usb-gone-0.5s",
            ECM,
            Modem(r#"{"effect": "usb_gone", "for_ms": 500}"#),
            Something,
            Itself,
        ),
        row(
            "usb-gone-30s",
            ECM,
            Modem(r#"{"effect": "usb_gone", "for_ms": 30000}"#),
            One(&["no-modem"]),
            Itself,
        ),
        row(
            "usb-gone-at-pin",
            ECM,
            Script("[[fault]]\non_command = \"AT+CPIN?\"\neffect = \"usb_gone\"\nfor_ms = 2000\n"),
            Something,
            Itself,
        ),
        row(
            "usb-gone-at-registration",
            ECM,
            Script("[[fault]]\non_command = \"AT+CEREG?\"\neffect = \"usb_gone\"\nfor_ms = 2000\n"),
            Something,
            Itself,
        ),
        row(
            "usb-gone-rndis",
            RNDIS,
            Modem(r#"{"effect": "usb_gone", "for_ms": 2000}"#),
            Something,
            Itself,
        ),
        row(
            "usb-gone-ndis",
            NDIS,
            Modem(r#"{"effect": "usb_gone", "for_ms": 2000}"#),
            Something,
            Itself,
        ),
        row(
            "other-usb-mode",
            ECM,
            Modem(r#"{"effect": "usb_mode", "framing": "rndis"}"#),
            Something,
            Itself,
        ),
        row(
            "no-identity",
            ECM,
            Script("[[fault]]\nat_ms = 0\neffect = \"identity\"\nimei = \"\"\nrevision = \"\"\n"),
            Nothing,
            Itself,
        ),
    ]
}

fn of_the_card() -> Vec<Fault> {
    let inserted = r#"{"effect": "sim_inserted"}"#;
    let locked = "[[fault]]\nat_ms = 0\neffect = \"pin_required\"\n";
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
            Script("[[fault]]\nat_ms = 0\neffect = \"sim_removed\"\n"),
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
            Script("[[fault]]\nat_ms = 0\neffect = \"puk_required\"\n"),
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
            Script("[[fault]]\nat_ms = 0\neffect = \"no_coverage\"\n"),
            One(&["no-coverage"]),
            Cure(COVERAGE),
        ),
        row("denied-11", ECM, Modem(r#"{"effect": "denied"}"#), One(&["denied"]), Cure(COVERAGE)),
        row(
            "denied-15",
            ECM,
            Script("[[fault]]\nat_ms = 0\neffect = \"denied\"\ncause = 15\n"),
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
        row(
            "searching-8s",
            ECM,
            Modem(r#"{"effect": "detach", "searching": true, "for_ms": 8000}"#),
            Something,
            Itself,
        ),
        row("detached", ECM, Modem(r#"{"effect": "detach"}"#), Something, Itself),
    ]
}

fn of_the_data() -> Vec<Fault> {
    let ended = r#"{"effect": "pdn_deact"}"#;
    vec![
        row("call-ended", ECM, Modem(ended), Something, Itself),
        row("call-ended-ndis", NDIS, Modem(ended), Something, Itself),
        row(
            "call-ended-by-modem",
            RNDIS,
            Modem(r#"{"effect": "pdn_deact", "text": "ME PDN DEACT 1"}"#),
            Something,
            Itself,
        ),
        row(
            "carrier-lost-4s",
            ECM,
            Modem(r#"{"effect": "carrier_drop", "for_ms": 4000}"#),
            Something,
            Itself,
        ),
        row(
            "no-lease",
            ECM,
            Script("[[fault]]\nat_ms = 0\neffect = \"link\"\nfaults = { no_lease = true }\n"),
            One(&["no-lease"]),
            Cure(WELL),
        ),
        row(
            "short-lease-and-nak",
            ECM,
            Script(
                "[[fault]]\nat_ms = 0\neffect = \"link\"\nfaults = { lease_s = 10, nak_renewal = true }\n",
            ),
            Nothing,
            Itself,
        ),
        row(
            "no-internet",
            ECM,
            Script("[[fault]]\nat_ms = 0\neffect = \"link\"\nfaults = { no_internet = true }\n"),
            One(&["no-internet"]),
            Cure(WELL),
        ),
        row(
            "no-internet-ndis",
            NDIS,
            Script("[[fault]]\nat_ms = 0\neffect = \"link\"\nfaults = { no_internet = true }\n"),
            One(&["no-internet"]),
            Cure(WELL),
        ),
        row(
            "dns-dead",
            ECM,
            Script("[[fault]]\nat_ms = 0\neffect = \"link\"\nfaults = { dns_dead = true }\n"),
            One(&["dns"]),
            Cure(WELL),
        ),
        row(
            "captive-portal",
            ECM,
            Script("[[fault]]\nat_ms = 0\neffect = \"link\"\nfaults = { captive_portal = true }\n"),
            One(&["no-internet"]),
            Cure(WELL),
        ),
        row(
            "wrong-gateway",
            ECM,
            Script("[[fault]]\nat_ms = 0\neffect = \"link\"\nfaults = { wrong_gateway = true }\n"),
            One(&["no-internet"]),
            Cure(WELL),
        ),
        row(
            "poor-line",
            ECM,
            Modem(
                r#"{"effect": "link", "faults": {"latency_ms": 300, "jitter_ms": 200, "loss_permille": 50}}"#,
            ),
            Nothing,
            Itself,
        ),
        row(
            "narrow-line",
            ECM,
            Modem(r#"{"effect": "link", "faults": {"down_kbit": 500, "up_kbit": 100}}"#),
            Nothing,
            Itself,
        ),
    ]
}

/// What others on the Pi do.
fn of_the_pi() -> Vec<Fault> {
    vec![
        row("lan-of-the-same-network", ECM, Machine(NEW_LAN), Something, Itself),
        row(
            "lease-in-the-lans-network",
            ECM,
            Script("[[fault]]\nat_ms = 0\neffect = \"lan\"\nthird = 5\n"),
            Nothing,
            Itself,
        ),
        row("address-deleted", ECM, Machine("ip -4 address flush dev wwan0"), Something, Itself),
        row("route-deleted", ECM, Machine("ip -4 route flush dev wwan0"), Something, Itself),
        row("link-set-down", ECM, Machine("ip link set wwan0 down"), Something, Itself),
        row(
            "service-killed",
            ECM,
            Machine("systemctl kill --signal=KILL a7670e"),
            // It takes over what is there, and is online at once.
            Logged("Scheduled restart job"),
            Itself,
        ),
        row(
            "resolver-restarted",
            ECM,
            Machine("systemctl restart systemd-resolved"),
            Nothing,
            Itself,
        ),
        row(
            "managers-restarted",
            ECM,
            Machine("systemctl restart NetworkManager ModemManager"),
            Nothing,
            Itself,
        ),
    ]
}
