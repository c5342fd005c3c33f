//! The methods `sms-*`.

use serde::{Deserialize, Serialize};

use super::{Call, Params, Request};
use crate::modem::usb_path::UsbPath;
use crate::sms::desk::{Message, News};
use crate::sms::pdu::Address;
use crate::sms::spool::{Priority, SendRequest};

/// A text message to send, as a client writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// To whom, one at least; each gets a message of its own.
    pub to: Vec<String>,
    /// The text.
    pub text: String,
    /// Whether a status report is wanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub report: bool,
    /// Whether it shall be shown at once and not be kept by the telephone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flash: bool,
    /// Seconds that it is worth sending; none for what the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_s: Option<u64>,
    /// Which goes first.
    #[serde(default)]
    pub priority: Priority,
}

/// What is wanted of one modem's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessagesCall {
    /// Send these.
    Send(Vec<SendRequest>),
    /// Those that are kept, of higher numbers than this.
    List(u64),
    /// Those of them that are from us.
    Outbox(u64),
    /// One.
    Show(u64),
    /// Forget one.
    Delete(u64),
    /// Take over those that were left at this place.
    Adopt(UsbPath),
}

/// Result of `sms-send`, `sms-list`, `sms-outbox`, `sms-show`, `sms-delete` and `sms-adopt`:
/// the messages that were accepted, that there are, or that there were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmsList {
    /// By number, the oldest first.
    pub messages: Vec<Message>,
    /// Whether there are more with higher numbers, for which to ask again.
    pub more: bool,
}

impl SmsList {
    /// As many as a line has room for; one at least.
    #[must_use]
    pub fn page(all: impl IntoIterator<Item = Message>) -> SmsList {
        let mut page = SmsList { messages: Vec::new(), more: false };
        let mut bytes = 0;
        for message in all {
            bytes += serde_json::to_string(&message).map_or(0, |text| text.len() + 1);
            if bytes > PAGE && !page.messages.is_empty() {
                page.more = true;
                break;
            }
            page.messages.push(message);
        }
        page
    }
}

/// Bytes of messages in one line; the rest of it takes less than 100.
const PAGE: usize = super::MAX_LINE - 1000;

/// Result of `sms-watch`; lines with events follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watching {
    /// True.
    pub watching: bool,
}

/// A line after `sms-watch` was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmsEvent {
    /// Protocol version.
    pub v: u32,
    /// Of the request.
    pub id: u64,
    /// At which modem.
    pub modem: UsbPath,
    /// What happened.
    #[serde(flatten)]
    pub news: News,
}

/// Longest validity: what a service centre can be told (TS 23.040 §9.2.3.12.1),
/// 63 weeks.
const LONGEST: u64 = 63 * 7 * 86_400;

/// Most recipients of one request.
const MOST: usize = 100;

/// What a request for `sms-…` asks for; `Err(None)`: there is no such method.
pub(super) fn parse(request: Request) -> Result<(u64, Call), Option<String>> {
    let Params { modem, command, timeout_s, message, control, id, code, from } = request.params;
    let method = request.method;
    let odd = command.is_some() || timeout_s.is_some() || code.is_some() || control.is_some();
    if method == "sms-adopt" {
        return match (from, message, id) {
            (Some(from), None, None) if !odd => {
                Ok((request.id, Call::Messages { modem, call: MessagesCall::Adopt(from) }))
            }
            _ => Err(Some("`sms-adopt` takes `from`, and `modem`".into())),
        };
    }
    let odd = odd || from.is_some();
    let call = match (method.as_str(), message, id) {
        _ if odd => return Err(Some(format!("`{method}` takes no such parameter"))),
        ("sms-send", Some(text), None) => MessagesCall::Send(requests(&text)?),
        ("sms-send", None, _) => return Err(Some("`sms-send` needs `message`".into())),
        ("sms-list", None, after) => MessagesCall::List(after.unwrap_or(0)),
        ("sms-outbox", None, after) => MessagesCall::Outbox(after.unwrap_or(0)),
        ("sms-show", None, Some(id)) => MessagesCall::Show(id),
        ("sms-delete", None, Some(id)) => MessagesCall::Delete(id),
        ("sms-show" | "sms-delete", _, None) => {
            return Err(Some(format!("`{method}` needs `id`")));
        }
        ("sms-watch", None, after) => return Ok((request.id, Call::Watch { modem, after })),
        ("sms-send" | "sms-list" | "sms-outbox" | "sms-show" | "sms-delete" | "sms-watch", ..) => {
            return Err(Some(format!("`{method}` takes no such parameter")));
        }
        _ => return Err(None),
    };
    Ok((request.id, Call::Messages { modem, call }))
}

fn requests(text: &Text) -> Result<Vec<SendRequest>, Option<String>> {
    if text.to.is_empty() || text.to.len() > MOST {
        return Err(Some(format!("`message.to` must have 1 to {MOST} numbers")));
    }
    if text.validity_s.is_some_and(|seconds| seconds == 0 || seconds > LONGEST) {
        return Err(Some(format!("`message.validity_s` must be 1 to {LONGEST}")));
    }
    let request = |to: &String| {
        Ok(SendRequest {
            to: Address::number(to).map_err(|error| Some(error.to_string()))?,
            text: text.text.clone(),
            class: text.flash.then_some(0),
            report: text.report,
            validity: text.validity_s,
            priority: text.priority,
        })
    };
    text.to.iter().map(request).collect()
}
