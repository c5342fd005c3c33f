//! A small web page for the desk, and what is behind it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /state` | [`State`](crate::desk::state::State) as JSON |
//! | `GET /events` | server-sent events: `data:` is a state, as often as it changes |
//! | `POST /start` | begins to write `{"cards": [{"path": …, "mark": …}]}` |
//! | `POST /enrol` | takes a unit's reports, as `a7670e enrol` prints them |

pub mod guard;
mod page;
mod routes;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::desk::Desk;
use crate::desk::hot::Book;
use guard::Guard;

/// So often the state is looked at.
const TICK: Duration = Duration::from_millis(500);

/// So often the readers are looked at.
pub const LOOK: Duration = Duration::from_secs(1);

/// Who has not asked for anything after this long is sent away.
const ASK: Duration = Duration::from_secs(10);

/// So many connections at once; a desk has a handful of screens.
const CONNECTIONS: usize = 64;

/// Bytes of a request's head.
const HEAD: usize = 16 << 10;

/// All that requests are answered from.
pub(crate) struct Served {
    desk: Arc<Desk>,
    guard: Guard,
    state: watch::Receiver<Arc<str>>,
    policy: String,
}

/// Serves the desk until the process ends.
///
/// # Errors
/// Connections cannot be accepted.
pub async fn serve(desk: Arc<Desk>, listener: TcpListener, guard: Guard) -> io::Result<()> {
    let (sender, state) = watch::channel(shown(&desk));
    let pulse = desk.clone();
    std::thread::Builder::new().spawn(move || look_for_ever(&pulse))?;
    let served = Arc::new(Served { desk: desk.clone(), guard, state, policy: page::policy() });
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            let now = shown(&desk);
            sender.send_if_modified(|old| {
                let changed = *old != now;
                *old = now;
                changed
            });
        }
    });
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (stream, _peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Of that connection, or of too many files: others may fare better.
            Err(_) => {
                tokio::time::sleep(TICK).await;
                continue;
            }
        };
        let Ok(permit) = connections.clone().try_acquire_owned() else { continue };
        let served = served.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| routes::answer(served.clone(), request));
            // Whoever goes away in the middle is not our affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(ASK)
                .max_buf_size(HEAD)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(permit);
        });
    }
}

/// The state as JSON.
fn shown(desk: &Desk) -> Arc<str> {
    // Plain values: serialising cannot fail.
    serde_json::to_string(&desk.state(Instant::now())).unwrap_or_default().into()
}

/// Looks at the readers. A reader may take seconds to answer, which must hold
/// nobody up.
fn look_for_ever(desk: &Arc<Desk>) {
    let mut book = Book::default();
    loop {
        if let Err(error) = desk.watch(&mut book) {
            desk.note(error.to_string());
        }
        std::thread::sleep(LOOK);
    }
}

/// Whether others than this computer can reach the address.
#[must_use]
pub fn is_open(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open() {
        for (address, open) in [
            ("127.0.0.1:1", false),
            ("127.9.9.9:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("192.0.2.1:1", true),
        ] {
            assert_eq!(is_open(&address.parse().unwrap()), open, "{address}");
        }
    }
}
