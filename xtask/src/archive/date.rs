//! Dates of the proleptic Gregorian calendar, in UTC.

use anyhow::{Context as _, Result, bail};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month (1 to 12) and day (1 to 31) of a day counted from 1970-01-01.
/// After H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
pub fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// Days from 1970-01-01 to a date.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let y = if month <= 2 { year - 1 } else { year };
    let (era, yoe) = (y / 400, y % 400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * mp + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// Seconds since 1970 of a Release file's `Date:`, such as
/// `Sat, 14 Nov 2026 10:02:11 UTC`.
pub fn parse_release(text: &str) -> Result<u64> {
    let words: Vec<_> = text.split_whitespace().collect();
    let [_, day, month, year, time, "UTC" | "GMT" | "+0000"] = words[..] else {
        bail!("{text:?} is not a date as Release files write it");
    };
    let month = 1 + MONTHS
        .iter()
        .position(|m| *m == month)
        .with_context(|| format!("{text:?}: no such month"))? as u64;
    let clock: Vec<u64> = time.split(':').map(str::parse).collect::<Result<_, _>>()?;
    let [hours, minutes, seconds] = clock[..] else { bail!("{text:?}: no such time") };
    Ok(days(year.parse()?, month, day.parse()?) * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

/// Seconds since 1970 of the beginning of a day, such as `2026-11-14`.
pub fn parse_day(text: &str) -> Result<u64> {
    let numbers: Option<Vec<u64>> = text.trim().split('-').map(|it| it.parse().ok()).collect();
    let day = match numbers.as_deref() {
        Some(&[year, month @ 1..=12, day @ 1..=31]) if year >= 1970 => days(year, month, day),
        _ => bail!("{text:?} is no day in the form 2026-11-14"),
    };
    Ok(day * 86_400)
}

/// A time in seconds since 1970 as in mail (RFC 5322, section 3.3), in UTC.
pub fn mail(time: u64) -> String {
    // 1970-01-01 was a Thursday.
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (day, clock) = (time / 86_400, time % 86_400);
    let (year, month, date) = civil(day);
    format!(
        "{}, {date:02} {} {year} {:02}:{:02}:{:02} +0000",
        DAYS[(day % 7) as usize],
        MONTHS[(month - 1) as usize],
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_and_days_agree() {
        for day in (0..60_000).step_by(13) {
            let (y, m, d) = civil(day);
            assert_eq!(days(y, m, d), day);
        }
        assert_eq!(civil(19_782), (2024, 2, 29));
    }

    #[test]
    fn release_date() {
        assert_eq!(parse_release("Thu, 29 Feb 2024 12:34:56 UTC").unwrap(), 1_709_210_096);
        assert!(parse_release("yesterday").is_err());
    }

    #[test]
    fn days_and_times_of_mail() {
        assert_eq!(
            mail(parse_day("2024-02-29").unwrap() + 3661),
            "Thu, 29 Feb 2024 01:01:01 +0000"
        );
        assert_eq!(parse_release("Thu, 29 Feb 2024 01:01:01 +0000").unwrap(), 1_709_168_461);
        assert_eq!(mail(1_709_168_461), "Thu, 29 Feb 2024 01:01:01 +0000");
        for wrong in ["2024-13-01", "2024-02", "yesterday", ""] {
            assert!(parse_day(wrong).is_err(), "{wrong}");
        }
    }
}
