//! Files that are wrong: what is said, where, and that nothing is done.

use super::*;

/// A file, its text, where it is wrong, and a part of what is said.
const WRONG: [(&str, &str, &str, &str); 26] = [
    ("unit.toml", "[unit]\nhostname = 'a_b'\n", "2:12", "`unit.hostname`: a host name is"),
    ("unit.toml", "[unti]\n", "1:2", "unknown field `unti`"),
    ("unit.toml", "[unit\n", "1:6", "]"),
    ("unit.toml", "[unit]\nssh_keys = ['ssh-rsa x']\n", "2:12", "public SSH key"),
    ("unit.toml", "[[file]]\npath = '/a'\ncontent = 7041\n", "3:11", "`file[1].content`"),
    ("unit.toml", "[[file]]\npath = '/dev/sda'\ncontent = ''\n", "2:8", "/dev"),
    (
        "unit.toml",
        "[wireguard]\nprivate_key = '7041'\naddress = ['10.0.0.1/24']\n[wireguard.peer]\n\
      public_key = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='\nendpoint = 'a:1'\n\
      allowed_ips = []\n",
        "2:1",
        "`wireguard.private_key`: must be a WireGuard key",
    ),
    ("a7670e.toml", "[cellular]\napm = 'x'\n", "2:1", "apm"),
    ("a7670e.toml", "[modem]\npin = { secret = '7041x' }\n", "2:1", "four to eight digits"),
    // No line end: the place is in the file as it is.
    ("a7670e.toml", "# one\n[cellular]\napn = \"\"\"x", "3:11", "expected"),
    ("rpi-preseed.toml", "[user]\nname = 'A b'\n", "2:1", "login name"),
    ("rpi-preseed.toml", "[user]\nname = 'a'\npassword = '7041'\n", "3:1", "openssl passwd -6"),
    ("rpi-preseed.toml", "[user]\nname = 'a'\npassword = 7041\n", "3:12", "must be"),
    ("rpi-preseed.toml", "[wlan]\nssid = 'x'\npassword = '7041'\n", "3:1", "8 to 63"),
    ("rpi-preseed.toml", "[wlan]\nssid = 'x'\nkey_mgmt = 'sae'\n", "3:1", "needs wlan.password"),
    ("rpi-preseed.toml", "[cellular]\npin = '7041x'\n", "2:1", "four to eight digits"),
    ("rpi-preseed.toml", "[cellular]\nuser = 'u'\n", "2:1", "no cellular.apn"),
    ("user-data", "hostname: a_b\n", "1:11", "a host name is"),
    ("user-data", "user:\n  name: a\n  plain_text_passwd: 7041\n", "3:22", "clear text"),
    ("user-data", "user:\n  name: a\n  passwd: 7041\n", "3:11", "no hash"),
    ("user-data", "user:\n  name: a\n  sudo: ALL=(7041) ALL\n", "3:9", "only `ALL=(ALL)"),
    ("user-data", "users:\n- name: a\n  ssh_authorized_keys: [x]\n", "3:25", "public SSH key"),
    ("user-data", "a: &b\n", "1:4", "anchors"),
    ("user-data", "\ta: b\n", "1:1", "tab"),
    (
        "network-config",
        "wifis:\n  w:\n    access-points:\n      x:\n        password: 7041\n",
        "5:19",
        "8 to 63",
    ),
    ("network-config", "wifis:\n  w:\n    regulatory-domain: Z7041\n", "3:24", "two letters"),
];

#[test]
fn the_place_is_named_and_nothing_is_done() {
    for (name, text, place, says) in WRONG {
        // Beside a right one, of which nothing must be done either.
        let mut files = by_desk();
        files.retain(|(other, _)| *other != name);
        files.push((name, text.to_owned()));
        let mut disk = card(&files);
        let state = disk.state();
        let trouble = run(&mut disk, false).unwrap_err();
        let said = trouble.to_string();
        let start = format!("{BOOT}/{name}:{place}: ");
        assert!(said.starts_with(&start) && said.contains(says), "{text}\n{said}");
        assert!(!said.contains("7041"), "a secret is shown: {said}");
        assert!(disk.state() == state && disk.calls == 0, "{text}");
        tell(&mut disk, &trouble);
        for path in [TROUBLE, REPORT] {
            assert!(disk.text(path).contains(&said), "{path}");
        }
        assert_eq!(disk.entry(TROUBLE).unwrap().unwrap().owner, Owner::root(0o644));
        // The next boot says the same, and does not write to FAT again.
        let calls = disk.calls;
        tell(&mut disk, &trouble);
        assert_eq!(disk.calls - calls, 2);
        // And when it is corrected all is as if nothing had been.
        let good: String = by_desk()
            .iter()
            .find(|(it, _)| *it == name)
            .map_or_else(|| "\n".into(), |(_, text)| text.clone());
        disk.put(&format!("{BOOT}/{name}"), Kind::File, &good, Owner::root(0o700));
        made(&mut disk);
        assert!(!disk.has(TROUBLE) && disk.text(REPORT).starts_with("This device is unit 0001"));
    }
}

#[test]
fn what_the_system_cannot_be_is_said_before_anything_is_done() {
    let refused = |files: &[(&'static str, String)], change: fn(&mut Memory)| {
        let mut disk = card(files);
        change(&mut disk);
        let state = disk.state();
        let said = run(&mut disk, false).unwrap_err().to_string();
        assert!(disk.state() == state && disk.calls == 0, "{said}");
        said
    };
    let unit = |text: &str| vec![("unit.toml", text.to_owned())];
    let twice = "[unit]\nhostname = 'a'\n[[file]]\npath = '/etc/hostname'\ncontent = 'b'\n";
    assert!(refused(&unit(twice), |_| {}).starts_with("/etc/hostname is wanted twice"));
    let folder = "[[file]]\npath = '/etc'\ncontent = 'b'\n";
    assert!(refused(&unit(folder), |_| {}).contains("/etc must be a file, and is a folder"));
    let below = "[[file]]\npath = '/etc/hosts/x'\ncontent = 'b'\n";
    assert!(refused(&unit(below), |_| {}).contains("/etc/hosts must be a folder"));
    let system = vec![("user-data", "user: {name: daemon}\n".to_owned())];
    let with_daemon = |disk: &mut Memory| {
        disk.put("/etc/passwd", Kind::File, "daemon:x:1:1::/:/bin/false\n", Owner::root(0o644));
    };
    assert!(refused(&system, with_daemon).contains("an account of the system's"));
    let mut both = by_preseed();
    both.extend(by_desk());
    assert!(refused(&both, |_| {}).contains("keep one of the two"));
    // Not through a link that somebody else may have made.
    let linked = |disk: &mut Memory| {
        disk.put("/root/.ssh", Kind::Link("/tmp".into()), "", Owner::root(0o777));
    };
    assert!(refused(&by_desk(), linked).contains("/root/.ssh must be a folder, and is none"));
    // Nor is what only root may read shown to whoever made the link.
    let keys = |disk: &mut Memory| {
        disk.put("/root/.ssh", Kind::Folder, "", Owner::root(0o700));
        let path = "/root/.ssh/authorized_keys";
        disk.put(path, Kind::Link("/etc/shadow".into()), "", Owner::root(0o777));
    };
    assert!(refused(&by_desk(), keys).contains("/root/.ssh/authorized_keys is a link"));
}

#[test]
fn what_is_no_text_is_refused() {
    for (text, want) in
        [("a\0\n".repeat(100_000), "256 KiB"), ("[unit]\nid = 'x'\0\n".into(), ":2:")]
    {
        let mut disk = card(&[("unit.toml", text)]);
        let said = run(&mut disk, false).unwrap_err().to_string();
        assert!(said.contains(want), "{said}");
    }
}
