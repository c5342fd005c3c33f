//! Final result codes: the line that ends a command.

use std::fmt;

use super::errors::{CME_ERRORS, CMS_ERRORS, cme_text, cms_text, code};

/// How a command ended, as the modem says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Final {
    /// `OK`.
    Ok,
    /// `CONNECT`, `CONNECT 115200`: the port now carries data.
    Connect,
    /// `ERROR`, without a reason.
    Error,
    /// `+CME ERROR: …`.
    Cme(DeviceError),
    /// `+CMS ERROR: …`.
    Cms(DeviceError),
    /// `NO CARRIER`. Without a command in flight: a call has ended.
    NoCarrier,
    /// `BUSY`.
    Busy,
    /// `NO ANSWER`.
    NoAnswer,
    /// `NO DIALTONE`.
    NoDialtone,
}

/// A reason that the modem gave: a number, or a text that is in no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceError {
    /// A number; a text that the manual lists comes as its number.
    Code(u16),
    /// A text that the manual does not list.
    Text(String),
}

impl Final {
    /// Reads a line; `None` when it ends nothing.
    pub fn parse(line: &str) -> Option<Final> {
        let reason = |said: &str, table| {
            let said = said.trim();
            code(table, said).map_or_else(|| DeviceError::Text(said.to_owned()), DeviceError::Code)
        };
        Some(match line.trim() {
            "OK" => Final::Ok,
            "ERROR" => Final::Error,
            "NO CARRIER" => Final::NoCarrier,
            "BUSY" => Final::Busy,
            "NO ANSWER" => Final::NoAnswer,
            "NO DIALTONE" | "NO DIAL TONE" => Final::NoDialtone,
            "CONNECT" => Final::Connect,
            line => {
                if let Some(said) = line.strip_prefix("+CME ERROR:") {
                    Final::Cme(reason(said, CME_ERRORS))
                } else if let Some(said) = line.strip_prefix("+CMS ERROR:") {
                    Final::Cms(reason(said, CMS_ERRORS))
                } else if line.starts_with("CONNECT ") {
                    Final::Connect
                } else {
                    return None;
                }
            }
        })
    }

    /// Whether the command was done.
    pub fn is_ok(&self) -> bool {
        matches!(self, Final::Ok | Final::Connect)
    }

    /// The number of a `+CME ERROR`.
    pub fn cme(&self) -> Option<u16> {
        match self {
            Final::Cme(DeviceError::Code(code)) => Some(*code),
            _ => None,
        }
    }
}

impl fmt::Display for Final {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason =
            |f: &mut fmt::Formatter<'_>, kind, reason: &DeviceError, text: fn(u16) -> _| {
                match reason {
                    DeviceError::Code(code) => match text(*code) {
                        Some(text) => write!(f, "{kind} error {code} ({text})"),
                        None => write!(f, "{kind} error {code}"),
                    },
                    DeviceError::Text(text) => write!(f, "{kind} error: {text}"),
                }
            };
        match self {
            Final::Ok => f.write_str("OK"),
            Final::Connect => f.write_str("CONNECT"),
            Final::Error => f.write_str("ERROR"),
            Final::Cme(error) => {
                reason(f, "CME", error, cme_text as fn(u16) -> Option<&'static str>)
            }
            Final::Cms(error) => reason(f, "CMS", error, cms_text),
            Final::NoCarrier => f.write_str("NO CARRIER"),
            Final::Busy => f.write_str("BUSY"),
            Final::NoAnswer => f.write_str("NO ANSWER"),
            Final::NoDialtone => f.write_str("NO DIALTONE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_by_number_and_by_text_are_the_same() {
        let failure = Some(Final::Cme(DeviceError::Code(13)));
        assert_eq!(Final::parse("+CME ERROR: 13"), failure);
        assert_eq!(Final::parse("+CME ERROR: SIM failure"), failure);
        assert_eq!(Final::parse("+CME ERROR:SIM FAILURE"), failure);
        assert_eq!(Final::parse("+CMS ERROR: 302"), Some(Final::Cms(DeviceError::Code(302))));
        let own = Some(Final::Cme(DeviceError::Text("requested service (#33)".into())));
        assert_eq!(Final::parse("+CME ERROR: requested service (#33)"), own);
    }

    #[test]
    fn results_are_whole_lines() {
        assert_eq!(Final::parse("OK"), Some(Final::Ok));
        assert_eq!(Final::parse("CONNECT 115200"), Some(Final::Connect));
        for line in ["OKAY", "+CSQ: OK", "ERROR 5", "CONNECTED", "> ", ""] {
            assert_eq!(Final::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_reason_is_said_with_number_and_text() {
        assert_eq!(
            Final::parse("+CME ERROR: 13").unwrap().to_string(),
            "CME error 13 (SIM failure)"
        );
        assert_eq!(Final::parse("+CME ERROR: 999").unwrap().to_string(), "CME error 999");
    }
}
