//! Commands by text message: `COUNTER CODE COMMAND`, for example
//! `1000042 40276315 status`. Pure.
//!
//! The code proves that who sent it has the key: a sender's number can be made
//! up. The counter, which the code covers, must be higher than any that was
//! accepted before: a message that somebody recorded is of no use. Why eight
//! digits are enough stands in docs/adr.

use std::fmt;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Digits of a code.
pub const DIGITS: usize = 8;

/// So many wrong codes in [`PERIOD`] are looked at; after them none is.
pub const TRIES: usize = 10;

/// A day, in seconds.
const PERIOD: u64 = 86_400;

/// What the code is made over begins so: no other use of the key gives one.
const PURPOSE: &[u8] = b"a7670e command by text message 1\n";

/// What somebody may want done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Answer how it is.
    Status,
    /// Answer why it is not online.
    Why,
    /// Restart the Pi.
    Reboot,
    /// Use this access point, or the configuration's.
    Apn(Option<Apn>),
}

impl Wish {
    /// Its name, for the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Wish::Status => "status",
            Wish::Why => "why",
            Wish::Reboot => "reboot",
            Wish::Apn(_) => "apn",
        }
    }
}

/// An access point.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apn {
    /// Its name.
    pub name: String,
    /// User name; empty for none.
    pub user: String,
    /// Password; empty for none.
    pub password: String,
}

impl fmt::Debug for Apn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password is nobody's business.
        f.debug_struct("Apn").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What becomes of a text that looks like a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is one: do this.
    Do(Wish),
    /// Whoever sent it has the key, but it is none; what to answer.
    Mistake(String),
    /// Nothing is done or answered, and why, for the log.
    Refused(&'static str),
}

/// A text in the form of a command.
#[derive(Debug, PartialEq, Eq)]
struct Given {
    counter: u64,
    code: String,
    command: String,
}

/// What is known of earlier commands; to be kept before anything is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The highest counter that was accepted.
    counter: u64,
    /// When codes were wrong, seconds of the Unix epoch.
    wrong: Vec<u64>,
}

/// Whether a text has the form of a command.
#[must_use]
pub fn is_one(text: &str) -> bool {
    given(text).is_some()
}

/// A text as people may see it: user and password of an access point, if it is such a
/// command, are left out, whoever sent it and whatever came of it.
#[must_use]
pub fn shown(text: String) -> String {
    let Some(Given { counter, code, command }) = given(&text) else { return text };
    match plain(&command).split(' ').collect::<Vec<_>>()[..] {
        ["apn", name, _, ..] => format!("{counter} {code} apn {name} [user and password]"),
        _ => text,
    }
}

/// The code for a command.
#[must_use]
pub fn code(key: &[u8], counter: u64, command: &str) -> String {
    // Any length of key will do (RFC 2104 §2).
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(PURPOSE);
    mac.update(format!("{counter}\n{}", plain(command)).as_bytes());
    let tag = mac.finalize().into_bytes();
    let mut first = [0; 8];
    first.copy_from_slice(&tag[..8]);
    // 2^64 is so much more than 10^8 that all codes are equally likely.
    format!("{:0DIGITS$}", u64::from_be_bytes(first) % 10_u64.pow(DIGITS as u32))
}

/// The words, with a blank between; the first in small letters, as telephones
/// like to write a capital.
fn plain(command: &str) -> String {
    let mut words = command.split_whitespace();
    let first = words.next().unwrap_or_default().to_lowercase();
    std::iter::once(first.as_str()).chain(words).collect::<Vec<_>>().join(" ")
}

fn given(text: &str) -> Option<Given> {
    let mut words = text.split_whitespace();
    let (counter, code) = (words.next()?, words.next()?);
    let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(counter) || !digits(code) || code.len() != DIGITS {
        return None;
    }
    let command = words.collect::<Vec<_>>().join(" ");
    // Of more than 18 digits it is none.
    let counter = counter.parse().ok().filter(|_| counter.len() <= 18)?;
    (!command.is_empty()).then(|| Given { counter, code: code.to_owned(), command })
}

impl Gate {
    /// One that no counter passes.
    #[must_use]
    pub fn closed() -> Gate {
        Gate { counter: u64::MAX, wrong: Vec::new() }
    }

    /// Whether it is one.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.counter == u64::MAX
    }

    /// Judges a text. The gate is to be kept before anything is done, whatever
    /// comes of it.
    pub fn judge(&mut self, key: &[u8], wall: u64, text: &str) -> Judgement {
        let Some(given) = given(text) else {
            return Judgement::Refused("it has not the form of a command");
        };
        // A clock that was set back makes old ones young.
        self.wrong.retain(|at| wall.abs_diff(*at) < PERIOD);
        if self.wrong.len() >= TRIES {
            return Judgement::Refused("there were too many wrong codes within a day");
        }
        let right = code(key, given.counter, &given.command);
        if !bool::from(right.as_bytes().ct_eq(given.code.as_bytes())) {
            self.wrong.push(wall);
            return Judgement::Refused("its code is wrong");
        }
        if given.counter <= self.counter {
            return Judgement::Refused("its counter was used before");
        }
        self.counter = given.counter;
        match wish(&given.command) {
            Ok(wish) => Judgement::Do(wish),
            Err(why) => Judgement::Mistake(why),
        }
    }
}

fn wish(command: &str) -> Result<Wish, String> {
    let command = plain(command);
    let words: Vec<&str> = command.split(' ').collect();
    match words[..] {
        ["status"] => Ok(Wish::Status),
        ["why"] => Ok(Wish::Why),
        ["reboot"] => Ok(Wish::Reboot),
        ["apn", "auto"] => Ok(Wish::Apn(None)),
        ["apn", name] => apn(name, "", ""),
        ["apn", name, user, password] => apn(name, user, password),
        ["apn", ..] => Err("apn NAME, apn NAME USER PASSWORD or apn auto".to_owned()),
        _ => Err("There is no such command. There are status, why, reboot, apn".to_owned()),
    }
}

fn apn(name: &str, user: &str, password: &str) -> Result<Wish, String> {
    // As in the configuration: what ends an AT command's text has no place here.
    let is_plain = |text: &str| {
        text.len() <= 100 && text.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'"')
    };
    if ![name, user, password].into_iter().all(is_plain) {
        return Err("Name, user and password must be ASCII without quotes".to_owned());
    }
    let [name, user, password] = [name, user, password].map(str::to_owned);
    Ok(Wish::Apn(Some(Apn { name, user, password })))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"correct horse battery staple";
    const WALL: u64 = 1_795_291_200;

    fn text(counter: u64, command: &str) -> String {
        format!("{counter} {} {command}", code(KEY, counter, command))
    }

    fn is_refused(judgement: &Judgement, why: &str) -> bool {
        matches!(judgement, Judgement::Refused(reason) if reason.contains(why))
    }

    /// By another hand; the first eight octets of what it says:
    /// `printf 'a7670e command by text message 1\n42\nstatus' |
    /// openssl dgst -sha256 -hmac 'correct horse battery staple'`.
    #[test]
    fn the_code_is_the_first_eight_octets_of_the_hmac() {
        assert_eq!(code(KEY, 42, "status"), "75626924");
        assert_eq!(code(KEY, 42, " Status "), code(KEY, 42, "status"));
        assert_ne!(code(KEY, 42, "apn Web"), code(KEY, 42, "apn web"));
    }

    #[test]
    fn what_is_not_wanted_by_the_owner_is_not_done() {
        let mut gate = Gate::default();
        assert_eq!(gate.judge(KEY, WALL, &text(42, "status")), Judgement::Do(Wish::Status));
        assert!(is_refused(&gate.judge(KEY, WALL, &text(42, "status")), "used before"));
        assert!(is_refused(&gate.judge(KEY, WALL, &text(41, "why")), "used before"));
        // Another command or counter with the code of this one.
        let reboot = text(43, "status").replace("status", "reboot");
        assert!(is_refused(&gate.judge(KEY, WALL, &reboot), "wrong"));
        let later = text(43, "status").replace("43 ", "44 ");
        assert!(is_refused(&gate.judge(KEY, WALL, &later), "wrong"));
        assert!(is_refused(&gate.judge(b"another key", WALL, &text(45, "why")), "wrong"));
        assert_eq!(gate.judge(KEY, WALL, &text(43, "Why")), Judgement::Do(Wish::Why));
        for odd in ["status", "42 status", "42 1234567 status", "42 12345678", "x 12345678 why", ""]
        {
            assert!(!is_one(odd), "{odd}");
            assert!(is_refused(&gate.judge(KEY, WALL, odd), "form"), "{odd}");
        }
    }

    #[test]
    fn codes_cannot_be_guessed_and_a_restart_does_not_help() {
        let mut gate = Gate::default();
        for at in 0..TRIES as u64 {
            let guess = format!("{} 00000000 reboot", 1000 + at);
            assert!(is_refused(&gate.judge(KEY, WALL + at, &guess), "wrong"));
        }
        let mut gate: Gate = serde_json::from_str(&serde_json::to_string(&gate).unwrap()).unwrap();
        // Not even the right one, else it would be no limit.
        assert!(is_refused(&gate.judge(KEY, WALL + 100, &text(1, "why")), "too many"));
        assert!(is_refused(&gate.judge(KEY, WALL + PERIOD - 1, &text(1, "why")), "too many"));
        assert!(is_refused(&Gate::closed().judge(KEY, WALL, &text(999_999_999, "why")), "before"));
        let next_day = gate.judge(KEY, WALL + PERIOD + 10, &text(1, "why"));
        assert_eq!(next_day, Judgement::Do(Wish::Why));
    }

    #[test]
    fn what_a_command_says_of_an_access_points_user_is_not_shown() {
        for (command, seen) in [
            ("apn web me pass", "apn web [user and password]"),
            ("  APN  web me\npass", "apn web [user and password]"),
            ("apn web me", "apn web [user and password]"),
            ("apn web me pass word", "apn web [user and password]"),
        ] {
            assert_eq!(shown(format!("7 01234567 {command}")), format!("7 01234567 {seen}"));
        }
        for plain in ["7 01234567 apn web", "7 01234567 why", "apn web me pass", "7 apn a b c", ""]
        {
            assert_eq!(shown(plain.to_owned()), plain);
        }
    }

    #[test]
    fn wishes() {
        let apn = |name: &str, user: &str, password: &str| {
            let [name, user, password] = [name, user, password].map(str::to_owned);
            Ok(Wish::Apn(Some(Apn { name, user, password })))
        };
        assert_eq!(wish("REBOOT"), Ok(Wish::Reboot));
        assert_eq!(wish("apn auto"), Ok(Wish::Apn(None)));
        assert_eq!(wish("Apn  Safaricom saf Data"), apn("Safaricom", "saf", "Data"));
        assert_eq!(wish("apn web"), apn("web", "", ""));
        for odd in ["apn", "apn a b", "apn \"x", "apn é", "halt", "status now"] {
            assert!(wish(odd).is_err(), "{odd}");
        }
    }
}
