//! Positions and revisions are unsigned here and signed in the engines. Nothing wraps around on the way.

use std::fmt;

use crate::{Error, Result};

/// A number to be stored. One that does not fit means that the log ends here, not that it begins anew.
pub(crate) fn stored(number: u64) -> Result<i64> {
    i64::try_from(number)
        .map_err(|_| Error::Invalid(format!("{number} is greater than any position or revision can be")))
}

/// A number to compare with. There is nothing beyond the greatest one, so it may stand for all that are greater.
pub(crate) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that was stored.
pub(crate) fn loaded(number: i64, place: impl fmt::Display) -> Result<u64> {
    u64::try_from(number)
        .map_err(|_| Error::Corrupt { place: place.to_string(), reason: format!("{number} is less than zero") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_number_is_damage_and_not_a_huge_one() {
        assert!(matches!(loaded(-1, "log_head"), Err(Error::Corrupt { .. })));
        assert_eq!(loaded(i64::MAX, "log_head").unwrap(), i64::MAX as u64);
    }

    #[test]
    fn a_number_too_large_for_the_engine_is_refused_or_stands_for_the_end() {
        assert!(matches!(stored(u64::MAX), Err(Error::Invalid(_))));
        assert_eq!(bound(u64::MAX), i64::MAX);
    }
}
