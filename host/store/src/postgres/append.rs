//! Appends to the log in PostgreSQL: [`short`] when all goes as expected, and [`locked`] when it does not.

mod connection;
pub(super) mod locked;
pub(super) mod short;
mod witnessed;

use sqlx::PgConnection;
use yado_model::NewEvent;

pub(super) use self::connection::Appending;
pub(super) use self::witnessed::Witnessed;
use crate::append::settle;
use crate::kinds::Noted;
use crate::{Append, Appended, Result};

pub(super) async fn append(
    appending: &Appending,
    noted: &Noted,
    witnessed: &Witnessed,
    batch: &[Append],
) -> Result<Vec<Appended>> {
    settle::check(batch)?;
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let mut connection = appending.lend().await?;
    let outcomes = append_on(&mut connection, noted, witnessed, batch).await?;
    connection.give_back();
    Ok(outcomes)
}

async fn append_on(
    connection: &mut PgConnection,
    noted: &Noted,
    witnessed: &Witnessed,
    batch: &[Append],
) -> Result<Vec<Appended>> {
    if let Some(outcomes) = short::append(connection, noted, witnessed, batch).await? {
        return Ok(outcomes);
    }
    locked::append(connection, noted, witnessed, batch).await
}

/// An event's tags as JSON, because arrays of arrays must be rectangular.
fn tags(event: &NewEvent) -> Option<String> {
    (!event.tags.is_empty()).then(|| serde_json::Value::from(event.tags.as_slice()).to_string())
}
