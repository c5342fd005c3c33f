//! Time stamps with their time zone (TS 23.040 §9.2.3.11).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The seven octets as they are sent: some centres send times that are none,
/// and their messages are to be read all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp(pub [u8; 7]);

/// A stamp's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Year of this century, 0 to 99.
    pub year: u8,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// How far the clock is ahead of UTC, in quarters of an hour, -79 to 79.
    pub quarters: i8,
}

/// Swapped semi-octets: the tens in the low one.
fn digits(octet: u8) -> Option<u8> {
    let (tens, ones) = (octet & 15, octet >> 4);
    (tens < 10 && ones < 10).then_some(tens * 10 + ones)
}

fn swapped(value: u8) -> u8 {
    ((value % 10) << 4) | (value / 10)
}

impl Stamp {
    /// Writes a date.
    #[must_use]
    pub fn of(date: Date) -> Stamp {
        let Date { year, month, day, hour, minute, second, quarters } = date;
        let sign = if quarters < 0 { 8 } else { 0 };
        let zone = swapped(quarters.unsigned_abs()) | sign;
        let [a, b, c, d, e, f] = [year, month, day, hour, minute, second].map(swapped);
        Stamp([a, b, c, d, e, f, zone])
    }

    /// Reads it; `None` when it is no time. A zone that is none counts as UTC.
    #[must_use]
    pub fn date(self) -> Option<Date> {
        let [year, month, day, hour, minute, second, zone] = self.0;
        let date = Date {
            year: digits(year)?,
            month: digits(month)?,
            day: digits(day)?,
            hour: digits(hour)?,
            minute: digits(minute)?,
            second: digits(second)?,
            quarters: {
                // Bit 3 is the sign; the tens have three bits.
                let value = digits(zone & !8).unwrap_or(0) as i8;
                if zone & 8 != 0 { -value } else { value }
            },
        };
        let fits = (1..=12).contains(&date.month)
            && (1..=31).contains(&date.day)
            && date.hour < 24
            && date.minute < 60
            && date.second <= 60;
        fits.then_some(date)
    }

    /// Seconds of the Unix epoch; `None` when it is no time.
    #[must_use]
    pub fn unix(self) -> Option<u64> {
        let date = self.date()?;
        // Days since 2000-03-01, of years that begin in March: the leap day is
        // then the last of its year.
        let (year, month) = match date.month {
            month @ 3.. => (i64::from(date.year), month - 3),
            month => (i64::from(date.year) - 1, month + 9),
        };
        let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        let days = year * 365 + leaps
            + (i64::from(month) * 153 + 2) / 5
            + i64::from(date.day)
            - 1
            // 1970-01-01 to 2000-03-01.
            + 11_017;
        let minutes = i64::from(date.hour) * 60 + i64::from(date.minute);
        let local = days * 86_400 + minutes * 60 + i64::from(date.second);
        u64::try_from(local - i64::from(date.quarters) * 900).ok()
    }
}

impl fmt::Display for Stamp {
    /// As in RFC 3339; a stamp that is no time as its octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(date) = self.date() else {
            return f.write_str(&super::to_hex(&self.0));
        };
        let Date { year, month, day, hour, minute, second, quarters } = date;
        let sign = if quarters < 0 { '-' } else { '+' };
        let zone = u16::from(quarters.unsigned_abs()) * 15;
        write!(
            f,
            "20{year:02}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{:02}:{:02}",
            zone / 60,
            zone % 60
        )
    }
}
