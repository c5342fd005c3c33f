//! The far end's web server (HTTP/1.1, RFC 9112), pure: bytes in, bytes out.
//!
//! | Request         | Answer                                                 |
//! |-----------------|--------------------------------------------------------|
//! | `GET /`         | a line of text                                         |
//! | `GET /bytes/N`  | N bytes, at most [`MOST`]; the one at offset i is i mod 251 |
//! | `POST /count`   | how many bytes the request's body has                  |
//! | `GET /204`      | 204, as connectivity checks want it; `/generate_204` too |
//!
//! A captive portal answers every request 302, but those to itself.

use super::Talk;

/// Most bytes that `/bytes/N` gives.
pub const MOST: u64 = 1 << 30;
/// The portal's own name.
const PORTAL: &str = "portal.example.test";
/// Longest head of a request, in bytes.
const LONGEST_HEAD: usize = 8 << 10;
/// Most header lines of a request.
const MOST_HEADERS: usize = 64;
/// A prime, so that a lost packet shows.
const PERIOD: u64 = 251;

/// The byte of `/bytes/N` at this offset.
pub fn byte(offset: u64) -> u8 {
    // Less than 251.
    (offset % PERIOD) as u8
}

/// What of a request is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Await {
    Head,
    /// Bytes of a body, of which `counted` came.
    Body {
        left: u64,
        counted: u64,
        counts: bool,
    },
    /// Nothing: what comes is thrown away.
    Nothing,
}

/// One connection.
#[derive(Debug)]
pub struct Exchange {
    portal: bool,
    head: Vec<u8>,
    state: Await,
    reply: Vec<u8>,
    /// Of `/bytes/N`, behind `reply`: those given and all.
    stream: (u64, u64),
    /// The connection ends with this answer.
    last: bool,
}

/// What a request's head says, as far as it matters.
struct Request {
    method: String,
    path: String,
    host: String,
    length: Option<u64>,
    /// A coding of the body that is not understood.
    coded: bool,
    keep: bool,
    expects: bool,
}

impl Exchange {
    /// A fresh connection, perhaps to a captive portal.
    pub fn new(portal: bool) -> Self {
        let (head, reply) = (Vec::new(), Vec::new());
        Self { portal, head, state: Await::Head, reply, stream: (0, 0), last: false }
    }

    fn is_answering(&self) -> bool {
        !self.reply.is_empty() || self.stream.0 < self.stream.1
    }

    /// Status and text of an answer; `head` is whether it goes without.
    fn answer(&mut self, status: &str, more: &str, text: &str, head: bool) {
        let connection = if self.last { "close" } else { "keep-alive" };
        let length = if status.starts_with("204") {
            String::new()
        } else {
            format!("Content-Type: text/plain\r\nContent-Length: {}\r\n", text.len())
        };
        let text = if head { "" } else { text };
        let answer = format!(
            "HTTP/1.1 {status}\r\n{length}{more}Cache-Control: no-store\r\n\
             Connection: {connection}\r\n\r\n{text}"
        );
        self.reply.extend(answer.bytes());
    }

    fn refuse(&mut self, status: &str, why: &str) {
        self.last = true;
        self.state = Await::Nothing;
        self.answer(status, "", &format!("{why}\n"), false);
    }

    /// The head is whole.
    fn begin(&mut self) {
        let bytes = std::mem::take(&mut self.head);
        let Some(request) = parse(&bytes) else {
            return self.refuse("400 Bad Request", "this is no HTTP/1.1 request");
        };
        self.last = !request.keep;
        let post = request.method == "POST";
        if request.coded {
            return self.refuse("501 Not Implemented", "give the body with Content-Length");
        }
        if post && request.length.is_none() {
            return self.refuse("411 Length Required", "give the body with Content-Length");
        }
        let host = request.host.split(':').next().unwrap_or_default();
        let captive = self.portal && !host.eq_ignore_ascii_case(PORTAL);
        let counts = post && request.path == "/count" && !captive;
        if !counts {
            self.respond(&request, captive);
        } else if request.expects {
            self.reply.extend(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        // The body is read even if nobody wants it: the next request follows.
        let left = request.length.unwrap_or(0);
        self.state = Await::Body { left, counted: 0, counts };
        self.body(0);
    }

    fn respond(&mut self, request: &Request, captive: bool) {
        let head = request.method == "HEAD";
        let known = head || request.method == "GET";
        if captive {
            let to = format!("Location: http://{PORTAL}/\r\n");
            return self.answer("302 Found", &to, "log in first\n", head);
        }
        if self.portal {
            return self.answer("200 OK", "", "portal of the a7670e-emulator\n", head);
        }
        match (known, request.path.as_str()) {
            (true, "/") => self.answer("200 OK", "", "far end of the a7670e-emulator\n", head),
            (true, "/204" | "/generate_204") => self.answer("204 No Content", "", "", head),
            (true, path) => match path.strip_prefix("/bytes/").map(str::parse::<u64>) {
                Some(Ok(count @ 0..=MOST)) => self.begin_stream(count, head),
                Some(_) => {
                    let why = format!("give a number of bytes up to {MOST}\n");
                    self.answer("400 Bad Request", "", &why, head);
                }
                None => self.answer("404 Not Found", "", "there is no such page\n", head),
            },
            (false, _) => {
                let allow = "Allow: GET, HEAD, POST\r\n";
                self.answer("405 Method Not Allowed", allow, "GET it, or POST /count\n", head);
            }
        }
    }

    fn begin_stream(&mut self, count: u64, head: bool) {
        let connection = if self.last { "close" } else { "keep-alive" };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\
             Content-Length: {count}\r\nCache-Control: no-store\r\nConnection: {connection}\r\n\r\n"
        );
        self.reply.extend(answer.bytes());
        self.stream = (0, if head { 0 } else { count });
    }

    /// So many bytes of the body came.
    fn body(&mut self, came: u64) {
        let Await::Body { left, counted, counts } = self.state else { return };
        let (left, counted) = (left.saturating_sub(came), counted.saturating_add(came));
        self.state = Await::Body { left, counted, counts };
        if left > 0 {
            return;
        }
        self.state = if self.last { Await::Nothing } else { Await::Head };
        if counts {
            self.answer("200 OK", "", &format!("{counted}\n"), false);
        }
    }
}

impl Talk for Exchange {
    fn take(&mut self, bytes: &[u8]) -> usize {
        match self.state {
            Await::Nothing => bytes.len(),
            // A request that came early waits for the answer to the one before.
            Await::Head if self.is_answering() => 0,
            Await::Body { left, .. } => {
                let count = u64::try_from(bytes.len()).map_or(left, |it| it.min(left));
                self.body(count);
                // At most the length of `bytes`.
                count as usize
            }
            Await::Head => {
                let before = self.head.len();
                self.head.extend(bytes);
                let from = before.saturating_sub(3);
                let end = self.head[from..].windows(4).position(|it| it == b"\r\n\r\n");
                match end.map(|at| from + at + 4) {
                    Some(end) if end <= LONGEST_HEAD => {
                        self.head.truncate(end);
                        self.begin();
                        end - before
                    }
                    None if self.head.len() <= LONGEST_HEAD => bytes.len(),
                    _ => {
                        self.head.clear();
                        let why = "the head is longer than 8 KiB";
                        self.refuse("431 Request Header Fields Too Large", why);
                        bytes.len()
                    }
                }
            }
        }
    }

    fn give(&mut self, room: &mut [u8]) -> usize {
        let text = room.len().min(self.reply.len());
        room[..text].copy_from_slice(&self.reply[..text]);
        self.reply.drain(..text);
        let (given, all) = self.stream;
        if !self.reply.is_empty() || given >= all {
            return text;
        }
        let left = usize::try_from(all - given).unwrap_or(usize::MAX);
        let count = left.min(room.len() - text);
        // Less than 251.
        let mut next = byte(given);
        for it in &mut room[text..text + count] {
            *it = next;
            next = if u64::from(next) + 1 == PERIOD { 0 } else { next + 1 };
        }
        self.stream.0 += count as u64;
        text + count
    }

    fn end(&mut self) {
        // A request that is not whole will not be; what is answered still is.
        self.last = true;
        self.state = Await::Nothing;
    }

    fn has_ended(&self) -> bool {
        self.last && self.state == Await::Nothing && !self.is_answering()
    }
}

fn parse(bytes: &[u8]) -> Option<Request> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    if !request.parse(bytes).ok()?.is_complete() {
        return None;
    }
    let mut found = Request {
        method: request.method?.to_owned(),
        path: path(request.path?),
        host: String::new(),
        length: None,
        coded: false,
        keep: request.version == Some(1),
        expects: false,
    };
    for header in &*request.headers {
        let value = std::str::from_utf8(header.value).ok()?.trim();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("host") {
            found.host = value.to_owned();
        } else if is("content-length") {
            let length = value.parse().ok()?;
            if found.length.is_some_and(|before| before != length) {
                return None;
            }
            found.length = Some(length);
        } else if is("transfer-encoding") {
            found.coded = true;
        } else if is("connection") {
            let options = || value.split(',').map(str::trim);
            found.keep = !options().any(|it| it.eq_ignore_ascii_case("close"))
                && (found.keep || options().any(|it| it.eq_ignore_ascii_case("keep-alive")));
        } else if is("expect") {
            found.expects = value.eq_ignore_ascii_case("100-continue");
        }
    }
    Some(found)
}

/// Without scheme, host and query.
fn path(target: &str) -> String {
    let path = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    path.split('?').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
