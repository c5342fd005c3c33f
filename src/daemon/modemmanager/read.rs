//! What ModemManager shows of a modem on the bus, in our own words.

use std::collections::HashMap;

use zbus::fdo::{ManagedObjects, ObjectManagerProxy};
use zbus::zvariant::{OwnedObjectPath, OwnedValue};
use zbus::{Connection, Result};

use super::{NAME, PATH};
use crate::at::reply::Signal;
use crate::modem::manager::{Sim, View};
use crate::sms::managed::{Kind, Stored};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const MODEM: &str = "org.freedesktop.ModemManager1.Modem";
/// The interface of a message.
pub const SMS: &str = "org.freedesktop.ModemManager1.Sms";
const SIM: &str = "org.freedesktop.ModemManager1.Sim";

/// `MMSmsPduType`, and `MMSmsState` of a message that is all there.
const DELIVER: u32 = 1;
const REPORT: u32 = 3;
const RECEIVED: u32 = 3;

/// Most messages that are taken in one go; the others when these are deleted.
const MESSAGES: usize = 50;

type Values = HashMap<String, OwnedValue>;

/// ModemManager's version.
///
/// # Errors
/// The bus or ModemManager broke.
pub async fn version(bus: &Connection) -> Result<String> {
    let property = (NAME, "Version");
    let reply = bus.call_method(Some(NAME), PATH, Some(PROPERTIES), "Get", &property).await?;
    let value: OwnedValue = reply.body().deserialize()?;
    Ok(String::try_from(value)?)
}

/// The modem whose device is `uid`, its path in sysfs; `None` when there is none.
///
/// # Errors
/// The bus or ModemManager broke.
pub async fn view(bus: &Connection, uid: &str) -> Result<Option<View>> {
    let manager = ObjectManagerProxy::new(bus, NAME, PATH).await?;
    let objects: ManagedObjects = manager.get_managed_objects().await?;
    for (path, interfaces) in objects {
        let mut found = HashMap::new();
        for (name, values) in interfaces {
            found.insert(name.to_string(), values.into_iter().collect::<Values>());
        }
        let Some(modem) = found.get(MODEM) else { continue };
        if text(modem, "Device").as_deref() != Some(uid) {
            continue;
        }
        let mut view = View { path: path.to_string(), ..modem_view(modem) };
        if let Some(values) = found.get(&format!("{MODEM}.Modem3gpp")) {
            view.registration = number(values, "RegistrationState");
            view.operator = text(values, "OperatorName");
        }
        if let Some(values) = found.get(&format!("{MODEM}.Signal")) {
            view.signal = signal(values);
        }
        if let Some(values) = found.get(&format!("{MODEM}.Messaging")) {
            view.messages = Some(messages(bus, values).await);
        }
        view.sim = match object(modem, "Sim") {
            Some(path) => {
                let values = all(bus, &path, SIM).await?;
                let (iccid, imsi) = (text(&values, "SimIdentifier"), text(&values, "Imsi"));
                Some(Sim { path, iccid, imsi })
            }
            None => None,
        };
        return Ok(Some(view));
    }
    Ok(None)
}

/// All properties of an object's interface.
///
/// # Errors
/// The object is gone.
pub async fn all(bus: &Connection, path: &str, interface: &str) -> Result<Values> {
    let of = (interface,);
    let reply = bus.call_method(Some(NAME), path, Some(PROPERTIES), "GetAll", &of).await?;
    reply.body().deserialize()
}

/// The messages that came; those that go meanwhile are left out. Those from here, and
/// texts of which parts are missing, stay, and are not to be in the way of others.
async fn messages(bus: &Connection, values: &Values) -> Vec<Stored> {
    let paths = values.get("Messages").and_then(|value| value.try_clone().ok());
    let paths = paths.and_then(|value| Vec::<OwnedObjectPath>::try_from(value).ok());
    let (mut came, mut whole) = (Vec::new(), 0);
    for path in paths.unwrap_or_default() {
        if whole >= MESSAGES {
            break;
        }
        if let Ok(values) = all(bus, path.as_str(), SMS).await {
            let stored = stored(path.to_string(), &values);
            whole += usize::from(stored.is_to_be_taken());
            if stored.kind != Kind::Other {
                came.push(stored);
            }
        }
    }
    came
}

fn stored(path: String, values: &Values) -> Stored {
    let words = |name| text(values, name).unwrap_or_default();
    let data = values.get("Data").and_then(|value| value.try_clone().ok());
    Stored {
        path,
        kind: match number(values, "PduType") {
            Some(DELIVER) => Kind::Deliver,
            Some(REPORT) => Kind::Report,
            _ => Kind::Other,
        },
        whole: number(values, "State") == Some(RECEIVED),
        number: words("Number"),
        text: words("Text"),
        data: data.and_then(|value| Vec::<u8>::try_from(value).ok()).unwrap_or_default(),
        stamp: words("Timestamp"),
        discharge: words("DischargeTimestamp"),
        class: values.get("Class").and_then(|value| i32::try_from(value).ok()).unwrap_or(-1),
        reference: number(values, "MessageReference").unwrap_or(0),
        status: number(values, "DeliveryState").unwrap_or(256),
    }
}

fn modem_view(values: &Values) -> View {
    let quality = values.get("SignalQuality").and_then(|value| {
        <(u32, bool)>::try_from(value.try_clone().ok()?).ok().map(|(percent, _)| percent)
    });
    let retries = values
        .get("UnlockRetries")
        .and_then(|value| HashMap::<u32, u32>::try_from(value.try_clone().ok()?).ok());
    View {
        state: values.get("State").and_then(|value| i32::try_from(value).ok()).unwrap_or(0),
        failed: number(values, "StateFailedReason").unwrap_or(0),
        lock: number(values, "UnlockRequired").unwrap_or(0),
        retries: retries.unwrap_or_default(),
        model: text(values, "Model"),
        revision: text(values, "Revision"),
        imei: text(values, "EquipmentIdentifier"),
        technologies: number(values, "AccessTechnologies").unwrap_or(0),
        quality: quality.unwrap_or(0),
        ..View::default()
    }
}

/// LTE's values, or the power that GSM tells of.
fn signal(values: &Values) -> Signal {
    let group = |name: &str| {
        let value = values.get(name).and_then(|value| value.try_clone().ok());
        value.and_then(|value| Values::try_from(value).ok()).unwrap_or_default()
    };
    let (lte, gsm) = (group("Lte"), group("Gsm"));
    let of = |values: &Values, name: &str| {
        values.get(name).and_then(|value| f64::try_from(value).ok()).map(|value| value as f32)
    };
    Signal {
        rssi_dbm: of(&lte, "rssi").or_else(|| of(&gsm, "rssi")),
        rsrp_dbm: of(&lte, "rsrp"),
        rsrq_db: of(&lte, "rsrq"),
        sinr_db: of(&lte, "snr"),
    }
}

/// A text; `None` for an empty one.
pub fn text(values: &Values, name: &str) -> Option<String> {
    let text = values.get(name).and_then(|value| <&str>::try_from(value).ok())?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// A number.
pub fn number(values: &Values, name: &str) -> Option<u32> {
    values.get(name).and_then(|value| u32::try_from(value).ok())
}

/// The path of another object; `None` for the path `/`, which stands for none.
fn object(values: &Values, name: &str) -> Option<String> {
    let value = values.get(name).and_then(|value| value.try_clone().ok())?;
    let path = OwnedObjectPath::try_from(value).ok()?;
    (path.as_str() != "/").then(|| path.to_string())
}
