//! How much may be asked of a store at once. What is over a limit is refused as a whole, before the database hears of it.
//!
//! The limits on texts in keys come from PostgreSQL, whose index entries hold at most 2,704 bytes. They are the same for
//! every engine, so that a plugin that runs on one runs on the other.

use crate::{Error, Result};

/// At most so many events or rows are read at once.
pub const LONGEST_PAGE: u32 = 10_000;
/// A page of the log or of a stream ends early once its payloads have so many bytes.
pub const LARGEST_PAGE: usize = 8 << 20;
/// At most so many rows are read at once for several values, if each has as many as it may.
pub const LARGEST_ANSWER: usize = 100_000;
/// At most so many events are recorded in one transaction.
pub const LARGEST_BATCH: usize = 10_000;
/// A payload has at most so many bytes.
pub const LARGEST_PAYLOAD: usize = 16 << 20;
/// A claimed value has at most so many bytes.
pub const LONGEST_CLAIM: usize = 1_024;
/// The key of a row, and a text in a column with an index, has at most so many bytes.
pub const LONGEST_KEY: usize = 1_024;
/// A name that is given to something stored (an event, a constraint, a projection, an encoding) has at most so many bytes.
pub const LONGEST_NAME: usize = 256;
/// A JSON document nests at most so deep: what serde reads.
pub const DEEPEST_JSON: usize = 127;
/// A decimal number has at most so many digits: sums of the 28 that a value has, with room to spare.
pub const LONGEST_DECIMAL: usize = 100;
/// A list (of keys, of values in a filter, of snapshots to be saved) has at most so many.
pub const LONGEST_LIST: usize = 10_000;
/// A text that is searched for has at most so many bytes.
pub const LONGEST_NEEDLE: usize = 1_024;
/// A search has at most so many words.
pub const MOST_WORDS: usize = 16;
/// A filter has at most so many conditions.
pub const LARGEST_FILTER: usize = 500;
/// A filter nests at most so deep.
pub const DEEPEST_FILTER: usize = 32;
/// In a filter, at most so many relations lead on from one to the next.
pub const DEEPEST_RELATION: usize = 3;
/// A filter has at most so many relations.
pub const MOST_RELATIONS: usize = 8;
/// Rows are grouped by at most so many columns.
pub const MOST_GROUPED: usize = 4;
/// At most so many values are computed of a group.
pub const MOST_AGGREGATED: usize = 20;
/// At most so many groups are read at once.
pub const LONGEST_GROUPS: u32 = 1_000;
/// A read-model table has at most so many columns.
pub const MOST_COLUMNS: usize = 500;
/// A read-model table has at most so many indexes.
pub const MOST_INDEXES: usize = 64;
/// An index of a read-model table has at most so many columns beside the tenant.
pub const MOST_INDEXED_COLUMNS: usize = 8;

/// Refuses what is over a limit.
pub(crate) fn within(what: &str, count: usize, limit: usize) -> Result<()> {
    within_named(|| what.to_owned(), count, limit)
}

/// As [`within`], for a name that is put together only if it is needed.
pub(crate) fn within_named(what: impl FnOnce() -> String, count: usize, limit: usize) -> Result<()> {
    if count <= limit {
        return Ok(());
    }
    Err(Error::Invalid(format!("{}: {count} is over the limit of {limit}", what())))
}

/// A limit for a statement.
pub(crate) fn whole(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A limit for a statement that shows whether there is more.
pub(crate) fn one_more(limit: usize) -> i64 {
    whole(limit).saturating_add(1)
}

/// Refuses a page that is too long, and gives its length as the engines want it.
pub(crate) fn page(limit: u32) -> Result<i64> {
    within("the length of a page", limit as usize, LONGEST_PAGE as usize)?;
    Ok(i64::from(limit))
}

/// Refuses a text that is too long, or that has the one character that PostgreSQL's texts can't hold.
pub(crate) fn text(what: &str, text: &str, limit: usize) -> Result<()> {
    within_named(|| format!("the bytes of {what}"), text.len(), limit)?;
    if text.contains('\0') { Err(Error::Invalid(format!("{what} contains the character NUL"))) } else { Ok(()) }
}
