//! Watches ModemManager for one modem, and asks it for things: a task that turns
//! what is on the bus into events. It knows no rule.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use zbus::export::futures_core::Stream;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, Value};
use zbus::{Connection, Error, MatchRule, MessageStream, Result, message};

use super::{NAME, PATH, owner, read};
use crate::daemon::task::Shared;
use crate::modem::manager::{Call, Event, Fault};
use crate::sms::desk::{ManagerCall, ManagerEvent};
use crate::sms::spool::Whole;

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";
const MODEM: &str = "org.freedesktop.ModemManager1.Modem";
const SIM: &str = "org.freedesktop.ModemManager1.Sim";

/// From a signal to the look at the modem: they come in groups.
const SETTLE: Duration = Duration::from_millis(50);

/// How often to look although there was no signal.
const LOOK: Duration = Duration::from_secs(30);

/// How often one that does not run is started again, and a bus looked for.
const START: Duration = Duration::from_secs(60);

/// How long the bus may take to start it.
const STARTED: Duration = Duration::from_secs(30);

/// How long ModemManager may take to tell of itself and its modems, which it does
/// without asking the modem.
const ANSWER: Duration = Duration::from_secs(30);

/// Seconds between two measurements of the signal.
const MEASURE: u32 = 30;

/// Most signals that wait to be read; then the connection waits.
const QUEUE: usize = 64;

/// What the task is told.
enum Order {
    /// Tell of the modem whose device is this; `None`: of none.
    Show(Option<String>),
    /// Ask for this.
    Call(Call),
    /// Ask the modem of this object for this of messages.
    Message(String, ManagerCall),
}

/// What is new.
#[derive(Debug)]
pub enum News {
    /// Of ModemManager or the modem.
    Modem(Event),
    /// Of a message.
    Message(ManagerEvent),
}

/// The task; it ends when this is dropped.
pub struct Watch {
    orders: mpsc::UnboundedSender<Order>,
    events: mpsc::UnboundedReceiver<News>,
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// Begins to watch on the system's bus.
    pub fn start(shared: Arc<Shared>) -> Watch {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (outbox, events) = mpsc::unbounded_channel();
        let task = tokio::spawn(run(shared, inbox, outbox));
        Watch { orders, events, task }
    }

    /// What is new.
    pub async fn next(&mut self) -> News {
        match self.events.recv().await {
            Some(event) => event,
            // The task runs for as long as this lives.
            None => std::future::pending().await,
        }
    }

    /// Tells of the modem whose device is `uid` from now on.
    pub fn show(&self, uid: Option<String>) {
        _ = self.orders.send(Order::Show(uid));
    }

    /// Asks the modem `modem` for something of messages.
    pub fn message(&self, modem: String, call: ManagerCall) {
        _ = self.orders.send(Order::Message(modem, call));
    }

    /// Asks for something; answered by [`Event::Answered`].
    pub fn call(&self, call: Call) {
        _ = self.orders.send(Order::Call(call));
    }
}

async fn run(
    shared: Arc<Shared>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    events: mpsc::UnboundedSender<News>,
) {
    let mut uid = None;
    loop {
        let why = match shared.bus.get().await {
            Ok(bus) => match watch(&bus, &mut uid, &mut orders, &events).await {
                Ok(()) => return,
                Err(error) => format!("ModemManager cannot be watched: {error}"),
            },
            Err(error) => format!("there is no system bus, so no ModemManager: {error}"),
        };
        tracing::debug!("{why}");
        if events.send(News::Modem(Event::Absent(why))).is_err() {
            return;
        }
        sleep(START).await;
    }
}

/// What the bus tells of who runs as ModemManager.
pub(super) fn owners() -> Result<MatchRule<'static>> {
    let signals = MatchRule::builder().msg_type(message::Type::Signal).sender(BUS)?;
    Ok(signals.member("NameOwnerChanged")?.arg(0, NAME)?.build())
}

/// Watches until nobody is interested.
async fn watch(
    bus: &Connection,
    uid: &mut Option<String>,
    orders: &mut mpsc::UnboundedReceiver<Order>,
    events: &mpsc::UnboundedSender<News>,
) -> Result<()> {
    let mut owners = pin!(MessageStream::for_match_rule(owners()?, bus, Some(QUEUE)).await?);
    let rule = MatchRule::builder().msg_type(message::Type::Signal).sender(NAME)?.build();
    let mut signals = pin!(MessageStream::for_match_rule(rule, bus, Some(QUEUE)).await?);
    let mut calls: JoinSet<News> = JoinSet::new();
    let mut here = None;
    let mut again = Instant::now();
    let mut look: Option<Instant> = None;
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                None => return Ok(()),
                Some(Order::Show(wanted)) => {
                    *uid = wanted;
                    look = Some(Instant::now());
                }
                Some(Order::Call(call)) => {
                    let bus = bus.clone();
                    calls.spawn(async move {
                        let result = ask(&bus, &call).await.map_err(|error| fault(&error));
                        News::Modem(Event::Answered(call.kind(), result))
                    });
                }
                Some(Order::Message(modem, call)) => {
                    let bus = bus.clone();
                    calls.spawn(async move { News::Message(message(&bus, &modem, call).await) });
                }
            },
            Some(Ok(news)) = calls.join_next() => {
                // Who listened may have left; then the orders end, too.
                _ = events.send(news);
                look = Some(Instant::now());
            }
            _ = next(owners.as_mut()) => again = Instant::now(),
            _ = next(signals.as_mut()) => {
                let soon = Instant::now() + SETTLE;
                look = Some(look.map_or(soon, |at| at.min(soon)));
            }
            () = sleep_until(again) => {
                again = Instant::now() + START;
                let mut why = None;
                let mut found = owner(bus).await?;
                if found.is_none() {
                    if here.take().is_some() {
                        tell(events, Event::Absent("ModemManager has ended".to_owned()));
                    }
                    why = start(bus).await.err();
                    found = owner(bus).await?;
                }
                match found {
                    Some(owner) if here.as_ref() == Some(&owner) => {}
                    Some(owner) => match timeout(ANSWER, read::version(bus)).await {
                        Ok(Ok(version)) => {
                            here = Some(owner);
                            tell(events, Event::Here(version));
                        }
                        Err(_) => tell(events, silent()),
                        Ok(Err(error)) => {
                            let why = format!("ModemManager does not answer: {error}");
                            tell(events, Event::Absent(why));
                        }
                    },
                    None => {
                        let gone = || "ModemManager ended again at once".to_owned();
                        tell(events, Event::Absent(why.unwrap_or_else(gone)));
                    }
                }
                look = Some(Instant::now());
            }
            () = at(look), if look.is_some() => {
                look = Some(Instant::now() + LOOK);
                if let (Some(uid), true) = (&uid, here.is_some()) {
                    match timeout(ANSWER, read::view(bus, uid)).await {
                        Ok(Ok(view)) => tell(events, Event::Shown(view.map(Box::new))),
                        // It changed meanwhile, which a signal tells of.
                        Ok(Err(error)) => tracing::debug!("ModemManager: {error}"),
                        // It hangs: what it said last holds no more.
                        Err(_) => {
                            here = None;
                            tell(events, silent());
                        }
                    }
                }
            }
        }
    }
}

/// Has the bus start ModemManager, or tells why it does not.
async fn start(bus: &Connection) -> std::result::Result<(), String> {
    let call = bus.call_method(Some(BUS), BUS_PATH, Some(BUS), "StartServiceByName", &(NAME, 0u32));
    match timeout(STARTED, call).await {
        Err(_) => Err("ModemManager takes too long to start".to_owned()),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(why_not(&fault(&error))),
    }
}

/// Why ModemManager cannot be started, for people (errors of dbus-daemon and, by
/// way of it, systemd).
fn why_not(fault: &Fault) -> String {
    match fault.name.as_str() {
        "org.freedesktop.systemd1.UnitMasked" => {
            "ModemManager is masked: systemctl unmask ModemManager".to_owned()
        }
        "org.freedesktop.systemd1.NoSuchUnit" => {
            "ModemManager is disabled: systemctl enable --now ModemManager".to_owned()
        }
        "org.freedesktop.DBus.Error.ServiceUnknown" => {
            "ModemManager does not run, and is not installed".to_owned()
        }
        _ => format!("ModemManager does not start: {}", fault.text),
    }
}

async fn ask(bus: &Connection, call: &Call) -> Result<()> {
    match call {
        Call::Enable { modem } => {
            bus.call_method(Some(NAME), modem.as_str(), Some(MODEM), "Enable", &true).await
        }
        Call::Disable { modem } => {
            bus.call_method(Some(NAME), modem.as_str(), Some(MODEM), "Enable", &false).await
        }
        Call::SendPin { sim, pin } => {
            bus.call_method(Some(NAME), sim.as_str(), Some(SIM), "SendPin", &pin.reveal()).await
        }
        Call::Signal { modem } => {
            let interface = format!("{MODEM}.Signal");
            let interface = Some(interface.as_str());
            bus.call_method(Some(NAME), modem.as_str(), interface, "Setup", &MEASURE).await
        }
        Call::Scan => bus.call_method(Some(NAME), PATH, Some(NAME), "ScanDevices", &()).await,
    }
    .map(|_| ())
}

async fn message(bus: &Connection, modem: &str, call: ManagerCall) -> ManagerEvent {
    match call {
        ManagerCall::Send(whole) => match create(bus, modem, &whole).await {
            Ok(path) => {
                let result = send(bus, &path).await.map_err(|error| fault(&error));
                ManagerEvent::Sent { id: whole.id, result }
            }
            Err(error) => ManagerEvent::NotTaken { id: whole.id, fault: fault(&error) },
        },
        ManagerCall::Delete(path) => {
            let interface = format!("{MODEM}.Messaging");
            let interface = Some(interface.as_str());
            let deleted = match ObjectPath::try_from(path.as_str()) {
                Ok(object) => {
                    bus.call_method(Some(NAME), modem, interface, "Delete", &object).await
                }
                Err(error) => Err(error.into()),
            };
            let done = match deleted {
                Ok(_) => true,
                Err(Error::MethodError(name, _, _)) => name.ends_with(".NotFound"),
                Err(_) => false,
            };
            ManagerEvent::Deleted { path, done }
        }
    }
}

/// Gives ModemManager a message, which it does not send yet; its object.
async fn create(bus: &Connection, modem: &str, whole: &Whole) -> Result<OwnedObjectPath> {
    let number = whole.to.to_string();
    let mut message = HashMap::from([
        ("number", Value::from(number.as_str())),
        ("text", Value::from(whole.text.as_str())),
        ("delivery-report-request", Value::from(whole.report)),
        // `MM_SMS_VALIDITY_TYPE_RELATIVE`, minutes.
        ("validity", Value::from((1u32, Value::from(whole.minutes)))),
    ]);
    if let Some(class) = whole.class {
        message.insert("class", Value::from(i32::from(class)));
    }
    let interface = format!("{MODEM}.Messaging");
    let interface = Some(interface.as_str());
    let reply = bus.call_method(Some(NAME), modem, interface, "Create", &message).await?;
    reply.body().deserialize()
}

/// Has it sent; its object, and the reference of the last part.
async fn send(bus: &Connection, path: &OwnedObjectPath) -> Result<(String, Option<u8>)> {
    bus.call_method(Some(NAME), path, Some(read::SMS), "Send", &()).await?;
    // It is sent, whatever becomes of this.
    let values = read::all(bus, path.as_str(), read::SMS).await.unwrap_or_default();
    let reference = read::number(&values, "MessageReference");
    Ok((path.to_string(), reference.and_then(|number| u8::try_from(number).ok())))
}

fn fault(error: &Error) -> Fault {
    match error {
        Error::MethodError(name, text, _) => {
            Fault { name: name.to_string(), text: text.clone().unwrap_or_default() }
        }
        other => Fault { name: String::new(), text: other.to_string() },
    }
}

fn silent() -> Event {
    Event::Absent(format!("ModemManager has not answered for {} s", ANSWER.as_secs()))
}

fn tell(events: &mpsc::UnboundedSender<News>, event: Event) {
    // As above.
    _ = events.send(News::Modem(event));
}

pub(super) async fn next<S: Stream>(mut stream: Pin<&mut S>) -> Option<S::Item> {
    match std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await {
        Some(item) => Some(item),
        // A bus that broke is found out by the next call.
        None => std::future::pending().await,
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_why_it_does_not_run() {
        for (name, word) in [
            ("org.freedesktop.systemd1.UnitMasked", "is masked"),
            ("org.freedesktop.systemd1.NoSuchUnit", "is disabled"),
            ("org.freedesktop.DBus.Error.ServiceUnknown", "not installed"),
            ("org.freedesktop.DBus.Error.Spawn.ChildExited", "does not start: odd"),
        ] {
            let fault = Fault { name: name.into(), text: "odd".into() };
            assert!(why_not(&fault).contains(word), "{}", why_not(&fault));
        }
    }
}
