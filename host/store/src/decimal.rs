//! Decimal numbers of any length as texts: checked, brought to one form, and compared as numbers. It is needed where an
//! engine has no such type; nothing here computes.

use std::cmp::Ordering;

use crate::limits::LONGEST_DECIMAL;

/// The form in which a number is kept: the digits that were given, without zeros in front and without a minus before
/// zero. That is what PostgreSQL makes of it as well. None if it is no decimal number, or too long.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let parts = Parts::of(text)?;
    if text.len() > LONGEST_DECIMAL {
        return None;
    }
    let whole = if parts.whole.is_empty() { "0" } else { parts.whole };
    let sign = if parts.negative { "-" } else { "" };
    Some(if parts.fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{}", parts.fraction) })
}

/// Compares as numbers: `2.5` and `2.50` are equal. A total order over all texts, as a collation must be: what is no
/// number comes after all numbers, byte by byte.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    match (Parts::of(a), Parts::of(b)) {
        (Some(a), Some(b)) => a.compare(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// A number taken apart. Zero is never negative, and the whole part has no zeros in front.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) if digits(fraction) => (whole, fraction),
            Some(_) => return None,
            None => (unsigned, ""),
        };
        if !digits(whole) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let zero = whole.is_empty() && fraction.bytes().all(|byte| byte == b'0');
        Some(Self { negative: unsigned.len() < text.len() && !zero, whole, fraction })
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_size(other),
            (true, true) => other.compare_size(self),
        }
    }

    fn compare_size(&self, other: &Self) -> Ordering {
        let whole = self.whole.len().cmp(&other.whole.len()).then_with(|| self.whole.cmp(other.whole));
        // Without the zeros at their ends, fractions compare as texts do.
        whole.then_with(|| self.fraction.trim_end_matches('0').cmp(other.fraction.trim_end_matches('0')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_lose_what_says_nothing() {
        for (text, kept) in
            [("2.50", "2.50"), ("-0.00", "0.00"), ("007", "7"), ("-00.5", "-0.5"), ("0", "0"), ("-12", "-12")]
        {
            assert_eq!(canonical(text).as_deref(), Some(kept));
        }
    }

    #[test]
    fn what_is_no_decimal_number_is_refused() {
        for text in ["", "-", ".5", "5.", "1e3", "+1", " 1", "1 ", "0x1", "NaN", "1.2.3", "--1", "١"] {
            assert_eq!(canonical(text), None, "{text:?}");
        }
        assert_eq!(canonical(&"9".repeat(LONGEST_DECIMAL + 1)), None);
    }

    #[test]
    fn the_order_is_that_of_numbers() {
        let sorted = [
            "-100",
            "-99.99",
            "-2.51",
            "-2.5",
            "-0.001",
            "0",
            "0.0009",
            "0.001",
            "0.1",
            "1",
            "1.000001",
            "9",
            "10",
            "79228162514264337593543950335",
            "79228162514264337593543950335.1",
            "no number",
            "none",
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
        for (a, b) in [("2.5", "2.500"), ("-0", "0.0"), ("01", "1"), ("-1.0", "-1")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} and {b}");
        }
    }
}
