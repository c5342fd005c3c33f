//! NetworkManager's connection profiles as data: what ours say, and what differs
//! (nm-settings-dbus(5)).

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use super::{Change, Device, Wish};
use crate::modem::machine::{Auth, Secret};

/// How DNS of this link ranks among others: after all that NetworkManager gives
/// by itself (50 for a VPN, 100 for the rest), as cellular comes last. Never
/// negative, which would hide the servers of all others.
const DNS_PRIORITY: i32 = 200;

/// Before other profiles that fit every Ethernet device, which have 0.
const AUTOCONNECT_PRIORITY: i32 = 100;

/// `NM_METERED_YES`: programs that ask are told to be sparing.
const METERED: i32 = 1;

/// What marks a profile as ours, in the setting `user.data`, with the profile's own
/// UUID: a copy that somebody made of it (`nmcli connection clone`) has another,
/// and is that person's.
pub const MARK: &str = "a7670e.uuid";

/// Name of the profile for PPP.
const GSM: &str = "a7670e-gsm";

/// A value of the types that our settings have on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `s`.
    Text(String),
    /// `b`.
    Flag(bool),
    /// `i`.
    Int(i32),
    /// `x`.
    Long(i64),
    /// `as`.
    List(Vec<String>),
    /// `a{ss}`.
    Map(BTreeMap<String, String>),
    /// `s` that no log may show.
    Secret(Secret),
}

impl Value {
    /// Whether NetworkManager may as well leave it out.
    fn is_default(&self) -> bool {
        match self {
            Value::Text(text) => text.is_empty(),
            Value::Flag(flag) => !flag,
            Value::Int(number) => *number == 0,
            Value::Long(number) => *number == 0,
            Value::List(list) => list.is_empty(),
            Value::Map(map) => map.is_empty(),
            Value::Secret(secret) => secret.reveal().is_empty(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Value::Int(number) => write!(f, "{number}"),
            Value::Long(number) => write!(f, "{number}"),
            Value::List(list) => f.write_str(&list.join(";")),
            Value::Map(map) => {
                let pairs: Vec<String> =
                    map.iter().map(|(key, it)| format!("{key}={it}")).collect();
                f.write_str(&pairs.join(";"))
            }
            Value::Secret(_) => f.write_str("(secret)"),
        }
    }
}

/// A profile to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    settings: BTreeMap<(&'static str, &'static str), Value>,
}

/// A profile as NetworkManager has it: values of the types above, by section and
/// key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found(pub BTreeMap<(String, String), Value>);

/// A connection by PPP through ModemManager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gsm {
    /// Access point; `None` has NetworkManager look it up.
    pub apn: Option<String>,
    /// User there; empty for none.
    pub user: String,
    /// Password there; empty for none.
    pub password: Secret,
    /// The one way to authenticate; `None` leaves the choice to the two ends.
    pub auth: Option<Auth>,
    /// Not in networks of others.
    pub home_only: bool,
    /// The only network to use.
    pub operator: Option<String>,
    /// Metric of its routes: that of the USB link when all is well.
    pub metric: u32,
    /// Whether it connects by itself.
    pub auto: bool,
}

/// The UUID of our profile for what is at this place: the same for ever, so that
/// a service that was killed knows it again.
#[must_use]
pub fn uuid(place: &str) -> String {
    let digest = Sha256::digest(format!("a7670e NetworkManager profile\n{place}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // RFC 9562 §5.8: version 8 is of one's own making.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |range: std::ops::Range<usize>| hex[range].concat();
    let parts = [part(0..4), part(4..6), part(6..8), part(8..10), part(10..16)];
    parts.join("-")
}

/// The UUID of our profile for `link`, which is this device.
#[must_use]
pub fn uuid_of(device: &Device, link: &str) -> String {
    uuid(if device.place.is_empty() { link } else { &device.place })
}

/// The UUID of our profile for PPP.
#[must_use]
pub fn gsm_uuid() -> String {
    uuid(GSM)
}

impl Profile {
    fn new(id: String, uuid: String, kind: &str) -> Profile {
        let mut profile = Profile { settings: BTreeMap::new() };
        let mark = [(MARK.to_owned(), uuid.clone())];
        profile
            .set("connection", "id", Value::Text(id))
            .set("connection", "uuid", Value::Text(uuid))
            .set("connection", "type", Value::Text(kind.to_owned()))
            .set("connection", "metered", Value::Int(METERED))
            .set("user", "data", Value::Map(mark.into()));
        profile
    }

    /// What `wish` comes to on this device, which is its link.
    #[must_use]
    pub fn ethernet(wish: &Wish, device: &Device) -> Profile {
        let uuid = uuid_of(device, &wish.link);
        let mut profile = Profile::new(format!("a7670e-{}", wish.link), uuid, "802-3-ethernet");
        profile
            // For ever, not four times.
            .set("connection", "autoconnect-retries", Value::Int(0))
            .set("connection", "autoconnect-priority", Value::Int(AUTOCONNECT_PRIORITY))
            .set("connection", "autoconnect", Value::Flag(true))
            // The modem serves addresses when it has dialled, whenever that is.
            .set("ipv4", "dhcp-timeout", Value::Int(i32::MAX));
        if device.place.is_empty() {
            profile.set("connection", "interface-name", Value::Text(wish.link.clone()));
        } else {
            profile.set("match", "path", Value::List(vec![device.place.clone()]));
        }
        if !device.driver.is_empty() {
            profile.set("match", "driver", Value::List(vec![device.driver.clone()]));
        }
        profile.addresses(wish, wish.metric);
        profile
    }

    /// The profile for PPP. Where it does not connect by itself a person does
    /// (`nmcli connection up`).
    #[must_use]
    pub fn gsm(wish: &Wish, gsm: &Gsm) -> Profile {
        let mut profile = Profile::new(GSM.to_owned(), gsm_uuid(), "gsm");
        profile.set("connection", "autoconnect", Value::Flag(gsm.auto)).set(
            "gsm",
            "home-only",
            Value::Flag(gsm.home_only),
        );
        if gsm.auto {
            // Once in five minutes (`AUTOCONNECT_RESET_RETRIES_TIMER_SEC` of its
            // nm-manager.c), should nobody else dial: the pauses in between are ours.
            profile.set("connection", "autoconnect-retries", Value::Int(1));
        }
        match &gsm.apn {
            Some(apn) => profile.set("gsm", "apn", Value::Text(apn.clone())),
            None => profile.set("gsm", "auto-config", Value::Flag(true)),
        };
        if !gsm.user.is_empty() {
            profile.set("gsm", "username", Value::Text(gsm.user.clone()));
        }
        if !gsm.password.reveal().is_empty() {
            profile.set("gsm", "password", Value::Secret(gsm.password.clone()));
        }
        if let Some(operator) = &gsm.operator {
            profile.set("gsm", "network-id", Value::Text(operator.clone()));
        }
        let refused: &[&'static str] = match gsm.auth {
            Some(Auth::Pap) => &["refuse-chap", "refuse-mschap", "refuse-mschapv2", "refuse-eap"],
            Some(Auth::Chap) => &["refuse-pap", "refuse-mschap", "refuse-mschapv2", "refuse-eap"],
            Some(Auth::None) | None => &[],
        };
        for key in refused {
            profile.set("ppp", key, Value::Flag(true));
        }
        profile.addresses(wish, gsm.metric);
        profile
    }

    fn addresses(&mut self, wish: &Wish, metric: u32) {
        let ipv6 = if wish.ipv6 { "auto" } else { "disabled" };
        for (family, method) in [("ipv4", "auto"), ("ipv6", ipv6)] {
            self.set(family, "method", Value::Text(method.to_owned()));
            if method == "auto" {
                self.set(family, "route-metric", Value::Long(i64::from(metric)))
                    .set(family, "dns-priority", Value::Int(DNS_PRIORITY))
                    .set(family, "ignore-auto-dns", Value::Flag(!wish.dns));
            }
        }
    }

    fn set(&mut self, section: &'static str, key: &'static str, value: Value) -> &mut Profile {
        self.settings.insert((section, key), value);
        self
    }

    /// The settings, by section and key.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, &'static str, &Value)> {
        self.settings.iter().map(|((section, key), value)| (*section, *key, value))
    }

    /// Its name for people.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// Its lasting name.
    #[must_use]
    pub fn uuid(&self) -> &str {
        self.text("uuid")
    }

    fn text(&self, key: &'static str) -> &str {
        match self.settings.get(&("connection", key)) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// What has to be changed in `found`. A setting that we have nothing to say
    /// about stays the owner's, but what would keep the profile from fitting our
    /// device, or PPP from its access point, goes.
    #[must_use]
    pub fn changes(&self, found: &Found) -> Vec<Change> {
        let name = |section: &str, key: &str| format!("{section}.{key}");
        let mut changes = Vec::new();
        for ((section, key), wanted) in &self.settings {
            let there = found.0.get(&((*section).to_owned(), (*key).to_owned()));
            let same = match there {
                Some(there) => there == wanted || secret_of(wanted) == Some(text_of(there)),
                // The one setting of ours whose default is another than nothing.
                None if *key == "autoconnect" => *wanted == Value::Flag(true),
                // -1 stands for the system's default, four.
                None if *key == "autoconnect-retries" => false,
                None => wanted.is_default(),
            };
            if !same {
                let from = match secret_of(wanted) {
                    Some(_) => there.map(|_| wanted.clone()),
                    None => there.cloned(),
                };
                let to = Some(wanted.clone());
                changes.push(Change { name: name(section, key), from, to });
            }
        }
        let limits = |section: &str, key: &str| {
            matches!(section, "match" | "gsm" | "ppp")
                || (section, key) == ("connection", "interface-name")
        };
        for ((section, key), there) in &found.0 {
            let wanted = self.settings.keys().any(|ours| *ours == (section.as_str(), key.as_str()));
            if !wanted && limits(section, key) && !there.is_default() {
                let from = Some(there.clone());
                changes.push(Change { name: name(section, key), from, to: None });
            }
        }
        changes
    }
}

fn secret_of(value: &Value) -> Option<&str> {
    match value {
        Value::Secret(secret) => Some(secret.reveal()),
        _ => None,
    }
}

fn text_of(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        Value::Secret(secret) => secret.reveal(),
        _ => "",
    }
}

impl Found {
    /// Whether it bears our mark, and is no copy of one that does.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        let uuid = self.text("connection", "uuid");
        match self.get("user", "data") {
            Some(Value::Map(data)) => uuid.is_some_and(|it| data.get(MARK) == Some(it)),
            _ => false,
        }
    }

    /// Whether NetworkManager would make up another in place of it, as it does for
    /// Ethernet only.
    #[must_use]
    pub fn is_ethernet(&self) -> bool {
        self.text("connection", "type").is_some_and(|kind| kind == "802-3-ethernet")
    }

    fn get(&self, section: &str, key: &str) -> Option<&Value> {
        self.0.get(&(section.to_owned(), key.to_owned()))
    }

    fn text(&self, section: &str, key: &str) -> Option<&String> {
        match self.get(section, key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Profile {
    /// Its name, and what it says beyond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())?;
        let mut mark = ": ";
        for (section, key, value) in self.settings() {
            if !matches!((section, key), ("connection", "id" | "uuid" | "type") | ("user", _)) {
                write!(f, "{mark}{section}.{key}={value}")?;
                mark = " ";
            }
        }
        Ok(())
    }
}
