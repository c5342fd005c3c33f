//! Cards, and what becomes of them.

mod memory;
mod mistakes;
mod power;

use base64::Engine as _;

use super::disk::{Kind, Owner};
use super::*;
use memory::Memory;

/// A key with the right form.
fn key() -> String {
    let mut blob = 11_u32.to_be_bytes().to_vec();
    blob.extend(b"ssh-ed25519");
    blob.extend(32_u32.to_be_bytes());
    blob.extend([7; 32]);
    format!("ssh-ed25519 {} me@desk", base64::engine::general_purpose::STANDARD.encode(blob))
}

const SECRETS: [&str; 6] = [
    "70417041",
    "chap-secret",
    "HOSTKEYHOSTKEY",
    "d2lyZWd1YXJkd2lyZWd1YXJkd2lyZWd1YXJkd2lyZT0=",
    "$6$salt$hashofapassword",
    "a wireless secret",
];

/// What the desk writes, in the room that the image keeps.
fn by_desk() -> Vec<(&'static str, String)> {
    let wire = SECRETS[3];
    let unit = format!(
        "[unit]\nid = \"0001\"\ncard = \"00112233\"\nhostname = \"pump-0001\"\nssh_keys = [\"{}\"]\n\
         [wireguard]\naddress = [\"10.0.0.2/24\"]\n[wireguard.private_key]\nsecret = \"{wire}\"\n\
         [wireguard.peer]\npublic_key = \"{}\"\nendpoint = \"vpn.example.com:51820\"\n\
         allowed_ips = [\"10.0.0.0/24\"]\n\
         [[file]]\npath = \"/etc/motd\"\nmode = \"0644\"\ncontent = \"hello\\n\"\n\
         [[file]]\npath = \"/etc/ssh/ssh_host_ed25519_key\"\nmode = \"0600\"\ncontent = \"{}\"\n\
         [[file]]\npath = \"/opt/a/b/c\"\ncontent = \"x\"\n\
         [values]\nsite = \"north\"\n",
        key(),
        "A".repeat(43) + "=",
        SECRETS[2],
    );
    let config = format!(
        "# Written by the flashing desk.\n[cellular]\napn = \"m2m.example\"\nuser = \"u\"\n\
         [cellular.password]\nsecret = \"{}\"\n[modem.pin]\nsecret = \"{}\"\n",
        SECRETS[1], SECRETS[0]
    );
    vec![("unit.toml", unit + &"\n".repeat(300)), ("a7670e.toml", config + &"\n".repeat(300))]
}

/// What Raspberry Pi Imager 2 writes for cloud-init.
fn by_imager() -> Vec<(&'static str, String)> {
    let user = format!(
        "#cloud-config\nmanage_resolv_conf: false\n\nhostname: \"pi-by-the-lake\"\n\
         manage_etc_hosts: true\npackages:\n- avahi-daemon\n\napt:\n  preserve_sources_list: true\n  \
         conf: |\n    Acquire {{\n      Check-Date \"false\";\n    }};\n\ntimezone: \"Europe/Berlin\"\n\
         keyboard:\n  model: pc105\n  layout: \"de\"\nuser:\n  name: \"ann\"\n  shell: /bin/bash\n  \
         lock_passwd: false\n  passwd: \"{}\"\n  ssh_authorized_keys:\n    - \"{}\"\n  \
         sudo: ALL=(ALL) NOPASSWD:ALL\n\nssh_pwauth: true\n\nruncmd:\n  \
         - [ systemctl, enable, --now, ssh ]\n",
        SECRETS[4],
        key()
    );
    let network = format!(
        "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      optional: true\n  \
         wifis:\n    wlan0:\n      dhcp4: true\n      regulatory-domain: \"DE\"\n      \
         access-points:\n        \"My \\\"Net\\\"\":\n          hidden: true\n          \
         password: \"{}\"\n      optional: true\n",
        SECRETS[5]
    );
    vec![("user-data", user), ("network-config", network)]
}

/// What Raspberry Pi Imager writes for rpi-preseed, with our own table.
fn by_preseed() -> Vec<(&'static str, String)> {
    let text = format!(
        "config_version = \"1.0\"\n\n[system]\nhostname = \"mypi\"\n\n[user]\nname = \"ann\"\n\
         password = \"{}\"\npassword_encrypted = true\ngroups = [\"sudo\"]\n\n[ssh]\nenabled = true\n\
         password_authentication = false\nauthorized_keys = [\n  \"{}\",\n]\n\n[wlan]\n\
         ssid = \"MyNet\"\npassword = \"{}\"\npassword_encrypted = false\nhidden = false\n\
         country = \"GB\"\n\n[locale]\nkeymap = \"gb\"\ntimezone = \"Europe/Berlin\"\n\n[connect]\n\
         enabled = true\n\n[cellular]\napn = \"m2m\"\npin = {{ secret = \"{}\" }}\n",
        SECRETS[4],
        key(),
        SECRETS[5],
        SECRETS[0]
    );
    vec![("rpi-preseed.toml", text)]
}

fn card(files: &[(&'static str, String)]) -> Memory {
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Memory::new(&files, &SECRETS)
}

fn made(disk: &mut Memory) -> String {
    match run(disk, false).unwrap() {
        Done::Made(report) => report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_card_of_the_desk_becomes_its_unit() {
    let mut disk = card(&by_desk());
    let report = made(&mut disk);
    assert!(report.starts_with("This device is unit 0001, host name pump-0001.\n"), "{report}");
    assert_eq!(disk.text("/etc/hostname"), "pump-0001\n");
    assert_eq!(disk.text("/etc/hosts"), "127.0.0.1\tlocalhost\n127.0.1.1\tpump-0001\n");
    assert_eq!(disk.host_name().unwrap().as_deref(), Some("pump-0001"));
    assert_eq!(disk.text("/root/.ssh/authorized_keys"), key() + "\n");
    let service = disk.text("/etc/a7670e/provisioning.toml");
    assert!(service.contains(SECRETS[0]) && !service.ends_with("\n\n"), "{service}");
    let public = "[unit]\nid = \"0001\"\nhostname = \"pump-0001\"\n\n[values]\nsite = \"north\"\n";
    assert_eq!(disk.text("/etc/a7670e/unit.toml"), public);
    assert_eq!(disk.text("/etc/motd"), "hello\n");
    assert_eq!(disk.text("/opt/a/b/c"), "x");
    let profile = disk.text("/etc/NetworkManager/system-connections/a7670e-wg0.nmconnection");
    assert!(profile.contains(SECRETS[3]), "{profile}");
    let owner = |disk: &mut Memory, path: &str| disk.entry(path).unwrap().unwrap().owner;
    for path in [
        "/etc/a7670e/provisioning.toml",
        "/etc/ssh/ssh_host_ed25519_key",
        "/etc/NetworkManager/system-connections/a7670e-wg0.nmconnection",
        "/root/.ssh/authorized_keys",
    ] {
        assert_eq!(owner(&mut disk, path), Owner::root(0o600), "{path}");
    }
    assert_eq!(owner(&mut disk, "/root/.ssh"), Owner::root(0o700));
    for name in ["unit.toml", "a7670e.toml"] {
        assert!(!disk.has(&format!("{BOOT}/{name}")), "{name}");
    }
    assert_eq!(disk.on_boot(), [""; 0], "secrets are left on the boot partition");
    assert_eq!(disk.text(REPORT), report);
    let record: serde_json::Value = serde_json::from_str(disk.text(RECORD)).unwrap();
    assert_eq!((&record["unit"], &record["card"]), (&"0001".into(), &"00112233".into()));
    assert!(!disk.text(RECORD).contains(SECRETS[0]) && !disk.has(PENDING));
    // The next boots find nothing to do.
    let state = disk.state();
    assert_eq!(run(&mut disk, false).unwrap(), Done::Nothing);
    assert!(disk.state() == state);
}

#[test]
fn a_card_of_imagers_becomes_what_it_says() {
    let mut disk = card(&by_imager());
    let report = made(&mut disk);
    for note in ["packages in user-data", "apt in", "runcmd in", "by key only", "no sudo", "Wi-Fi"]
    {
        assert!(report.contains(note), "{note}: {report}");
    }
    assert_eq!(disk.text("/etc/hostname"), "pi-by-the-lake\n");
    assert!(disk.text("/etc/passwd").ends_with("ann:x:1000:1000:ann:/home/ann:/bin/bash\n"));
    assert!(disk.text("/etc/shadow").contains(&format!("ann:{}:", SECRETS[4])));
    assert_eq!(disk.text("/home/ann/.ssh/authorized_keys"), key() + "\n");
    assert_eq!(disk.text("/home/ann/.bashrc"), "# bash\n");
    let ann = |mode| Owner { mode, uid: 1000, gid: 1000 };
    for (path, mode) in
        [("/home/ann", 0o700), ("/home/ann/.ssh", 0o700), ("/home/ann/.ssh/authorized_keys", 0o600)]
    {
        assert_eq!(disk.entry(path).unwrap().unwrap().owner, ann(mode), "{path}");
    }
    let zone = Kind::Link("../usr/share/zoneinfo/Europe/Berlin".into());
    assert_eq!(disk.entry("/etc/localtime").unwrap().unwrap().kind, zone);
    assert!(disk.text("/etc/default/keyboard").contains("XKBLAYOUT=\"de\"\n"));
    let wifi = disk.text("/etc/NetworkManager/system-connections/a7670e-wifi.nmconnection");
    assert!(wifi.contains("ssid=77;121;32;34;78;101;116;34;\nhidden=true\n"), "{wifi}");
    assert!(wifi.contains(&format!("psk={}\n", SECRETS[5])), "{wifi}");
    assert!(disk.text("/etc/modprobe.d/a7670e-wifi.conf").ends_with("regdom=DE\n"));
    assert_eq!(disk.on_boot(), [""; 0]);
}

#[test]
fn a_preseed_with_a_cellular_table_does_the_same() {
    let mut disk = card(&by_preseed());
    let report = made(&mut disk);
    assert!(report.contains("[connect] of rpi-preseed.toml is not carried out"), "{report}");
    assert_eq!(disk.text("/etc/hostname"), "mypi\n");
    assert!(disk.text("/etc/group").contains("sudo:x:27:ann\n"));
    assert!(disk.text("/etc/a7670e/provisioning.toml").contains("apn = \"m2m\"\n"));
    assert_eq!(disk.text("/home/ann/.ssh/authorized_keys"), key() + "\n");
    assert_eq!(disk.on_boot(), [""; 0]);
}

#[test]
fn the_desks_word_counts_more_than_imagers() {
    let mut files = by_imager();
    files.extend(by_desk());
    let mut disk = card(&files);
    made(&mut disk);
    assert_eq!(disk.text("/etc/hostname"), "pump-0001\n");
    // The desk's keys are for the person whom Imager made; it is the same key.
    assert_eq!(disk.text("/home/ann/.ssh/authorized_keys"), key() + "\n");
    assert!(!disk.has("/root/.ssh"));
}

#[test]
fn a_dry_run_changes_nothing_and_tells_no_secret() {
    let mut disk = card(&by_desk());
    let state = disk.state();
    let Done::Planned(lines) = run(&mut disk, true).unwrap() else { panic!("not planned") };
    assert!(disk.state() == state && disk.calls == 0);
    let text = lines.join("\n");
    for part in [
        "write /etc/a7670e/provisioning.toml (",
        "bytes, mode 0600, 0:0)",
        "make the folder /opt/a (mode 0755, 0:0)",
        "set the host name pump-0001",
        "write over and remove /boot/firmware/unit.toml",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!SECRETS.iter().any(|secret| text.contains(secret)), "{text}");
    assert_eq!(run(&mut card(&[]), true).unwrap(), Done::Nothing);
}

#[test]
fn room_that_nobody_used_is_left_alone() {
    let blank = "\n".repeat(4096);
    let mut disk = card(&[("unit.toml", blank.clone()), ("a7670e.toml", blank)]);
    assert_eq!(run(&mut disk, false).unwrap(), Done::Nothing);
    assert!(disk.has("/boot/firmware/unit.toml") && disk.calls == 0);
}

#[test]
fn a_second_card_file_adds_to_the_first() {
    let mut disk = card(&by_desk());
    made(&mut disk);
    let text = "[cellular]\napn = \"other\"\n";
    disk.put("/boot/firmware/a7670e.toml", Kind::File, text, Owner::root(0o700));
    made(&mut disk);
    assert_eq!(disk.text("/etc/a7670e/provisioning.toml"), text);
    assert_eq!(disk.text("/etc/hostname"), "pump-0001\n");
    // It is the desk's unit all the same, for whoever asks later.
    let kept = Kept::read(disk.text(RECORD).as_bytes());
    assert_eq!(kept.unit.unwrap().as_str(), "0001");
    assert_eq!(kept.card.as_deref(), Some("00112233"));
    assert!(disk.text("/etc/a7670e/unit.toml").contains("site = \"north\""));
}
