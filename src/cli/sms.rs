//! `a7670e sms`: text messages through the service.

use std::fmt::Write as _;
use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lexopt::Arg::{Long, Short, Value};
use lexopt::{Error, Parser, ValueExt};

use super::args::{Asked, Command, Question};
use super::client::{Client, write_out};
use crate::config::Span;
use crate::modem::usb_path::UsbPath;
use crate::protocol::{self, Params, SmsEvent, SmsList, Text, Watching};
use crate::sms::desk::Message;
use crate::sms::spool::Priority;

/// Most bytes read from standard input: 255 parts of 153 characters, of which
/// some take two or three bytes.
const MAX_TEXT: u64 = 64 * 1024;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Send a text; `-` is standard input.
    Send(Text),
    /// Show all messages.
    List,
    /// Show those from us.
    Outbox,
    /// Show one.
    Show(u64),
    /// Forget one.
    Delete(u64),
    /// Take over those that were left at this place.
    Adopt(UsbPath),
    /// Tell what happens, for ever; first of those that are kept, of higher numbers.
    Watch(Option<u64>),
}

/// Reads what follows `sms`.
pub fn parse(parser: &mut Parser) -> Result<Command, Error> {
    let name = match parser.next()? {
        Some(Value(name)) => name.string()?,
        Some(Short('h') | Long("help")) => return Ok(Command::Help),
        Some(other) => return Err(other.unexpected()),
        None => {
            return Err("sms needs send, list, show, delete, watch, outbox, adopt or code".into());
        }
    };
    if name == "code" {
        return super::code::parse(parser);
    }
    if !["send", "list", "show", "delete", "watch", "outbox", "adopt"].contains(&name.as_str()) {
        return Err(format!("there is no `sms {name}`").into());
    }
    let mut asked =
        Asked { socket: protocol::SOCKET.into(), modem: None, json: false, watch: false };
    let mut text = Text::default();
    let (mut word, mut after): (Option<String>, Option<u64>) = (None, None);
    while let Some(arg) = parser.next()? {
        match (arg, name.as_str()) {
            (Long("socket"), _) => asked.socket = parser.value()?.into(),
            (Long("modem"), _) => asked.modem = Some(parser.value()?.parse()?),
            // `watch` and `delete` have nothing else to say.
            (Long("json"), _) => asked.json = true,
            (Long("to"), "send") => text.to.push(parser.value()?.string()?),
            (Long("report"), "send") => text.report = true,
            (Long("flash"), "send") => text.flash = true,
            (Long("validity"), "send") => {
                let value = parser.value()?.string()?;
                let span = Span::parse(&value);
                let span = span.ok_or("--validity is a time such as 30m, 12h, 1d or 2w")?;
                text.validity_s = Some(span.0);
            }
            (Long("priority"), "send") => {
                text.priority = match parser.value()?.string()?.as_str() {
                    "high" => Priority::High,
                    "normal" => Priority::Normal,
                    "low" => Priority::Low,
                    other => {
                        return Err(
                            format!("--priority is high, normal or low, not `{other}`").into()
                        );
                    }
                };
            }
            (Long("after"), "watch") => after = Some(parser.value()?.parse()?),
            (Value(value), "send" | "show" | "delete" | "adopt") if word.is_none() => {
                word = Some(value.string()?);
            }
            (Short('h') | Long("help"), _) => return Ok(Command::Help),
            (other, _) => return Err(other.unexpected()),
        }
    }
    let number = |word: Option<String>| -> Result<u64, Error> {
        let word = word.ok_or_else(|| format!("sms {name} needs the number of a message"))?;
        Ok(word.parse().map_err(|_| format!("`{word}` is no number of a message"))?)
    };
    let wanted = match name.as_str() {
        "send" => {
            if text.to.is_empty() {
                return Err("sms send needs --to NUMBER".into());
            }
            text.text = word.ok_or("sms send needs a text, or - for standard input")?;
            Wanted::Send(text)
        }
        "show" => Wanted::Show(number(word)?),
        "delete" => Wanted::Delete(number(word)?),
        "outbox" => Wanted::Outbox,
        "adopt" => {
            let place = word.ok_or("sms adopt needs the place where messages were left")?;
            Wanted::Adopt(place.parse().map_err(|_| format!("`{place}` is no place on the bus"))?)
        }
        "watch" => Wanted::Watch(after),
        _ => Wanted::List,
    };
    Ok(Command::Ask(Question::Sms(wanted), asked))
}

/// Does it.
///
/// # Errors
/// The service refuses, and why.
pub fn run(client: &mut Client, asked: &Asked, wanted: &Wanted) -> Result<()> {
    let mut params = Params { modem: asked.modem.clone(), ..Params::default() };
    let method = match wanted {
        Wanted::Send(text) => {
            let mut text = text.clone();
            if text.text == "-" {
                text.text = from_input()?;
            }
            params.message = Some(text);
            "sms-send"
        }
        Wanted::List => "sms-list",
        Wanted::Outbox => "sms-outbox",
        Wanted::Show(id) | Wanted::Delete(id) => {
            params.id = Some(*id);
            if matches!(wanted, Wanted::Show(_)) { "sms-show" } else { "sms-delete" }
        }
        Wanted::Adopt(from) => {
            params.from = Some(from.clone());
            "sms-adopt"
        }
        Wanted::Watch(after) => {
            params.id = *after;
            return watch(client, params);
        }
    };
    let SmsList { mut messages, mut more } = client.ask(method, params.clone(), Duration::ZERO)?;
    // A list is told a page at a time; other answers are whole, or too long to be
    // told whole, and asking again would do it again.
    let is_list = matches!(wanted, Wanted::List | Wanted::Outbox);
    if more && !is_list {
        eprintln!("there are more; `a7670e sms outbox` has all");
    }
    while more && is_list {
        params.id = messages.last().map(|message| message.id);
        let page: SmsList = client.ask(method, params.clone(), Duration::ZERO)?;
        more = page.more && !page.messages.is_empty();
        messages.extend(page.messages);
    }
    if asked.json {
        return write_out(&super::line(&messages)?);
    }
    let text = match wanted {
        Wanted::Show(_) => messages.iter().map(whole).collect(),
        Wanted::Delete(_) => String::new(),
        _ => messages.iter().map(line).collect::<String>(),
    };
    write_out(&text)
}

fn from_input() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().take(MAX_TEXT + 1).read_to_string(&mut text);
    read.context("cannot read the text from standard input")?;
    if text.len() as u64 > MAX_TEXT {
        bail!("the text is longer than 255 messages hold");
    }
    // The end of the last line is no part of the text.
    Ok(text.strip_suffix('\n').map_or(text.clone(), str::to_owned))
}

/// A line of JSON for each thing that happens.
fn watch(client: &mut Client, params: Params) -> Result<()> {
    let _: Watching = client.ask("sms-watch", params, Duration::ZERO)?;
    loop {
        let event: SmsEvent = client.next_line()?;
        write_out(&super::line(&event)?)?;
    }
}

/// A message in one line.
fn line(message: &Message) -> String {
    let arrow = if message.direction == "in" { "<-" } else { "->" };
    let text = message.text.as_deref().unwrap_or("(data)");
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{:>6} {:<10} {arrow} {:<16} {text}\n", message.id, message.state, message.address)
}

/// All of a message.
fn whole(message: &Message) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a String cannot fail.
        _ = writeln!(out, "{name:<10} {value}");
    };
    row("number", message.id.to_string());
    row(if message.direction == "in" { "from" } else { "to" }, message.address.clone());
    row("state", message.state.clone());
    if let Some(detail) = &message.detail {
        row("because", detail.clone());
    }
    row("parts", format!("{} of {}", message.parts_done, message.parts));
    if let Some(stamp) = &message.stamp {
        row("sent", stamp.clone());
    }
    if let Some(class) = message.class {
        row("class", class.to_string());
    }
    for report in &message.reports {
        row("report", report.clone());
    }
    if message.perhaps_twice {
        row("note", "it may have been sent twice".to_owned());
    }
    let text = message.text.as_deref().unwrap_or("(data)");
    _ = writeln!(out, "\n{text}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_too_long_for_a_line_is_not_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let service = std::thread::spawn(move || {
            use std::io::{BufRead, Write};
            let (stream, _) = listener.accept().unwrap();
            let lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
            let mut asked = Vec::new();
            for line in lines.map_while(Result::ok) {
                asked.push(line);
                let page = SmsList { messages: Vec::new(), more: asked.len() == 1 };
                let id = asked.len() as u64;
                let outcome = protocol::Outcome::Result(page);
                let reply = protocol::Reply { v: protocol::VERSION, id, outcome };
                let reply = serde_json::to_string(&reply).unwrap();
                writeln!(&stream, "{reply}").unwrap();
            }
            asked
        });
        let mut client = Client::connect(&socket).unwrap();
        let asked = Asked { socket, modem: None, json: true, watch: false };
        let text = Text { to: vec!["20123".into()], text: "x".into(), ..Text::default() };
        run(&mut client, &asked, &Wanted::Send(text)).unwrap();
        drop(client);
        let asked = service.join().unwrap();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert!(asked[0].contains("\"sms-send\""), "{asked:?}");
    }

    fn parsed(line: &str) -> Result<Wanted, String> {
        let command = super::super::args::parse(line.split_whitespace().map(Into::into));
        match command.map_err(|error| error.to_string())? {
            Command::Ask(Question::Sms(wanted), _) => Ok(wanted),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn words_and_options() {
        let text = Text {
            to: vec!["+254700000001".into(), "20123".into()],
            text: "hello".into(),
            report: true,
            validity_s: Some(86_400),
            priority: Priority::High,
            ..Text::default()
        };
        let line = "sms send --to +254700000001 --to 20123 --report --validity 1d \
                    --priority high hello";
        assert_eq!(parsed(line), Ok(Wanted::Send(text)));
        assert_eq!(parsed("sms list --json"), Ok(Wanted::List));
        assert_eq!(parsed("sms outbox"), Ok(Wanted::Outbox));
        assert_eq!(parsed("sms adopt 1-1.2"), Ok(Wanted::Adopt("1-1.2".parse().unwrap())));
        assert_eq!(parsed("sms watch"), Ok(Wanted::Watch(None)));
        assert_eq!(parsed("sms watch --after 7"), Ok(Wanted::Watch(Some(7))));
        assert_eq!(parsed("sms show 7"), Ok(Wanted::Show(7)));
        assert_eq!(parsed("sms delete 7"), Ok(Wanted::Delete(7)));
        for (line, word) in [
            ("sms", "sms needs"),
            ("sms burn", "`sms burn`"),
            ("sms send hello", "--to"),
            ("sms send --to 1", "a text"),
            ("sms send --to 1 a b", "\"b\""),
            ("sms send --to 1 --validity 1 a", "12h"),
            ("sms send --to 1 --priority now a", "`now`"),
            ("sms show", "the number"),
            ("sms show x", "`x`"),
            ("sms adopt", "the place"),
            ("sms adopt ../x", "`../x`"),
            ("sms list --report", "--report"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
