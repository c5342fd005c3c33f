//! Follows the desk's server-sent events (HTML Standard, section 9.2).

use std::io;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::desk::state::State;

/// No event of a desk is longer, in bytes.
const LONGEST: usize = 16 << 20;

/// Why the desk cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Nobody answers there.
    #[error("{address}: {error}; is `station serve` running?")]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// It answers, but not as a desk does.
    #[error("{address}: {why}")]
    Answer {
        /// Host and port.
        address: String,
        /// What it said.
        why: String,
    },
    /// It has said its last.
    #[error("the desk was closed")]
    Closed,
}

/// Puts events together from whatever pieces they come in.
#[derive(Debug, Default)]
pub struct Events {
    bytes: Vec<u8>,
}

impl Events {
    /// Takes in a piece; gives the data of all events that are whole with it.
    ///
    /// # Errors
    /// An event has no end, or is no text.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Vec<String>, &'static str> {
        self.bytes.extend_from_slice(piece);
        let mut events = Vec::new();
        let mut from = 0;
        while let Some(len) = self.bytes[from..].windows(2).position(|it| it == b"\n\n") {
            let event = std::str::from_utf8(&self.bytes[from..from + len])
                .map_err(|_| "an event is no UTF-8")?;
            let data: Vec<_> = event.lines().filter_map(|it| it.strip_prefix("data:")).collect();
            if !data.is_empty() {
                events.push(data.join("\n"));
            }
            from += len + 2;
        }
        self.bytes.drain(..from);
        if self.bytes.len() > LONGEST { Err("an event has no end") } else { Ok(events) }
    }
}

/// Follows the desk at `address` (host and port), and hands each state to `show`.
///
/// # Errors
/// Always in the end: why it cannot be followed any more.
pub async fn follow(
    address: &str,
    token: Option<&str>,
    mut show: impl FnMut(State),
) -> Result<(), StreamError> {
    let answer = |why: String| StreamError::Answer { address: address.to_owned(), why };
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| StreamError::Connect { address: address.to_owned(), error })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|it| answer(it.to_string()))?;
    tokio::spawn(connection);
    let mut request = Request::get("/events")
        .header(HOST, address)
        .header(ACCEPT, "text/event-stream")
        .body(Empty::<Bytes>::new())
        .map_err(|it| answer(it.to_string()))?;
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| answer("the token is none".into()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let response = sender.send_request(request).await.map_err(|it| answer(it.to_string()))?;
    if response.status() != StatusCode::OK {
        let status = response.status();
        let body = http_body_util::Limited::new(response.into_body(), 4096).collect().await;
        let body = body.map(|it| it.to_bytes()).unwrap_or_default();
        let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let told = told["error"].as_str().unwrap_or("this is no desk").to_owned();
        return Err(answer(format!("{told} ({status})")));
    }
    let mut events = Events::default();
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StreamError::Closed)?;
        let Some(piece) = frame.data_ref() else { continue };
        for event in events.feed(piece).map_err(|why| answer(why.to_owned()))? {
            let state = serde_json::from_str(&event)
                .map_err(|it| answer(format!("it is of another version: {it}")))?;
            show(state);
        }
    }
    Err(StreamError::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_any_pieces() {
        let text = "data: {\"ä\"}\n\n:\n\nevent: x\ndata:1\ndata:2\n\ndata: half";
        for size in 1..text.len() {
            let mut events = Events::default();
            let got: Vec<_> =
                text.as_bytes().chunks(size).flat_map(|it| events.feed(it).unwrap()).collect();
            assert_eq!(got, [" {\"ä\"}", "1\n2"], "in pieces of {size}");
        }
        assert!(Events::default().feed(b"data: \xFF\n\n").is_err());
        assert!(Events::default().feed(&vec![b'x'; LONGEST + 1]).is_err());
    }
}
