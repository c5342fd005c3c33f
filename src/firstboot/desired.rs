//! From what is wanted to the files, folders and links that make it so.

use std::collections::BTreeSet;

use a7670e_unit::{Identity, UnitFile, UnitId};
use serde::{Deserialize, Serialize};

use super::disk::{Disk, Kind, Owner};
use super::plan::Target;
use super::wanted::Wanted;
use super::{FOLDER, RECORD, Trouble, people, profiles};
use crate::config::PROVISIONING;

/// What any program may know of the unit.
const PUBLIC: &str = "/etc/a7670e/unit.toml";

/// NetworkManager's profiles.
const PROFILES: &str = "/etc/NetworkManager/system-connections";

/// The device as it is to be.
pub struct Desired {
    /// In the order in which they are made.
    pub targets: Vec<Target>,
    /// What was wanted and cannot be on this image.
    pub notes: Vec<String>,
}

/// What was done, for people and programs. No secret is in it.
#[derive(Serialize)]
struct Record<'a> {
    version: u32,
    unit: Option<&'a str>,
    card: Option<&'a str>,
    from: &'a [&'static str],
    made: Vec<&'a str>,
    notes: &'a [String],
}

/// What of an earlier first boot counts on: who the unit is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// Its id in the desk's records.
    pub unit: Option<UnitId>,
    /// Its card's token there.
    pub card: Option<String>,
}

impl Kept {
    /// From the record's bytes; one that cannot be read says nothing.
    #[must_use]
    pub fn read(record: &[u8]) -> Self {
        serde_json::from_slice(record).unwrap_or_default()
    }
}

/// Takes the unit's id, and with it the card's token, from the last record, when
/// no file names one: a card that is told something new stays the desk's unit.
///
/// # Errors
/// The device cannot be read.
pub fn keep(wanted: &mut Wanted, disk: &mut impl Disk) -> Result<(), Trouble> {
    if wanted.id.is_some() {
        return Ok(());
    }
    let record = disk.read(RECORD).map_err(Trouble::of("reading", RECORD))?;
    let kept = record.map(|bytes| Kept::read(&bytes)).unwrap_or_default();
    (wanted.id, wanted.card, wanted.kept) = (kept.unit, kept.card, true);
    Ok(())
}

/// Works out what `wanted`, which the files `from` say, means on this device.
///
/// # Errors
/// The device cannot be read, or cannot be made so.
pub fn desired(
    wanted: &Wanted,
    from: &[&'static str],
    disk: &mut impl Disk,
) -> Result<Desired, Trouble> {
    let mut made = Desired { targets: Vec::new(), notes: wanted.notes.clone() };
    for folder in ["/etc/a7670e", FOLDER] {
        made.folder(folder, Owner::root(0o755));
    }
    if let Some(service) = &wanted.service {
        // Root's alone; the service is given a copy that only it can read.
        made.file(PROVISIONING, service.reveal(), 0o600);
    }
    people::people(wanted, disk, &mut made)?;
    networks(wanted, disk, &mut made)?;
    locale(wanted, disk, &mut made)?;
    public(wanted, &mut made)?;
    for file in &wanted.files {
        let mode = file.mode.as_ref().map_or(0o644, |mode| mode.bits());
        made.file(file.path.as_str(), file.content.as_str(), mode);
    }
    names(wanted, disk, &mut made)?;
    made.alone()?;
    record(wanted, from, &mut made)?;
    Ok(made)
}

impl Desired {
    /// A folder of somebody's.
    pub fn folder(&mut self, path: &str, owner: Owner) {
        self.targets.push(Target::Folder { path: path.to_owned(), owner: Some(owner) });
    }

    /// A file of root's.
    pub fn file(&mut self, path: &str, bytes: impl Into<Vec<u8>>, mode: u32) {
        self.parents(path);
        self.targets.push(Target::file(path, bytes, mode));
    }

    /// The folders that lead to a file, whosever they are.
    pub fn parents(&mut self, path: &str) {
        let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        for end in ends {
            let path = path[..end].to_owned();
            if !self.targets.iter().any(|target| target.path() == Some(&path)) {
                self.targets.push(Target::Folder { path, owner: None });
            }
        }
    }

    /// No two things want the same place.
    fn alone(&self) -> Result<(), Trouble> {
        let mut seen = BTreeSet::new();
        let files = self.targets.iter().filter(|it| !matches!(it, Target::Folder { .. }));
        for path in files.filter_map(Target::path) {
            if !seen.insert(path) {
                return Err(Trouble::Twice(path.to_owned()));
            }
        }
        Ok(())
    }
}

fn networks(wanted: &Wanted, disk: &mut impl Disk, made: &mut Desired) -> Result<(), Trouble> {
    let needed = wanted.wireguard.is_some() || wanted.wifi.is_some();
    if needed && !disk.is_folder(PROFILES).map_err(Trouble::of("reading", PROFILES))? {
        let says = "a tunnel or Wi-Fi needs NetworkManager, which is not here: add the package \
                    network-manager to the image";
        return Err(Trouble::Lacks(says.into()));
    }
    if let Some(wire) = &wanted.wireguard {
        made.file(&format!("{PROFILES}/a7670e-wg0.nmconnection"), profiles::wireguard(wire), 0o600);
    }
    if let Some(wifi) = &wanted.wifi {
        made.file(&format!("{PROFILES}/a7670e-wifi.nmconnection"), profiles::wifi(wifi), 0o600);
        const NEEDED: &str = "/usr/sbin/wpa_supplicant";
        if disk.entry(NEEDED).map_err(Trouble::of("reading", NEEDED))?.is_none() {
            made.notes.push("Wi-Fi waits: the image was built without [firmware] wifi".into());
        }
    }
    if let Some(country) = &wanted.country {
        let line = format!("options cfg80211 ieee80211_regdom={country}\n");
        made.file("/etc/modprobe.d/a7670e-wifi.conf", line, 0o644);
    }
    Ok(())
}

fn locale(wanted: &Wanted, disk: &mut impl Disk, made: &mut Desired) -> Result<(), Trouble> {
    if let Some(zone) = &wanted.time_zone {
        let path = format!("/usr/share/zoneinfo/{zone}");
        let found = disk.entry(&path).map_err(Trouble::of("reading", &path))?;
        if found.is_some_and(|entry| entry.kind != Kind::Folder) {
            let target = format!("..{path}");
            made.targets.push(Target::Link { path: "/etc/localtime".into(), target });
            made.file("/etc/timezone", format!("{zone}\n"), 0o644);
        } else {
            made.notes.push(format!(
                "the time zone {zone} is not here, UTC stays: add the package tzdata to the image"
            ));
        }
    }
    if let Some((model, layout)) = &wanted.keyboard {
        let text = format!(
            "XKBMODEL=\"{model}\"\nXKBLAYOUT=\"{layout}\"\nXKBVARIANT=\"\"\nXKBOPTIONS=\"\"\n"
        );
        made.file("/etc/default/keyboard", text, 0o644);
    }
    if let Some(locale) = &wanted.locale {
        made.file("/etc/default/locale", format!("LANG={locale}\n"), 0o644);
    }
    Ok(())
}

/// What other programs read: who the unit is, and the desk's further values.
fn public(wanted: &Wanted, made: &mut Desired) -> Result<(), Trouble> {
    let (id, hostname) = (wanted.id.clone(), wanted.hostname.clone());
    let identity = Identity { id, hostname, ..Identity::default() };
    let file = UnitFile { unit: identity, values: wanted.values.clone(), ..UnitFile::default() };
    let silent = wanted.kept && file.unit.hostname.is_none() && file.values.is_empty();
    if silent || file == UnitFile::default() {
        return Ok(());
    }
    let text = toml::to_string(&file)
        .map_err(|error| Trouble::Lacks(format!("{PUBLIC} cannot be written: {error}")))?;
    made.file(PUBLIC, text, 0o644);
    Ok(())
}

/// Last of the settings: with its name the device shows itself.
fn names(wanted: &Wanted, disk: &mut impl Disk, made: &mut Desired) -> Result<(), Trouble> {
    let Some(host) = &wanted.hostname else { return Ok(()) };
    let host = host.as_str();
    made.file("/etc/hostname", format!("{host}\n"), 0o644);
    // Debian's own address of the host itself.
    const OWN: &str = "127.0.1.1";
    let hosts = text(disk, "/etc/hosts")?;
    let is_own = |line: &str| line.split_whitespace().next() == Some(OWN);
    let own = format!("{OWN}\t{host}\n");
    let mut lines: String =
        hosts.lines().filter(|it| !is_own(it)).flat_map(|it| [it, "\n"]).collect();
    let at = lines.find('\n').map_or(0, |end| end + 1);
    lines.insert_str(at, &own);
    made.file("/etc/hosts", lines, 0o644);
    made.targets.push(Target::HostName(host.to_owned()));
    Ok(())
}

fn record(wanted: &Wanted, from: &[&'static str], made: &mut Desired) -> Result<(), Trouble> {
    let files = made.targets.iter().filter(|it| !matches!(it, Target::Folder { .. }));
    // Those of a home are made if they are not there, and so are not the same in
    // a run that goes on after a cut.
    let lasting = |path: &&str| !people::SKELETON.iter().any(|name| path.ends_with(name));
    let record = Record {
        version: 1,
        unit: wanted.id.as_ref().map(|id| id.as_str()),
        card: wanted.card.as_deref(),
        from,
        made: files.filter_map(Target::path).filter(lasting).collect(),
        notes: &made.notes,
    };
    let mut bytes = serde_json::to_vec_pretty(&record)
        .map_err(|error| Trouble::Lacks(format!("{RECORD} cannot be written: {error}")))?;
    bytes.push(b'\n');
    made.file(RECORD, bytes, 0o644);
    Ok(())
}

/// A text of the system's; an empty one when it is not there.
pub fn text(disk: &mut impl Disk, path: &str) -> Result<String, Trouble> {
    let bytes = disk.read(path).map_err(Trouble::of("reading", path))?.unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| Trouble::Lacks(format!("{path} is no text")))
}
