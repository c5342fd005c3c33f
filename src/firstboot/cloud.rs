//! cloud-init's `user-data` and `network-config`, as Raspberry Pi Imager writes
//! them for the data source NoCloud (Imager 2.0; cloud-init's module reference;
//! netplan's YAML).

use a7670e_unit::{Host, Secret, SshKey};

use super::mistake::{Mistake, Text};
use super::wanted::{self, Account, Security, Wanted, Wifi};
use super::yaml::{self, Node, Value, Wrong};

/// Host name, people, keys, locale.
pub const USER_DATA: &str = "user-data";

/// Wi-Fi.
pub const NETWORK_CONFIG: &str = "network-config";

/// What is true here whatever it says.
const GRANTED: [&str; 4] =
    ["manage_etc_hosts", "manage_resolv_conf", "enable_ssh", "preserve_hostname"];

/// Adds what `user-data` wants.
///
/// # Errors
/// The first mistake in what is read of it.
pub fn user_data(text: &Text, to: &mut Wanted) -> Result<(), Mistake> {
    let node = yaml::parse(&text.text).map_err(|wrong| text.yaml(&wrong))?;
    people_and_place(&node, to).map_err(|wrong| text.yaml(&wrong))
}

/// Adds what `network-config` wants.
///
/// # Errors
/// The first mistake in what is read of it.
pub fn network_config(text: &Text, to: &mut Wanted) -> Result<(), Mistake> {
    let node = yaml::parse(&text.text).map_err(|wrong| text.yaml(&wrong))?;
    wireless(&node, to).map_err(|wrong| text.yaml(&wrong))
}

fn people_and_place(node: &Node, to: &mut Wanted) -> Result<(), Wrong> {
    mapping(node)?;
    for (name, value) in node.entries() {
        match name.as_str() {
            "hostname" => {
                let host = Host::try_from(word(value)?.to_owned());
                to.hostname = Some(host.map_err(|says| value.wrong(says))?);
            }
            "timezone" => to.time_zone = Some(setting(value)?),
            "locale" => to.locale = Some(setting(value)?),
            "keyboard" => {
                let Some(layout) = value.get("layout") else { continue };
                let model = value.get("model").map_or(Ok("pc105".to_owned()), setting)?;
                to.keyboard = Some((model, setting(layout)?));
            }
            "ssh_authorized_keys" => to.keys.extend(keys(value)?),
            "ssh_pwauth" => {
                if flag(value)? {
                    to.notes.push("logging in through SSH stays by key only".into());
                }
            }
            "user" => account(value, to)?,
            "users" => list(value)?.iter().try_for_each(|one| account(one, to))?,
            granted if GRANTED.contains(&granted) => {}
            _ => to.notes.push(format!("{name} in {USER_DATA} is not carried out")),
        }
    }
    Ok(())
}

/// One of `users`, or `user`.
fn account(node: &Node, to: &mut Wanted) -> Result<(), Wrong> {
    // `- default`: the image's own people are there anyway.
    if node.text() == Some("default") {
        return Ok(());
    }
    mapping(node)?;
    let name = node.get("name").ok_or_else(|| node.wrong("has no `name`"))?;
    let mut account = Account { name: word(name)?.to_owned(), ..Account::default() };
    if !wanted::is_login(&account.name) {
        let says = "is no login name: a-z first, then up to 31 of a-z, 0-9, '-', '_'";
        return Err(name.wrong(says));
    }
    let mut locked = false;
    for (name, value) in node.entries() {
        match name.as_str() {
            "passwd" | "hashed_passwd" => {
                let hash = word(value)?;
                if !wanted::is_hash(hash) {
                    return Err(value.wrong("is no hash as `openssl passwd -6` prints it"));
                }
                account.password = Some(Secret::from(hash.to_owned()));
            }
            "plain_text_passwd" => {
                let says = "stands here in clear text: write `passwd` and what \
                            `openssl passwd -6` prints";
                return Err(value.wrong(says));
            }
            "lock_passwd" => locked = flag(value)?,
            "groups" => account.groups = groups(value)?,
            "sudo" => account.sudo = sudo(value)?,
            "ssh_authorized_keys" | "ssh-authorized-keys" => account.keys = keys(value)?,
            // bash for all; who they are called is up to them.
            "name" | "shell" | "gecos" => {}
            other => {
                let name = &account.name;
                to.notes.push(format!("{other} of {name} in {USER_DATA} is not carried out"));
            }
        }
    }
    if locked {
        account.password = None;
    }
    to.accounts.push(account);
    Ok(())
}

/// Names in a list, or in a text with commas between them.
fn groups(node: &Node) -> Result<Vec<String>, Wrong> {
    let names: Vec<String> = match &node.value {
        Value::Null => Vec::new(),
        Value::Text(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
        _ => list(node)?.iter().map(|it| Ok(word(it)?.to_owned())).collect::<Result<_, Wrong>>()?,
    };
    if names.iter().all(|name| wanted::is_login(name)) {
        return Ok(names);
    }
    Err(node.wrong("has a name that no group can have"))
}

/// Whether a rule lets somebody become root without a password; the only rule
/// that Imager writes.
fn sudo(node: &Node) -> Result<bool, Wrong> {
    let rule = match &node.value {
        Value::Null => return Ok(false),
        Value::List(rules) => match &rules[..] {
            [one] => word(one)?,
            _ => return Err(node.wrong("only one rule is understood here")),
        },
        _ => word(node)?,
    };
    match rule.replace(' ', "").as_str() {
        "ALL=(ALL)NOPASSWD:ALL" | "ALL=(ALL:ALL)NOPASSWD:ALL" => Ok(true),
        "false" | "False" => Ok(false),
        _ => Err(node.wrong("only `ALL=(ALL) NOPASSWD:ALL` and null are understood here")),
    }
}

fn keys(node: &Node) -> Result<Vec<SshKey>, Wrong> {
    list(node)?
        .iter()
        .map(|one| SshKey::try_from(word(one)?.to_owned()).map_err(|says| one.wrong(says)))
        .collect()
}

fn wireless(node: &Node, to: &mut Wanted) -> Result<(), Wrong> {
    mapping(node)?;
    let network = node.get("network").unwrap_or(node);
    for (name, _) in network.entries() {
        // Ethernet takes a lease as it is, which is what Imager writes.
        if !matches!(name.as_str(), "version" | "renderer" | "ethernets" | "wifis") {
            to.notes.push(format!("{name} in {NETWORK_CONFIG} is not carried out"));
        }
    }
    let Some(wifis) = network.get("wifis") else { return Ok(()) };
    mapping(wifis)?;
    for (_, wifi) in wifis.entries() {
        mapping(wifi)?;
        if let Some(domain) = wifi.get("regulatory-domain") {
            let two = wanted::country(word(domain)?);
            to.country = Some(two.ok_or_else(|| domain.wrong("must be two letters: \"GB\""))?);
        }
        let Some(points) = wifi.get("access-points") else { continue };
        mapping(points)?;
        for (ssid, point) in points.entries() {
            if to.wifi.is_some() {
                return Err(point.wrong("only one wireless network is understood"));
            }
            to.wifi = Some(access_point(ssid, point)?);
        }
    }
    Ok(())
}

fn access_point(ssid: &str, point: &Node) -> Result<Wifi, Wrong> {
    mapping(point)?;
    let ssid = octets(ssid);
    if !(1..=32).contains(&ssid.len()) {
        return Err(point.wrong("a network's name must have 1 to 32 octets"));
    }
    let hidden = point.get("hidden").map_or(Ok(false), flag)?;
    let auth = point.get("auth");
    let password = point.get("password").or_else(|| auth.and_then(|auth| auth.get("password")));
    let kind = auth.and_then(|auth| auth.get("key-management"));
    let kind = kind.map(|it| Ok::<_, Wrong>((it, word(it)?))).transpose()?;
    let security = match (kind, password) {
        (None | Some((_, "none")), None) => Security::Open,
        (None | Some((_, "psk")), Some(password)) => Security::Psk(psk(password)?),
        (Some((_, "sae")), Some(password)) => Security::Sae(psk(password)?),
        (Some((node, _)), _) => {
            return Err(node.wrong("must be none, or psk or sae with a password"));
        }
    };
    Ok(Wifi { ssid, hidden, security })
}

fn psk(node: &Node) -> Result<Secret, Wrong> {
    let text = word(node)?;
    if !wanted::is_psk(text) {
        return Err(node.wrong("must be 8 to 63 printable ASCII characters, or 64 hex digits"));
    }
    Ok(Secret::from(text.to_owned()))
}

/// Imager writes each octet above 0x7F as `\xHH`. So a name with nothing above
/// U+00FF, but something above U+007F, is octets; any other is text.
fn octets(ssid: &str) -> Vec<u8> {
    let octets: Option<Vec<u8>> = ssid.chars().map(|it| u8::try_from(it).ok()).collect();
    octets.unwrap_or_else(|| ssid.as_bytes().to_vec())
}

fn mapping(node: &Node) -> Result<(), Wrong> {
    match node.value {
        Value::Map(_) | Value::Null => Ok(()),
        _ => Err(node.wrong("must be a mapping: `name: value`")),
    }
}

fn list(node: &Node) -> Result<&[Node], Wrong> {
    match &node.value {
        Value::List(items) => Ok(items),
        Value::Null => Ok(&[]),
        _ => Err(node.wrong("must be a list")),
    }
}

fn word(node: &Node) -> Result<&str, Wrong> {
    node.text().ok_or_else(|| node.wrong("must be a text"))
}

fn setting(node: &Node) -> Result<String, Wrong> {
    let text = word(node)?;
    if !wanted::is_word(text) {
        return Err(node.wrong("cannot be: letters, digits and / _ + - . only"));
    }
    Ok(text.to_owned())
}

fn flag(node: &Node) -> Result<bool, Wrong> {
    match node.text() {
        Some("true" | "True" | "yes" | "on") => Ok(true),
        Some("false" | "False" | "no" | "off") => Ok(false),
        _ => Err(node.wrong("must be true or false")),
    }
}
