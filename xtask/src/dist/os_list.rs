//! The list by which Raspberry Pi Imager offers our image (raspberrypi/rpi-imager,
//! `doc/json-schema/os-list-schema.json`).

use anyhow::Result;
use serde::Serialize;

use crate::archive::date;
use crate::artefacts::manifest::Artefact;

/// The Pi 4 with a 64-bit system, in Imager's words.
const DEVICE: &str = "pi4-64bit";

/// Imager then leaves `user-data` and `network-config`, which the first boot
/// reads. `cloudinit-rpi` would offer settings of a module that is not here.
const INIT_FORMAT: &str = "cloudinit";

/// What the list is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Name of the image.
    pub name: &'a str,
    /// Where the files will be, without a slash at its end.
    pub url: &'a str,
    /// The unpacked image.
    pub image: &'a Artefact,
    /// The packed image.
    pub packed: &'a Artefact,
    /// Seconds since 1970.
    pub epoch: u64,
}

#[derive(Serialize)]
struct List<'a> {
    imager: Imager,
    os_list: [Entry<'a>; 1],
}

#[derive(Serialize)]
struct Imager {
    devices: [Device; 1],
}

#[derive(Serialize)]
struct Device {
    name: &'static str,
    description: &'static str,
    tags: [&'static str; 1],
    matching_type: &'static str,
    architecture: &'static str,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: String,
    description: &'static str,
    icon: String,
    url: String,
    bmap_url: String,
    extract_size: u64,
    extract_sha256: &'a str,
    image_download_size: u64,
    image_download_sha256: &'a str,
    release_date: String,
    devices: [&'static str; 1],
    init_format: &'static str,
    architecture: &'static str,
}

/// The list's text.
///
/// # Errors
/// It cannot be written as JSON.
pub fn text(facts: &Facts<'_>) -> Result<String> {
    let Facts { name, url, image, packed, epoch } = *facts;
    let (year, month, day) = date::civil(epoch / 86_400);
    let list = List {
        imager: Imager {
            devices: [Device {
                name: "Raspberry Pi 4",
                description: "Model B",
                tags: [DEVICE],
                matching_type: "exclusive",
                architecture: "armv8",
            }],
        },
        os_list: [Entry {
            name: format!("A7670E ({name})"),
            description: "Debian that is online by a SIMCom A7670E LTE modem",
            icon: format!("{url}/{}", super::ICON),
            url: format!("{url}/{name}.img.zst"),
            bmap_url: format!("{url}/{name}.bmap"),
            extract_size: image.size,
            extract_sha256: &image.sha256,
            image_download_size: packed.size,
            image_download_sha256: &packed.sha256,
            release_date: format!("{year:04}-{month:02}-{day:02}"),
            devices: [DEVICE],
            init_format: INIT_FORMAT,
            architecture: "armv8",
        }],
    };
    Ok(serde_json::to_string_pretty(&list)? + "\n")
}
