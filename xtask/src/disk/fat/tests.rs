//! The writer against a reader by other hands.

use std::io::{Cursor, Read, Write};

use super::*;

fn volume(mib: u64, files: &[(&str, Vec<u8>)]) -> Volume {
    Volume {
        size: mib << 20,
        start: 4 << 20,
        label: "A7670E-BOOT".into(),
        id: 0xa767_0e01,
        epoch: 1_787_504_731,
        files: files.iter().map(|(path, content)| ((*path).to_owned(), content.clone())).collect(),
    }
}

fn image(volume: &Volume) -> Vec<u8> {
    // Free space may hold anything: so it does.
    let mut image = vec![0xa5; volume.size as usize];
    for piece in volume.pieces().unwrap() {
        let at = piece.offset as usize;
        image[at..at + piece.bytes.len()].copy_from_slice(&piece.bytes);
    }
    image
}

fn read(fs: &fatfs::FileSystem<Cursor<Vec<u8>>>, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    fs.root_dir().open_file(path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn another_reader_finds_every_byte() {
    let files = [
        ("config.txt", b"arm_64bit=1\n".to_vec()),
        ("bcm2711-rpi-4-b.dtb", vec![7; 40_000]),
        ("empty", Vec::new()),
        ("kernel8.img", (0..5_000_000_u32).map(|i| (i % 251) as u8).collect()),
        ("overlays/a rather long name, longer than thirteen.dtbo", vec![1; 1024]),
        ("overlays/deep/x", vec![2; 3]),
    ];
    for mib in [64, 128, 512] {
        let volume = volume(mib, &files);
        let fs =
            fatfs::FileSystem::new(Cursor::new(image(&volume)), fatfs::FsOptions::new()).unwrap();
        assert_eq!(fs.fat_type(), fatfs::FatType::Fat32);
        assert_eq!(fs.volume_label(), "A7670E-BOOT");
        assert_eq!(fs.volume_id(), 0xa767_0e01);
        for (path, content) in &files {
            assert_eq!(&read(&fs, path), content, "{path} at {mib} MiB");
        }
        let stats = fs.stats().unwrap();
        let used: u64 = volume
            .pieces()
            .unwrap()
            .iter()
            .skip(3)
            .map(|piece| piece.bytes.len() as u64 / u64::from(stats.cluster_size()))
            .sum();
        assert_eq!(u64::from(stats.total_clusters() - stats.free_clusters()), used);
    }
}

#[test]
fn a_folder_of_many_clusters() {
    let names: Vec<_> =
        (0..500).map(|i| format!("many/a long name with number {i}.dtbo")).collect();
    let files: Vec<_> =
        names.iter().map(|name| (name.as_str(), name.clone().into_bytes())).collect();
    let volume = volume(64, &files);
    let fs = fatfs::FileSystem::new(Cursor::new(image(&volume)), fatfs::FsOptions::new()).unwrap();
    assert_eq!(fs.root_dir().open_dir("many").unwrap().iter().count(), 502);
    assert_eq!(read(&fs, &names[499]), names[499].as_bytes());
}

#[test]
fn a_file_can_be_added_by_others_afterwards() {
    let volume = volume(64, &[("config.txt", vec![1; 700])]);
    let fs = fatfs::FileSystem::new(Cursor::new(image(&volume)), fatfs::FsOptions::new()).unwrap();
    fs.root_dir().create_file("later.txt").unwrap().write_all(&[3; 9000]).unwrap();
    assert_eq!(read(&fs, "later.txt"), [3; 9000]);
    assert_eq!(read(&fs, "config.txt"), [1; 700]);
}

#[test]
fn what_cannot_be_written_is_said() {
    let error = |volume: Volume| format!("{:#}", volume.pieces().unwrap_err());
    let said = error(volume(64, &[("big", vec![0; 70 << 20])]));
    assert!(said.contains("boot_mib"), "{said}");
    let said = error(volume(64, &[("a", vec![]), ("A", vec![])]));
    assert!(said.contains("one name"), "{said}");
    let said = error(volume(64, &[("a:b", vec![])]));
    assert!(said.contains("a:b"), "{said}");
    let mut other = volume(64, &[]);
    other.label = "lower".into();
    assert!(error(other).contains("label"));
}
