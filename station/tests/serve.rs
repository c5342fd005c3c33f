//! The desk's page, terminal view and hot add, by their programs; the cards are
//! plain files and loop devices of the tests' own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Running, Slot};
use serde_json::{Value, json};

const STATION: &str = env!("CARGO_BIN_EXE_station");

/// Whatever takes longer does not happen any more.
const DEADLINE: Duration = Duration::from_secs(120);

/// Bytes of the image: enough for several pieces.
const IMAGE: usize = (5 << 20) + 4096;

/// Of a request, besides the usual ones.
type Headers<'a> = &'a [(&'a str, &'a str)];

fn image() -> Vec<u8> {
    (0..IMAGE).map(|at| (at / 4096) as u8 | 1).collect()
}

/// `station serve`.
struct Served {
    _program: Running,
    address: String,
    token: Option<String>,
}

impl Served {
    fn new(arguments: &[&str]) -> Self {
        let mut program = Command::new(STATION)
            .args(["serve", "--listen=127.0.0.1:0"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(program.stderr.take().unwrap()).lines();
        let program = Running(program);
        let line = lines.by_ref().map(Result::unwrap).find(|it| it.contains("the desk is at"));
        let line = line.expect("it said where it is");
        // Its pipe stays open and is read to the end.
        std::thread::spawn(move || lines.for_each(drop));
        let (_, rest) = line.split_once("http://").unwrap();
        let (address, behind) = rest.split_once('/').unwrap();
        let token = behind.strip_prefix('#').map(str::to_owned);
        Self { _program: program, address: address.into(), token }
    }

    /// Status and body of an answer to a request with these further headers.
    fn ask(&self, request: &str, headers: Headers<'_>, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut text = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            text += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    fn state(&self) -> Value {
        let (status, _, body) = self.ask("GET /state", &[], "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn start(&self, cards: &Value) -> (u16, String) {
        let json = [("Content-Type", "application/json")];
        let (status, _, body) =
            self.ask("POST /start", &json, &json!({ "cards": cards }).to_string());
        (status, body)
    }

    fn until(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let state = self.state();
            if so(&state) {
                return state;
            }
            assert!(start.elapsed() < DEADLINE, "never {what}: {state:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn card_of(state: &Value, path: &Path) -> Option<Value> {
    let cards = state["cards"].as_array()?;
    cards.iter().find(|it| it["path"].as_str() == path.to_str()).cloned()
}

fn phases(state: &Value) -> Vec<String> {
    let jobs = state["jobs"].as_array().unwrap();
    jobs.iter().map(|it| it["phase"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_card_is_chosen_on_the_page_and_seen_in_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let (path, card) = (dir.path().join("a.img"), dir.path().join("card"));
    fs::write(&path, image()).unwrap();
    fs::write(&card, [0xA5; 4096]).unwrap();
    let (image_path, card_path) = (path.to_str().unwrap(), card.to_str().unwrap());
    let desk = Served::new(&[image_path, "--target", card_path]);
    assert_eq!(desk.token, None);

    let (status, head, page) = desk.ask("GET /", &[], "");
    assert_eq!(status, 200);
    assert!(page.contains("<title>Flashing desk</title>"));
    assert!(head.contains("content-security-policy: default-src 'none'; script-src 'sha256-"));
    assert!(head.contains("frame-ancestors 'none'") && head.contains("nosniff"));

    // What a browser sends for other sites, or by a name that leads here.
    let evil: [(&str, Headers<'_>, u16); 6] = [
        ("GET /", &[("Host", "evil.example")], 421),
        ("GET /state", &[("Host", "evil.example")], 421),
        ("GET /state", &[("Origin", "http://evil.example")], 403),
        ("GET /events", &[("Sec-Fetch-Site", "cross-site")], 403),
        ("POST /start", &[("Content-Type", "text/plain")], 415),
        ("DELETE /state", &[("Content-Type", "application/json")], 405),
    ];
    for (request, headers, want) in evil {
        assert_eq!(desk.ask(request, headers, "").0, want, "{request} {headers:?}");
    }
    assert_eq!(desk.ask("GET /nothing", &[], "").0, 404);
    assert_eq!(desk.start(&json!([{"path": card_path}])).0, 400);
    assert_eq!(desk.start(&json!([])).0, 409);

    let state = desk.until("a card", |state| card_of(state, &card).is_some());
    let mark = card_of(&state, &card).unwrap()["mark"].clone();
    let (status, body) = desk.start(&json!([{"path": card_path, "mark": "another"}]));
    assert!(status == 409 && body.contains("another card"), "{body}");
    assert_eq!(fs::read(&card).unwrap(), [0xA5; 4096]);

    let mut watch = Command::new(STATION)
        .args(["watch", &desk.address])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    let _watch = Running(watch);
    let (status, body) = desk.start(&json!([{"path": card_path, "mark": mark}]));
    assert_eq!(status, 200, "{body}");
    desk.until("right", |state| phases(state) == ["done"]);
    assert!(fs::read(&card).unwrap() == image());
    let line = seen.find(|line| line.contains(": right;")).unwrap();
    assert!(line.starts_with(card_path), "{line}");
}

#[test]
fn a_token_is_asked_for_and_is_in_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.img");
    fs::write(&path, image()).unwrap();
    let desk = Served::new(&[path.to_str().unwrap(), "--token"]);
    let token = desk.token.clone().expect("a token was printed");
    assert_eq!(token.len(), 32);
    let (status, _, page) = desk.ask("GET /", &[], "");
    assert!(status == 200 && !page.contains(&token));
    let right = format!("Bearer {token}");
    let wrong = format!("Bearer {}", token.chars().rev().collect::<String>());
    assert_eq!(desk.ask("GET /state", &[], "").0, 401);
    assert_eq!(desk.ask("GET /state", &[("Authorization", &wrong)], "").0, 401);
    let (status, _, body) = desk.ask("GET /state", &[("Authorization", &right)], "");
    assert!(status == 200 && !body.contains(&token));

    let file = dir.path().join("token");
    let watch = |text: &str| {
        fs::write(&file, text).unwrap();
        let mut command = Command::new(STATION);
        command.args(["watch", &desk.address, "--token-file"]).arg(&file);
        command
    };
    let out = watch(&wrong[7..]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("the token is missing or wrong"), "{said}");
    let mut child = watch(&format!("{token}\n")).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let _child = Running(child);
    assert!(lines.next().unwrap().unwrap().starts_with("a.img, 5.2 MB"));
}

#[test]
fn a_card_that_is_put_in_is_written_if_its_slot_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let path = file("a.img", &image());
    let full = file("full", &vec![0xA5; 8 << 20]);
    let small = file("small", &vec![0xA5; 1 << 20]);
    let slot = Slot::new();
    let given = format!("--overwrite-in={}", slot.name());
    let fixed = file("fixed", &[0xA5; 4096]);
    let fixed = format!("--target={}", fixed.display());
    let desk = Served::new(&[path.to_str().unwrap(), "--hot-add", &given, &fixed]);
    // It has looked at what was there before.
    desk.until("looked", |state| state["cards"].as_array().is_some_and(|it| !it.is_empty()));

    slot.put_in(&small);
    let state = desk.until("a note", |state| state["notes"][0].is_string());
    assert!(state["notes"][0].as_str().unwrap().contains("take a larger card"), "{state}");
    assert!(phases(&state).is_empty());
    slot.take_out();
    desk.until("gone", |state| card_of(state, &slot.path).is_none());

    slot.put_in(&full);
    desk.until("right", |state| phases(state) == ["done"]);
    // The same card stays in, and is not written again.
    desk.until("free again", |state| {
        card_of(state, &slot.path).is_some_and(|it| it["busy"] == false && it["mark"] != "")
    });
    slot.take_out();
    let content = fs::read(&full).unwrap();
    assert!(content[..IMAGE] == image());
    assert!(content[IMAGE..].iter().all(|&byte| byte == 0xA5));
    assert_eq!(phases(&desk.state()), ["done"]);
    assert!(fs::read(&small).unwrap().iter().all(|&byte| byte == 0xA5));
}
