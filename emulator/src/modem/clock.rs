//! The network's clock.

use super::Modem;

/// Power is applied on 2026-11-21 at 12:00:00 local time, whatever the real
/// time is, so that every run is the same. In Unix seconds, as if it were UTC.
const START: u64 = 1_795_262_400;

/// The zone, in quarters of an hour: Nairobi.
const ZONE: u8 = 12;

impl Modem {
    /// Year of the century, month, day, hour, minute, second, zone.
    pub(crate) fn clock(&self) -> [u8; 7] {
        let seconds = START + self.now.as_secs();
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Days to a date in the proleptic calendar (Hinnant, "chrono-compatible
        // low-level date algorithms", civil_from_days), for days after 1970.
        let z = days + 719_468;
        let era = z / 146_097;
        let day_of_era = z % 146_097;
        let year =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year + era * 400 + u64::from(month <= 2);
        // Each is below 100, or the remainder of that.
        [
            (year % 100) as u8,
            month as u8,
            day as u8,
            (second / 3_600) as u8,
            (second / 60 % 60) as u8,
            (second % 60) as u8,
            ZONE,
        ]
    }

    /// The clock as a service centre's time stamp (TS 23.040 section 9.2.3.11).
    pub(crate) fn stamp(&self) -> [u8; 7] {
        self.clock().map(|value| ((value % 10) << 4) | (value / 10))
    }
}

/// `26/11/21,12:00:00+12` of a clock's values.
pub(crate) fn written(clock: [u8; 7]) -> String {
    let [year, month, day, hour, minute, second, zone] = clock;
    format!("{year:02}/{month:02}/{day:02},{hour:02}:{minute:02}:{second:02}+{zone:02}")
}

/// The same of a time stamp.
pub(crate) fn written_stamp(stamp: [u8; 7]) -> String {
    written(stamp.map(|byte| (byte & 0xf) * 10 + (byte >> 4)))
}
