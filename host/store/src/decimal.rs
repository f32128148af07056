//! Decimal numbers of any length as texts: checked, brought to one form, and compared as numbers. It is needed where an
//! engine has no such type. What is computed here are sums out of parts, and averages, both to the last digit.

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

/// An average has so many digits behind the point more than what it is the average of.
const FINER: usize = 6;

/// The size of the parts that a number is cut into, in digits. Nine billion of them can be summed within 64 bits.
pub(crate) const PART: usize = 9;

/// What is one in a part is so many in the next.
pub(crate) const BASE: i64 = 1_000_000_000;

/// A number of parts, the first of them the greatest, each of which may have a sign of its own: they are sums themselves.
/// So many of the parts are behind the point, and so many digits of those are shown.
pub(crate) fn joined(parts: &[i64], behind: usize, scale: usize) -> String {
    let base = i128::from(BASE);
    let carried = |sign: i128| {
        let mut carry = 0;
        let mut digits: Vec<String> = Vec::with_capacity(parts.len() + 1);
        for part in parts.iter().rev() {
            let sum = sign * i128::from(*part) + carry;
            carry = sum.div_euclid(base);
            digits.push(format!("{:0PART$}", sum.rem_euclid(base)));
        }
        digits.push(carry.to_string());
        digits.reverse();
        (carry, digits.concat())
    };
    let (carry, digits) = carried(1);
    let (negative, digits) = if carry < 0 { (true, carried(-1).1) } else { (false, digits) };
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(behind * PART));
    spelled(negative, whole, &fraction[..scale.min(fraction.len())])
}

/// A sum divided by how many there are. It is rounded to the nearest digit, and to the even one where two are as near;
/// zeros that add nothing to the sum's digits are left out. None if the sum is no number, or nothing was summed.
pub(crate) fn divided(sum: &str, count: u64) -> Option<String> {
    let parts = Parts::of(sum)?;
    let count = u128::from(count);
    if count == 0 {
        return None;
    }
    let mut digits: Vec<u8> = Vec::new();
    let mut rest = 0;
    for digit in parts.whole.bytes().chain(parts.fraction.bytes()).chain([b'0'; FINER]) {
        rest = rest * 10 + u128::from(digit - b'0');
        digits.push(u8::try_from(rest / count).ok()? + b'0');
        rest %= count;
    }
    let odd = digits.last().is_some_and(|last| last % 2 == 1);
    if rest * 2 > count || (rest * 2 == count && odd) {
        digits.insert(0, b'0');
        let raised = digits.iter().rposition(|digit| *digit != b'9')?;
        digits[raised] += 1;
        digits[raised + 1..].fill(b'0');
    }
    let digits = String::from_utf8(digits).ok()?;
    let (whole, fraction) = digits.split_at(digits.len() - parts.fraction.len() - FINER);
    let kept = fraction.trim_end_matches('0').len().max(parts.fraction.len());
    Some(spelled(parts.negative, whole, &fraction[..kept]))
}

fn spelled(negative: bool, whole: &str, fraction: &str) -> String {
    let point = if fraction.is_empty() { "" } else { "." };
    let whole = whole.trim_start_matches('0');
    let zero = whole.is_empty() && fraction.bytes().all(|digit| digit == b'0');
    let sign = if negative && !zero { "-" } else { "" };
    format!("{sign}{}{point}{fraction}", if whole.is_empty() { "0" } else { whole })
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
    fn parts_of_any_sign_make_one_number() {
        for (parts, behind, scale, number) in [
            (vec![0, 12, 500_000_000], 1, 2, "12.50"),
            (vec![1, -1, 0], 1, 0, "999999999"),
            (vec![0, 0, -500_000_000], 1, 1, "-0.5"),
            (vec![-1, 1, 0], 1, 0, "-999999999"),
            (vec![0, 1, -1], 1, 9, "0.999999999"),
            (vec![i64::MAX, 0], 0, 0, "9223372036854775807000000000"),
            (vec![i64::MIN, i64::MIN], 1, 9, "-9223372046078147844.854775808"),
            (vec![0, 0, 0], 1, 3, "0.000"),
        ] {
            assert_eq!(joined(&parts, behind, scale), number);
        }
    }

    #[test]
    fn an_average_is_rounded_to_the_nearest_digit() {
        for (sum, count, average) in [
            ("10", 4, Some("2.5")),
            ("10.00", 4, Some("2.50")),
            ("1", 3, Some("0.333333")),
            ("-2", 3, Some("-0.666667")),
            ("2.99", 1, Some("2.99")),
            ("0.00", 7, Some("0.00")),
            // Two are as near: the even one.
            ("1", 2_000_000, Some("0")),
            ("3", 2_000_000, Some("0.000002")),
            ("-1", 2_000_000, Some("0")),
            ("1999999.999999", 2, Some("999999.9999995")),
            ("29999999999999", 30_000_000, Some("1000000")),
            ("9999999999", 10_000_000_000, Some("1")),
            ("1", 0, None),
            ("none", 1, None),
        ] {
            assert_eq!(divided(sum, count).as_deref(), average, "{sum} / {count}");
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
