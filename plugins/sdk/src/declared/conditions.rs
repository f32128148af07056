//! What the attributes of a declared query expand to. Functions that compare take a column and an argument for their types
//! alone, so that the compiler holds one against the other.

use serde::Serialize;
use serde_json::value::RawValue;

use super::types::{Compared, Counting, Lacking, Like, Many, Ranked, Telling};
use crate::manifest::{self, Condition};
use crate::value::Textual;
use crate::{Column, json};

/// The words of `#[filter(…)]`, each with the manifest's word for it, and with what must be true of `T`, which the column
/// holds, and of `A`, which the argument is.
macro_rules! words {
    ($({ $($(#[$doc:meta])* $word:ident: $op:literal,)* } where $types:tt)*) => {
        $($(words!(@one [$(#[$doc])*] $word $op $types);)*)*
    };
    (@one [$($doc:tt)*] $word:ident $op:literal { $($types:tt)* }) => {
        $($doc)*
        pub fn $word<M, T, W, A>(column: &Column<M, T>, _: fn(&W) -> &A, argument: &'static str) -> Condition
        where
            $($types)*
        {
            Condition::Argument { field: column.name(), op: $op, argument }
        }
    };
}

words! {
    {
        /// The column is what the argument is.
        is: "eq",
        /// The column is anything but what the argument is.
        is_not: "ne",
    } where { T: Compared, A: Compared, A::As: Like<T::As> }
    {
        /// The column is one of those in the argument.
        any_of: "in",
    } where { T: Compared, A: Many, A::As: Like<T::As> }
    {
        /// The column is more than the argument.
        above: "gt",
        /// The column is less than the argument.
        below: "lt",
        /// The column is the argument or more.
        at_least: "gte",
        /// The column is the argument or less.
        at_most: "lte",
    } where { T: Compared, A: Compared, A::As: Like<T::As>, T::As: Ranked }
    {
        /// The column's text has the argument in it.
        contains: "contains",
        /// The column's text begins with the argument.
        starts_with: "startsWith",
        /// The column's text ends with the argument.
        ends_with: "endsWith",
    } where { T: Textual, A: Textual }
    {
        /// The column is missing, or is not, as the argument says.
        missing: "isNull",
    } where { T: Lacking, A: Compared, A::As: Telling }
}

/// The column is this, whatever is asked.
///
/// # Panics
/// If the value has no JSON, which no value lacks.
pub fn only<M, T: Compared + Serialize>(column: &Column<M, T>, value: T) -> Condition {
    match RawValue::from_string(json::write(&value)) {
        Ok(value) => Condition::Value { field: column.name(), op: "eq", value },
        Err(error) => panic!("{}: {error}", column.name()),
    }
}

/// At least one of these holds.
#[must_use]
pub const fn any(any: Vec<Condition>) -> Condition {
    Condition::Any { any }
}

/// This does not hold.
#[must_use]
pub fn not(condition: Condition) -> Condition {
    Condition::Not { not: Box::new(condition) }
}

/// The words of the argument are searched for.
pub fn search<W, A: Textual>(_: fn(&W) -> &A, argument: &'static str) -> Condition {
    Condition::Search { search: argument }
}

/// A number or a size of pages.
pub fn whole<W, A: Compared>(_: fn(&W) -> &A, argument: &'static str) -> &'static str
where
    A::As: Counting,
{
    argument
}

/// A column that rows are put in order by.
pub const fn order<M, T: Compared>(column: &Column<M, T>, descending: bool) -> manifest::QueryOrder {
    manifest::QueryOrder { field: column.name(), descending }
}
