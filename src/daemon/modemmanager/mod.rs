//! Asks ModemManager to let go of a modem that this service drives, and gives it
//! back; what is done with a modem that ModemManager has is in [`watch`].
//!
//! The request is `InhibitDevice`: ModemManager drops the device, closes its
//! ports and remembers the request until it is taken back or the requester's
//! connection ends, so a killed service gives the modem back by itself.

mod read;
pub mod watch;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};
use zbus::{Connection, Error, MessageStream, Result};

const NAME: &str = "org.freedesktop.ModemManager1";
const PATH: &str = "/org/freedesktop/ModemManager1";

/// How long ModemManager may take from a port's appearance to having a device of
/// it: until then there is nothing to inhibit. More than 4 s on an emulated Pi with
/// a busy host.
const DISCOVERY: Duration = Duration::from_secs(12);

/// How long it may take to make a modem of a device that it has begun with: until
/// then it refuses (`Core.WrongState`), and for ever when it makes none of it, as
/// of one that answers nothing. It asks a silent port for 20 s; with the modem's
/// setup 35 s on an emulated Pi with a busy host.
const BEGUN: Duration = Duration::from_secs(60);

/// How long it may take to let go of a modem: it answers only when it has disabled
/// one that NetworkManager has had it enable. Measured on an emulated Pi with a
/// busy host: up to 70 s.
const DISABLED: Duration = Duration::from_secs(150);

/// How often to look who runs although the bus told of no change.
const LOOK: Duration = Duration::from_secs(10);

/// How long it may take to take a device back, which it only notes. Who gives it
/// back may be on the way out: the end of the connection gives it back as well.
const NOTED: Duration = Duration::from_secs(10);

/// How long it may take to tell its version.
const TOLD: Duration = Duration::from_secs(3);

/// Between two tries in that time.
const PAUSE: Duration = Duration::from_millis(200);

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There is no ModemManager, so nobody has to let go.
    Absent,
    /// This one (its unique bus name) has let go.
    Released(String),
    /// This one does not know the modem: it ignores it, or has yet to see it.
    Unknown(String),
    /// This one has just come.
    Came(String),
    /// This one begins to look at the modem, and cannot let go before it has done so.
    Begun(String),
}

/// Which ModemManager runs, as this connection sees it: what it lets go of it lets go
/// of for the connection's time, and another bus may give the same names. `None` for
/// none, which is not started.
///
/// # Errors
/// The bus broke.
pub async fn owner(bus: &Connection) -> Result<Option<String>> {
    let names = zbus::fdo::DBusProxy::new(bus).await?;
    match names.get_name_owner(NAME.try_into()?).await {
        Ok(owner) => {
            let own = bus.unique_name().map(|own| own.as_str()).unwrap_or_default();
            Ok(Some(format!("{owner} for {own} on {}", bus.server_guid())))
        }
        Err(zbus::fdo::Error::NameHasNoOwner(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Waits until who runs as ModemManager is another than `known` (of [`owner`];
/// `None`: nobody), or until `enough` is set; gives who it is.
///
/// # Errors
/// The bus broke.
pub async fn other_than(
    bus: &Connection,
    known: Option<&str>,
    enough: &AtomicBool,
) -> Result<Option<String>> {
    let mut changes = pin!(MessageStream::for_match_rule(watch::owners()?, bus, None).await?);
    let mut look = Instant::now();
    loop {
        let now = owner(bus).await?;
        if now.as_deref() != known {
            return Ok(now);
        }
        look += LOOK;
        // A bus whose signals were lost is looked at all the same.
        while Instant::now() < look {
            if enough.load(Ordering::Relaxed) {
                return Ok(now);
            }
            if timeout(PAUSE, watch::next(changes.as_mut())).await.is_ok() {
                break;
            }
        }
        look = Instant::now();
    }
}

/// Asks for the device `uid`, its path in sysfs. Once `enough` is set, a refusal is
/// not followed by another try. That it begins to look at the modem is told of at
/// once, unless that is `known`; then its end is waited for.
///
/// # Errors
/// The bus broke, or ModemManager refuses: polkit's
/// org.freedesktop.ModemManager1.Control is for others.
pub async fn inhibit(
    bus: &Connection,
    uid: &str,
    enough: &AtomicBool,
    known: bool,
) -> Result<Outcome> {
    let Some(owner) = owner(bus).await? else { return Ok(Outcome::Absent) };
    let begin = Instant::now();
    loop {
        let wish = (uid, true);
        let call = bus.call_method(Some(NAME), PATH, Some(NAME), "InhibitDevice", &wish);
        let Ok(answer) = timeout_at(begin + DISABLED, call).await else {
            return Err(Error::Failure(format!("no answer in {} s", DISABLED.as_secs())));
        };
        let (patience, in_vain) = match answer {
            Ok(_) => return Ok(Outcome::Released(owner)),
            Err(Error::MethodError(name, text, _)) => {
                let text = text.unwrap_or_default();
                // `...Error.Core.NotFound` is "no such device". That it is
                // inhibited already means by us: nobody else asks.
                if text.contains("already inhibited") {
                    return Ok(Outcome::Released(owner));
                }
                match name.rsplit('.').next() {
                    Some("NotFound") => (DISCOVERY, Ok(Outcome::Unknown(owner.clone()))),
                    Some("WrongState") if !known => return Ok(Outcome::Begun(owner)),
                    Some("WrongState") => (BEGUN, Err(Error::Failure(format!("{name}: {text}")))),
                    _ => return Err(Error::Failure(format!("{name}: {text}"))),
                }
            }
            Err(error) => return Err(error),
        };
        if begin.elapsed() >= patience || enough.load(Ordering::Relaxed) {
            return in_vain;
        }
        sleep(PAUSE).await;
    }
}

/// The version of the one that runs; `None` when it does not tell.
pub async fn version(bus: &Connection) -> Option<String> {
    timeout(TOLD, read::version(bus)).await.ok()?.ok()
}

/// Gives the device back.
///
/// # Errors
/// The bus broke. That ModemManager is gone, or was not asked for it, is none.
pub async fn give_back(bus: &Connection, uid: &str) -> Result<()> {
    if owner(bus).await?.is_none() {
        return Ok(());
    }
    let wish = (uid, false);
    let call = bus.call_method(Some(NAME), PATH, Some(NAME), "InhibitDevice", &wish);
    let Ok(answer) = timeout(NOTED, call).await else {
        return Err(Error::Failure(format!("no answer in {} s", NOTED.as_secs())));
    };
    match answer {
        Err(Error::MethodError(name, _, _)) if name.ends_with(".NotFound") => Ok(()),
        other => other.map(|_| ()),
    }
}
