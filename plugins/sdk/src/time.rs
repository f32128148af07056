//! Points in time, without a time library: guests are to stay small, and they never ask what time it is.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Days in 400 years, whichever they are.
const ERA: i64 = 146_097;
/// How long a time is as text, if its year has four digits.
const LENGTH: usize = "2026-01-31T09:30:00.000000Z".len();

/// A point in time, to the microsecond. As text it is RFC 3339 in UTC: `2026-01-31T09:30:00.000000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text is no point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATime;

impl fmt::Display for NotATime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a time such as 2026-01-31T09:30:00Z")
    }
}

impl std::error::Error for NotATime {}

impl Timestamp {
    /// The time so many microseconds after the beginning of 1970.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the beginning of 1970.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Later by so many milliseconds, or earlier if they are negative.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1000)))
    }
}

impl From<&Self> for Timestamp {
    fn from(time: &Self) -> Self {
        *time
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; LENGTH];
        match self.write(&mut text) {
            Some(text) => f.write_str(text),
            None => {
                let (year, month, day) = date(self.0.div_euclid(DAY));
                let [hour, minute, second, fraction] = self.clock();
                write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
            }
        }
    }
}

impl Timestamp {
    /// The time of day: hour, minute, second and microsecond.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a day has few seconds")]
    const fn clock(self) -> [u32; 4] {
        let micros = self.0.rem_euclid(DAY);
        let seconds = (micros / SECOND) as u32;
        [seconds / 3600, seconds / 60 % 60, seconds % 60, (micros % SECOND) as u32]
    }

    /// Writes a time of a year with four digits. Rows are full of times, and `write!` takes five times as long.
    fn write<'a>(&self, text: &'a mut [u8; LENGTH]) -> Option<&'a str> {
        let (year, month, day) = date(self.0.div_euclid(DAY));
        let year = u32::try_from(year).ok().filter(|year| *year <= 9999)?;
        let [hour, minute, second, fraction] = self.clock();
        *text = *b"0000-00-00T00:00:00.000000Z";
        // All of them are below a hundred.
        let mut pair = |at: usize, number: u32| {
            text[at] = b'0' + (number / 10) as u8;
            text[at + 1] = b'0' + (number % 10) as u8;
        };
        pair(0, year / 100);
        pair(2, year % 100);
        pair(5, month);
        pair(8, day);
        pair(11, hour);
        pair(14, minute);
        pair(17, second);
        pair(20, fraction / 10_000);
        pair(22, fraction / 100 % 100);
        pair(24, fraction % 100);
        std::str::from_utf8(text).ok()
    }
}

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        parse(text.as_bytes()).ok_or(NotATime)
    }
}

/// In JSON it is text, for people and other languages; in a state it is a number, which is a quarter of the size.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        match self.write(&mut [0; LENGTH]) {
            Some(text) => serializer.serialize_str(text),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Text)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

/// Reads a time where it stands, without a text of its own.
struct Text;

impl Visitor<'_> for Text {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2026-01-31T09:30:00Z")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(E::custom)
    }
}

/// Year, month and day of a day counted from 1970-01-01. The year is taken to begin in March, so that the leap day is
/// its last and every month but that one has a fixed length. Within 400 years numbers are small, and divided quickly.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "400 years have few days")]
const fn date(days: i64) -> (i64, u32, u32) {
    let since_march_of_0 = days + 719_468;
    let era = since_march_of_0.div_euclid(ERA);
    let day_of_era = since_march_of_0.rem_euclid(ERA) as u32;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era as i64 + era * 400 + (month <= 2) as i64, month, day)
}

/// The other way round.
const fn days(year: u32, month: u32, day: u32) -> i64 {
    // The era before the year 0 has its January and February.
    let year = year + 400 - (month <= 2) as u32;
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era as i64 - 1) * ERA + day_of_era as i64 - 719_468
}

const fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?.iter().map(|byte| u32::from(byte.wrapping_sub(b'0')));
        let (number, greatest) = digits.fold((0, 0), |(number, most), digit| (number * 10 + digit, digit.max(most)));
        (greatest <= 9).then_some(number)
    };
    let sign = |at: usize, allowed: &[u8]| allowed.contains(text.get(at)?).then_some(());
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    sign(4, b"-")?;
    sign(7, b"-")?;
    sign(10, b"Tt ")?;
    sign(13, b":")?;
    sign(16, b":")?;
    let is_day = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !is_day || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut at = 19;
    let mut fraction = 0;
    if text.get(at) == Some(&b'.') {
        let digits = text[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        // What is finer than a microsecond is cut off.
        let kept = digits.min(6);
        fraction = number(at + 1, at + 1 + kept)? * 10_u32.pow(6 - u32::try_from(kept).ok()?);
        at += 1 + digits;
        if digits == 0 {
            return None;
        }
    }
    let offset_minutes = match text.get(at..)? {
        b"Z" | b"z" => 0,
        [b'+' | b'-', _, _, b':', _, _] => {
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let minutes = i64::from(hours * 60 + minutes);
            if text[at] == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let seconds = i64::from(hour * 3600 + minute * 60 + second) - offset_minutes * 60;
    Some(Timestamp(days(year, month, day) * DAY + seconds * SECOND + i64::from(fraction)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_as_the_hosts_library_writes_it() {
        for micros in
            [0, -1, 1, 951_782_400_000_000, 1_769_851_800_500_000, -62_135_596_800_000_000, 253_402_207_200_999_999]
        {
            let theirs = yado_model::Timestamp::from_micros(micros).to_string();
            assert_eq!(Timestamp::from_micros(micros).to_string(), theirs);
            assert_eq!(theirs.parse(), Ok(Timestamp::from_micros(micros)));
        }
    }

    #[test]
    fn every_day_of_every_year_is_the_one_after_the_day_before() {
        let mut expected = days(0, 1, 1);
        for year in 0..=9999 {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    assert_eq!(days(year, month, day), expected);
                    assert_eq!(date(expected), (i64::from(year), month, day));
                    expected += 1;
                }
            }
        }
        assert_eq!((days(1970, 1, 1), date(-800_000).0), (0, -221));
    }

    #[test]
    fn offsets_and_fractions_are_understood() {
        let expected = Ok(Timestamp::from_micros(1_769_851_800_500_000));
        assert_eq!("2026-01-31T09:30:00.5Z".parse(), expected);
        assert_eq!("2026-01-31T10:30:00.500000999+01:00".parse(), expected);
        assert_eq!("2026-01-31t04:00:00.5-05:30".parse(), expected);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-01-31",
            "2026-02-30T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "20:6-01-01T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T09:30:00",
            "2026-01-31T09:30:00.Z",
            "2026-01-31T09:30:00+99:00",
            "２026-01-31T09:30:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn a_state_keeps_it_as_a_number() {
        let time = Timestamp::from_micros(1_769_851_800_500_000);
        let bytes = postcard::to_allocvec(&time).unwrap();
        assert!(bytes.len() < 9);
        assert_eq!(postcard::from_bytes::<Timestamp>(&bytes), Ok(time));
        assert_eq!(serde_json::to_string(&time).unwrap(), r#""2026-01-31T09:30:00.500000Z""#);
    }
}
