//! How long a service centre tries to deliver (TS 23.040 §9.2.3.12).

use std::time::Duration;

use super::stamp::Stamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

/// The validity period in one of its three forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// From acceptance by the centre, in steps.
    Relative(u8),
    /// Until a time.
    Absolute(Stamp),
    /// The enhanced form, as it is sent.
    Enhanced([u8; 7]),
}

impl Validity {
    /// The shortest relative period that is not shorter; 63 weeks at most.
    #[must_use]
    pub fn at_least(period: Duration) -> Validity {
        let seconds = period.as_secs() + u64::from(period.subsec_nanos() > 0);
        let found = (0..=u8::MAX).find(|value| Validity::seconds(*value) >= seconds);
        Validity::Relative(found.unwrap_or(u8::MAX))
    }

    /// A relative period's length; `None` of the other forms.
    #[must_use]
    pub fn period(self) -> Option<Duration> {
        match self {
            Validity::Relative(value) => Some(Duration::from_secs(Validity::seconds(value))),
            _ => None,
        }
    }

    /// §9.2.3.12.1.
    fn seconds(value: u8) -> u64 {
        let value = u64::from(value);
        match value {
            0..=143 => (value + 1) * 5 * MINUTE,
            144..=167 => 12 * HOUR + (value - 143) * 30 * MINUTE,
            168..=196 => (value - 166) * DAY,
            _ => (value - 192) * WEEK,
        }
    }
}
