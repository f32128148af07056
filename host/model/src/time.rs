//! Points in time.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::Invalid;

/// A point in time, to the microsecond: what both engines can keep without loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    const FIRST: i64 = -62_135_596_800_000_000;
    /// 9999-12-30T22:00:00.999999Z: the last that has a four-digit year wherever on earth it is read.
    const LAST: i64 = 253_402_207_200_999_999;

    /// The present.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }

    /// Microseconds since 1970; times before the year 1 and after 9999-12-30 are brought to the nearest one that can be
    /// written.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(Self::FIRST, Self::LAST))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Later by so many milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self::from_micros(self.0.saturating_add(ms.saturating_mul(1000)))
    }
}

/// RFC 3339 in UTC, always with six decimals, so that the texts sort as the times do.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::UNIX_EPOCH
            .checked_add(SignedDuration::from_micros(self.0))
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{time:.6}")
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        jiff::Timestamp::from_str(text)
            .map(|time| Self::from_micros(time.as_microsecond()))
            .map_err(|_| Invalid::new("a time", "RFC 3339 with an offset, such as 2026-01-31T09:30:00Z", text))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_its_text() {
        let time: Timestamp = "2026-01-31T10:30:00.5+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-01-31T09:30:00.500000Z");
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
    }

    #[test]
    fn the_first_and_the_last_time_can_be_written() {
        assert_eq!(Timestamp::from_micros(i64::MIN).to_string(), "0001-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::from_micros(i64::MAX).to_string(), "9999-12-30T22:00:00.999999Z");
    }
}
