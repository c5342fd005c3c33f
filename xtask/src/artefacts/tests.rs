//! Publishing as a whole, with a small image.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::*;
use crate::archive::Section;

struct Bench {
    dir: tempfile::TempDir,
    ctx: Context,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ctx = Context::in_folder(dir.path()).unwrap();
        Self { dir, ctx }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// A disk with one partition, which starts with `content`.
    fn disk(&self, content: &str) -> Stage {
        stage::run(&self.ctx, "disk", Inputs::new().value("content", content), |room| {
            let image = File::create(room.out.join("disk.img"))?;
            image.set_len(8 << 20)?;
            let mut entry = [0; 16];
            entry[4] = 0x83;
            entry[8..12].copy_from_slice(&2048_u32.to_le_bytes());
            entry[12..].copy_from_slice(&4096_u32.to_le_bytes());
            image.write_all_at(&entry, 446)?;
            image.write_all_at(&[0x55, 0xAA], 510)?;
            image.write_all_at(content.as_bytes(), 1 << 20)?;
            std::fs::write(room.out.join(disk::MAP), "[[0,512],[1048576,3145728]]")?;
            Ok(())
        })
        .unwrap()
    }

    fn publish(&self, content: &str) -> Result<Vec<PathBuf>> {
        let entry = Entry {
            name: "linux-source-6.12".into(),
            version: "6.12.1-1".into(),
            arch: "all".into(),
            size: 1,
            sha256: digest::bytes(b"linux"),
            path: "debian/pool/main/l/linux.deb".into(),
        };
        let section = Section {
            name: "target".into(),
            request: "trixie arm64 x".into(),
            epoch: 1_700_000_000,
            entries: vec![entry.clone()],
        };
        let packages = Packages { section, locked: true, files: vec![] };
        let kernel = sbom::Kernel { source: entry, suite: "trixie".into(), patches: vec![] };
        let disk = self.disk(content);
        publish(
            &self.ctx,
            &Publish {
                name: "pi4b",
                disk: &disk,
                image: "disk.img",
                out: &self.out(),
                packages: &[&packages],
                local: &[],
                kernel: &kernel,
                crates: &[],
                tools: &[],
                stages: &[&disk],
            },
        )
    }

    /// Name, inode and digest of every file.
    fn files(&self) -> BTreeMap<String, (u64, String)> {
        let list = std::fs::read_dir(self.out()).unwrap();
        list.map(|e| {
            let e = e.unwrap();
            let name = e.file_name().into_string().unwrap();
            (name, (e.metadata().unwrap().ino(), digest::file(&e.path()).unwrap()))
        })
        .collect()
    }
}

#[test]
fn all_files_are_there_and_belong_together() {
    let bench = Bench::new();
    let paths = bench.publish("one").unwrap();
    let files = bench.files();
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "pi4b.bmap",
            "pi4b.img",
            "pi4b.img.zst",
            "pi4b.img.zst.sha256",
            "pi4b.manifest.json",
            "pi4b.spdx.json"
        ]
    );
    assert_eq!(paths.len(), names.len());
    assert!(paths[0].ends_with("pi4b.img"));
    let read = |name: &str| std::fs::read(bench.out().join(name)).unwrap();
    let back = zstd::decode_all(&read("pi4b.img.zst")[..]).unwrap();
    assert!(back == read("pi4b.img"));
    let manifest =
        Manifest::parse(&String::from_utf8(read("pi4b.manifest.json")).unwrap()).unwrap();
    for (name, artefact) in &manifest.artefacts {
        assert_eq!(artefact.sha256, files[name].1, "{name}");
    }
    assert!(manifest.stages.contains_key("disk") && manifest.stages.contains_key("forms"));
}

#[test]
fn an_unchanged_build_writes_nothing() {
    let bench = Bench::new();
    bench.publish("one").unwrap();
    let before = bench.files();
    bench.publish("one").unwrap();
    assert_eq!(bench.files(), before);
}

#[test]
fn what_the_user_changed_or_removed_comes_back() {
    let bench = Bench::new();
    bench.publish("one").unwrap();
    let before = bench.files();
    let image = bench.out().join("pi4b.img");
    // Same size, and the old time: only the content differs.
    let time = image.metadata().unwrap().modified().unwrap();
    let file = File::options().write(true).open(&image).unwrap();
    file.write_all_at(b"mine", 1 << 20).unwrap();
    file.set_modified(time).unwrap();
    std::fs::remove_file(bench.out().join("pi4b.bmap")).unwrap();
    bench.publish("one").unwrap();
    let after = bench.files();
    for (name, (_, digest)) in &before {
        assert_eq!(after[name].1, *digest, "{name}");
    }
    // And the cache never saw the change.
    let cached = bench.disk("one").path("disk.img");
    assert_eq!(digest::file(&cached).unwrap(), before["pi4b.img"].1);
}

#[test]
fn a_new_image_replaces_all_and_takes_a_foreign_signature_away() {
    let bench = Bench::new();
    bench.publish("one").unwrap();
    let before = bench.files();
    std::fs::write(bench.out().join("pi4b.img.zst.minisig"), "of something else").unwrap();
    bench.publish("two").unwrap();
    let after = bench.files();
    assert_eq!(after.len(), before.len());
    for (name, (_, digest)) in &before {
        assert_ne!(after[name].1, *digest, "{name}");
    }
}

#[test]
fn a_failure_on_the_way_leaves_the_folder_as_it_was() {
    let bench = Bench::new();
    bench.publish("one").unwrap();
    // The stage of the second image is made, then its compressed form is lost.
    let before = bench.files();
    let disk = bench.disk("two");
    let forms = forms(&bench.ctx, &disk, "disk.img").unwrap();
    std::fs::remove_file(forms.path(ZST)).unwrap();
    let error = bench.publish("two").unwrap_err();
    assert!(format!("{error:#}").contains(ZST), "{error:#}");
    assert_eq!(bench.files(), before);
}
