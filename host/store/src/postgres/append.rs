//! Appends to the log in PostgreSQL: [`short`] when all goes as expected, and [`locked`] when it does not.

pub(super) mod locked;
pub(super) mod short;
mod witnessed;

use yado_model::NewEvent;

pub(super) use self::witnessed::Witnessed;
use super::Database;
use crate::append::settle;
use crate::kinds::Noted;
use crate::{Append, Appended, Result};

pub(super) async fn append(
    database: &Database,
    noted: &Noted,
    witnessed: &Witnessed,
    batch: &[Append],
) -> Result<Vec<Appended>> {
    settle::check(batch)?;
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(outcomes) = short::append(database, noted, witnessed, batch).await? {
        return Ok(outcomes);
    }
    locked::append(database, noted, witnessed, batch).await
}

/// An event's tags as JSON, because arrays of arrays must be rectangular.
fn tags(event: &NewEvent) -> Option<String> {
    (!event.tags.is_empty()).then(|| serde_json::Value::from(event.tags.as_slice()).to_string())
}
