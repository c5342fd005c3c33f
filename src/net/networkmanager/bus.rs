//! NetworkManager by D-Bus (its D-Bus reference, 1.42 and later): what it says of
//! a link, and one step asked of it.
//!
//! Our profiles are kept in memory (`/run/NetworkManager/system-connections`, mode
//! 0600, root's): NetworkManager writes them, we may only ask (ADR 0016).

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use thiserror::Error;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value as Variant};
use zbus::{Connection, Message};

use super::profile::{Found, Profile, Value, gsm_uuid, uuid_of};
use super::{Change, Device, Dialling, State, Step};

const NAME: &str = "org.freedesktop.NetworkManager";
const PATH: &str = "/org/freedesktop/NetworkManager";
const SETTINGS: &str = "org.freedesktop.NetworkManager.Settings";
const SETTINGS_PATH: &str = "/org/freedesktop/NetworkManager/Settings";
const CONNECTION: &str = "org.freedesktop.NetworkManager.Settings.Connection";
const DEVICE: &str = "org.freedesktop.NetworkManager.Device";
const ACTIVE: &str = "org.freedesktop.NetworkManager.Connection.Active";
const IP4: &str = "org.freedesktop.NetworkManager.IP4Config";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// `NM_SETTINGS_ADD_CONNECTION2_FLAG_IN_MEMORY`.
const ADD_IN_MEMORY: u32 = 0x2;
/// `NM_SETTINGS_UPDATE2_FLAG_IN_MEMORY_ONLY`: a file of it on the disk goes.
const UPDATE_IN_MEMORY: u32 = 0x8;

/// The actions that our polkit rule allows.
const ACTIONS: &str = "polkit's org.freedesktop.NetworkManager.network-control and \
                       ...settings.modify.system must be allowed to this service's user \
                       (70-a7670e.rules)";

/// Why NetworkManager did not do it.
#[derive(Debug, Error)]
pub enum ManagerError {
    /// It may not be asked for this.
    #[error("NetworkManager refuses ({0}): {ACTIONS}")]
    Denied(String),
    /// It has no such device, profile, or connection that is up.
    #[error("NetworkManager: {0}")]
    Unknown(String),
    /// It could not.
    #[error("NetworkManager: {0}")]
    Failed(String),
    /// The bus broke, or NetworkManager has left it.
    #[error("NetworkManager: {0}")]
    Bus(zbus::Error),
}

impl From<zbus::Error> for ManagerError {
    fn from(error: zbus::Error) -> ManagerError {
        let zbus::Error::MethodError(name, text, _) = &error else {
            return ManagerError::Bus(error);
        };
        let text = text.clone().unwrap_or_else(|| name.to_string());
        match name.rsplit('.').next() {
            Some("PermissionDenied" | "AccessDenied" | "NotAuthorized") => {
                ManagerError::Denied(text)
            }
            Some("UnknownDevice" | "InvalidConnection" | "NotActive") => {
                ManagerError::Unknown(text)
            }
            _ => ManagerError::Failed(text),
        }
    }
}

impl From<zbus::zvariant::Error> for ManagerError {
    fn from(error: zbus::zvariant::Error) -> ManagerError {
        ManagerError::Bus(error.into())
    }
}

type Result<T> = std::result::Result<T, ManagerError>;
/// The settings of a profile on the bus.
type Sections<'a, V> = HashMap<&'a str, HashMap<&'a str, V>>;
type Properties = HashMap<String, OwnedValue>;

/// Whether NetworkManager runs. It is not started.
///
/// # Errors
/// The bus broke.
pub async fn is_running(bus: &Connection) -> zbus::Result<bool> {
    let names = zbus::fdo::DBusProxy::new(bus).await?;
    Ok(names.name_has_owner(NAME.try_into()?).await?)
}

/// What it says of `link`, of our profiles, and of the modem that ModemManager shows
/// as the object `modem`.
///
/// # Errors
/// It does not run, or has left the bus meanwhile.
pub async fn look(bus: &Connection, link: &str, modem: Option<&str>) -> Result<State> {
    let version = property(bus, PATH, NAME, "Version").await?;
    let mut state = State { version: text(&version), ..State::default() };
    if let Some(modem) = modem {
        if let Some(path) = modem_path(bus, modem).await? {
            state.modem = Some(device(bus, &path).await?);
        }
    }
    if let Some(path) = device_path(bus, link).await? {
        let device = device(bus, &path).await?;
        state.profile = found(bus, &uuid_of(&device, link)).await?;
        state.device = Some(device);
    }
    state.gsm = found(bus, &gsm_uuid()).await?;
    Ok(state)
}

/// Asks for one step, for `link`.
///
/// # Errors
/// It refuses, fails, or the bus broke. That a connection is down already, or a
/// profile deleted, is none.
pub async fn apply(bus: &Connection, link: &str, step: &Step) -> Result<()> {
    match step {
        Step::Add(profile) => {
            let none: HashMap<&str, Variant<'_>> = HashMap::new();
            let body = (sections(profile), ADD_IN_MEMORY, none);
            call(bus, SETTINGS_PATH, SETTINGS, "AddConnection2", &body).await?;
        }
        Step::Update(profile, changes) => {
            let Some(path) = profile_path(bus, profile.uuid()).await? else { return Ok(()) };
            let none: HashMap<&str, Variant<'_>> = HashMap::new();
            let reply = call(bus, path.as_str(), CONNECTION, "GetSettings", &()).await?;
            let body = reply.body();
            let there: Sections<'_, Variant<'_>> = body.deserialize()?;
            let body = (merged(there, profile, changes), UPDATE_IN_MEMORY, none);
            call(bus, path.as_str(), CONNECTION, "Update2", &body).await?;
        }
        Step::Delete { uuid } => {
            let Some(path) = profile_path(bus, uuid).await? else { return Ok(()) };
            call(bus, path.as_str(), CONNECTION, "Delete", &()).await?;
        }
        Step::Manage(managed) => {
            let Some(path) = device_path(bus, link).await? else { return Ok(()) };
            let body = (DEVICE, "Managed", Variant::from(*managed));
            call(bus, path.as_str(), PROPERTIES, "Set", &body).await?;
        }
        Step::Activate { uuid } => {
            let profile = profile_path(bus, uuid).await?;
            let (Some(profile), Some(device)) = (profile, device_path(bus, link).await?) else {
                return Ok(());
            };
            let any = ObjectPath::try_from("/")?;
            let body = (profile, device, any);
            call(bus, PATH, NAME, "ActivateConnection", &body).await?;
        }
        Step::Reapply => {
            let Some(path) = device_path(bus, link).await? else { return Ok(()) };
            // No settings stand for those of the profile, version 0 for any.
            let none: Sections<'_, Variant<'_>> = HashMap::new();
            call(bus, path.as_str(), DEVICE, "Reapply", &(none, 0_u64, 0_u32)).await?;
        }
        Step::Disconnect => {
            let Some(path) = device_path(bus, link).await? else { return Ok(()) };
            match call(bus, path.as_str(), DEVICE, "Disconnect", &()).await {
                Err(ManagerError::Unknown(_)) => {
                    tracing::debug!("{link} was not connected by NetworkManager");
                }
                other => _ = other?,
            }
        }
        Step::Modem(modem, what) => {
            let Some(path) = modem_path(bus, modem).await? else { return Ok(()) };
            dial(bus, &path, what).await?;
        }
    }
    Ok(())
}

async fn dial(bus: &Connection, modem: &OwnedObjectPath, what: &Dialling) -> Result<()> {
    match what {
        Dialling::Manage => {
            let body = (DEVICE, "Managed", Variant::from(true));
            call(bus, modem.as_str(), PROPERTIES, "Set", &body).await?;
        }
        Dialling::Dial { uuid } => {
            let Some(profile) = profile_path(bus, uuid).await? else { return Ok(()) };
            let body = (profile, modem, ObjectPath::try_from("/")?);
            call(bus, PATH, NAME, "ActivateConnection", &body).await?;
        }
        Dialling::Reapply => {
            let none: Sections<'_, Variant<'_>> = HashMap::new();
            call(bus, modem.as_str(), DEVICE, "Reapply", &(none, 0_u64, 0_u32)).await?;
        }
    }
    Ok(())
}

/// Deletes all profiles that bear our mark; tells their names. What they connect
/// comes down with them.
///
/// # Errors
/// It refuses, or the bus broke.
pub async fn forget(bus: &Connection) -> Result<Vec<String>> {
    let mut gone = Vec::new();
    if !is_running(bus).await? {
        return Ok(gone);
    }
    let reply = call(bus, SETTINGS_PATH, SETTINGS, "ListConnections", &()).await?;
    let paths: Vec<OwnedObjectPath> = reply.body().deserialize()?;
    for path in paths {
        // One that was deleted meanwhile is no trouble.
        let Ok(reply) = call(bus, path.as_str(), CONNECTION, "GetSettings", &()).await else {
            continue;
        };
        let mut found = Found::default();
        take(&reply, &mut found.0)?;
        if found.is_ours() {
            if found.is_ethernet() {
                leave(bus, &path).await?;
            }
            call(bus, path.as_str(), CONNECTION, "Delete", &()).await?;
            let id = found.0.get(&("connection".to_owned(), "id".to_owned()));
            gone.push(id.map_or_else(|| path.to_string(), ToString::to_string));
        }
    }
    Ok(gone)
}

/// Disconnects the device that uses this profile, and lets go of it: without a
/// profile NetworkManager would make one up. A modem that PPP goes through stays
/// NetworkManager's: the end of the profile is that of the call.
async fn leave(bus: &Connection, profile: &OwnedObjectPath) -> Result<()> {
    let active: Vec<OwnedObjectPath> =
        property(bus, PATH, NAME, "ActiveConnections").await?.try_into()?;
    for active in active {
        let Ok(of) = property(bus, active.as_str(), ACTIVE, "Connection").await else { continue };
        if OwnedObjectPath::try_from(of)? != *profile {
            continue;
        }
        let devices = property(bus, active.as_str(), ACTIVE, "Devices").await?;
        for device in Vec::<OwnedObjectPath>::try_from(devices)? {
            // Gone or down is what is wanted.
            _ = call(bus, device.as_str(), DEVICE, "Disconnect", &()).await;
            let body = (DEVICE, "Managed", Variant::from(false));
            call(bus, device.as_str(), PROPERTIES, "Set", &body).await?;
        }
    }
    Ok(())
}

async fn device(bus: &Connection, path: &OwnedObjectPath) -> Result<Device> {
    let reply = call(bus, path.as_str(), PROPERTIES, "GetAll", &(DEVICE,)).await?;
    let all: Properties = reply.body().deserialize()?;
    let word = |name: &str| all.get(name).map(text).unwrap_or_default();
    let number = |name: &str| all.get(name).and_then(|value| u32::try_from(value).ok());
    let object = |name: &str| {
        let path = all.get(name).and_then(|value| value.downcast_ref::<ObjectPath<'_>>().ok())?;
        (path.as_str() != "/").then(|| path.as_str().to_owned())
    };
    let reason: Option<(u32, u32)> =
        all.get("StateReason").and_then(|value| value.try_clone().ok()?.try_into().ok());
    let active = match object("ActiveConnection") {
        // It may go down in between.
        Some(active) => property(bus, &active, ACTIVE, "Uuid").await.ok().map(|uuid| text(&uuid)),
        None => None,
    };
    let dns = match object("Ip4Config") {
        Some(config) => servers(bus, &config).await.unwrap_or_default(),
        None => Vec::new(),
    };
    Ok(Device {
        interface: word("IpInterface"),
        place: word("Path"),
        driver: word("Driver"),
        managed: all.get("Managed").and_then(|value| bool::try_from(value).ok()).unwrap_or(false),
        state: number("State").unwrap_or_default(),
        reason: reason.unwrap_or_default().1,
        active,
        dns,
        connectivity: number("Ip4Connectivity").unwrap_or_default(),
    })
}

async fn servers(bus: &Connection, config: &str) -> Result<Vec<Ipv4Addr>> {
    let data = property(bus, config, IP4, "NameserverData").await?;
    let data: Vec<HashMap<String, OwnedValue>> = data.try_into()?;
    let address = |one: &HashMap<String, OwnedValue>| text(one.get("address")?).parse().ok();
    Ok(data.iter().filter_map(address).collect())
}

async fn found(bus: &Connection, uuid: &str) -> Result<Option<Found>> {
    match profile_path(bus, uuid).await? {
        Some(path) => read(bus, &path).await.map(Some),
        None => Ok(None),
    }
}

/// A profile with its secrets, as far as we may see them.
async fn read(bus: &Connection, path: &OwnedObjectPath) -> Result<Found> {
    let mut found = BTreeMap::new();
    let reply = call(bus, path.as_str(), CONNECTION, "GetSettings", &()).await?;
    take(&reply, &mut found)?;
    let gsm = Value::Text("gsm".to_owned());
    if found.get(&("connection".to_owned(), "type".to_owned())) == Some(&gsm) {
        let mut secrets = BTreeMap::new();
        match call(bus, path.as_str(), CONNECTION, "GetSecrets", &("gsm",)).await {
            Ok(reply) => take(&reply, &mut secrets)?,
            // Taken for none: what has to be changed is refused then, and told of.
            Err(error) => tracing::debug!("no secrets of {path}: {error}"),
        }
        for (name, value) in secrets {
            if let Value::Text(text) = value {
                found.insert(name, Value::Secret(crate::modem::machine::Secret::new(text)));
            }
        }
    }
    Ok(Found(found))
}

fn take(reply: &Message, found: &mut BTreeMap<(String, String), Value>) -> Result<()> {
    let sections: HashMap<String, Properties> = reply.body().deserialize()?;
    for (section, keys) in sections {
        for (key, value) in keys {
            if let Some(value) = ours(&value) {
                found.insert((section.clone(), key), value);
            }
        }
    }
    Ok(())
}

/// A value of a type that our settings have.
fn ours(value: &OwnedValue) -> Option<Value> {
    Some(match &**value {
        Variant::Str(text) => Value::Text(text.to_string()),
        Variant::Bool(flag) => Value::Flag(*flag),
        Variant::I32(number) => Value::Int(*number),
        Variant::I64(number) => Value::Long(*number),
        Variant::Array(_) => Value::List(value.try_clone().ok()?.try_into().ok()?),
        Variant::Dict(_) => {
            let map: HashMap<String, String> = value.try_clone().ok()?.try_into().ok()?;
            Value::Map(map.into_iter().collect())
        }
        _ => return None,
    })
}

fn sections(profile: &Profile) -> Sections<'_, Variant<'_>> {
    let mut sections: Sections<'_, Variant<'_>> = HashMap::new();
    for (section, key, value) in profile.settings() {
        let value = match value {
            Value::Text(text) => Variant::from(text.as_str()),
            Value::Secret(secret) => Variant::from(secret.reveal()),
            Value::Flag(flag) => Variant::from(*flag),
            Value::Int(number) => Variant::from(*number),
            Value::Long(number) => Variant::from(*number),
            Value::List(list) => Variant::from(list.clone()),
            Value::Map(map) => {
                Variant::from(map.clone().into_iter().collect::<HashMap<String, String>>())
            }
        };
        sections.entry(section).or_default().insert(key, value);
    }
    sections
}

/// The settings that are `there`, with ours, and without what has to go: an update
/// replaces all of them.
fn merged<'a>(
    mut there: Sections<'a, Variant<'a>>,
    profile: &'a Profile,
    changes: &[Change],
) -> Sections<'a, Variant<'a>> {
    for change in changes.iter().filter(|change| change.to.is_none()) {
        let Some((section, key)) = change.name.split_once('.') else { continue };
        if let Some(keys) = there.get_mut(section) {
            keys.remove(key);
        }
    }
    for (section, keys) in sections(profile) {
        there.entry(section).or_default().extend(keys);
    }
    there
}

async fn device_path(bus: &Connection, link: &str) -> Result<Option<OwnedObjectPath>> {
    known(call(bus, PATH, NAME, "GetDeviceByIpIface", &(link,)).await)
}

/// The device that is this modem of ModemManager's: its `Udi` is the modem's object
/// there (nm_device_modem_new in NetworkManager's nm-device-modem.c).
async fn modem_path(bus: &Connection, modem: &str) -> Result<Option<OwnedObjectPath>> {
    let devices: Vec<OwnedObjectPath> = property(bus, PATH, NAME, "Devices").await?.try_into()?;
    for path in devices {
        // One that goes meanwhile is no trouble.
        let udi = property(bus, path.as_str(), DEVICE, "Udi").await;
        if udi.is_ok_and(|udi| text(&udi) == modem) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

async fn profile_path(bus: &Connection, uuid: &str) -> Result<Option<OwnedObjectPath>> {
    known(call(bus, SETTINGS_PATH, SETTINGS, "GetConnectionByUuid", &(uuid,)).await)
}

fn known(reply: Result<Message>) -> Result<Option<OwnedObjectPath>> {
    match reply {
        Ok(reply) => Ok(Some(reply.body().deserialize()?)),
        Err(ManagerError::Unknown(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn text(value: &OwnedValue) -> String {
    <&str>::try_from(value).unwrap_or_default().to_owned()
}

async fn property(bus: &Connection, path: &str, of: &str, name: &str) -> Result<OwnedValue> {
    Ok(call(bus, path, PROPERTIES, "Get", &(of, name)).await?.body().deserialize()?)
}

async fn call<B>(
    bus: &Connection,
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<Message>
where
    B: serde::Serialize + zbus::zvariant::DynamicType,
{
    Ok(bus.call_method(Some(NAME), path, Some(interface), method, body).await?)
}
