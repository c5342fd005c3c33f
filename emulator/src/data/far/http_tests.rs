//! The web server without a network.

use proptest::prelude::*;

use super::*;

/// Everything that comes back for `bytes`, given in pieces of this size.
fn talk(exchange: &mut Exchange, bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut got = Vec::new();
    for piece in bytes.chunks(piece) {
        let mut rest = piece;
        loop {
            let taken = exchange.take(rest);
            rest = &rest[taken..];
            let mut room = [0; 700];
            let given = exchange.give(&mut room);
            got.extend(&room[..given]);
            if taken == 0 && given == 0 {
                break;
            }
        }
        assert!(rest.is_empty(), "neither talks nor listens");
    }
    got
}

/// Status line, and the body.
fn ask(exchange: &mut Exchange, request: &str) -> (String, Vec<u8>) {
    let got = talk(exchange, request.as_bytes(), 64);
    let end = got.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(got[..end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    if let Some(length) = length.filter(|_| !request.starts_with("HEAD")) {
        assert_eq!(length, (got.len() - end).to_string(), "{head}");
    }
    (head.lines().next().unwrap()[9..].to_owned(), got[end..].to_vec())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: www.example.test\r\n\r\n")
}

#[test]
fn pages_are_as_promised() {
    let mut one = Exchange::new(false);
    assert_eq!(ask(&mut one, &get("/")).0, "200 OK");
    assert_eq!(ask(&mut one, &get("/204")), ("204 No Content".into(), Vec::new()));
    let (status, bytes) = ask(&mut one, &get("/bytes/100000?x=1"));
    assert_eq!((status.as_str(), bytes.len()), ("200 OK", 100_000));
    assert!(bytes.iter().zip(0..).all(|(it, at)| *it == byte(at)));
    assert_eq!(ask(&mut one, &get("http://example.test/bytes/0")).0, "200 OK");
    assert_eq!(ask(&mut one, &get("/bytes/1073741825")).0, "400 Bad Request");
    assert_eq!(ask(&mut one, &get("/other")).0, "404 Not Found");
    assert_eq!(ask(&mut one, "DELETE / HTTP/1.1\r\n\r\n").0, "405 Method Not Allowed");
    let (status, bytes) = ask(&mut one, "HEAD /bytes/7 HTTP/1.1\r\n\r\n");
    assert_eq!((status.as_str(), bytes.len()), ("200 OK", 0));
    assert!(!one.has_ended(), "all on one connection");
}

#[test]
fn bodies_are_counted_in_any_pieces() {
    for piece in [1, 7, 4096] {
        let mut one = Exchange::new(false);
        let post = format!(
            "POST /count HTTP/1.1\r\nContent-Length: 5000\r\n\r\n{}{}",
            "x".repeat(5000),
            get("/204")
        );
        let text = String::from_utf8(talk(&mut one, post.as_bytes(), piece)).unwrap();
        assert!(text.contains("\r\n\r\n5000\nHTTP/1.1 204 "), "{text}");
    }
    let mut one = Exchange::new(false);
    let expects = "POST /count HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(talk(&mut one, expects.as_bytes(), 9), b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(talk(&mut one, b"ab", 9).ends_with(b"\r\n\r\n2\n"));
    assert_eq!(ask(&mut one, "POST /count HTTP/1.1\r\n\r\n").0, "411 Length Required");
    assert!(one.has_ended());
}

#[test]
fn connections_end_when_asked_and_at_errors() {
    for request in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let mut one = Exchange::new(false);
        ask(&mut one, request);
        assert!(one.has_ended(), "{request}");
    }
    let mut one = Exchange::new(false);
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9000));
    assert_eq!(ask(&mut one, &long).0, "431 Request Header Fields Too Large");
    let mut one = Exchange::new(false);
    one.take(b"GET /half");
    one.end();
    assert!(one.has_ended());
}

#[test]
fn a_portal_redirects_all_but_itself() {
    let mut one = Exchange::new(true);
    let got = talk(&mut one, get("/204").as_bytes(), 99);
    let text = String::from_utf8(got).unwrap();
    assert!(text.starts_with("HTTP/1.1 302 Found\r\n"), "{text}");
    assert!(text.contains("\r\nLocation: http://portal.example.test/\r\n"), "{text}");
    let own = "GET / HTTP/1.1\r\nHost: portal.example.test:80\r\n\r\n";
    assert_eq!(ask(&mut one, own).0, "200 OK");
}

proptest! {
    #[test]
    fn no_bytes_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), http: bool, piece in 1_usize..50,
    ) {
        let start = if http { get("/").into_bytes() } else { Vec::new() };
        talk(&mut Exchange::new(false), &[start, bytes].concat(), piece);
    }
}
