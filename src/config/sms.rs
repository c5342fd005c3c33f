//! `[sms]`: text messages.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::secret::SecretValue;
use crate::sms::spool::{Lists, OnUnknown, Pattern, Settings};

/// `[sms]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sms {
    /// Whether messages are sent and taken off the SIM.
    pub enabled: bool,
    /// What to do with a message of which nobody knows whether it was sent.
    pub on_unknown: OnUnknown,
    /// How long a message is worth sending unless it says so itself.
    pub validity: Span,
    /// Most messages in an hour, each part counted; 0 for no limit.
    pub per_hour: u32,
    /// How long the missing parts of a long message are waited for.
    pub parts_timeout: Span,
    /// How many messages that are done with are kept, of each direction; 1 at
    /// least, as one that came is kept until it has left the SIM.
    #[serde(deserialize_with = "some")]
    pub keep: u32,
    /// To whom messages may go; all when it is left out.
    pub allow_to: Option<Vec<Pattern>>,
    /// To whom none may go.
    pub deny_to: Vec<Pattern>,
    /// Who is listened to; all when it is left out.
    pub allow_from: Option<Vec<Pattern>>,
    /// Who is not.
    pub deny_from: Vec<Pattern>,
    /// A program that is run for each message that came, and its arguments.
    #[serde(deserialize_with = "line")]
    pub hook: Option<Vec<String>>,
    /// How long it may take.
    pub hook_timeout: Span,
    /// Commands to this device; none when it is left out.
    pub commands: Option<Commands>,
}

/// `[sms.commands]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    /// Whose messages may be commands.
    #[serde(deserialize_with = "senders")]
    pub from: Vec<Pattern>,
    /// The key that their codes are made with.
    pub key: SecretValue,
}

impl Default for Sms {
    fn default() -> Sms {
        let Settings { validity, per_hour, patience, keep, .. } = Settings::default();
        Sms {
            enabled: true,
            on_unknown: OnUnknown::default(),
            validity: Span(validity),
            per_hour,
            parts_timeout: Span(patience),
            keep: keep as u32,
            allow_to: None,
            deny_to: Vec::new(),
            allow_from: None,
            deny_from: Vec::new(),
            hook: None,
            hook_timeout: Span(30),
            commands: None,
        }
    }
}

impl Sms {
    /// What the desk takes; `None` when there shall be no messages.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        self.enabled.then(|| Settings {
            to: Lists { allow: self.allow_to.clone(), deny: self.deny_to.clone() },
            from: Lists { allow: self.allow_from.clone(), deny: self.deny_from.clone() },
            on_unknown: self.on_unknown,
            validity: self.validity.0,
            per_hour: self.per_hour,
            patience: self.parts_timeout.0,
            keep: self.keep as usize,
            program: self.hook.is_some(),
            commanders: self.commands.as_ref().map(|commands| commands.from.clone()),
        })
    }

    /// The program with its arguments, and how long it may take.
    #[must_use]
    pub fn program(&self) -> Option<(Vec<String>, Duration)> {
        Some((self.hook.clone()?, Duration::from_secs(self.hook_timeout.0)))
    }
}

fn some<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        0 => Err(de::Error::custom("must be 1 at least: what comes is kept before it is told of")),
        keep => Ok(keep),
    }
}

fn line<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    let line = Vec::<String>::deserialize(from)?;
    let whole = line.iter().all(|word| !word.contains('\0'));
    match line.first() {
        Some(program) if program.starts_with('/') && whole => Ok(Some(line)),
        _ => Err(de::Error::custom(
            "must be a program with its whole path, and its arguments: [\"/usr/local/bin/x\", \"a\"]",
        )),
    }
}

fn senders<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Pattern>, D::Error> {
    let senders = Vec::<Pattern>::deserialize(from)?;
    if senders.is_empty() {
        return Err(de::Error::custom("must have one number at least"));
    }
    Ok(senders)
}

/// A length of time in seconds: `"90s"`, `"30m"`, `"12h"`, `"1d"`, `"2w"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub u64);

impl Span {
    /// Reads it; `None` when it is none, or nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Span> {
        let unit = match text.chars().last()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => return None,
        };
        // The unit is one byte.
        let number: u32 = text[..text.len() - 1].parse().ok()?;
        (number > 0).then(|| Span(u64::from(number) * unit))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        let text = String::deserialize(from)?;
        Span::parse(&text).ok_or_else(|| {
            de::Error::custom("must be a time such as \"30m\", \"12h\", \"1d\" or \"2w\"")
        })
    }
}
