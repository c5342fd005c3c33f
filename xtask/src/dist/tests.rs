//! Tests of the release, with a small image that was made up.

use std::process::Command;

use serde_json::{Value, json};

use super::*;
use crate::process;

/// What `cargo xtask image` would have left.
fn image(dir: &Path) -> (Options, Manifest) {
    let (from, to) = (dir.join("out"), dir.join("dist"));
    fs::create_dir(&from).unwrap();
    let image: Vec<u8> = (0..300_000_u32).map(|at| (at / 1000) as u8).collect();
    let packed = zstd::encode_all(&image[..], 1).unwrap();
    let mut artefacts = serde_json::Map::new();
    let mut put = |name: &str, bytes: &[u8]| {
        fs::write(from.join(name), bytes).unwrap();
        artefacts.insert(name.into(), json!({"size": bytes.len(), "sha256": digest::bytes(bytes)}));
    };
    put("pi.img", &image);
    put("pi.img.zst", &packed);
    for ending in &COMPANIONS[1..] {
        put(&format!("pi.{ending}"), ending.as_bytes());
    }
    fs::write(from.join("pi.img.zst.minisig"), "signature").unwrap();
    let lock = |epoch: u64| json!({"locked": true, "epoch": epoch, "sha256": "", "packages": 1});
    let manifest = json!({
        "format": 1, "name": "pi", "artefacts": artefacts,
        "locks": {"a": lock(EPOCH), "b": lock(7)},
        "tools": {}, "stages": {}, "times": {"kernel": 12.5},
    });
    fs::write(from.join("pi.manifest.json"), manifest.to_string()).unwrap();
    let options =
        Options { name: "pi".into(), from, to, url: Some("https://example.org/r/".into()) };
    let manifest = read_manifest(&options).unwrap();
    (options, manifest)
}

/// The time of what is packed here.
const EPOCH: u64 = 1_709_210_096;

fn packed(dir: &Path) -> (Options, Manifest, Vec<Good>) {
    let (options, manifest) = image(dir);
    let program = dir.join("station");
    fs::write(&program, "program").unwrap();
    let name = format!("station-{}-linux", std::env::consts::ARCH);
    (options, manifest, vec![Good { mode: 0o755, ..Good::new(name, program) }])
}

/// The rules of rpi-imager's `os-list-schema.json` (draft 7) for what we write:
/// an entry with `url` is valid by its first alternative alone.
fn judge(list: &Value) {
    let object = |value: &Value, required: &[(&str, &str)]| {
        for (name, kind) in required {
            let found = match &value[*name] {
                Value::String(_) => "string",
                Value::Number(number) if number.is_u64() => "integer",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
                _ => "nothing",
            };
            assert_eq!(found, *kind, "{name} in {value}");
        }
    };
    let names: Vec<_> = list.as_object().unwrap().keys().collect();
    assert_eq!(names, ["imager", "os_list"], "others are not allowed");
    object(list, &[("imager", "object"), ("os_list", "array")]);
    for device in list["imager"]["devices"].as_array().unwrap() {
        object(device, &[("name", "string"), ("description", "string"), ("tags", "array")]);
        assert!(["exclusive", "inclusive"].contains(&device["matching_type"].as_str().unwrap()));
    }
    for entry in list["os_list"].as_array().unwrap() {
        object(
            entry,
            &[
                ("name", "string"),
                ("description", "string"),
                ("icon", "string"),
                ("url", "string"),
                ("extract_size", "integer"),
                ("extract_sha256", "string"),
                ("image_download_size", "integer"),
                ("image_download_sha256", "string"),
                ("release_date", "string"),
                ("devices", "array"),
                ("bmap_url", "string"),
                ("architecture", "string"),
            ],
        );
        let formats = ["", "systemd", "cloudinit", "cloudinit-rpi", "rpi-preseed", "none"];
        assert!(formats.contains(&entry["init_format"].as_str().unwrap()));
    }
}

#[test]
fn the_release_is_whole_and_imager_is_told_the_truth() {
    let dir = tempfile::tempdir().unwrap();
    let (options, manifest, goods) = packed(dir.path());
    let epoch = release_time(&manifest, None).unwrap();
    assert_eq!((epoch, release_time(&manifest, Some(9)).unwrap()), (EPOCH, 9));
    let paths = pack(&options, &manifest, &goods, epoch, None).unwrap();
    assert_eq!(paths.len(), fs::read_dir(&options.to).unwrap().count());
    process::output(Command::new("sha256sum").args(["-c", SUMS]).current_dir(&options.to)).unwrap();
    let text = fs::read_to_string(options.to.join(LIST)).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    judge(&list);
    let entry = &list["os_list"][0];
    let file = |name: &str| fs::read(options.from.join(name)).unwrap();
    assert_eq!(entry["url"], "https://example.org/r/pi.img.zst");
    assert_eq!(entry["bmap_url"], "https://example.org/r/pi.bmap");
    assert_eq!(entry["extract_size"], 300_000);
    assert_eq!(entry["extract_sha256"], digest::bytes(&file("pi.img")));
    assert_eq!(entry["image_download_size"], file("pi.img.zst").len());
    assert_eq!(entry["image_download_sha256"], digest::bytes(&file("pi.img.zst")));
    // Of the archive's state, not of today.
    assert_eq!(entry["release_date"], "2024-02-29");
    assert_eq!(entry["devices"], json!(["pi4-64bit"]));
    for url in ["url", "bmap_url", "icon"] {
        let name = entry[url].as_str().unwrap().rsplit('/').next().unwrap();
        assert!(options.to.join(name).exists(), "{name}");
    }
    let mode =
        fs::metadata(paths.iter().find(|it| it.to_string_lossy().contains("station-")).unwrap());
    assert_eq!(mode.unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let read = |epoch: u64, took: &str| {
        let dir = tempfile::tempdir().unwrap();
        let (options, mut manifest, goods) = packed(dir.path());
        manifest.times.insert(took.into(), 3.25);
        let paths = pack(&options, &manifest, &goods, epoch, None).unwrap();
        let name = |path: &PathBuf| path.file_name().unwrap().to_owned();
        paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect::<Vec<_>>()
    };
    assert!(read(EPOCH, "kernel") == read(EPOCH, "rootfs"));
    assert!(read(EPOCH, "kernel") != read(0, "kernel"));
}

#[test]
fn who_has_the_public_key_can_check_all() {
    let dir = tempfile::tempdir().unwrap();
    let (options, manifest, goods) = packed(dir.path());
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let secret = dir.path().join("secret.key");
    fs::write(&secret, pair.sk.to_box(None).unwrap().into_string()).unwrap();
    let key = Key::new(secret, None);
    for _ in 0..2 {
        // The second time the first one's signature is in the way, and is replaced.
        let paths = pack(&options, &manifest, &goods, EPOCH, Some(&key)).unwrap();
        assert_eq!(paths.last().unwrap(), &options.to.join(SIGNATURE));
    }
    let public = minisign_verify::PublicKey::from_base64(&pair.pk.to_base64()).unwrap();
    let signature = fs::read_to_string(options.to.join(SIGNATURE)).unwrap();
    let signature = minisign_verify::Signature::decode(&signature).unwrap();
    let sums = fs::read(options.to.join(SUMS)).unwrap();
    public.verify(&sums, &signature, false).unwrap();
    assert!(public.verify(&sums[1..], &signature, false).is_err());
}

#[test]
fn what_is_not_as_the_manifest_says_is_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    let (options, manifest, goods) = packed(dir.path());
    let refused = |manifest: &Manifest, want: &str| {
        let error = pack(&options, manifest, &goods, EPOCH, None).unwrap_err();
        assert!(format!("{error:#}").contains(want), "{error:#}");
        assert!(!options.to.exists());
    };
    let mut other = manifest.clone();
    other.artefacts.get_mut("pi.img").unwrap().sha256 = "00".into();
    refused(&other, "unpacks to another image");
    other.artefacts.remove("pi.img");
    refused(&other, "does not name pi.img");
    fs::write(options.from.join("pi.bmap"), "damaged").unwrap();
    refused(&manifest, "pi.bmap is not what its manifest says");
    fs::remove_file(options.from.join("pi.manifest.json")).unwrap();
    let error = format!("{:#}", read_manifest(&options).unwrap_err());
    assert!(error.contains("cargo xtask image"), "{error}");
}

#[test]
fn only_an_earlier_release_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (options, manifest, goods) = packed(dir.path());
    pack(&options, &manifest, &goods, EPOCH, None).unwrap();
    fs::write(&goods[0].path, "another").unwrap();
    // As a shell completes it.
    let completed = Options { to: options.to.join(""), ..options };
    assert!(completed.to.to_string_lossy().ends_with('/'));
    pack(&completed, &manifest, &goods, EPOCH, None).unwrap();
    let options = completed;
    let station = options.to.join(format!("station-{}-linux", std::env::consts::ARCH));
    assert_eq!(fs::read_to_string(station).unwrap(), "another");
    fs::write(options.to.join("thesis.odt"), "years of work").unwrap();
    let error = pack(&options, &manifest, &goods, EPOCH, None).unwrap_err().to_string();
    assert!(error.contains("thesis.odt"), "{error}");
    assert!(options.to.join("thesis.odt").exists());
}

#[test]
fn dynamic_programs_are_told_from_static_ones() {
    let mut elf = vec![0; 64 + 2 * 56];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    (elf[32], elf[54], elf[56]) = (64, 56, 2);
    assert_eq!(program::interpreter(&elf), Some(false));
    elf[64 + 56] = 3;
    assert_eq!(program::interpreter(&elf), Some(true));
    // This very test asks for one.
    let own = fs::read(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(program::interpreter(&own), Some(true));
    assert_eq!(program::interpreter(&elf[..100]), None);
    assert_eq!(program::interpreter(b"#!/bin/sh"), None);
}

#[test]
fn folders_of_who_builds_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let registry = dir.path().join("a home/registry");
    fs::create_dir_all(registry.join("src/mirror.example-1")).unwrap();
    let source = registry.join("src/mirror.example-1/one/lib.rs");
    fs::create_dir_all(source.parent().unwrap()).unwrap();
    fs::write(&source, "#[unsafe(no_mangle)]\npub fn here() -> &'static str { file!() }\n")
        .unwrap();
    let flags = program::flags(dir.path(), &registry).unwrap();
    assert!(flags.split('\x1f').any(|flag| flag == "-Ctarget-feature=+crt-static"), "{flags}");
    let object = dir.path().join("one.o");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--crate-type=lib", "--edition=2024", "--emit=obj", "-o"]).arg(&object);
    process::output(command.args(flags.split('\x1f')).arg(&source)).unwrap();
    let bytes = fs::read(&object).unwrap();
    let has = |text: &str| memchr::memmem::find(&bytes, text.as_bytes()).is_some();
    assert!(has("crates/one/lib.rs"));
    assert!(!has("mirror.example") && !has("registry") && !has(dir.path().to_str().unwrap()));
}
