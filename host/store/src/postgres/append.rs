//! Appends to the log in PostgreSQL: [`short`] when all goes as expected, [`locked`] when it does not, and after a
//! [`look`] where it often does not.

mod connection;
pub(super) mod locked;
mod look;
pub(super) mod short;
mod witnessed;

use std::time::Instant;

use sqlx::PgConnection;
use yado_model::NewEvent;

pub(super) use self::connection::Appending;
pub(super) use self::witnessed::Witnessed;
use crate::append::settle;
use crate::kinds::Noted;
use crate::{Append, Appended, Error, Result};

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
    let rivals = witnessed.rivals_until().is_some_and(|until| Instant::now() < until);
    let outcomes = if rivals {
        carefully(&mut connection, noted, witnessed, batch).await?
    } else {
        append_on(&mut connection, noted, witnessed, batch).await?
    };
    connection.give_back();
    Ok(outcomes)
}

/// Takes down those that have not lost already.
async fn carefully(
    connection: &mut PgConnection,
    noted: &Noted,
    witnessed: &Witnessed,
    batch: &[Append],
) -> Result<Vec<Appended>> {
    let lost = look::lost(connection, batch).await?;
    let rest: Vec<Append> =
        batch.iter().zip(&lost).filter(|(_, lost)| lost.is_none()).map(|(append, _)| append.clone()).collect();
    // What is repeated was overtaken by its own first attempt, and by nobody else.
    if lost.iter().flatten().any(|lost| matches!(lost, Appended::Conflict { .. })) {
        witnessed.rivals_met();
    }
    let mut settled = match rest.as_slice() {
        [] => Vec::new(),
        rest => append_on(connection, noted, witnessed, rest).await?,
    }
    .into_iter();
    let outcomes: Option<_> = lost.into_iter().map(|lost| lost.or_else(|| settled.next())).collect();
    outcomes.ok_or_else(|| Error::Engine("a batch has fewer outcomes than appends".into()))
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
