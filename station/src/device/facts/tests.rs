//! Facts from made-up trees, shaped as the kernel's.

use std::os::unix::fs::symlink;

use super::*;
use crate::device::{Refusal, Rules, judge};

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for dir in ["sys/dev/block", "sys/class/block", "proc/self"] {
            fs::create_dir_all(tree.0.path().join(dir)).unwrap();
        }
        tree.write("proc/self/mountinfo", "");
        tree.write("proc/swaps", "Filename\n");
        tree
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Adds the block device at `sys/devices/DIR`.
    fn block(&self, dir: &str, number: &str, attributes: &[(&str, &str)]) {
        let full = format!("sys/devices/{dir}");
        self.write(&format!("{full}/dev"), &format!("{number}\n"));
        fs::create_dir_all(self.0.path().join(&full).join("holders")).unwrap();
        for (name, value) in attributes {
            self.write(&format!("{full}/{name}"), &format!("{value}\n"));
        }
        let name = dir.rsplit('/').next().unwrap();
        let real = self.0.path().join(&full);
        symlink(&real, self.0.path().join("sys/dev/block").join(number)).unwrap();
        symlink(&real, self.0.path().join("sys/class/block").join(name)).unwrap();
    }

    fn held(&self, dir: &str, by: &str) {
        let holders = self.0.path().join("sys/devices").join(dir).join("holders");
        symlink("anywhere", holders.join(by)).unwrap();
    }

    fn target(&self, number: &str) -> Target {
        let system = System::at(&self.0.path().join("sys"), &self.0.path().join("proc")).unwrap();
        system.block(Path::new("/dev/x"), number).unwrap()
    }
}

const USB: &str = "pci0000:00/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb";
const GIB32: (&str, &str) = ("size", "62333952");

#[test]
fn a_card_in_a_usb_reader() {
    let tree = Tree::new();
    tree.write("sys/devices/pci0000:00/usb1/1-2/idVendor", "05e3\n");
    tree.write("sys/devices/pci0000:00/usb1/1-2/serial", "000000001208\n");
    let attributes = [GIB32, ("removable", "1"), ("ro", "0"), ("device/model", "STORAGE DEVICE  ")];
    tree.block(USB, "8:16", &attributes);
    tree.block(&format!("{USB}/sdb1"), "8:17", &[("partition", "1"), ("size", "8192")]);
    let card = tree.target("8:16");
    assert_eq!(
        (card.name.as_str(), card.size, card.kind.clone()),
        ("sdb", 31_914_983_424, Kind::Disk)
    );
    assert_eq!(card.model.as_deref(), Some("STORAGE DEVICE"));
    assert_eq!(card.serial.as_deref(), Some("000000001208"));
    assert!(card.removable && !card.read_only && card.uses.is_empty());
    assert_eq!(tree.target("8:17").kind, Kind::Partition("/dev/sdb".into()));

    // Its only partition is mounted, as the desktop does.
    tree.write("proc/self/mountinfo", "9 1 8:17 / /media/me/BOOT rw - vfat /dev/sdb1 rw\n");
    let want = Refusal::Mounted { device: "sdb1".into(), at: "/media/me/BOOT".into() };
    assert_eq!(judge(&tree.target("8:16"), Rules::default()), [want]);
}

#[test]
fn a_card_in_the_boards_own_slot() {
    let tree = Tree::new();
    let cid = "035344534333324780a1b2c3d4017600";
    let dir = "platform/emmc2/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0";
    let device =
        [GIB32, ("device/name", "SC32G"), ("device/serial", "0xa1b2c3d4"), ("device/cid", cid)];
    tree.block(dir, "179:0", &device);
    let card = tree.target("179:0");
    assert_eq!(card.model.as_deref(), Some("SC32G"));
    assert_eq!(card.cid.as_deref(), Some(cid));
    assert_eq!(card.serial.as_deref(), Some("0xa1b2c3d4"));
}

/// A disk with a boot partition, swap, and a root on LVM on encryption.
#[test]
fn the_running_system_is_found_behind_all_layers() {
    let tree = Tree::new();
    let disk = "pci0000:00/nvme/nvme0/nvme0n1";
    tree.block(disk, "259:0", &[GIB32, ("device/model", "SSD")]);
    for (number, minor) in [("1", "259:1"), ("2", "259:2"), ("3", "259:3")] {
        let part = format!("{disk}/nvme0n1p{number}");
        tree.block(&part, minor, &[("partition", number), ("size", "1000")]);
    }
    tree.block("virtual/block/dm-0", "254:0", &[("size", "1000")]);
    tree.block("virtual/block/dm-1", "254:1", &[("size", "1000")]);
    tree.held(&format!("{disk}/nvme0n1p3"), "dm-0");
    tree.held("virtual/block/dm-0", "dm-1");
    tree.write(
        "proc/self/mountinfo",
        "1 0 254:1 / / rw - ext4 /dev/mapper/vg-root rw\n\
         2 1 0:40 /@home /home rw - btrfs /dev/nvme0n1p1 rw\n",
    );
    tree.write("proc/swaps", "Filename\n/dev/nvme0n1p2 partition 1 0 -2\n");
    let target = tree.target("259:0");
    let mounted = |device: &str, at: &str| Use::Mounted { device: device.into(), at: at.into() };
    let held = |device: &str, by: &str| Use::Held { device: device.into(), by: by.into() };
    let want = [
        mounted("nvme0n1p1", "/home"),
        Use::Swap { device: "nvme0n1p2".into() },
        held("nvme0n1p3", "dm-0"),
        held("dm-0", "dm-1"),
        mounted("dm-1", "/"),
    ];
    assert_eq!(target.uses, want);
    let against = judge(&target, Rules { image: None, yes_really: true });
    assert!(against.contains(&Refusal::System("/".into())), "{against:?}");
    assert!(against.contains(&Refusal::System("/home".into())), "{against:?}");
    assert_eq!(tree.target("254:1").kind, Kind::Virtual);
}

#[test]
fn loop_devices_and_empty_readers() {
    let tree = Tree::new();
    tree.block("virtual/block/loop3", "7:3", &[GIB32, ("loop/backing_file", "/tmp/card")]);
    // Whatever uses that disk is not to be seen from here.
    tree.block("virtual/block/loop5", "7:5", &[GIB32, ("loop/backing_file", "/dev/no-such-disk")]);
    let want = Refusal::Nested("/dev/no-such-disk".into());
    assert_eq!(judge(&tree.target("7:5"), Rules::default()), [want]);
    tree.block("virtual/block/loop4", "7:4", &[("size", "0")]);
    assert_eq!(tree.target("7:3").kind, Kind::Loop("/tmp/card".into()));
    assert_eq!(judge(&tree.target("7:3"), Rules::default()), []);
    assert_eq!(judge(&tree.target("7:4"), Rules::default()), [Refusal::Empty]);
}

#[test]
fn another_card_in_the_same_reader_is_another_target() {
    let tree = Tree::new();
    tree.block(USB, "8:16", &[GIB32, ("diskseq", "20")]);
    let before = tree.target("8:16");
    assert_eq!(before.instance, (rustix::fs::makedev(8, 16), 20));
    tree.write(&format!("sys/devices/{USB}/diskseq"), "21\n");
    assert_ne!(tree.target("8:16"), before);
}

#[test]
fn a_device_that_cannot_be_opened_is_no_unmarked_one() {
    let tree = Tree::new();
    tree.block(USB, "8:16", &[GIB32]);
    let system = System::at(&tree.0.path().join("sys"), &tree.0.path().join("proc")).unwrap();
    let opened = |code: i32| {
        let error = io::Error::from_raw_os_error(code);
        system.opened(Path::new("/dev/x"), "8:16", Err(error))
    };
    assert!(opened(libc::EACCES).unwrap_err().contains("are you root?"));
    // A reader without a card, whose last one's size is still known.
    let empty = opened(libc::ENOMEDIUM).unwrap();
    assert_eq!(judge(&empty, Rules::default()), [Refusal::Empty]);
}

#[test]
fn paths_that_are_no_target() {
    let system = System::read().unwrap();
    for (path, want) in [("/dev/null", "neither"), ("/", "neither"), ("/none", "No such file")] {
        let error = system.target(Path::new(path)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{path}: ")) && error.contains(want), "{error}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(system.target(file.path()).unwrap().kind, Kind::File);
}
