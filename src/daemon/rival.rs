//! Sees to it that ModemManager lets go of a modem, and that a new one does too,
//! until it is to have it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::modemmanager::{self, Outcome};
use super::task::{Pending, Shared, finish};
use crate::modem::usb_path::UsbPath;
use crate::session::{self, YOUNG};

/// How often to see whether a bus is there.
const CHECK: Duration = Duration::from_secs(3);

/// How often when it refuses or does not know the modem: asking again soon would
/// only fill the bus's log.
const SELDOM: Duration = Duration::from_secs(60);

/// How long the bus may take to take us in. While a system starts, it is slow.
const BUS: Duration = Duration::from_secs(3);

/// What [`Rival::settle`] has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// [`Rival::is_settled`] became true.
    Settled,
    /// ModemManager does this.
    Heard(session::Rival),
}

/// What came of a question.
struct Answer {
    /// Who was asked, as [`modemmanager::owner`] names it.
    owner: Option<String>,
    version: Option<String>,
    outcome: zbus::Result<Outcome>,
}

impl Answer {
    /// Nobody is there.
    fn absent() -> Answer {
        Answer { owner: None, version: None, outcome: Ok(Outcome::Absent) }
    }

    /// There is no bus, or it has ended, and with it what was let go for this
    /// connection. One that comes and goes is not joined all the time.
    async fn no_bus(wait: bool) -> Answer {
        if wait {
            sleep(CHECK).await;
        }
        Answer::absent()
    }
}

/// What is known of ModemManager, for one modem.
pub struct Rival {
    asking: Pending<Answer>,
    /// The one that has let go, named likewise.
    released: Option<String>,
    /// The one that did not know the modem, and since when that is so.
    unknown: Option<(String, Instant)>,
    /// The one that was met last, and the one that has begun to look at the modem.
    met: Option<String>,
    begun: Option<String>,
    /// What was told last, and what is yet to be told.
    told: Option<session::Rival>,
    news: VecDeque<News>,
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
            met: None,
            begun: None,
            told: None,
            news: VecDeque::new(),
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
        (self.met, self.begun, self.told) = (None, None, None);
        self.news.clear();
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
            let given = match shared.bus.get().await {
                Ok(bus) => modemmanager::give_back(&bus, &uid).await,
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

    /// Waits for news: that [`Rival::is_settled`] became true, or what a later comer
    /// does. Can be dropped at any time, and is to be called again and again.
    pub async fn settle(&mut self, shared: &Arc<Shared>, path: &UsbPath) -> News {
        if self.giving.is_some() {
            finish(&mut self.giving).await;
        }
        if self.yielded {
            return std::future::pending().await;
        }
        loop {
            if let Some(news) = self.news.pop_front() {
                return news;
            }
            if self.asking.is_none() {
                sleep_until(self.check).await;
                self.ask(Arc::clone(shared), uid(&shared.tools.sysfs, path));
            }
            let answer = finish(&mut self.asking).await;
            self.check = Instant::now() + self.hear(answer, path);
        }
    }

    fn ask(&mut self, shared: Arc<Shared>, uid: String) {
        let (known, met, begun) = (self.released.clone(), self.met.clone(), self.begun.clone());
        let enough = Arc::clone(&self.enough);
        // The port is in use: there is time until something changes.
        let wait = self.settled;
        self.asking = Some(Box::pin(async move {
            // No bus, or none that answers yet: then nobody holds the port.
            let Ok(Ok(bus)) = timeout(BUS, shared.bus.get()).await else {
                return Answer::no_bus(wait).await;
            };
            let bus = &bus;
            let owner = match wait {
                true => modemmanager::other_than(bus, known.as_deref(), &enough).await,
                false => modemmanager::owner(bus).await,
            };
            let owner = match owner {
                Ok(owner) => owner,
                Err(zbus::Error::InputOutput(_)) => return Answer::no_bus(wait).await,
                Err(error) => return Answer { owner: None, version: None, outcome: Err(error) },
            };
            let outcome = match &owner {
                None => Ok(Outcome::Absent),
                Some(owner) if known.as_ref() == Some(owner) => {
                    Ok(Outcome::Released(owner.clone()))
                }
                Some(owner) if wait && met.as_ref() != Some(owner) => {
                    Ok(Outcome::Came(owner.clone()))
                }
                Some(_) => modemmanager::inhibit(bus, &uid, &enough, owner == begun).await,
            };
            let outcome = match outcome {
                Err(zbus::Error::InputOutput(_)) => return Answer::no_bus(wait).await,
                // It ended meanwhile: whoever comes next is asked at once.
                Err(_) if is_another(bus, owner.as_deref()).await => return Answer::absent(),
                other => other,
            };
            let version = match outcome {
                Ok(Outcome::Absent | Outcome::Came(_) | Outcome::Begun(_)) => None,
                _ => modemmanager::version(bus).await,
            };
            Answer { owner, version, outcome }
        }));
    }

    /// Takes an answer in; gives the pause before the next question.
    fn hear(&mut self, answer: Answer, path: &UsbPath) -> Duration {
        let Answer { owner, version, outcome } = answer;
        self.met = owner;
        let mut pause = Duration::ZERO;
        let news = match outcome {
            Ok(Outcome::Came(_)) => Some(session::Rival::Came),
            Ok(Outcome::Begun(owner)) => {
                self.begun = Some(owner);
                // Nobody speaks yet.
                if !self.settled {
                    return pause;
                }
                Some(session::Rival::Came)
            }
            Ok(Outcome::Absent) => {
                self.released = None;
                Some(session::Rival::Absent)
            }
            Ok(Outcome::Released(owner)) => {
                // Taken back before it is heard of, it was not asked again.
                let news = self.released.as_ref() != Some(&owner);
                if news {
                    tracing::info!("modem at {path}: ModemManager lets go of it");
                }
                self.released = Some(owner);
                news.then_some(session::Rival::Released { version })
            }
            Ok(Outcome::Unknown(owner)) => {
                let since = match self.unknown.take() {
                    Some((known, since)) if known == owner => since,
                    _ => Instant::now(),
                };
                self.unknown = Some((owner, since));
                if since.elapsed() > YOUNG {
                    pause = SELDOM;
                }
                Some(session::Rival::Unknown { version })
            }
            Err(error) => {
                if !self.settled {
                    tracing::warn!("modem at {path}: ModemManager does not let go of it: {error}");
                }
                pause = SELDOM;
                Some(session::Rival::Refused { version, why: error.to_string() })
            }
        };
        if !std::mem::replace(&mut self.settled, true) {
            self.news.push_back(News::Settled);
        }
        let news = news.filter(|news| self.told.as_ref() != Some(news));
        if let Some(news) = news {
            self.told = Some(news.clone());
            self.news.push_back(News::Heard(news));
        }
        // Otherwise the next question waits itself.
        pause
    }

    /// Gives the modem back, if ModemManager had let go of it.
    pub async fn give_back(mut self, shared: &Shared, path: &UsbPath) {
        if self.giving.is_some() {
            return finish(&mut self.giving).await;
        }
        if self.released.is_none() {
            return;
        }
        let Ok(Ok(bus)) = timeout(BUS, shared.bus.get()).await else { return };
        let uid = uid(&shared.tools.sysfs, path);
        if let Err(error) = modemmanager::give_back(&bus, &uid).await {
            tracing::warn!("ModemManager does not take the modem back: {error}");
        }
    }
}

/// Whether who runs as ModemManager is not `known`.
async fn is_another(bus: &zbus::Connection, known: Option<&str>) -> bool {
    modemmanager::owner(bus).await.is_ok_and(|owner| owner.as_deref() != known)
}

/// The name that ModemManager has for a USB device: its real path in sysfs.
pub fn uid(sysfs: &Path, modem: &UsbPath) -> String {
    let link = sysfs.join("bus/usb/devices").join(modem.to_string());
    std::fs::canonicalize(&link).unwrap_or(link).display().to_string()
}
