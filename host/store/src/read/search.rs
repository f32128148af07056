//! What it means to look for a text in another, in one place for all engines.
//!
//! Servers disagree about the case of letters: it hangs on their locale, on the version of Unicode they were built with,
//! and on whether they look at one letter or at its neighbours, too. So they are not asked: what is searched is kept folded
//! ([`yado_model::fold`]), what is looked for is folded likewise, and engines compare bytes.

use yado_model::fold;

use crate::limits::{self, LONGEST_NEEDLE, MOST_WORDS};
use crate::{Error, Result, Table};

/// Where a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Start,
    Anywhere,
    End,
}

/// A text that is looked for in a column.
pub(super) struct Sought {
    pub(super) place: Place,
    pub(super) needle: String,
    /// Where the folded text is, if it is that which is looked at.
    pub(super) folded: Option<String>,
}

impl Sought {
    /// Whether a text is found in another, which is that of the row.
    pub(super) fn is_in(&self, text: &str) -> bool {
        if self.folded.is_some() {
            found(self.place, &self.needle, &fold(text))
        } else {
            found(self.place, &self.needle, text)
        }
    }
}

/// The words of a search, folded, and the columns that they are looked for in.
pub(super) fn words<'a>(table: &'a Table, words: &[String]) -> Result<(Vec<String>, Vec<&'a yado_model::Name>)> {
    if table.search.is_empty() {
        return Err(Error::Invalid(format!("table {} has no columns that it is searched by", table.name)));
    }
    limits::within("the words of a search", words.len(), MOST_WORDS)?;
    let length = words.iter().map(String::len).sum();
    limits::within("the bytes of a search", length, LONGEST_NEEDLE)?;
    let folded = words.iter().map(|word| {
        limits::text("a word of a search", word, LONGEST_NEEDLE)?;
        Ok(fold(word))
    });
    Ok((folded.collect::<Result<_>>()?, table.search.iter().collect()))
}

/// Whether a text is found in another.
pub(super) fn found(place: Place, needle: &str, text: &str) -> bool {
    match place {
        Place::Start => text.starts_with(needle),
        Place::Anywhere => text.contains(needle),
        Place::End => text.ends_with(needle),
    }
}

/// A pattern for `like` that finds a text as it is.
pub(crate) fn pattern(place: Place, needle: &str) -> String {
    let mut pattern = String::with_capacity(needle.len() + 2);
    if place != Place::Start {
        pattern.push('%');
    }
    for letter in needle.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    if place != Place::End {
        pattern.push('%');
    }
    pattern
}

/// The least text that is greater than all those that begin with another; none if there is nothing greater.
pub(super) fn beyond(start: &str) -> Option<String> {
    let mut letters: Vec<char> = start.chars().collect();
    while let Some(last) = letters.pop() {
        if last == char::MAX {
            continue;
        }
        // What lies between the two ranges of characters is none itself.
        let next = (u32::from(last) + 1..).find_map(char::from_u32);
        letters.extend(next);
        return Some(letters.into_iter().collect());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_no_signs_of_its_own() {
        assert_eq!(pattern(Place::Anywhere, r"50%_off\"), r"%50\%\_off\\%");
        assert_eq!(pattern(Place::Start, "^a.*"), "^a.*%");
        assert_eq!(pattern(Place::End, "全"), "%全");
    }

    #[test]
    fn what_begins_alike_lies_below_its_bound() {
        for (start, bound) in [
            ("a", Some("b")),
            ("az", Some("a{")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}\u{10ffff}", None),
            ("", None),
        ] {
            assert_eq!(beyond(start).as_deref(), bound, "{start:?}");
        }
    }
}
