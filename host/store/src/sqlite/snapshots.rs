//! Snapshots in SQLite.

use rusqlite::{Connection, TransactionBehavior, params};
use yado_model::{StreamId, TenantId, Timestamp};

use super::Database;
use super::writer::Writer;
use crate::limits::{self, LONGEST_NAME, MOST_FORGOTTEN};
use crate::number::bound;
use crate::snapshot::{Kept, encodings, latest};
use crate::{Result, Snapshot};

const SAVE: &str = "\
    insert into snapshots (tenant, stream, encoding, revision, state, checksum) values (?, ?, ?, ?, ?, ?) \
    on conflict (tenant, stream, encoding) do update \
    set revision = excluded.revision, state = excluded.state, checksum = excluded.checksum \
    where excluded.revision >= snapshots.revision";

const FIND: &str = "select revision, state, checksum from snapshots where tenant = ? and stream = ? and encoding = ?";

const NOTE_USED: &str = "\
    insert into snapshot_encodings (encoding, used_at) values (?, ?) \
    on conflict (encoding) do update set used_at = max(excluded.used_at, used_at)";

/// Those that nobody has noted, one descent into the index for each: their time begins now.
const NOTE_FOUND: &str = "\
    with recursive found (encoding) as ( \
        select min(encoding) from snapshots \
        union all \
        select (select min(s.encoding) from snapshots s where s.encoding > found.encoding) \
        from found where found.encoding is not null) \
    insert or ignore into snapshot_encodings (encoding, used_at) \
    select encoding, ? from found where encoding is not null";

const UNUSED: &str = "select encoding from snapshot_encodings where used_at < ?";

const FORGET: &str = "delete from snapshots where rowid in (select rowid from snapshots where encoding = ? limit ?)";

const FORGET_ENCODING: &str = "delete from snapshot_encodings where encoding = ?";

pub(super) async fn save(writer: &Writer, snapshots: &[Snapshot]) -> Result<()> {
    let rows: Vec<Snapshot> = latest(snapshots)?.into_iter().cloned().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let save = move |connection: &mut Connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut save = transaction.prepare_cached(SAVE)?;
            for row in &rows {
                save.execute(params![
                    row.tenant.as_str(),
                    row.stream.as_str(),
                    row.encoding,
                    bound(row.revision.get()),
                    row.state,
                    row.checksum().bytes(),
                ])?;
            }
        }
        Ok(transaction.commit()?)
    };
    writer.run(save).await
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
    let found = query.fetch_optional(&database.readers).await?;
    let kept = found.map(|(revision, state, checksum)| Kept { revision, state, checksum });
    Ok(kept.and_then(|kept| Snapshot::verified(tenant, stream, encoding, kept)))
}

pub(super) async fn forget(writer: &Writer, used: &[String], unused_since: Timestamp) -> Result<u64> {
    let used: Vec<String> = encodings(used)?.into_iter().map(str::to_owned).collect();
    let unused = writer.run(move |connection| note(connection, &used, unused_since)).await?;
    let mut forgotten = 0;
    for encoding in unused {
        loop {
            let encoding = encoding.clone();
            let piece = writer.run(move |connection| {
                let piece = connection.prepare_cached(FORGET)?.execute((&encoding, MOST_FORGOTTEN))?;
                if piece == 0 {
                    connection.prepare_cached(FORGET_ENCODING)?.execute([&encoding])?;
                }
                Ok(piece as u64)
            });
            match piece.await? {
                0 => break,
                piece => forgotten += piece,
            }
        }
    }
    Ok(forgotten)
}

/// Notes which encodings are in use and which there are, and gives those that have not been used for long.
fn note(connection: &mut Connection, used: &[String], unused_since: Timestamp) -> Result<Vec<String>> {
    let now = Timestamp::now().micros();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for encoding in used {
        transaction.prepare_cached(NOTE_USED)?.execute((encoding, now))?;
    }
    transaction.prepare_cached(NOTE_FOUND)?.execute([now])?;
    let unused = {
        let mut unused = transaction.prepare_cached(UNUSED)?;
        let found = unused.query_map([unused_since.micros()], |row| row.get::<_, String>(0))?;
        found
            .filter(|found| found.as_ref().map_or(true, |encoding| !used.contains(encoding)))
            .collect::<Result<_, _>>()?
    };
    transaction.commit()?;
    Ok(unused)
}
