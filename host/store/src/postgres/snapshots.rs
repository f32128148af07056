//! Snapshots in PostgreSQL.

use yado_model::Timestamp;

use super::Database;
use super::log::PIECE;
use super::time::Time;
use crate::number::bound;
use crate::snapshot::{FORGET_ENCODING, NOTE_FOUND, UNUSED, encodings, latest};
use crate::{Forgotten, Result, Snapshot, limits};

/// As with all that can be made again, the commit does not wait for the disk.
const SAVE: &str = "\
    with derived as (select set_config('synchronous_commit', 'off', true)) \
    insert into snapshots (tenant, stream, encoding, revision, command_id, state, checksum) \
    select s.* from derived, \
        unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::uuid[], $6::bytea[], $7::bytea[]) s \
    on conflict (tenant, stream, encoding) do update \
    set revision = excluded.revision, command_id = excluded.command_id, state = excluded.state, \
        checksum = excluded.checksum \
    where excluded.revision >= snapshots.revision";

const NOTE_USED: &str = "\
    insert into snapshot_encodings (encoding, used_at) select distinct encoding, $2 from unnest($1::text[]) u (encoding) \
    on conflict (encoding) do update set used_at = greatest(excluded.used_at, snapshot_encodings.used_at)";

/// By their places in the table, so that each piece is one walk along the index and nothing else.
pub(super) const FORGET: &str =
    "delete from snapshots where ctid = any(array(select ctid from snapshots where encoding = $1 limit $2))";

pub(super) async fn save(database: &Database, snapshots: &[Snapshot]) -> Result<()> {
    let rows = latest(snapshots)?;
    if rows.is_empty() {
        return Ok(());
    }
    let checksums: Vec<_> = rows.iter().map(|row| row.checksum()).collect();
    sqlx::query(SAVE)
        .bind(rows.iter().map(|row| row.tenant.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.stream.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.encoding.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| bound(row.revision.get())).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.command.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.state.as_deref()).collect::<Vec<_>>())
        .bind(checksums.iter().map(|checksum| checksum.bytes().as_slice()).collect::<Vec<_>>())
        .execute(&database.pool)
        .await?;
    Ok(())
}

pub(super) async fn forget(database: &Database, used: &[String], unused_since: Timestamp) -> Result<Forgotten> {
    let used = encodings(used)?;
    let (now, since) = (Time(Timestamp::now()), Time(unused_since));
    sqlx::query(NOTE_USED).bind(&used).bind(now).execute(&database.pool).await?;
    sqlx::query(NOTE_FOUND).bind(now).execute(&database.pool).await?;
    let query = sqlx::query_scalar::<_, String>(UNUSED).bind(since).bind(limits::one_more(used.len()));
    let unused = query.fetch_all(&database.pool).await?;
    let Some(unused) = unused.iter().find(|encoding| !used.contains(&encoding.as_str())) else {
        return Ok(Forgotten::default());
    };
    let query = sqlx::query(FORGET).bind(unused).bind(PIECE);
    let count = query.execute(&database.pool).await?.rows_affected();
    if count < PIECE.unsigned_abs() {
        sqlx::query(FORGET_ENCODING).bind(unused).bind(since).execute(&database.pool).await?;
    }
    Ok(Forgotten { count, more: true })
}
