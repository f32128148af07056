//! What texts are compared by where case and width make no difference: in searches.

use unicode_normalization::UnicodeNormalization as _;

/// A text as searches see it: two texts that a reader would take for the same word become the same.
///
/// It is Unicode's compatible composition (NFKC), which makes full-width letters, ligatures and letters with marks what
/// they stand for, and then each letter in lower case, whatever its neighbours: a `σ` at the end of a word is written `ς`,
/// and is a `σ` all the same. `ß` is not `ss`, and `ı` is not `i`.
///
/// It is done here, and not by a database, so that every engine finds the same.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkc().flat_map(char::to_lowercase).map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_alike_folds_alike() {
        for (one, other) in [
            ("MacBook", "macbook"),
            ("全角ＡＢＣ１２", "全角abc12"),
            ("ｶﾞｲﾄﾞ", "ガイド"),
            ("ΟΔΟΣ", "οδος"),
            ("straſſe", "STRASSE"),
            ("É", "e\u{301}"),
            ("ﬁn", "FIN"),
            ("\u{212a}elvin", "kelvin"),
            ("ǅ", "ǆ"),
            ("ẞ", "ß"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} and {other}");
        }
        for (one, other) in [("ß", "ss"), ("ı", "i"), ("İ", "i"), ("ä", "a"), ("山田", "山 田")] {
            assert_ne!(fold(one), fold(other), "{one} and {other}");
        }
    }

    #[test]
    fn what_is_folded_stays_as_it_is() {
        for letter in ('\0'..=char::MAX).filter(|letter| !letter.is_ascii()) {
            let folded = fold(&letter.to_string());
            assert_eq!(fold(&folded), folded, "{letter:?}");
        }
    }
}
