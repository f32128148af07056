//! Whole numbers, however they are written.
//!
//! To JSON Schema `5.0` and `1e3` are integers, so the host lets them through; to serde a number with a point or an
//! exponent is floating point, and no integer. Documents almost never hold such numbers. So they are looked for only when
//! a document could not be read, and are then written as the integers that they are, digit by digit: the way over `f64`
//! would lose those beyond the sixteenth.

/// The longest integer that any type holds has 20 digits and a sign. What is longer stays as it is.
const MOST_DIGITS: usize = 20;

/// The document with its whole numbers written as integers; nothing, if it holds none that are written otherwise.
pub(super) fn rewritten(document: &str) -> Option<String> {
    let mut text = String::new();
    let mut copied = 0;
    let mut letters = document.char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == '"' {
            // A backslash and what follows it are no end of the text.
            while let Some((_, inside)) = letters.next() {
                match inside {
                    '\\' => _ = letters.next(),
                    '"' => break,
                    _ => {}
                }
            }
        } else if letter == '-' || letter.is_ascii_digit() {
            let rest = &document[at..];
            let length =
                rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(rest.len());
            if let Some(integer) = integer(&rest[..length]) {
                text.push_str(&document[copied..at]);
                text.push_str(&integer);
                copied = at + length;
            }
            // All of the number is ASCII, and its first letter has been taken.
            letters.by_ref().take(length - 1).for_each(drop);
        }
    }
    (copied > 0).then(|| text + &document[copied..])
}

/// The integer that a number with a point or an exponent is, if it is one.
fn integer(number: &str) -> Option<String> {
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |number| ("-", number));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    if mantissa.len() == number.len() && !number.contains('.') {
        return None;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_end_matches('0');
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".into());
    }
    // How many zeros follow the last digit that is none. Fewer than none means that digits follow the point.
    let cut = i64::try_from(all.len() - digits.len()).ok()?;
    let after_point = i64::try_from(fraction.len()).ok()?;
    let zeros = exponent.parse::<i64>().ok()?.checked_sub(after_point)?.checked_add(cut)?;
    let zeros = usize::try_from(zeros).ok().filter(|zeros| *zeros <= MOST_DIGITS)?;
    let fits = significant.len() + zeros <= MOST_DIGITS;
    fits.then(|| format!("{sign}{significant}{}", "0".repeat(zeros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_becomes_the_integer_that_it_is() {
        for (written, meant) in [
            ("5.0", "5"),
            ("1e3", "1000"),
            ("-1.5E+1", "-15"),
            ("1500e-2", "15"),
            ("0.5e1", "5"),
            ("-0.0", "0"),
            ("0e999999999999", "0"),
            ("18446744073709551615.0", "18446744073709551615"),
            ("[1.0,{\"a\\\"1.0\":[2.50,3.00]}]", "[1,{\"a\\\"1.0\":[2.50,3]}]"),
        ] {
            assert_eq!(rewritten(written).as_deref(), Some(meant), "{written}");
        }
    }

    #[test]
    fn what_is_no_integer_stays_as_it_is() {
        for document in
            ["5", "5.5", "1e-1", "1e400", "1e99999999999999999999", "\"5.0\"", "{\"1.0\":true}", "-", "null"]
        {
            assert_eq!(rewritten(document), None, "{document}");
        }
    }
}
