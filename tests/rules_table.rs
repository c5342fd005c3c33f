//! The udev rules and the catalogue say the same: which ids, which interface
//! does what.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::collections::BTreeSet;

use a7670e::modem::catalogue::COMPOSITIONS;

const RULES: &str = include_str!("../images/files/usr/lib/udev/rules.d/60-a7670e.rules");

/// The values that a rule compares or assigns, by key; none for comments.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split(", ").find_map(|token| {
        let rest = token.trim().strip_prefix(key)?;
        let rest = rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?;
        rest.strip_prefix('"')?.strip_suffix('"')
    })
}

fn rules() -> impl Iterator<Item = &'static str> {
    RULES.lines().filter(|line| !line.starts_with('#'))
}

#[test]
fn the_roles_are_the_catalogues() {
    let written: Vec<(String, u8, String)> = rules()
        .filter_map(|line| {
            let layout = value(line, "ENV{A7670E_LAYOUT}")?;
            let interface = value(line, "ENV{.A7670E_IF}")?;
            let role = value(line, "ENV{A7670E_ROLE}")?;
            Some((layout.into(), u8::from_str_radix(interface, 16).unwrap(), role.into()))
        })
        .collect();
    let known: BTreeSet<_> = COMPOSITIONS
        .iter()
        .flat_map(|row| row.serial.iter().map(|port| (row.layout, port)))
        .map(|(layout, port)| (layout.to_owned(), port.interface, port.role.name().to_owned()))
        .collect();
    assert_eq!(written.len(), known.len(), "a line twice, or one too few: {written:?}");
    assert_eq!(BTreeSet::from_iter(written), known);
}

#[test]
fn the_ids_are_the_catalogues() {
    let written: BTreeSet<_> = rules()
        .filter_map(|line| {
            let vendor = value(line, "ATTRS{idVendor}")?;
            let product = value(line, "ATTRS{idProduct}")?;
            let layout = value(line, "ENV{A7670E_LAYOUT}")?;
            Some((vendor.to_owned(), product.to_owned(), layout.to_owned()))
        })
        .collect();
    let known: BTreeSet<_> = COMPOSITIONS
        .iter()
        .map(|row| {
            let id = |number: u16| format!("{number:04x}");
            (id(row.vendor), id(row.product), row.layout.to_owned())
        })
        .collect();
    assert_eq!(written, known);
}

#[test]
fn no_rule_reads_what_repeats_or_moves() {
    // The serial number may also block (see catalogue.rs's neighbour facts.rs).
    for line in rules() {
        for word in ["{serial}", "ID_SERIAL", "{address}", "ttyUSB"] {
            assert!(!line.contains(word), "{word} in: {line}");
        }
    }
}

/// Leave to cut what others use too is given only by the owner's word.
#[test]
fn the_configuration_gives_leave_to_cut_the_power() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a7670e.toml");
    let programs: Vec<&str> = rules().filter_map(|line| value(line, "PROGRAM")).collect();
    let [hub, gpio] = programs[..] else { panic!("{programs:?}") };
    let gives = |program: &str, text: &str| {
        std::fs::write(&file, text).unwrap();
        // udev cuts it at spaces, and looks at the status.
        let words: Vec<&str> = program.split(' ').collect();
        let [grep, options, pattern, "/etc/a7670e.toml"] = words[..] else { panic!("{program}") };
        assert_eq!(grep, "/bin/grep");
        let mut command = std::process::Command::new("grep");
        command.args([options, pattern]).arg(&file).status().unwrap().success()
    };
    for (text, all_ports, line) in [
        ("[recovery]\nusb_power = \"hub\"\n", true, false),
        ("recovery.usb_power='hub'\n", true, false),
        ("[recovery]\nusb_power = \"port\"\n", false, false),
        ("[recovery]\n# usb_power = \"hub\"\n#power_gpio = {}\n", false, false),
        ("recovery = { power_gpio = { chip = \"gpiochip0\", line = 1 } }\n", false, true),
        ("[recovery.power_gpio]\nchip = \"gpiochip0\"\nline = 1\n", false, true),
        ("", false, false),
    ] {
        assert_eq!((gives(hub, text), gives(gpio, text)), (all_ports, line), "{text}");
    }
}
