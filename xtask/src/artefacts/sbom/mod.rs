//! `<name>.spdx.json`: everything that is in the image, as SPDX 2.3.
//!
//! SPDX and not CycloneDX: it is an ISO standard (5962:2021, of 2.2.1), Yocto
//! and Debian's tools speak it, it can say that a patch is for a package, and
//! its JSON needs nothing but serde; CycloneDX's crate gives each document a
//! random number. Licences of Debian packages are not claimed, as Debian
//! states them per file.
//!
//! The document depends on its contents alone: its name is their digest, its
//! date that of the archive.

mod crates;
mod spdx;

use anyhow::Result;

pub use crates::{Crate, of as crates_of, read as read_crates};
use spdx::{
    Checksum, CreationInfo, DOCUMENT, Document, ExternalRef, NO_ASSERTION, Package, Relationship,
};

use crate::archive::date;
use crate::archive::{Entry, Packages};
use crate::digest;

/// What the image holds.
pub struct Contents<'a> {
    /// Name of the image definition.
    pub name: &'a str,
    /// SHA-256 of the image.
    pub sha256: &'a str,
    /// Date of the newest archive that packages came from, seconds since 1970.
    pub epoch: u64,
    /// The kernel.
    pub kernel: &'a Kernel,
    /// Debian packages of the image from the archive, firmware included.
    pub packages: &'a [&'a Packages],
    /// Packages of the image that came from files of the user's.
    pub local: &'a [Entry],
    /// Crates of the device's program.
    pub crates: &'a [Crate],
}

/// What the kernel was made from.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The package with its source.
    pub source: Entry,
    /// Suite of that package.
    pub suite: String,
    /// Our patches, in the order in which they apply.
    pub patches: Vec<Patch>,
}

/// A patch.
#[derive(Clone, Debug)]
pub struct Patch {
    /// File name.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// The document's text.
pub fn text(contents: &Contents<'_>) -> Result<String> {
    let mut list = List::default();
    let image = list.add(Package {
        primary_package_purpose: "OPERATING-SYSTEM",
        ..package("image", contents.name, None, Some(contents.sha256))
    });
    list.relate(DOCUMENT, "DESCRIBES", &image);
    list.kernel(contents.kernel, &image);
    for packages in contents.packages {
        // A request starts with its suite.
        let suite = packages.section.request.split(' ').next();
        for entry in &packages.section.entries {
            let id = list.add(deb(entry, suite));
            list.relate(&image, "CONTAINS", &id);
        }
    }
    for entry in contents.local {
        let id = list.add(deb(entry, None));
        list.relate(&image, "CONTAINS", &id);
    }
    for c in contents.crates {
        let id = list.add(crate_package(c));
        list.relate(&image, "CONTAINS", &id);
    }
    list.document(&format!("{}.img", contents.name), contents.epoch)
}

/// The document of one program, the file `name` with this SHA-256, made of `crates`;
/// `epoch` is the release's time in seconds since 1970.
pub fn program(name: &str, sha256: &str, crates: &[Crate], epoch: u64) -> Result<String> {
    let mut list = List::default();
    let program = list.add(Package {
        primary_package_purpose: "APPLICATION",
        ..package("program", name, Some(env!("CARGO_PKG_VERSION")), Some(sha256))
    });
    list.relate(DOCUMENT, "DESCRIBES", &program);
    for c in crates {
        let id = list.add(crate_package(c));
        list.relate(&program, "CONTAINS", &id);
    }
    list.document(name, epoch)
}

#[derive(Default)]
struct List {
    packages: Vec<Package>,
    relationships: Vec<Relationship>,
}

impl List {
    /// Adds a package once; gives its id.
    fn add(&mut self, package: Package) -> String {
        let id = package.id.clone();
        if self.packages.iter().all(|p| p.id != id) {
            self.packages.push(package);
        }
        id
    }

    /// The text of the document with what is in the list.
    fn document(self, name: &str, epoch: u64) -> Result<String> {
        let mut document = Document {
            spdx_version: "SPDX-2.3",
            data_license: "CC0-1.0",
            id: DOCUMENT,
            name: name.to_owned(),
            document_namespace: String::new(),
            creation_info: CreationInfo {
                created: timestamp(epoch),
                creators: vec![format!("Tool: a7670e-xtask-{}", env!("CARGO_PKG_VERSION"))],
            },
            packages: self.packages,
            relationships: self.relationships,
        };
        document.document_namespace = namespace(&serde_json::to_vec(&document)?);
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }

    fn relate(&mut self, element: &str, kind: &'static str, related: &str) {
        let (element, related) = (element.to_owned(), related.to_owned());
        self.relationships.push(Relationship { element, kind, related });
    }

    fn kernel(&mut self, kernel: &Kernel, image: &str) {
        let source = &kernel.source;
        let linux = self.add(Package {
            source_info: Some(format!("built from {}, patched", source.path)),
            license_declared: "GPL-2.0-only WITH Linux-syscall-note".to_owned(),
            primary_package_purpose: "OPERATING-SYSTEM",
            ..package("kernel", "linux", Some(&source.version), None)
        });
        self.relate(image, "CONTAINS", &linux);
        let source = self
            .add(Package { primary_package_purpose: "SOURCE", ..deb(source, Some(&kernel.suite)) });
        self.relate(&linux, "GENERATED_FROM", &source);
        for patch in &kernel.patches {
            let id = self.add(Package {
                primary_package_purpose: "FILE",
                license_declared: "GPL-2.0-only".to_owned(),
                ..package("patch", &patch.name, None, Some(&patch.sha256))
            });
            self.relate(&id, "PATCH_FOR", &source);
            self.relate(&linux, "GENERATED_FROM", &id);
        }
    }
}

/// A package about which nothing more is known. `kind` tells apart things of
/// one name.
fn package(kind: &str, name: &str, version: Option<&str>, sha256: Option<&str>) -> Package {
    // What may stand in an id is little; the digest keeps ids apart whose
    // names differ in the rest.
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let all = format!("{kind}\0{name}\0{}\0{}", version.unwrap_or(""), sha256.unwrap_or(""));
    let id = format!("SPDXRef-{kind}-{plain}-{}", &digest::bytes(all.as_bytes())[..12]);
    let checksum = |value: &str| Checksum { algorithm: "SHA256", checksum_value: value.to_owned() };
    Package {
        id,
        name: name.to_owned(),
        version_info: version.map(str::to_owned),
        download_location: NO_ASSERTION,
        files_analyzed: false,
        checksums: sha256.map(checksum).into_iter().collect(),
        source_info: None,
        license_concluded: NO_ASSERTION,
        license_declared: NO_ASSERTION.to_owned(),
        copyright_text: NO_ASSERTION,
        primary_package_purpose: "OTHER",
        external_refs: Vec::new(),
    }
}

/// A Debian package; one from no suite is the user's own, which has no package
/// URL as no archive knows it.
fn deb(entry: &Entry, suite: Option<&str>) -> Package {
    let firmware = entry.path.contains("/non-free-firmware/");
    let purl = suite.map(|suite| {
        purl(&format!(
            "deb/debian/{}@{}?arch={}&distro={suite}",
            escape(&entry.name),
            escape(&entry.version),
            escape(&entry.arch),
        ))
    });
    Package {
        source_info: Some(entry.path.clone()),
        primary_package_purpose: if firmware { "FIRMWARE" } else { "OTHER" },
        external_refs: purl.into_iter().collect(),
        ..package("deb", &entry.name, Some(&entry.version), Some(&entry.sha256))
    }
}

/// A crate; our own have no package URL as crates.io does not know them.
fn crate_package(c: &Crate) -> Package {
    let url = format!("cargo/{}@{}", escape(&c.name), escape(&c.version));
    Package {
        license_declared: c.licence.clone().unwrap_or_else(|| NO_ASSERTION.to_owned()),
        primary_package_purpose: if c.sha256.is_some() { "LIBRARY" } else { "APPLICATION" },
        external_refs: c.sha256.iter().map(|_| purl(&url)).collect(),
        ..package("crate", &c.name, Some(&c.version), c.sha256.as_deref())
    }
}

fn purl(rest: &str) -> ExternalRef {
    ExternalRef {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: format!("pkg:{rest}"),
    }
}

/// Percent-encodes a part of a package URL (its specification, "Character
/// encoding": the colon stays).
fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

/// A version 8 UUID (RFC 9562, section 5.8) from a document's digest, as URN.
fn namespace(document: &[u8]) -> String {
    let d = digest::bytes(document);
    format!("urn:uuid:{}-{}-8{}-8{}-{}", &d[..8], &d[8..12], &d[13..16], &d[17..20], &d[20..32])
}

fn timestamp(epoch: u64) -> String {
    let (year, month, day) = date::civil(epoch / 86_400);
    let second = epoch % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests;
