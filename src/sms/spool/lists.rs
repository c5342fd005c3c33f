//! Who may be sent to or listened to.

use serde::Deserialize;

use crate::sms::pdu::Address;

/// A number, a name, or the start of either with `*` at its end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

impl TryFrom<String> for Pattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Pattern, &'static str> {
        let inner = text.strip_suffix('*').unwrap_or(&text);
        if (inner.is_empty() && text != "*") || inner.contains('*') || text.len() > 30 {
            return Err("must be a number (\"+254700000001\"), the name of a sender, \
                        or the start of one with * at the end (\"+2547*\")");
        }
        Ok(Pattern(text))
    }
}

impl Pattern {
    /// Whether it is this number or name, or one that begins so.
    #[must_use]
    pub fn matches(&self, address: &Address) -> bool {
        let shown = address.to_string();
        match self.0.strip_suffix('*') {
            Some(start) => shown.starts_with(start),
            None if address.is_name() => shown == self.0,
            None => Address::number(&self.0).is_ok_and(|own| own.same_as(address)),
        }
    }
}

/// An allow list and a deny list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    /// Only these; all when it is `None`.
    pub allow: Option<Vec<Pattern>>,
    /// Never these, whatever the other list says.
    pub deny: Vec<Pattern>,
}

impl Lists {
    /// Whether the lists let it pass.
    #[must_use]
    pub fn permit(&self, address: &Address) -> bool {
        let on = |list: &[Pattern]| list.iter().any(|pattern| pattern.matches(address));
        self.allow.as_deref().is_none_or(on) && !on(&self.deny)
    }
}
