//! The part of SPDX 2.3's JSON that we write, with its field names.

use serde::Serialize;

/// What SPDX writes where nothing is claimed.
pub const NO_ASSERTION: &str = "NOASSERTION";

/// Id of the document itself.
pub const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// The document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// `SPDX-2.3`.
    pub spdx_version: &'static str,
    /// Licence of the document: CC0-1.0, as SPDX demands.
    pub data_license: &'static str,
    /// [`DOCUMENT`].
    #[serde(rename = "SPDXID")]
    pub id: &'static str,
    /// Its title.
    pub name: String,
    /// A URI that no other document has.
    pub document_namespace: String,
    /// Who made it, and when.
    pub creation_info: CreationInfo,
    /// Everything described.
    pub packages: Vec<Package>,
    /// How it hangs together.
    pub relationships: Vec<Relationship>,
}

/// Who made the document, and when.
#[derive(Debug, Serialize)]
pub struct CreationInfo {
    /// UTC, `YYYY-MM-DDThh:mm:ssZ`.
    pub created: String,
    /// `Tool: name-version`.
    pub creators: Vec<String>,
}

/// Anything that was delivered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// `SPDXRef-` and letters, digits, `.` and `-`.
    #[serde(rename = "SPDXID")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_info: Option<String>,
    /// Where it can be had.
    pub download_location: &'static str,
    /// Whether its files are listed too.
    pub files_analyzed: bool,
    /// Digests of the file that it came in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checksums: Vec<Checksum>,
    /// Where that file came from, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_info: Option<String>,
    /// What we found its licence to be.
    pub license_concluded: &'static str,
    /// What its author says.
    pub license_declared: String,
    /// Copyright notice.
    pub copyright_text: &'static str,
    /// What it is for.
    pub primary_package_purpose: &'static str,
    /// Names in other systems.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_refs: Vec<ExternalRef>,
}

/// A digest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checksum {
    /// `SHA256`.
    pub algorithm: &'static str,
    /// Hexadecimal.
    pub checksum_value: String,
}

/// A name in another system: here always a package URL.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalRef {
    /// `PACKAGE-MANAGER`.
    pub reference_category: &'static str,
    /// `purl`.
    pub reference_type: &'static str,
    /// The package URL.
    pub reference_locator: String,
}

/// `element` stands in `kind` to `related`.
#[derive(Debug, Serialize)]
pub struct Relationship {
    /// The one.
    #[serde(rename = "spdxElementId")]
    pub element: String,
    /// Such as `CONTAINS`.
    #[serde(rename = "relationshipType")]
    pub kind: &'static str,
    /// The other.
    #[serde(rename = "relatedSpdxElement")]
    pub related: String,
}
