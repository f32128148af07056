//! What it means to look for a text without regard to case, in one place for all engines.
//!
//! Servers disagree about the case of letters: it hangs on their locale, on the version of Unicode they were built with,
//! and on whether they look at one letter or at its neighbours, too. So they are not asked. A text to search for becomes a
//! regular expression that names every letter in all of its cases, of the few signs that all engines read alike, and they
//! compare code points.
//!
//! Case is that of single letters: `σ`, `ς` and `Σ` are one, as are `k` and the Kelvin sign. What would change the length
//! of a text (`ß` and `SS`, `İ` and `i̇`) is not one, and neither is `ı` and `i`, which are two letters where there is an `ı`.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Where a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Start,
    Anywhere,
    End,
}

/// Letters that stand for others, by those that they stand for. Letters with a case are in the first two planes.
static CASES: LazyLock<HashMap<char, Vec<char>>> = LazyLock::new(|| {
    let mut cases: HashMap<char, Vec<char>> = HashMap::new();
    for letter in '\0'..='\u{1ffff}' {
        let folded = fold(letter);
        if folded != letter {
            cases.entry(folded).or_default().push(letter);
        }
    }
    cases
});

/// The letter that stands for all cases of another.
fn fold(letter: char) -> char {
    fn alone(mut letters: impl Iterator<Item = char>) -> Option<char> {
        letters.next().filter(|_| letters.next().is_none())
    }
    if letter == 'ı' {
        return letter;
    }
    let upper = alone(letter.to_uppercase()).unwrap_or(letter);
    alone(upper.to_lowercase()).unwrap_or(upper)
}

/// A regular expression that finds a text as it is, whatever the case of its letters.
pub(crate) fn expression(place: Place, needle: &str) -> String {
    let mut expression = String::new();
    if place == Place::Start {
        expression.push('^');
    }
    for letter in needle.chars() {
        let folded = fold(letter);
        match CASES.get(&folded) {
            Some(others) => {
                expression.push('[');
                expression.push(folded);
                expression.extend(others);
                expression.push(']');
            }
            None => {
                // These alone: to others, such as `<`, some engines give a meaning by the backslash.
                if r"\.+*?()|[]{}^$".contains(letter) {
                    expression.push('\\');
                }
                expression.push(letter);
            }
        }
    }
    if place == Place::End {
        expression.push('$');
    }
    expression
}

/// Whether a text is found in another.
pub(crate) fn found(place: Place, needle: &str, text: &str) -> bool {
    let folded = |text: &str| text.chars().map(fold).collect::<String>();
    let (needle, text) = (folded(needle), folded(text));
    match place {
        Place::Start => text.starts_with(&needle),
        Place::Anywhere => text.contains(&needle),
        Place::End => text.ends_with(&needle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_searched_for_as_it_is() {
        assert_eq!(expression(Place::Anywhere, "1.2*"), r"1\.2\*");
        assert_eq!(expression(Place::Start, "50%<"), "^50%<");
        assert_eq!(expression(Place::End, "é\\"), r"[éÉ]\\$");
        assert_eq!(expression(Place::Anywhere, "***:(?i)全"), r"\*\*\*:\(\?[iI]\)全");
    }

    #[test]
    fn letters_are_found_in_all_of_their_cases() {
        for (needle, text, met) in [
            ("STRASSE", "straſſe", true),
            ("ΣΊΣΥΦΟΣ", "σίσυφος", true),
            ("k", "\u{212a}", true),
            ("ẞ", "ß", true),
            ("ǆ", "ǅ", true),
            ("ss", "ß", false),
            ("i", "ı", false),
            ("i", "İ", false),
            ("a", "ａ", false),
        ] {
            assert_eq!(found(Place::Anywhere, needle, text), met, "{needle} in {text}");
            assert_eq!(found(Place::Anywhere, text, needle), met, "{text} in {needle}");
        }
        assert!(found(Place::Start, "", "a") && found(Place::End, "", ""));
    }
}
