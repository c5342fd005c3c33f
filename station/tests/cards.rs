//! The program on real block devices: loop devices of the tests' own.
//!
//! These need root and free loop devices, as CI has them; without either they
//! fail and say so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const STATION: &str = env!("CARGO_BIN_EXE_station");

const MIB: usize = 1 << 20;

/// A loop device on a file that is full of old data.
struct Card {
    device: PathBuf,
    file: PathBuf,
}

impl Card {
    fn new(dir: &Path, name: &str, bytes: usize) -> Self {
        let file = dir.join(name);
        fs::write(&file, vec![0xA5; bytes]).unwrap();
        Self::on(file)
    }

    fn on(file: PathBuf) -> Self {
        let out = Command::new("losetup").args(["--find", "--show"]).arg(&file).output().unwrap();
        assert!(
            out.status.success(),
            "this test needs root and a free loop device: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        let device = String::from_utf8(out.stdout).unwrap().trim().into();
        Self { device, file }
    }

    fn content(&self) -> Vec<u8> {
        // By way of the file: what the device's cache says is not the point.
        fs::read(&self.file).unwrap()
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let done = Command::new("losetup").arg("--detach").arg(&self.device).status();
        if !std::thread::panicking() {
            assert!(done.unwrap().success());
        }
    }
}

/// A file system with room for so many MiB, which is less than is written.
struct Tight(PathBuf);

impl Tight {
    fn new(at: PathBuf, mib: usize) -> Self {
        fs::create_dir(&at).unwrap();
        let size = format!("size={mib}m");
        let out =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        let out = out.unwrap();
        assert!(out.status.success(), "this test needs root: {}", said(&out));
        Self(at)
    }
}

impl Drop for Tight {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.0).status();
        if !std::thread::panicking() {
            assert!(done.unwrap().success());
        }
    }
}

/// Six MiB: data, zeros, data, and an end that is no whole MiB.
fn image() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..6 * MIB + 4096).map(|at| (at / 4096 + at % 5) as u8 | 1).collect();
    bytes[2 * MIB..4 * MIB].fill(0);
    bytes
}

fn station(arguments: &[&str], cards: &[&Card]) -> Output {
    let mut command = Command::new(STATION);
    command.args(arguments).args(cards.iter().map(|card| &card.device));
    command.output().unwrap()
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&[&out.stdout[..], &out.stderr].concat()).into_owned()
}

#[test]
fn cards_become_the_image_and_a_bad_one_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let image = image();
    let packed = dir.path().join("a.img.zst");
    fs::write(&packed, zstd::encode_all(&image[..], 1).unwrap()).unwrap();
    let good = [Card::new(dir.path(), "1", 8 * MIB), Card::new(dir.path(), "2", 7 * MIB)];
    // It says that it has 8 MiB, but has no room for them.
    let tight = Tight::new(dir.path().join("tight"), 3);
    let file = tight.0.join("3");
    File::create(&file).unwrap().set_len(8 << 20).unwrap();
    let liar = Card::on(file);

    let cards = [&good[0], &liar, &good[1]];
    let image_path = packed.to_str().unwrap();
    let out = station(&["flash", "--yes", "--json", image_path], &cards);
    let text = said(&out);
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(text.contains("2 of 3 right"), "{text}");
    let result = |card: &Card| -> serde_json::Value {
        let name = format!("\"card\":\"{}\"", card.device.display());
        let line = text.lines().find(|line| line.contains(&name) && line.contains("\"result\""));
        serde_json::from_str(line.unwrap_or_else(|| panic!("{text}"))).unwrap()
    };
    for card in &good {
        assert_eq!(result(card)["result"], "right");
        let content = card.content();
        assert!(content[..image.len()] == image);
        assert!(content[image.len()..].iter().all(|&byte| byte == 0xA5));
    }
    assert_eq!(result(&liar)["result"], "failed", "{text}");
    assert!(liar.content()[..4096].iter().all(|&byte| byte == 0), "it would boot");
    drop(liar);
    drop(tight);
}

#[test]
fn what_must_not_be_written_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.img");
    fs::write(&path, image()).unwrap();
    let image = path.to_str().unwrap();
    let untouched = |card: &Card| card.content().iter().all(|&byte| byte == 0xA5);

    let small = Card::new(dir.path(), "small", 4 * MIB);
    let fine = Card::new(dir.path(), "fine", 8 * MIB);
    let out = station(&["flash", "--yes", image], &[&fine, &small]);
    assert!(!out.status.success() && said(&out).contains("take a larger card"), "{}", said(&out));
    assert!(untouched(&small) && untouched(&fine));

    let out = station(&["flash", "--dry-run", image], &[&fine]);
    assert!(out.status.success() && said(&out).contains("dry run"), "{}", said(&out));
    let out = station(&["flash", image], &[&fine]);
    assert!(!out.status.success() && said(&out).contains("--yes"), "{}", said(&out));
    let out = station(&["flash", "--yes", image], &[&fine, &fine]);
    assert!(!out.status.success() && said(&out).contains("named twice"), "{}", said(&out));
    assert!(untouched(&fine));

    // A member of a set that is not running.
    let member = Card::new(dir.path(), "member", 8 * MIB);
    let file = File::options().write(true).open(&member.file).unwrap();
    file.write_all_at(b"LABELONE", 512).unwrap();
    let out = station(&["flash", "--yes", image], &[&member]);
    assert!(!out.status.success() && said(&out).contains("LVM"), "{}", said(&out));
    assert_eq!(member.content()[0], 0xA5);

    // A name for a device that hides what uses it.
    let nested = Card::on(fine.device.clone());
    let out = station(&["flash", "--yes", image], &[&nested]);
    assert!(!out.status.success() && said(&out).contains("block device"), "{}", said(&out));
    drop(nested);
    assert!(untouched(&fine));

    // The image, by its name, and as what a loop device is on.
    let own = Card::on(path.clone());
    for target in [image, own.device.to_str().unwrap()] {
        let out = station(&["flash", "--yes", image, target], &[]);
        assert!(!out.status.success() && said(&out).contains("needed here"), "{}", said(&out));
    }
    drop(own);
    assert!(fs::read(&path).unwrap() == self::image());

    // Somebody else has it open for himself.
    let busy = station::card::Device::open(&fine.device).unwrap();
    let out = station(&["flash", "--yes", image], &[&fine]);
    assert!(!out.status.success() && said(&out).contains("in use"), "{}", said(&out));
    drop(busy);
    assert!(untouched(&fine));

    // Mounted.
    let out = Command::new("mke2fs").args(["-q", "-F"]).arg(&fine.file).output().unwrap();
    assert!(out.status.success(), "this test needs e2fsprogs: {}", said(&out));
    let at = dir.path().join("mounted here");
    fs::create_dir(&at).unwrap();
    let mounted = Command::new("mount").arg(&fine.device).arg(&at).output().unwrap();
    assert!(mounted.status.success(), "this test needs root: {}", said(&mounted));
    let before = fine.content();
    let out = station(&["flash", "--yes", "--yes-really", image], &[&fine]);
    assert!(Command::new("umount").arg(&at).status().unwrap().success());
    assert!(!out.status.success() && said(&out).contains("mounted here"), "{}", said(&out));
    assert!(before[..512] == fine.content()[..512]);
}
