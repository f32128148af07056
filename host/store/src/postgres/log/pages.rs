//! How pages of events come over.
//!
//! As one answer over a connection of our own ([`super::super::readers`]), whose rows are looked up in the bytes that
//! came. To have each row given by sqlx takes half as much processor time again, and reading is a tenth of what a
//! projection takes that catches up. But such an answer is there as a whole before anybody looks at it, so there is a
//! limit to it; and there are few such connections, which nobody waits for. A page that has no room, or finds no
//! connection, is read row by row through the pool, and cut where it is full. So is a table whose columns are not of
//! the types that we gave them: sqlx knows what may be read all the same, and what the others are called.

use futures::TryStreamExt as _;
use sqlx::postgres::{PgRow, PgTypeInfo};
use sqlx::{Column as _, PgPool, Postgres, Row as _, Type, TypeInfo as _, ValueRef as _};
use uuid::Uuid;

use super::super::Database;
use super::super::bound::Bound;
use super::super::line::Answer;
use super::super::readers::Readers;
use super::super::time::Time;
use super::cells::{Cells, KINDS, PLACE, WIDTH};
use crate::limits::{LARGEST_PAGE, LARGEST_PAYLOAD};
use crate::page::Page;
use crate::{Error, Options, Result};

/// So many bytes an answer may have: a page that is nearly full, and the largest event after it. Where events have
/// grown, more of them are asked for than that.
const ROOM: usize = LARGEST_PAGE + LARGEST_PAYLOAD;

/// Reads pages.
#[derive(Debug)]
pub(super) struct Pages {
    readers: Readers,
    pool: PgPool,
}

impl Pages {
    pub(super) fn new(database: &Database, options: &Options) -> Self {
        Self::with_room(database, options, ROOM)
    }

    fn with_room(database: &Database, options: &Options, room: usize) -> Self {
        let readers = Readers::for_pages(&database.listening.connect, options, room);
        Self { readers, pool: database.pool.clone() }
    }

    /// Reads with a statement until the page is full.
    pub(super) async fn read(&self, statement: &'static str, values: &[Bound]) -> Result<Page> {
        match self.as_a_whole(statement, values).await? {
            Some(page) => Ok(page),
            None => self.row_by_row(statement, values).await,
        }
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
    }

    /// None if that can't be, or not at the moment.
    async fn as_a_whole(&self, statement: &'static str, values: &[Bound]) -> Result<Option<Page>> {
        let answer = self.readers.fetch_at_once(statement, values).await?;
        answer.filter(|answer| answer.kinds() == KINDS).map(|answer| page(&answer)).transpose()
    }

    async fn row_by_row(&self, statement: &'static str, values: &[Bound]) -> Result<Page> {
        let mut connection = self.pool.acquire().await?;
        let query = values.iter().fold(sqlx::query(statement), |query, value| value.bind_to(query));
        let mut rows = query.fetch(&mut *connection);
        let mut page = Page::default();
        let mut rest = false;
        while let Some(row) = rows.try_next().await? {
            if page.is_full() {
                rest = true;
                break;
            }
            if page.events.is_empty() {
                fits(&row)?;
            }
            page.push(cells(&row)?.event()?);
        }
        drop(rows);
        if rest {
            // The server goes on sending what nobody wants. To end the connection is cheaper than to hear it out, and
            // the next page asks for less.
            connection.close_on_drop();
        }
        Ok(page)
    }
}

/// As many events of an answer as make a page.
fn page(answer: &Answer) -> Result<Page> {
    let mut page = Page::default();
    for record in answer.records() {
        if page.is_full() {
            break;
        }
        let mut cells = Cells::default();
        for (place, cell) in cells.0.iter_mut().zip(record.cells()) {
            *place = cell?.1;
        }
        page.push(cells.event()?);
    }
    Ok(page)
}

/// Whether each column of an event's row is of a type that is read from it. Nobody but us makes the table, but anybody
/// may have changed it.
fn fits(row: &PgRow) -> Result<()> {
    fn is<T: Type<Postgres> + ?Sized>(found: &PgTypeInfo) -> bool {
        T::compatible(found)
    }
    const TYPES: [fn(&PgTypeInfo) -> bool; WIDTH] = [
        is::<i64>,
        is::<str>,
        is::<str>,
        is::<i64>,
        is::<str>,
        is::<i32>,
        |payload| matches!(payload.name(), "JSON" | "TEXT"),
        is::<Vec<String>>,
        is::<Time>,
        is::<Uuid>,
        is::<Uuid>,
        is::<Uuid>,
        is::<str>,
    ];
    match row.columns().iter().zip(TYPES).find(|(column, fits)| !fits(column.type_info())) {
        Some((column, _)) => {
            let reason = format!("its column {} is of the type {}", column.name(), column.type_info());
            Err(Error::corrupt(PLACE, reason))
        }
        None => Ok(()),
    }
}

/// The cells of a row that [`fits`].
fn cells(row: &PgRow) -> Result<Cells<'_>> {
    let mut cells = Cells::default();
    for (at, place) in cells.0.iter_mut().enumerate() {
        let value = row.try_get_raw(at)?;
        if !value.is_null() {
            *place = Some(value.as_bytes().map_err(sqlx::Error::Decode)?);
        }
    }
    Ok(cells)
}

#[cfg(test)]
mod tests;
