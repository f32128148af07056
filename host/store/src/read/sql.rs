//! A statement as it grows: its text, and the values that go with it.
//!
//! Values never become part of the text. What kinds of values there are, and how the text refers to one, is the engine's
//! own; nothing here knows through which library it is asked.

use std::fmt::{Display, Write as _};

/// What an engine takes beside the text of a statement.
pub(crate) trait Bound {
    /// Writes what stands in the text for the value with this number, of which the first is 1.
    fn placeholder(number: usize, text: &mut String);
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sql<B> {
    text: String,
    values: Vec<B>,
}

impl<B: Bound> Sql<B> {
    /// A statement that begins so.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// Goes on with this text.
    pub(crate) fn push(&mut self, text: impl Display) -> &mut Self {
        // A string takes everything, and what is displayed here are names and numbers, which never fail.
        let _ = write!(self.text, "{text}");
        self
    }

    /// Goes on with a value.
    pub(crate) fn bind(&mut self, value: B) -> &mut Self {
        self.values.push(value);
        B::placeholder(self.values.len(), &mut self.text);
        self
    }

    /// The text, and the values in the order of their numbers.
    pub(crate) fn into_parts(self) -> (String, Vec<B>) {
        (self.text, self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Bound for u8 {
        fn placeholder(number: usize, text: &mut String) {
            text.push_str(&format!("${number}"));
        }
    }

    #[test]
    fn values_are_counted_and_stay_out_of_the_text() {
        let mut sql = Sql::new("select ");
        sql.bind(7).push(", ").bind(8).push(format_args!(" limit {}", 9));
        assert_eq!(sql.into_parts(), ("select $1, $2 limit 9".to_owned(), vec![7, 8]));
    }
}
