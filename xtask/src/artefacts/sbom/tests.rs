//! The document's structure, after the SPDX 2.3 specification, clauses 6, 7
//! and 11.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::archive::Section;

fn entry(name: &str, version: &str, area: &str) -> Entry {
    Entry {
        name: name.into(),
        version: version.into(),
        arch: "arm64".into(),
        size: 1,
        sha256: digest::bytes(name.as_bytes()),
        path: format!("debian/pool/{area}/{name}.deb"),
    }
}

fn example() -> String {
    let section = Section {
        name: "target".into(),
        request: "trixie arm64 x".into(),
        epoch: 7,
        entries: vec![
            entry("libstdc++6", "1:14.2.0-19+b1", "main"),
            entry("libstdc--6", "1:14.2.0-19+b1", "main"),
            entry("raspi-firmware", "1.20240424+ds-6", "non-free-firmware"),
        ],
    };
    let krate = |name: &str, sha256: Option<&str>| Crate {
        name: name.into(),
        version: "1.0.0".into(),
        licence: sha256.map(|_| "MIT".into()),
        sha256: sha256.map(str::to_owned),
    };
    text(&Contents {
        name: "pi4b",
        sha256: &digest::bytes(b"image"),
        epoch: 1_709_210_096,
        kernel: &Kernel {
            source: entry("linux-source-6.12", "6.12.117-1", "main"),
            suite: "trixie".into(),
            patches: vec![Patch { name: "0001-x.patch".into(), sha256: digest::bytes(b"p") }],
        },
        packages: &[&Packages { section, locked: true, files: vec![] }],
        local: &[entry("ours", "1", "")],
        crates: &[krate("a7670e", None), krate("anyhow", Some(&digest::bytes(b"c")))],
    })
    .unwrap()
}

fn strings<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|v| v[key].as_str().unwrap()).collect()
}

#[test]
fn every_id_is_legal_unique_and_related_to_the_document() {
    let document: Value = serde_json::from_str(&example()).unwrap();
    let ids = strings(&document["packages"], "SPDXID");
    let unique: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len());
    for id in &ids {
        let rest = id.strip_prefix("SPDXRef-").unwrap();
        assert!(rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)), "{id}");
    }
    // Walk from the document along the relationships, in either direction.
    let relationships = document["relationships"].as_array().unwrap();
    let mut reached = BTreeSet::from([DOCUMENT]);
    loop {
        let before = reached.len();
        for r in relationships {
            let ends = [&r["spdxElementId"], &r["relatedSpdxElement"]].map(|v| v.as_str().unwrap());
            assert!(ends.iter().all(|e| *e == DOCUMENT || unique.contains(e)), "{ends:?}");
            if ends.iter().any(|e| reached.contains(e)) {
                reached.extend(ends);
            }
        }
        if reached.len() == before {
            break;
        }
    }
    assert_eq!(reached.len(), ids.len() + 1);
}

#[test]
fn a_program_has_its_crates() {
    let crates = [
        Crate { name: "station".into(), version: "1.0.0".into(), licence: None, sha256: None },
        Crate {
            name: "zstd".into(),
            version: "0.14.0".into(),
            licence: Some("MIT".into()),
            sha256: Some("a".repeat(64)),
        },
    ];
    let text = |epoch| program("station-x86_64-linux", &"b".repeat(64), &crates, epoch).unwrap();
    assert_eq!(text(5), text(5));
    let document: Value = serde_json::from_str(&text(1_709_210_096)).unwrap();
    assert_eq!(document["creationInfo"]["created"], "2024-02-29T12:34:56Z");
    let packages = document["packages"].as_array().unwrap();
    assert_eq!(packages[0]["primaryPackagePurpose"], "APPLICATION");
    assert_eq!(packages[0]["checksums"][0]["checksumValue"], "b".repeat(64));
    assert_eq!(packages[2]["externalRefs"][0]["referenceLocator"], "pkg:cargo/zstd@0.14.0");
    let relations = document["relationships"].as_array().unwrap();
    let kinds: Vec<_> =
        relations.iter().map(|it| it["relationshipType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["DESCRIBES", "CONTAINS", "CONTAINS"]);
}

#[test]
fn mandatory_fields_are_there() {
    let document: Value = serde_json::from_str(&example()).unwrap();
    assert_eq!(document["spdxVersion"], "SPDX-2.3");
    assert_eq!(document["dataLicense"], "CC0-1.0");
    assert_eq!(document["SPDXID"], DOCUMENT);
    assert_eq!(document["creationInfo"]["created"], "2024-02-29T12:34:56Z");
    for package in document["packages"].as_array().unwrap() {
        assert!(package["name"].is_string() && package["downloadLocation"].is_string());
        // Without it a reader expects a list of files.
        assert_eq!(package["filesAnalyzed"], false);
    }
}

#[test]
fn package_urls() {
    let document: Value = serde_json::from_str(&example()).unwrap();
    let urls: Vec<_> = document["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| p["externalRefs"][0]["referenceLocator"].as_str())
        .collect();
    assert_eq!(
        urls,
        [
            "pkg:deb/debian/linux-source-6.12@6.12.117-1?arch=arm64&distro=trixie",
            "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19%2Bb1?arch=arm64&distro=trixie",
            "pkg:deb/debian/libstdc--6@1:14.2.0-19%2Bb1?arch=arm64&distro=trixie",
            "pkg:deb/debian/raspi-firmware@1.20240424%2Bds-6?arch=arm64&distro=trixie",
            "pkg:cargo/anyhow@1.0.0",
        ]
    );
}

#[test]
fn same_contents_same_bytes_other_contents_other_name() {
    let one = example();
    assert_eq!(one, example());
    let namespace = |text: &str| {
        let document: Value = serde_json::from_str(text).unwrap();
        document["documentNamespace"].as_str().unwrap().to_owned()
    };
    assert!(namespace(&one).starts_with("urn:uuid:"));
    assert_ne!(super::namespace(b"a"), super::namespace(b"b"));
    assert_eq!(namespace(&one).len(), "urn:uuid:".len() + 36);
}
