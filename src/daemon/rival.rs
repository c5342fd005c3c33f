//! Sees to it that ModemManager lets go of a modem, and that a new one does too,
//! until it is to have it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::modemmanager::{self, Outcome};
use super::task::{Pending, Shared, finish};
use crate::modem::usb_path::UsbPath;

/// How often to see whether a bus is there.
const CHECK: Duration = Duration::from_secs(3);

/// How long a modem, or ModemManager, is so new that ModemManager may yet come to
/// know the modem: it looks at the bus once it has its name there, which takes tens
/// of seconds while a system starts. What it is not asked for before it knows the
/// modem well, it does: it would speak on the AT port beside us.
const YOUNG: Duration = Duration::from_secs(60);

/// How often when it refuses or does not know the modem: asking again soon would
/// only fill the bus's log.
const SELDOM: Duration = Duration::from_secs(60);

/// How long the bus may take to take us in. While a system starts, it is slow.
const BUS: Duration = Duration::from_secs(3);

/// What is known of ModemManager, for one modem.
pub struct Rival {
    asking: Pending<zbus::Result<Outcome>>,
    /// The one that has let go, by its unique name on the bus.
    released: Option<String>,
    /// The one that did not know the modem, and since when that is so.
    unknown: Option<(String, Instant)>,
    settled: bool,
    check: Instant,
    /// The modem is ModemManager's.
    yielded: bool,
    giving: Pending<()>,
    /// No more tries for who is being asked.
    enough: Arc<AtomicBool>,
}

impl Rival {
    /// Nothing is known.
    pub fn new() -> Rival {
        Rival {
            asking: None,
            released: None,
            unknown: None,
            settled: false,
            check: Instant::now(),
            yielded: false,
            giving: None,
            enough: Arc::default(),
        }
    }

    /// The modem is plugged in, or to be taken back: ask at once.
    pub fn plugged(&mut self) {
        self.yielded = false;
        self.settled = false;
        self.asking = None;
        self.check = Instant::now();
        self.released = None;
        self.unknown = None;
        self.enough = Arc::default();
    }

    /// ModemManager may have the modem: nobody is asked any more, and what was
    /// asked for is taken back.
    pub fn hand_over(&mut self, shared: &Arc<Shared>, path: &UsbPath) {
        self.yielded = true;
        self.settled = false;
        self.enough.store(true, Ordering::Relaxed);
        let (asking, before) = (self.asking.take(), self.giving.take());
        let (shared, path) = (Arc::clone(shared), path.clone());
        let uid = uid(&shared.tools.sysfs, &path);
        self.giving = Some(Box::pin(async move {
            if let Some(before) = before {
                before.await;
            }
            // Taken back before it is answered, it would be granted afterwards.
            if let Some(asking) = asking {
                _ = asking.await;
            }
            let given = match shared.bus().await {
                Ok(bus) => modemmanager::give_back(bus, &uid).await,
                Err(error) => Err(error),
            };
            if let Err(error) = given {
                tracing::warn!("modem at {path}: ModemManager does not take it: {error}");
            }
        }));
    }

    /// Whether the modem is ModemManager's.
    pub fn is_yielded(&self) -> bool {
        self.yielded
    }

    /// Whether the AT port may be opened: ModemManager has let go, is not there,
    /// or was asked in vain.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Waits until [`Rival::is_settled`] becomes true. Can be dropped at any time,
    /// and is to be called again and again: it also asks later comers.
    pub async fn settle(&mut self, shared: &Arc<Shared>, path: &UsbPath) {
        if self.giving.is_some() {
            finish(&mut self.giving).await;
        }
        if self.yielded {
            return std::future::pending().await;
        }
        loop {
            if self.asking.is_none() {
                sleep_until(self.check).await;
                self.ask(Arc::clone(shared), uid(&shared.tools.sysfs, path));
            }
            let outcome = finish(&mut self.asking).await;
            self.check = Instant::now() + self.hear(outcome, path);
            if !std::mem::replace(&mut self.settled, true) {
                return;
            }
        }
    }

    fn ask(&mut self, shared: Arc<Shared>, uid: String) {
        let known = self.released.clone();
        let enough = Arc::clone(&self.enough);
        // The port is in use: there is time until something changes.
        let wait = self.settled;
        self.asking = Some(Box::pin(async move {
            // No bus, or none that answers yet: then nobody holds the port.
            let Ok(Ok(bus)) = timeout(BUS, shared.bus()).await else {
                if wait {
                    sleep(CHECK).await;
                }
                return Ok(Outcome::Absent);
            };
            let owner = match wait {
                true => modemmanager::other_than(bus, known.as_deref(), &enough).await?,
                false => modemmanager::owner(bus).await?,
            };
            match (owner, known) {
                (None, _) => Ok(Outcome::Absent),
                (Some(owner), Some(known)) if owner == known => Ok(Outcome::Released(owner)),
                _ => modemmanager::inhibit(bus, &uid, &enough).await,
            }
        }));
    }

    /// Takes an outcome in; gives the pause before the next question.
    fn hear(&mut self, outcome: zbus::Result<Outcome>, path: &UsbPath) -> Duration {
        match outcome {
            Ok(Outcome::Absent) => self.released = None,
            Ok(Outcome::Released(owner)) => {
                if self.released.as_ref() != Some(&owner) {
                    tracing::info!("modem at {path}: ModemManager lets go of it");
                }
                self.released = Some(owner);
            }
            Ok(Outcome::Unknown(owner)) => {
                let since = match self.unknown.take() {
                    Some((known, since)) if known == owner => since,
                    _ => Instant::now(),
                };
                self.unknown = Some((owner, since));
                if since.elapsed() > YOUNG {
                    return SELDOM;
                }
            }
            Err(error) => {
                if !self.settled {
                    tracing::warn!("modem at {path}: ModemManager does not let go of it: {error}");
                }
                return SELDOM;
            }
        }
        // The next question waits itself.
        Duration::ZERO
    }

    /// Gives the modem back, if ModemManager had let go of it.
    pub async fn give_back(mut self, shared: &Shared, path: &UsbPath) {
        if self.giving.is_some() {
            return finish(&mut self.giving).await;
        }
        if let (Some(bus), Some(_)) = (shared.bus.get(), &self.released) {
            let uid = uid(&shared.tools.sysfs, path);
            if let Err(error) = modemmanager::give_back(bus, &uid).await {
                tracing::warn!("ModemManager does not take the modem back: {error}");
            }
        }
    }
}

/// The name that ModemManager has for a USB device: its real path in sysfs.
pub fn uid(sysfs: &Path, modem: &UsbPath) -> String {
    let link = sysfs.join("bus/usb/devices").join(modem.to_string());
    std::fs::canonicalize(&link).unwrap_or(link).display().to_string()
}
