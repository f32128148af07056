//! Snapshots in PostgreSQL.

use yado_model::{StreamId, TenantId, Timestamp};

use super::Database;
use super::time::Time;
use crate::limits::{self, LONGEST_NAME, MOST_FORGOTTEN};
use crate::number::bound;
use crate::snapshot::{Kept, encodings, latest};
use crate::{Result, Snapshot};

/// As with all that can be made again, the commit does not wait for the disk.
const SAVE: &str = "\
    with derived as (select set_config('synchronous_commit', 'off', true)) \
    insert into snapshots (tenant, stream, encoding, revision, state, checksum) \
    select s.* from derived, unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bytea[], $6::bytea[]) s \
    on conflict (tenant, stream, encoding) do update \
    set revision = excluded.revision, state = excluded.state, checksum = excluded.checksum \
    where excluded.revision >= snapshots.revision";

const FIND: &str =
    "select revision, state, checksum from snapshots where tenant = $1 and stream = $2 and encoding = $3";

const NOTE_USED: &str = "\
    insert into snapshot_encodings (encoding, used_at) select distinct encoding, $2 from unnest($1::text[]) u (encoding) \
    on conflict (encoding) do update set used_at = greatest(excluded.used_at, snapshot_encodings.used_at)";

/// Those that nobody has noted, one descent into the index for each: their time begins now.
pub(super) const NOTE_FOUND: &str = "\
    with recursive found (encoding) as ( \
        select min(encoding) from snapshots \
        union all \
        select (select min(s.encoding) from snapshots s where s.encoding > found.encoding) \
        from found where found.encoding is not null) \
    insert into snapshot_encodings (encoding, used_at) select encoding, $1 from found where encoding is not null \
    on conflict do nothing";

const UNUSED: &str = "select encoding from snapshot_encodings where used_at < $1 and encoding <> all($2::text[])";

/// By their places in the table, so that each piece is one walk along the index and nothing else.
pub(super) const FORGET: &str =
    "delete from snapshots where ctid = any(array(select ctid from snapshots where encoding = $1 limit $2))";

const FORGET_ENCODING: &str = "delete from snapshot_encodings where encoding = $1";

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
        .bind(rows.iter().map(|row| row.state.as_deref()).collect::<Vec<_>>())
        .bind(checksums.iter().map(|checksum| checksum.bytes().as_slice()).collect::<Vec<_>>())
        .execute(&database.pool)
        .await?;
    Ok(())
}

pub(super) async fn find(
    database: &Database,
    tenant: &TenantId,
    stream: &StreamId,
    encoding: &str,
) -> Result<Option<Snapshot>> {
    limits::text("the name of an encoding", encoding, LONGEST_NAME)?;
    let query = sqlx::query_as::<_, (i64, Option<Vec<u8>>, Vec<u8>)>(FIND);
    let query = query.bind(tenant.as_str()).bind(stream.as_str()).bind(encoding);
    let found = query.fetch_optional(&database.pool).await?;
    let kept = found.map(|(revision, state, checksum)| Kept { revision, state, checksum });
    Ok(kept.and_then(|kept| Snapshot::verified(tenant, stream, encoding, kept)))
}

pub(super) async fn forget(database: &Database, used: &[String], unused_since: Timestamp) -> Result<u64> {
    let used = encodings(used)?;
    let now = Time(Timestamp::now());
    sqlx::query(NOTE_USED).bind(&used).bind(now).execute(&database.pool).await?;
    sqlx::query(NOTE_FOUND).bind(now).execute(&database.pool).await?;
    let query = sqlx::query_scalar::<_, String>(UNUSED).bind(Time(unused_since)).bind(&used);
    let mut forgotten = 0;
    for encoding in query.fetch_all(&database.pool).await? {
        loop {
            let query = sqlx::query(FORGET).bind(&encoding).bind(MOST_FORGOTTEN);
            let piece = query.execute(&database.pool).await?.rows_affected();
            forgotten += piece;
            if piece == 0 {
                break;
            }
        }
        sqlx::query(FORGET_ENCODING).bind(&encoding).execute(&database.pool).await?;
    }
    Ok(forgotten)
}
