//! Tests of fleet files and of what becomes of them.

use std::time::{Duration, Instant};

use base64::Engine as _;
use proptest::prelude::*;

use super::*;

/// A key with the right form; its owner never had a private one.
fn key() -> String {
    let mut blob = 11_u32.to_be_bytes().to_vec();
    blob.extend(b"ssh-ed25519");
    blob.extend(32_u32.to_be_bytes());
    blob.extend([7; 32]);
    format!("ssh-ed25519 {} me@desk", base64::engine::general_purpose::STANDARD.encode(blob))
}

fn toml(text: &str) -> Result<Fleet, FleetError> {
    Fleet::parse(Path::new("fleet.toml"), text)
}

fn csv_file(text: &str) -> Result<Fleet, FleetError> {
    Fleet::parse(Path::new("fleet.csv"), text)
}

fn example() -> String {
    format!(
        r#"
[defaults]
hostname = "pump-{{id}}"
ssh_keys = ["{}"]
files = [{{ path = "/etc/motd", content = "hello" }}]
[defaults.cellular]
apn = "internet"
roaming = "deny"
metric = 300
budget = "2 GB"
[defaults.values]
site = "north"

[[unit]]
id = "A-1"
[unit.cellular]
pin = {{ secret = "1234" }}

[[unit]]
id = "A-2"
hostname = "special"
files = [{{ path = "/etc/motd", content = "bye", mode = "0600" }}]
[unit.cellular]
apn = "other"
user = "u"
password = "p"
auth = "chap"
modes = "lte"
[unit.values]
shelf = 3
"#,
        key()
    )
}

#[test]
fn the_example_in_the_documentation_is_a_fleet() {
    let fleet = Fleet::load(Path::new("../docs/fleet.example.toml")).unwrap();
    let names: Vec<_> = fleet.units.iter().filter_map(Unit::hostname).collect();
    assert_eq!(names, ["pump-0001", "pump-by-the-lake"]);
    for unit in &fleet.units {
        render::render(unit, "00").unwrap();
    }
}

#[test]
fn defaults_lie_under_each_units_values() {
    let fleet = toml(&example()).unwrap();
    let [one, two] = &fleet.units[..] else { panic!("{fleet:?}") };
    assert_eq!(one.hostname().as_deref(), Some("pump-a-1"));
    assert_eq!(two.hostname().as_deref(), Some("special"));
    assert_eq!(one.values.cellular.apn.as_ref().unwrap().as_str(), "internet");
    assert_eq!(two.values.cellular.metric, Some(300));
    assert_eq!(two.values.files.len(), 1);
    assert_eq!((one.values.values.len(), two.values.values.len()), (1, 2));
}

#[test]
fn the_service_understands_what_is_written_for_it() {
    let fleet = toml(&example()).unwrap();
    let files: Vec<_> =
        fleet.units.iter().map(|unit| render::render(unit, "00").unwrap()).collect();
    for file in &files {
        let text = file.texts[0].reveal();
        let padded = render::padded("a7670e.toml", &file.texts[0], 4096).unwrap();
        assert_eq!(padded.len(), 4096);
        let padded = String::from_utf8(padded).unwrap();
        // Judged by the service's own reader.
        for text in [text, &padded] {
            a7670e::config::parse(Path::new("a7670e.toml"), text).unwrap();
        }
    }
    let read = |number: usize| {
        a7670e::config::parse(Path::new("x"), files[number].texts[0].reveal()).unwrap()
    };
    let settings = read(0).cellular_settings().unwrap();
    assert_eq!(settings.pin.unwrap().reveal(), "1234");
    assert_eq!(settings.access[0].apn, "internet");
    let settings = read(1).cellular_settings().unwrap();
    assert_eq!((settings.access[0].apn.as_str(), settings.access[0].user.as_str()), ("other", "u"));
    assert_eq!(settings.access[0].password.reveal(), "p");
    assert_eq!(read(1).network.metric, 300);
    let unit: toml::Table = toml::from_str(files[1].texts[1].reveal()).unwrap();
    assert_eq!(unit["unit"]["hostname"].as_str(), Some("special"));
    assert_eq!(unit["file"][0]["mode"].as_str(), Some("0600"));
    assert_eq!(unit["values"]["shelf"].as_integer(), Some(3));
    // Both by the first boot's own reader.
    for (unit, file) in fleet.units.iter().zip(&files) {
        let texts = [0, 1].map(|number| {
            let padded = render::padded("x", &file.texts[number], 4096).unwrap();
            let text = String::from_utf8(padded).unwrap();
            a7670e::firstboot::mistake::Text { name: render::NAMES[number], text }
        });
        let wanted = a7670e::firstboot::wanted::read(&texts).unwrap();
        assert_eq!(wanted.id.as_ref(), Some(&unit.id));
        assert_eq!(wanted.hostname.map(|it| it.as_str().to_owned()), unit.hostname());
        assert_eq!(Some(wanted.keys), unit.values.ssh_keys);
        assert_eq!(wanted.files.len(), unit.values.files.len());
        assert!(
            wanted.service.is_some()
                && wanted.values == unit.values.values.clone().into_iter().collect()
        );
    }
    let error = render::padded("unit.toml", &files[1].texts[1], 10).unwrap_err();
    assert!(error.contains("unit.toml") && error.contains("10 free"), "{error}");
}

#[test]
fn csv_gives_the_same_units_as_toml() {
    let key = key();
    let csv = csv_file(&format!(
        "id,hostname,cellular.apn,cellular.pin,cellular.metric,ssh_keys,values.site,\
         wireguard.private_key,wireguard.address,wireguard.peer.public_key,\
         wireguard.peer.endpoint,wireguard.peer.allowed_ips\n\
         1,pump-1,internet,1234,300,{key},north,{w},10.0.0.2/24;fd00::2/64,{w},a.b:5,0.0.0.0/0\n\
         2,,,,,,,,,,,\n",
        w = "A".repeat(43) + "=",
    ))
    .unwrap();
    let toml = toml(&format!(
        "[[unit]]\nid = '1'\nhostname = 'pump-1'\nssh_keys = ['{key}']\n\
         cellular = {{ apn = 'internet', pin = '1234', metric = 300 }}\nvalues = {{ site = 'north' }}\n\
         wireguard = {{ private_key = '{w}', address = ['10.0.0.2/24', 'fd00::2/64'], \
         peer = {{ public_key = '{w}', endpoint = 'a.b:5', allowed_ips = ['0.0.0.0/0'] }} }}\n\
         [[unit]]\nid = '2'\n",
        w = "A".repeat(43) + "=",
    ))
    .unwrap();
    let values = |fleet: &Fleet| fleet.units.iter().map(|it| it.values.clone()).collect::<Vec<_>>();
    assert_eq!(values(&csv), values(&toml));
}

#[test]
fn mistakes_are_named_by_place_before_any_card() {
    for (text, line, column, want) in [
        ("[[unit]]\nid = '1'\n[[unit]]\nid = '1'\n", 4, 6, "there twice: in line 2"),
        ("[[unit]]\nid = 'a b'\n", 2, 6, "1 to 64 of"),
        ("[[unit]]\nid = '1'\n[unit.cellular]\npin = '12x4'\n", 4, 7, "four to eight digits"),
        ("[[unit]]\nid = '1'\n[unit.cellular]\npin = 1234\n", 4, 7, "must be a text"),
        ("[[unit]]\nid = '1'\n[unit.cellular]\napm = 'x'\n", 4, 1, "unknown field `apm`"),
        ("[[unit]]\nid = '1'\nssh_keys = ['ssh-rsa AAAA']\n", 3, 12, "public SSH key"),
        ("[[unit]]\nid = '1'\nhostname = 'a_b'\n", 3, 12, "RFC 1123"),
        ("[[unit]]\nid = '1_2'\nhostname = 'a-{id}'\n", 3, 12, "would be \"a-1_2\""),
        ("[defaults]\nhostname='x'\n[[unit]]\nid='1'\n[[unit]]\nid='2'\n", 6, 4, "line 4 too"),
        ("[[unit]]\nid = '1'\n[unit.cellular]\nuser = 'x'\n", 4, 8, "no cellular.apn"),
        ("[[unit]]\nid = '1'\n[unit.cellular]\nbudget = '2 XB'\n", 4, 10, "amount of data"),
        ("[[unit]]\nid = '1'\nwireguard = '12x4'\n", 3, 13, "must be a table"),
        ("[[unit]]\nid = '1'\n[unit.cellular]\nauth = '12x4'\n", 4, 8, "expected one of `auto`"),
        ("[[unit]]\nid = '1'\n[unit.cellular]\nmetric = '12x4'\n", 4, 10, "a whole number"),
        ("[[unit]]\nid = '1'\nssh_keys = 1234\n", 3, 12, "expected a sequence"),
        ("[[unit]]\nid = '1'\nhostname = 1234\n", 3, 12, "expected a string"),
        ("[[unit]]\nid = '1'\n[[unit]]\nid = '2'\ncellular.auth = 'pap'\n", 5, 17, "needs"),
        (
            "[defaults.cellular]\npin = '12'\n[[unit]]\nid = '1'\ncellular.pin = '1234'\n\
             [[unit]]\nid = '2'\n",
            2,
            7,
            "four to eight digits",
        ),
        ("[defaults]\n", 1, 1, "no unit"),
        ("[[unit]\n", 1, 8, "]"),
    ] {
        let error = toml(text).unwrap_err().to_string();
        let place = format!("fleet.toml:{line}:{column}: ");
        assert!(error.starts_with(&place) && error.contains(want), "{text}\n{error}");
        assert!(!error.contains("12x4") && !error.contains("1234"), "{error}");
    }
    for (text, line, column, want) in [
        ("id,cellular.apm\n1,x\n", 1, 2, "no \"cellular.apm\""),
        ("id,hostname,id\n1,x,2\n", 1, 3, "twice"),
        ("hostname\nx\n", 1, 1, "missing"),
        ("id,cellular.metric\n1,4\n2,x\n", 3, 2, "cellular.metric"),
        ("id,cellular.metric\n1,12x4\n", 2, 2, "`cellular.metric`: must be a whole number"),
        ("id,cellular.metric\n1,-1234\n", 2, 2, "a whole number"),
        ("id,cellular.auth\n1,12x4\n", 2, 2, "expected one of `auto`"),
        ("id,cellular.pin\n1,12345678\n1,\n", 3, 1, "in line 2"),
        ("id,cellular.pin\n1,123\n", 2, 2, "four to eight"),
        ("id,hostname,cellular.auth\n1,,\n2,,pap\n", 3, 3, "needs cellular.user"),
        ("id,hostname\n1\n", 2, 1, "record"),
    ] {
        let error = csv_file(text).unwrap_err().to_string();
        let place = format!("fleet.csv:{line}:{column}: ");
        assert!(error.starts_with(&place) && error.contains(want), "{text}\n{error}");
        assert!(!error.contains("12x4") && !error.contains("1234"), "{error}");
    }
}

#[test]
fn secrets_come_from_where_they_are_and_are_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pin");
    fs::write(&file, "4321\n").unwrap();
    let unit = |pin: &str| toml(&format!("[[unit]]\nid = '1'\n[unit.cellular]\npin = {pin}\n"));
    for pin in [
        format!("{{ file = '{}' }}", file.display()),
        "{ command = ['printf', '4321'] }".to_owned(),
        "{ secret = '4321' }".to_owned(),
    ] {
        let fleet = unit(&pin).unwrap();
        let files = render::render(&fleet.units[0], "00").unwrap();
        assert!(files.texts[0].reveal().contains("secret = \"4321\""), "{pin}");
        let shown = format!("{fleet:?} {files:?}");
        assert!(!shown.contains("4321") || pin.contains("command"), "{shown}");
    }
    // A relative path begins at the fleet file, wherever the program runs.
    let text = "[[unit]]\nid = '1'\n[unit.cellular]\npin = { file = 'pin' }\n";
    let fleet = Fleet::parse(&dir.path().join("fleet.toml"), text).unwrap();
    assert_eq!(fleet.files, [file.as_path()]);
    let files = render::render(&fleet.units[0], "00").unwrap();
    assert!(files.texts[0].reveal().contains("secret = \"4321\""));
    fs::write(&file, "no pin").unwrap();
    unit(&format!("{{ file = '{}' }}", file.display())).unwrap_err();
    let error = unit("{ env = 'STATION_TEST_NO_SUCH_VARIABLE' }").unwrap_err().to_string();
    assert!(error.contains("STATION_TEST_NO_SUCH_VARIABLE is not set"), "{error}");
    // A command is run when the card is written; then it is judged too.
    for bad in ["['false']", "['printf', '12']", "['/no/such/program']"] {
        let fleet = unit(&format!("{{ command = {bad} }}")).unwrap();
        render::render(&fleet.units[0], "00").unwrap_err();
    }
}

#[test]
fn keys_are_made_for_each_card_or_read_from_where_they_are() {
    let key = |pair: &crate::keys::Pair| pair.private.reveal().to_owned();
    let peer = "A".repeat(43) + "=";
    let fleet = |host: &str, wire: &str| {
        toml(&format!(
            "[defaults]\nhostname = 'pump-{{id}}'\nssh_host_key = {host}\n[[unit]]\nid = '1'\n\
             wireguard = {{ private_key = {wire}, address = ['10.0.0.2/24', 'fd00::2/64'], peer = {{ \
             public_key = '{peer}', endpoint = 'a.b:5', allowed_ips = ['0.0.0.0/0'] }} }}\n"
        ))
    };
    let made = fleet("{ make = true }", "{ make = true }").unwrap();
    let [one, two] = [0, 1].map(|_| render::render(&made.units[0], "00").unwrap());
    assert!(one.keys.made && one.keys != two.keys, "{:?}", one.keys);
    let line = one.keys.host_key.clone().unwrap();
    assert!(line.starts_with("pump-1,10.0.0.2,fd00::2 ssh-ed25519 AAAA"), "{line}");
    // What the unit reads has the private halves of just these.
    let unit: a7670e_unit::UnitFile = toml::from_str(one.texts[1].reveal()).unwrap();
    let [private, public] = &unit.files[..] else { panic!("{unit:?}") };
    assert_eq!(private.path.as_str(), crate::keys::HOST_KEY);
    assert_eq!(public.path.as_str(), "/etc/ssh/ssh_host_ed25519_key.pub");
    assert_eq!(private.mode.as_ref().unwrap().bits(), 0o600);
    let pair = crate::keys::read_host_key(&private.content).unwrap();
    assert!(line.ends_with(pair.public.strip_suffix(" pump-1").unwrap()), "{line}");
    assert_eq!(public.content, format!("{}\n", pair.public));
    let wire = unit.wireguard.as_ref().unwrap();
    let pair = crate::keys::read_wireguard_key(wire.private_key.reveal()).unwrap();
    assert_eq!(Some(&pair.public), one.keys.wireguard_key.as_ref());
    let shown = format!("{one:?} {unit:?}");
    assert!(!shown.contains("PRIVATE") && !shown.contains(wire.private_key.reveal()), "{shown}");

    let dir = tempfile::tempdir().unwrap();
    let (host, tunnel) =
        (crate::keys::make_host_key("x").unwrap(), crate::keys::make_wireguard_key().unwrap());
    let files = [("host", key(&host)), ("tunnel", key(&tunnel))].map(|(name, text)| {
        fs::write(dir.path().join(name), text).unwrap();
        format!("{{ file = '{}' }}", dir.path().join(name).display())
    });
    let given = fleet(&files[0], &files[1]).unwrap();
    let keys = render::render(&given.units[0], "00").unwrap().keys;
    assert_eq!((keys.made, keys.wireguard_key), (false, Some(tunnel.public)));
    let error = fleet(&files[1], &files[1]).unwrap_err().to_string();
    assert!(error.contains("fleet.toml:3:16: its ssh_host_key must be a private key"), "{error}");
    let line = "id,ssh_host_key\n1,make\n";
    let csv = csv_file(line).unwrap();
    assert_eq!(csv.units[0].values.ssh_host_key, Some(SecretRef::Make));
    for (text, want) in [
        ("[[unit]]\nid = '1'\ncellular.pin = { make = true }\n", "cannot be made here"),
        ("[[unit]]\nid = '1'\nssh_host_key = { make = false }\n", "must be a text"),
        (
            "[[unit]]\nid = '1'\nssh_host_key = { make = true }\n\
             files = [{ path = '/etc/ssh/ssh_host_ed25519_key.pub', content = 'x' }]\n",
            "and so does `files`",
        ),
    ] {
        let error = toml(text).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn a_large_fleet_is_checked_in_a_moment() {
    let key = key();
    let mut text = format!("[defaults]\nhostname = 'u-{{id}}'\nssh_keys = ['{key}']\n");
    for number in 0..10_000 {
        text += &format!("[[unit]]\nid = '{number}'\n[unit.cellular]\npin = '1234'\napn = 'x'\n");
    }
    let start = Instant::now();
    assert_eq!(toml(&text).unwrap().units.len(), 10_000);
    // The release build's limit is a second; this is a debug build on a
    // machine that does other things, and quadratic code would take minutes.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn no_text_makes_it_fall(text in "\\PC{0,80}", line in "(id|cellular.pin|,|\n|x|\"|;){0,20}") {
        // Errors are fine; a fall is not.
        let _ = toml(&text);
        let _ = toml(&format!("[[unit]]\n{text}"));
        let _ = csv_file(&line);
        let _ = csv_file(&format!("id,{text}\n1,2\n"));
    }
}
