//! Tests of the configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::modem::machine::{Auth, Modes};

fn error(text: &str) -> String {
    parse(Path::new("x.toml"), text).unwrap_err().to_string()
}

#[test]
fn all_of_it() {
    let text = r#"
[modem]
control = "direct"
pin = { secret = "1234" }
usb_mode = "ecm"
[cellular]
apn = "safaricom"
user = "saf"
password = { secret = "data" }
auth = "pap"
roaming = "allow"
modes = "lte"
bands = ["lte3", "lte20", "gsm900"]
operator = "63902"
pdp_type = "ipv4v6"
[network]
metric = 50
dns = "resolv.conf"
ipv6 = false
probe = { target = "http://192.0.2.1:8080/alive", status = 200, interval = 60, budget = "50 kB" }
[policy]
reboots_per_day = 0
[data]
cap = "2 GB"
reset_day = 15
"#;
    let config = parse(Path::new("x.toml"), text).unwrap();
    let settings = config.cellular_settings().unwrap();
    assert_eq!(settings.pin.as_ref().unwrap().reveal(), "1234");
    assert_eq!((settings.access.len(), settings.access[0].auth), (1, Auth::Pap));
    assert_eq!((settings.modes, settings.roaming), (Some(Modes::Lte), true));
    assert_eq!(settings.bands, Some((0x300, 0x80004)));
    assert_eq!((settings.pdp_type.as_str(), settings.usb_mode), ("IPV4V6", Some(1)));
    assert_eq!(config.data.cap, Some(ByteSize(2_000_000_000)));
    assert_eq!(config.network.probe.budget, ByteSize(50_000));
    let page = Page { host: "192.0.2.1".into(), port: 8080, path: "/alive".into() };
    assert_eq!(config.network.probe.target, page);
    for shown in [format!("{config:?}"), format!("{settings:?}")] {
        assert!(!shown.contains("1234") && !shown.contains("\"data\""), "{shown}");
    }
}

#[test]
fn errors_have_place_and_remedy() {
    for (text, start, remedy) in [
        ("[cellular]\nanp = \"x\"\n", "x.toml:2:1: ", "expected one of `apn`"),
        ("[cellular]\nroaming = \"yes\"\n", "x.toml:2:11: ", "`deny`"),
        ("[cellular]\napn = \"a\\\"b\"\n", "x.toml:2:7: ", "without a quote"),
        ("[cellular]\noperator = \"639\"\n", "x.toml:2:12: ", "63902"),
        ("[cellular]\nbands = [\"20\"]\n", "x.toml:2:9: ", "lte1 to lte64"),
        ("[data]\ncap = \"2 GBit\"\n", "x.toml:2:7: ", "2 GB"),
        ("[data]\nreset_day = 31\n", "x.toml:2:13: `data.reset_day`: ", "1 to 28"),
        ("[network]\nmetric = \"1\"\n", "x.toml:2:10: `network.metric`: ", "u32"),
        ("[network.probe]\ntarget = \"https://x\"\n", "x.toml:2:10: ", "plain HTTP"),
        ("[modem]\ncontrol = \"mm\"\n", "x.toml:2:11: ", "`direct` or `modemmanager`"),
        ("[recovery]\nusb_power = \"on\"\n", "x.toml:2:13: ", "`hub`"),
        ("[recovery.power_gpio]\nchip = \"gpiochip0\"\n", "x.toml:1:1: ", "`line`"),
        ("[recovery.power_gpio]\nchip = \"0\"\nline = 1\n", "x.toml:2:8: ", "gpiochip0"),
        (
            "[recovery]\npower_gpio = { chip = \"gpiochip0\", line = 1, off_ms = 99 }\n",
            "x.toml:2:55: `recovery.power_gpio.off_ms`: ",
            "100 to 30000",
        ),
        ("[sms]\nvalidity = \"1\"\n", "x.toml:2:12: `sms.validity`: ", "\"1d\""),
        ("[sms]\nkeep = 0\n", "x.toml:2:8: `sms.keep`: ", "1 at least"),
        ("[sms]\nhook = [\"x\"]\n", "x.toml:2:8: `sms.hook`: ", "whole path"),
        ("[sms]\nhook = []\n", "x.toml:2:8: `sms.hook`: ", "whole path"),
        ("[sms.commands]\nfrom = []\nkey.secret = \"1\"\n", "x.toml:2:8: ", "one number at least"),
        ("[sms.commands]\nfrom = [\"+1\"]\n", "x.toml:1:1: ", "`key`"),
        ("[sms]\nallow_to = [\"+2*9\"]\n", "x.toml:2:12: `sms.allow_to`: ", "+2547*"),
        ("[data\n", "x.toml:1:6: ", "]"),
    ] {
        let error = error(text);
        assert!(error.starts_with(start) && error.contains(remedy), "{text}: {error}");
    }
}

#[test]
fn no_error_repeats_a_secret() {
    for value in
        ["\"7391\"", "7391", "7391.5", "{ secret = 7391 }", "{ secret = \"7391\\\"\" }", "[7391]"]
    {
        let error = error(&format!("[modem]\npin = {value}\n"));
        assert!(error.starts_with("x.toml:2:") && !error.contains("7391"), "{error}");
    }
}

#[test]
fn the_configuration_lies_over_the_provisioning_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let under =
        "[cellular]\napn = \"desk\"\nroaming = \"allow\"\n[modem]\npin = { secret = \"1111\" }\n";
    fs::write(path("boot.toml"), under).unwrap();
    fs::write(path("pin"), "2222\n").unwrap();
    let pin = path("pin").display().to_string();
    let over = format!("[cellular]\napn = \"own\"\n[modem]\npin = {{ file = \"{pin}\" }}\n");
    fs::write(path("etc.toml"), over).unwrap();
    fs::set_permissions(path("pin"), fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = check(&path("etc.toml"), &path("boot.toml")).unwrap_err();
    assert!(matches!(exposed, ConfigError::Exposed(_)), "{exposed}");
    fs::set_permissions(path("pin"), fs::Permissions::from_mode(0o600)).unwrap();
    let settings =
        check(&path("etc.toml"), &path("boot.toml")).unwrap().cellular_settings().unwrap();
    assert_eq!((settings.access[0].apn.as_str(), settings.roaming), ("own", true));
    assert_eq!(settings.pin.unwrap().reveal(), "2222");
    assert_eq!(load(&path("none"), &path("neither")).unwrap(), Config::default());
}

#[test]
fn parts_that_do_not_fit_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.toml");
    for (text, place) in [
        ("[cellular]\nuser = \"a\"\n", ":2:1: `cellular.user`: needs `apn`"),
        ("[cellular]\n password.secret = \"a\"\n", ":2:2: `cellular.password`: needs `apn`"),
        ("[cellular]\napn = \"a\"\nauth = \"pap\"\n", ":3:1: `cellular.auth`: needs `user`"),
        (
            "[recovery]\nusb_power = \"port\"\npower_gpio = { chip = \"gpiochip0\", line = 1 }\n",
            ":3:1: `recovery.power_gpio`: cuts the power as `usb_power` does",
        ),
        (
            "[network]\nby = \"networkmanager\"\ndns = \"resolv.conf\"\n",
            ":3:1: `network.dns`: is NetworkManager's affair",
        ),
        ("[network]\ngsm_profile = true\n", ":2:1: `network.gsm_profile`: needs `by"),
        (
            "[modem]\ndata = \"ppp\"\n[network]\nby = \"networkmanager\"\n",
            ":2:1: `modem.data`: \"ppp\" is dialled through ModemManager; write `control",
        ),
        (
            "[modem]\ncontrol = \"modemmanager\"\n  data = \"ppp\"\n",
            ":3:3: `modem.data`: \"ppp\" is dialled by NetworkManager; write `by",
        ),
        (
            "modem = { control = \"modemmanager\", data = \"ppp\" }\n\
             network.by = \"networkmanager\"\ncellular.pdp_type = \"ipv6\"\n",
            ":3:10: `cellular.pdp_type`: leaves PPP without",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let none = Path::new("/none");
        for (upper, lower) in [(path.as_path(), none), (none, path.as_path())] {
            let error = load(upper, lower).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{}{place}", path.display())), "{error}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text: String) {
        _ = parse(Path::new("x.toml"), &text).map(|config| config.cellular_settings());
    }
}

#[test]
fn the_example_has_every_key_and_the_defaults_where_it_says_so() {
    let text = include_str!("../../docs/a7670e.example.toml");
    let config = parse(Path::new("example"), text).unwrap();
    let bare = Config::default();
    assert_eq!((&config.policy, &config.network), (&bare.policy, &bare.network));
    let table: toml::Table = text.parse().unwrap();
    let parts = [
        "modem",
        "cellular",
        "network",
        "network.probe",
        "policy",
        "recovery",
        "data",
        "sms",
        "sms.commands",
    ];
    for part in parts {
        // The refusal of an unknown key names all that there are.
        let refusal = error(&format!("[{part}]\nzzz = 1\n"));
        let known: Vec<&str> = refusal.split('`').skip(5).step_by(2).collect();
        let keys = part.split('.').fold(&table, |table, name| table[name].as_table().unwrap());
        let missing: Vec<_> = known.iter().filter(|key| !keys.contains_key(**key)).collect();
        assert!(!known.is_empty() && missing.is_empty(), "[{part}] has no {missing:?}: {refusal}");
    }
}
