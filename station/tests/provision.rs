//! The program makes units of cards; the cards are plain files here.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use common::{Running, Slot};

const STATION: &str = env!("CARGO_BIN_EXE_station");

/// Where the image's boot partition begins, and its bytes.
const START: usize = 1 << 20;
const BOOT: usize = 36 << 20;

/// What `cargo xtask image` keeps free, by name.
const RESERVED: [(&str, usize); 2] = [("a7670e.toml", 16 << 10), ("unit.toml", 48 << 10)];

/// A disk with a FAT32 partition that was made by somebody else's code.
fn image() -> Vec<u8> {
    let mut volume = Cursor::new(vec![0; BOOT]);
    let options =
        fatfs::FormatVolumeOptions::new().fat_type(fatfs::FatType::Fat32).bytes_per_cluster(512);
    fatfs::format_volume(&mut volume, options).unwrap();
    volume.seek(SeekFrom::Start(0)).unwrap();
    let system = fatfs::FileSystem::new(&mut volume, fatfs::FsOptions::new()).unwrap();
    let kernel: Vec<u8> = (0..3 << 20).map(|at| (at / 7) as u8 | 1).collect();
    system.root_dir().create_file("kernel8.img").unwrap().write_all(&kernel).unwrap();
    for (name, len) in RESERVED {
        let content = vec![b'\n'; len];
        system.root_dir().create_file(name).unwrap().write_all(&content).unwrap();
    }
    system.unmount().unwrap();
    let mut disk = vec![0; START];
    disk[446 + 4] = 0x0C;
    disk[446 + 8..446 + 12].copy_from_slice(&(START as u32 / 512).to_le_bytes());
    disk[446 + 12..446 + 16].copy_from_slice(&(BOOT as u32 / 512).to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    disk.extend(volume.into_inner());
    disk
}

/// A desk: image, fleet, cards.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(units: usize) -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(desk.path("a.img.zst"), zstd::encode_all(&image()[..], 1).unwrap()).unwrap();
        let mut fleet =
            "[defaults]\nhostname = 'pump-{id}'\n[defaults.cellular]\napn = 'net'\n".to_owned();
        for unit in 1..=units {
            fleet += &format!("[[unit]]\nid = '{unit}'\n[unit.cellular]\npin = '4711000{unit}'\n");
        }
        fs::write(desk.path("fleet.toml"), fleet).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn card(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, [0xA5; 4096]).unwrap();
        path
    }

    fn command(&self, more: &[&str], cards: &[&Path]) -> Command {
        let mut command = Command::new(STATION);
        command
            .args(["provision", "--yes", "--json", "--operator=test"])
            .arg(self.path("a.img.zst"))
            .arg("--fleet")
            .arg(self.path("fleet.toml"))
            .args(more)
            .args(cards);
        command
    }

    fn run(&self, more: &[&str], cards: &[&Path]) -> Output {
        self.command(more, cards).output().unwrap()
    }

    fn report(&self) -> serde_json::Value {
        let fleet = self.path("fleet.toml");
        let out = Command::new(STATION)
            .args(["report", "--form=json", "--fleet"])
            .arg(fleet)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", said(&out));
        serde_json::from_slice(&out.stdout).unwrap()
    }
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&[&out.stdout[..], &out.stderr].concat()).into_owned()
}

/// The unit that a card is, if it boots at all, as another reader of FAT sees
/// it.
fn unit(card: &Path) -> Option<(toml::Table, toml::Table)> {
    let disk = fs::read(card).unwrap();
    if disk[510..512] != [0x55, 0xAA] {
        return None;
    }
    let volume = Cursor::new(disk[START..START + BOOT].to_vec());
    let system = fatfs::FileSystem::new(volume, fatfs::FsOptions::new()).unwrap();
    let read = |name: &str| -> toml::Table {
        let mut text = String::new();
        system.root_dir().open_file(name).unwrap().read_to_string(&mut text).unwrap();
        toml::from_str(&text).unwrap()
    };
    Some((read("unit.toml"), read("a7670e.toml")))
}

fn id(card: &Path) -> Option<String> {
    Some(unit(card)?.0["unit"]["id"].as_str()?.to_owned())
}

#[test]
fn each_card_becomes_its_own_unit_and_no_unit_is_there_twice() {
    let desk = Desk::new(5);
    let cards = ["c1", "c2", "c3", "c4", "c5", "c6", "c7"].map(|name| desk.card(name));
    let [c1, c2, c3, c4, c5, c6, c7] = cards.each_ref().map(PathBuf::as_path);
    // A dry run makes and changes no file.
    let files = || fs::read_dir(desk.dir.path()).unwrap().count();
    let before = files();
    let out = desk.run(&["--dry-run"], &[c1]);
    assert!(out.status.success() && said(&out).contains("becomes  1"), "{}", said(&out));
    assert_eq!(files(), before);
    let out = desk.run(&[], &[c1, c2, c3]);
    assert!(out.status.success(), "{}", said(&out));
    assert!(said(&out).contains("3 of 3 right; 2 units are left"), "{}", said(&out));
    assert_eq!([c1, c2, c3].map(id), ["1", "2", "3"].map(|id| Some(id.to_owned())));
    let (own, config) = unit(c2).unwrap();
    assert_eq!(own["unit"]["hostname"].as_str(), Some("pump-2"));
    assert_eq!(config["cellular"]["apn"].as_str(), Some("net"));
    assert_eq!(config["modem"]["pin"]["secret"].as_str(), Some("47110002"));
    // All but the two files is the image's.
    let (image, card) = (image(), fs::read(c2).unwrap());
    assert_eq!(image.len(), card.len());
    let different = image.iter().zip(&card).filter(|(one, two)| one != two).count();
    assert!(different > 0 && different < 1000, "{different} bytes differ");
    // No secret is told, and none is in the records.
    let records = fs::read(desk.path("fleet.records.sqlite")).unwrap();
    assert!(!said(&out).contains("47110002"), "{}", said(&out));
    assert!(!records.windows(8).any(|it| it == b"47110002"), "a PIN is in the records");
    let out = desk.run(&["--dry-run"], &[c4]);
    assert!(out.status.success() && said(&out).contains("becomes  4"), "{}", said(&out));
    assert_eq!(fs::read(desk.path("fleet.records.sqlite")).unwrap(), records);
    // What the run needs is no card.
    fs::write(desk.path("pin"), "47110001").unwrap();
    let text = fs::read_to_string(desk.path("fleet.toml")).unwrap();
    let with_file = text.replacen("'47110001'", "{ file = 'pin' }", 1);
    fs::write(desk.path("fleet.toml"), &with_file).unwrap();
    fs::hard_link(desk.path("pin"), desk.path("link")).unwrap();
    for name in ["a.img.zst", "fleet.toml", "fleet.records.sqlite", "pin", "link"] {
        let before = fs::read(desk.path(name)).unwrap();
        let out = desk.run(&[], &[&desk.path(name)]);
        assert!(!out.status.success() && said(&out).contains("needed here"), "{}", said(&out));
        assert_eq!(fs::read(desk.path(name)).unwrap(), before);
    }

    // The operator forgets to change one card, and there are too many.
    let out = desk.run(&[], &[c3, c4, c5, c6]);
    assert!(out.status.success(), "{}", said(&out));
    assert!(said(&out).contains("card 1 is unit 3"), "{}", said(&out));
    assert_eq!([c3, c4, c5].map(id), ["3", "4", "5"].map(|id| Some(id.to_owned())));
    assert_eq!(fs::read(c6).unwrap(), [0xA5; 4096]);

    // All are done.
    let out = desk.run(&[], &[c6]);
    assert!(!out.status.success() && said(&out).contains("no unit goes"), "{}", said(&out));
    let out = desk.run(&["--unit=2"], &[c6]);
    assert!(!out.status.success() && said(&out).contains("`--unit 2 --again`"), "{}", said(&out));
    // It would write the first units once more, whichever is meant.
    let out = desk.run(&["--again"], &[c6]);
    assert!(!out.status.success() && said(&out).contains("--unit <ID>"), "{}", said(&out));
    assert_eq!(fs::read(c6).unwrap(), [0xA5; 4096]);
    let out = desk.run(&["--unit=2", "--again"], &[c6]);
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(id(c6).as_deref(), Some("2"));
    let out = desk.run(&["--unit=2", "--unit=2"], &[c5, c6]);
    assert!(said(&out).contains("\"2\" is named twice"), "{}", said(&out));
    let out = desk.run(&["--unit=9"], &[c6]);
    assert!(said(&out).contains("no unit \"9\""), "{}", said(&out));

    let report = desk.report();
    let states: Vec<_> = report.as_array().unwrap().iter().map(|it| it["state"].as_str()).collect();
    assert_eq!(states, [Some("right"); 6]);
    assert_eq!(report[0]["operator"], "test");

    // A finished card is given to another unit: its own is free again.
    let out = desk.run(&["--unit=4", "--again"], &[c5]);
    assert!(out.status.success(), "{}", said(&out));
    assert!(said(&out).contains("1 of 1 right"), "{}", said(&out));
    assert_eq!(desk.report()[4]["state"], "overwritten");
    let out = desk.run(&[], &[c7]);
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!([c5, c7].map(id), ["4", "5"].map(|id| Some(id.to_owned())));
    assert_eq!(report[0]["image_sha256"].as_str().map(str::len), Some(64));
}

#[test]
fn keys_that_are_made_here_are_known_by_their_public_halves_alone() {
    let desk = Desk::new(0);
    let peer = "A".repeat(43) + "=";
    let fleet = format!(
        "[defaults]\nhostname = 'pump-{{id}}'\nssh_host_key = {{ make = true }}\n\
         [defaults.wireguard]\nprivate_key = {{ make = true }}\naddress = ['10.0.0.2/24']\n\
         [defaults.wireguard.peer]\npublic_key = '{peer}'\nendpoint = 'a.b:5'\n\
         allowed_ips = ['10.0.0.0/24']\n[[unit]]\nid = '1'\n[[unit]]\nid = '2'\n"
    );
    fs::write(desk.path("fleet.toml"), fleet).unwrap();
    let cards = ["c1", "c2", "c3"].map(|name| desk.card(name));
    let [c1, c2, c3] = cards.each_ref().map(PathBuf::as_path);
    let out = desk.run(&[], &[c1, c2]);
    assert!(out.status.success() && !said(&out).contains("new keys"), "{}", said(&out));
    let out = desk.run(&["--unit=1", "--again"], &[c3]);
    assert!(out.status.success(), "{}", said(&out));
    assert!(said(&out).contains("unit 1 gets new keys"), "{}", said(&out));
    let report = desk.report();
    let states: Vec<_> = report.as_array().unwrap().iter().map(|it| it["keys"].as_str()).collect();
    assert_eq!(states, [Some("made"), Some("made"), Some("made anew")]);
    let mut seen = Vec::new();
    let records = fs::read(desk.path("fleet.records.sqlite")).unwrap();
    for (card, line) in [c1, c2, c3].into_iter().zip(report.as_array().unwrap()) {
        let own = unit(card).unwrap().0;
        let file = own["file"][0]["content"].as_str().unwrap();
        let pair = station::keys::read_host_key(file).unwrap();
        let key = pair.public.split(' ').nth(1).unwrap().to_owned();
        assert!(line["host_key"].as_str().unwrap().ends_with(&format!(" ssh-ed25519 {key}")));
        let private = own["wireguard"]["private_key"]["secret"].as_str().unwrap();
        let tunnel = station::keys::read_wireguard_key(private).unwrap().public;
        assert_eq!(line["wireguard_key"].as_str(), Some(tunnel.as_str()));
        // Only the card has the private halves.
        let middle = file.lines().nth(3).unwrap();
        for secret in [private, middle] {
            let bytes = secret.as_bytes();
            assert!(!records.windows(bytes.len()).any(|it| it == bytes), "{secret}");
            assert!(!said(&out).contains(secret));
        }
        seen.extend([key, tunnel]);
    }
    let out = Command::new(STATION)
        .args(["report", "--form=known-hosts", "--fleet"])
        .arg(desk.path("fleet.toml"))
        .output()
        .unwrap();
    let lines = String::from_utf8(out.stdout).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    // That of the card that was written last.
    assert!(lines.starts_with(&format!("pump-1,10.0.0.2 ssh-ed25519 {}\n", seen[4])), "{lines}");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6, "a key is there twice");
}

#[test]
fn what_units_report_stands_beside_their_cards() {
    let desk = Desk::new(2);
    let cards = ["c1", "c2"].map(|name| desk.card(name));
    let out = desk.run(&[], &cards.each_ref().map(PathBuf::as_path));
    assert!(out.status.success(), "{}", said(&out));
    let token = |card: &Path| unit(card).unwrap().0["unit"]["card"].as_str().unwrap().to_owned();
    let report = |unit: &str, card: &Path, imei: &str| -> a7670e_unit::Enrolment {
        let card = token(card);
        let json = format!(r#"{{"version":1,"unit":"{unit}","card":"{card}","imei":"{imei}"}}"#);
        serde_json::from_str(&json).unwrap()
    };
    let first = cards[0].clone();
    let one = report("1", &first, "490154203237518");
    let two = report("2", &cards[1], "490154203237518");
    let text = format!("{}\n{}\n", serde_json::to_string(&one).unwrap(), two.to_sms());
    fs::write(desk.path("reports"), text).unwrap();
    let enrol = |file: &Path| {
        let fleet = desk.path("fleet.toml");
        Command::new(STATION).arg("enrol").arg(file).arg("--fleet").arg(fleet).output().unwrap()
    };
    let out = enrol(&desk.path("reports"));
    assert!(!out.status.success(), "{}", said(&out));
    assert!(said(&out).contains("unit 1: enrolled\n"), "{}", said(&out));
    assert!(said(&out).contains("unit 2: REFUSED: "), "{}", said(&out));
    let cards = desk.report();
    assert_eq!(cards[0]["imei"], "490154203237518");
    // Who has the whole token could report as the unit.
    assert_eq!(cards[0]["token"], token(&first)[..8]);
    assert_eq!(cards[1]["imei"], serde_json::Value::Null);
    fs::write(desk.path("reports"), "hello").unwrap();
    let out = enrol(&desk.path("reports"));
    assert!(said(&out).contains("reports: line 1: "), "{}", said(&out));
}

#[test]
fn nobody_reads_what_it_says() {
    let desk = Desk::new(2);
    let cards = ["c1", "c2"].map(|name| desk.card(name));
    let mut command = desk.command(&[], &cards.each_ref().map(PathBuf::as_path));
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The pipes' only other ends.
    drop((run.stdout.take(), run.stderr.take()));
    assert!(run.wait().unwrap().success());
    assert_eq!(cards.each_ref().map(|card| id(card)), ["1", "2"].map(|id| Some(id.to_owned())));
    let report = desk.report();
    assert_eq!([&report[0]["state"], &report[1]["state"]], ["right", "right"]);
}

/// Kills the desk's program at fifty moments of its work, and each time goes on
/// with the same cards.
#[test]
fn a_power_cut_leaves_no_unit_twice_and_none_out() {
    let (mut cuts, mut met) = (0, 0);
    while cuts < 50 {
        met += cut_off(&mut cuts, 50);
    }
    assert!(met > 0, "no cut met a card that was being written");
}

/// Cuts the writing of a fleet until there are `enough` cuts or all of its cards are
/// done; gives how many cards were being written.
fn cut_off(cuts: &mut u32, enough: u32) -> usize {
    let desk = Desk::new(6);
    let cards = ["c1", "c2", "c3", "c4", "c5", "c6"].map(|name| desk.card(name));
    let cards = cards.each_ref().map(PathBuf::as_path);
    let (whole, rest) = cards.split_at(2);
    let begin = Instant::now();
    assert!(desk.run(&[], whole).status.success());
    let took = begin.elapsed();
    let mut pairs = rest.chunks(2);
    let mut pair = pairs.next();
    while let Some(now) = pair.filter(|_| *cuts < enough) {
        let mut run =
            desk.command(&[], now).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The moment is what is tried here; no outcome depends on it. These spread
        // evenly over the whole, however many there are (the golden ratio's part).
        std::thread::sleep(took.mul_f64((f64::from(*cuts) * 0.618_034).fract()));
        // Fails only when it has ended by itself.
        let _ = run.kill();
        if run.wait().unwrap().signal().is_some() {
            *cuts += 1;
        } else {
            pair = pairs.next();
        }
        // Whoever only looks can do so at any time.
        desk.report();
    }
    // As often as it takes; each run may only be refused for being done.
    for pair in rest.chunks(2).chain([&rest[2..]]) {
        let out = desk.run(&[], pair);
        assert!(out.status.success() || said(&out).contains("no unit goes"), "{}", said(&out));
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for card in cards {
        *seen.entry(id(card).unwrap()).or_default() += 1;
    }
    let want = ["1", "2", "3", "4", "5", "6"].map(|id| (id.to_owned(), 1));
    assert_eq!(seen, BTreeMap::from(want));
    let report = desk.report();
    let count =
        |state: &str| report.as_array().unwrap().iter().filter(|it| it["state"] == state).count();
    assert_eq!(count("right"), 6, "{report}");
    count("interrupted")
}

#[test]
fn a_bad_fleet_or_image_stops_it_before_any_card() {
    let desk = Desk::new(1);
    let card = desk.card("c");
    fs::write(desk.path("fleet.toml"), "[[unit]]\nid = '1'\n[[unit]]\nid = '1'\n").unwrap();
    let out = desk.run(&[], &[&card]);
    assert!(said(&out).contains("fleet.toml:4:6: "), "{}", said(&out));
    fs::write(desk.path("fleet.toml"), "[[unit]]\nid = '1'\nvalues = { x = 'PLACE' }\n").unwrap();
    let text = fs::read_to_string(desk.path("fleet.toml")).unwrap();
    fs::write(desk.path("fleet.toml"), text.replace("PLACE", &"y".repeat(50_000))).unwrap();
    let out = desk.run(&[], &[&card]);
    assert!(said(&out).contains("the image keeps 49152 free"), "{}", said(&out));
    fs::write(desk.path("a.img.zst"), zstd::encode_all(&[1; 8192][..], 1).unwrap()).unwrap();
    let out = desk.run(&[], &[&card]);
    assert!(said(&out).contains("no FAT32 boot partition"), "{}", said(&out));
    assert_eq!(fs::read(&card).unwrap(), [0xA5; 4096]);
}

#[test]
fn a_card_that_is_put_in_later_is_the_next_unit() {
    let desk = Desk::new(2);
    let (first, second) = (desk.card("c1"), desk.path("c2"));
    fs::write(&second, vec![0xA5; 40 << 20]).unwrap();
    let slot = Slot::new();
    let given = format!("--overwrite-in={}", slot.name());
    // Only all units being done can end it.
    let mut command = desk.command(&["--hot-add", &given, "--idle=100000"], &[&first]);
    let mut run = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(run.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    // It has seen what was there before.
    let line = lines.next().unwrap();
    assert!(line.contains("\"unit\":\"1\""), "{line}");
    slot.put_in(&second);
    let rest: Vec<_> = lines.collect();
    let done = run.0.wait().unwrap();
    slot.take_out();
    assert!(done.success(), "{rest:?}");
    assert_eq!([first, second].map(|card| id(&card)), ["1", "2"].map(|id| Some(id.to_owned())));
    let report = desk.report();
    assert_eq!([&report[0]["state"], &report[1]["state"]], ["right", "right"]);
    assert_eq!(report[1]["target"], slot.path.to_str().unwrap());
}

#[test]
fn a_unit_reports_to_the_open_desk_by_its_cards_token() {
    let desk = Desk::new(2);
    let card = desk.card("c1");
    assert!(desk.run(&[], &[&card]).status.success());
    let (own, _) = unit(&card).unwrap();
    let token = own["unit"]["card"].as_str().unwrap().to_owned();
    let program = Command::new(STATION)
        .args(["serve", "--token", "--listen=127.0.0.1:0"])
        .arg(desk.path("a.img.zst"))
        .arg("--fleet")
        .arg(desk.path("fleet.toml"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut program = Running(program);
    let mut lines = BufReader::new(program.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("is at http://")).unwrap();
    let (_, rest) = line.split_once("http://").unwrap();
    let (address, key) = rest.split_once("/#").unwrap();
    let post = |authorization: &str, body: &str| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let len = body.len();
        let head = format!(
            "POST /enrol HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{authorization}\
             Content-Type: application/json\r\nContent-Length: {len}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let report = |unit: &str, card: &str, imei: &str| {
        format!(r#"{{"version":1,"unit":"{unit}","card":"{card}","imei":"{imei}"}}"#)
    };
    let imei = "490154203237518";
    // Strangers learn nothing, not even which unit there is.
    let other = "0".repeat(32);
    for (unit, card) in [("1", &token[..8]), ("1", &other), ("2", &token), ("9", &token)] {
        let answer = post("", &report(unit, card, imei));
        assert!(answer.starts_with("HTTP/1.1 409"), "{answer}");
        assert!(answer.contains("does not come from its card"), "{answer}");
        assert!(!answer.contains(&token));
    }
    assert!(post("", "{}").starts_with("HTTP/1.1 400"));
    let answer = post("", &report("1", &token, imei));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"units":["1"]}"#));
    // Whom the operator let in may say less, but exchanges nothing either.
    let bearer = format!("Authorization: Bearer {key}\r\n");
    let answer = post(&bearer, &report("1", &token[..8], imei));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = post(&bearer, &report("1", &token[..8], "356938035643809"));
    assert!(answer.contains("--replace"), "{answer}");
    drop(program);
    assert_eq!(desk.report()[0]["imei"], imei);
}
