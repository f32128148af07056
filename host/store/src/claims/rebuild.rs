//! Holds the table of claims against the log, and puts it right: one course for every engine.
//!
//! The fold goes into a temporary table, so that it takes no more memory here however many values are held. What is below
//! the log's head never changes, so that it is folded without a lock. The comparison sees log and claims as of one moment,
//! and needs none either. Only what was found to differ is put right while appends wait, after the last page of the log.

use async_trait::async_trait;
use sqlx::{Database, Transaction};
use yado_model::Position;

use super::{ClaimDifference, ClaimsReport, Holding, Page};
use crate::number::loaded;
use crate::{Error, Result};

/// So many positions of the log are folded at a time: rows with claims may be rare, and a statement should end soon.
const PAGE: u64 = 10_000;
/// At most so many differences are told one by one.
const MOST_DIFFERENCES: i64 = 100;

/// What table and log tell differently, all of it. (Without the names SQLite would make up some of its own.)
const COMPARE: &str = "\
    create temporary table different_claims as \
    select tenant as tenant, \"constraint\" as \"constraint\", value as value, r.stream as by_log, c.stream as by_table \
    from rebuilt_claims r full join claims c using (tenant, \"constraint\", value) \
    where r.stream is distinct from c.stream";

const COUNT_HELD: &str = "select count(*) from rebuilt_claims";

const COUNT_DIFFERENT: &str = "select count(*) from different_claims";

const DIFFERENCES: &str = "\
    select tenant, \"constraint\", value, by_log, by_table from different_claims order by 1, 2, 3 limit $1";

const DROP_OTHERS: &str = "\
    delete from claims where (tenant, \"constraint\", value) in ( \
        select d.tenant, d.\"constraint\", d.value from different_claims d \
        where not exists (select 1 from rebuilt_claims r \
            where r.tenant = d.tenant and r.\"constraint\" = d.\"constraint\" and r.value = d.value))";

/// Without the condition that is always true, SQLite would take `on conflict` for a part of the selection.
const PUT_RIGHT: &str = "\
    insert into claims (tenant, \"constraint\", value, stream) \
    select r.tenant, r.\"constraint\", r.value, r.stream \
    from different_claims d join rebuilt_claims r using (tenant, \"constraint\", value) where true \
    on conflict (tenant, \"constraint\", value) do update set stream = excluded.stream \
    where claims.stream <> excluded.stream";

/// A difference as it is in its row.
pub(crate) type Difference = (String, String, String, Option<String>, Option<String>);

/// What an engine does in its own way. Before all of it, the connection has an empty temporary table `rebuilt_claims`, of
/// the columns and the key of `claims`.
#[async_trait]
pub(crate) trait Folding: Database {
    /// Gives the head of the log.
    const HEAD: &'static str;
    /// Gives the head of the log in a transaction that writes, and keeps out appends until its end.
    const LOCK_HEAD: &'static str;

    /// Begins a transaction that sees everything as of one moment.
    async fn begin_moment<'c>(connection: &'c mut Self::Connection) -> Result<Transaction<'c, Self>>;

    /// Begins a transaction that writes.
    async fn begin_writing<'c>(connection: &'c mut Self::Connection) -> Result<Transaction<'c, Self>>;

    /// The one number that a statement gives.
    async fn number(connection: &mut Self::Connection, sql: &'static str) -> Result<i64>;

    /// Runs a statement.
    async fn run(connection: &mut Self::Connection, sql: &'static str) -> Result<()>;

    /// Differences, at most so many.
    async fn differences(connection: &mut Self::Connection, sql: &'static str, most: i64) -> Result<Vec<Difference>>;

    /// What the log tells of claims after one position and up to another, in order.
    async fn told(connection: &mut Self::Connection, after: Position, to: Position) -> Result<Page>;

    /// Puts values under their streams, whoever had them before. None of them is there twice.
    async fn hold(connection: &mut Self::Connection, held: &[Holding]) -> Result<()>;

    /// Removes values that are under these very streams.
    async fn free(connection: &mut Self::Connection, freed: &[Holding]) -> Result<()>;
}

/// Compares, and puts right if `apply`.
pub(crate) async fn rebuild<D: Folding>(connection: &mut D::Connection, apply: bool) -> Result<ClaimsReport> {
    let at = catch_up::<D>(connection, Position::ZERO).await?;
    let mut transaction = D::begin_moment(connection).await?;
    let head = head::<D>(&mut transaction, D::HEAD).await?;
    fold::<D>(&mut transaction, at, head).await?;
    D::run(&mut transaction, COMPARE).await?;
    let held = D::number(&mut transaction, COUNT_HELD).await?;
    let different = D::number(&mut transaction, COUNT_DIFFERENT).await?;
    let rows = D::differences(&mut transaction, DIFFERENCES, MOST_DIFFERENCES).await?;
    transaction.commit().await?;

    let repaired = apply && different > 0;
    if repaired {
        put_right::<D>(connection, head).await?;
    }
    Ok(ClaimsReport {
        head,
        held: loaded(held, "the claims")?,
        different: loaded(different, "the claims")?,
        differences: rows.into_iter().map(ClaimDifference::of).collect::<Result<_>>()?,
        repaired,
    })
}

/// Makes the table agree with the log where they were found to differ. Of all other values both said the same, and what
/// has changed since has changed in both alike; so nothing else need be looked at while appends wait.
async fn put_right<D: Folding>(connection: &mut D::Connection, compared: Position) -> Result<()> {
    let at = catch_up::<D>(connection, compared).await?;
    let mut transaction = D::begin_writing(connection).await?;
    let head = head::<D>(&mut transaction, D::LOCK_HEAD).await?;
    fold::<D>(&mut transaction, at, head).await?;
    D::run(&mut transaction, DROP_OTHERS).await?;
    D::run(&mut transaction, PUT_RIGHT).await?;
    Ok(transaction.commit().await?)
}

/// Folds up to where the log ends, or nearly so: it may go on growing.
async fn catch_up<D: Folding>(connection: &mut D::Connection, from: Position) -> Result<Position> {
    let mut at = from;
    loop {
        let head = head::<D>(connection, D::HEAD).await?;
        fold::<D>(connection, at, head).await?;
        let page = head.get().saturating_sub(at.get());
        at = head;
        if page <= PAGE {
            return Ok(at);
        }
    }
}

/// Goes on from one position to another, page by page.
async fn fold<D: Folding>(connection: &mut D::Connection, from: Position, to: Position) -> Result<()> {
    if to < from {
        return Err(Error::Rewound { seen: from });
    }
    let mut at = from;
    while at < to {
        let end = at.plus(PAGE).min(to);
        let page = D::told(connection, at, end).await?;
        let (held, freed) = page.fold()?;
        D::hold(connection, &held).await?;
        D::free(connection, &freed).await?;
        at = match page.cut() {
            Some(last) => Position::new(loaded(last, "the log")?),
            None => end,
        };
    }
    Ok(())
}

async fn head<D: Folding>(connection: &mut D::Connection, sql: &'static str) -> Result<Position> {
    Ok(Position::new(loaded(D::number(connection, sql).await?, "the head of the log")?))
}
