//! A place among the changes of a projection.

use std::fmt;
use std::str::FromStr;

use yado_model::Position;
use yado_store::Changed;

/// What has been seen of a projection's changes: everything up to a change, that one included. Its text is `123.4`, and
/// `123` for everything of an event, so that the position of a command's receipt is a place as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// The event.
    pub position: Position,
    /// Which of the event's changes, counted from zero; the greatest number that there is for all of them.
    pub place: u32,
}

/// A text that is not a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be a position, or a position and a place within it, as in 123 or 123.4")]
pub struct NoCursor;

impl Cursor {
    /// Everything up to a position has been seen.
    #[must_use]
    pub const fn all_of(position: Position) -> Self {
        Self { position, place: u32::MAX }
    }
}

impl From<&Changed> for Cursor {
    fn from(changed: &Changed) -> Self {
        Self { position: changed.position, place: changed.place }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            u32::MAX => self.position.fmt(f),
            place => write!(f, "{}.{place}", self.position),
        }
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        // Rust's own numbers may have a sign.
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then_some(()).ok_or(NoCursor);
        let (position, place) = match text.split_once('.') {
            Some((position, place)) => {
                number(place)?;
                (position, place.parse().ok().filter(|place| *place != u32::MAX).ok_or(NoCursor)?)
            }
            None => (text, u32::MAX),
        };
        number(position)?;
        // Beyond this no log goes, and no database counts.
        let position = position.parse().ok().filter(|position| i64::try_from(*position).is_ok()).ok_or(NoCursor)?;
        Ok(Self { position: Position::new(position), place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_written_as_it_is_read() {
        for text in ["0", "123", "123.0", "9223372036854775807.4294967294"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        assert_eq!("7".parse::<Cursor>().unwrap(), Cursor::all_of(Position::new(7)));
        for text in ["", ".", "7.", ".7", "-1", "+1", "1.+1", "1.2.3", " 1", "9223372036854775808", "1.4294967295", "a"]
        {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }

    #[test]
    fn cursors_are_in_the_order_of_changes() {
        let texts = ["3", "4.0", "4.1", "4", "5.0"];
        let cursors: Vec<Cursor> = texts.iter().map(|text| text.parse().unwrap()).collect();
        assert!(cursors.is_sorted_by(|a, b| a < b));
    }
}
