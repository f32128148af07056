//! Snapshots in SQLite.

use rusqlite::{Connection, params};
use yado_model::Timestamp;

use super::log::PIECE;
use super::writer::{Writer, transaction};
use crate::number::bound;
use crate::snapshot::{FORGET_ENCODING, NOTE_FOUND, UNUSED, encodings, latest};
use crate::{Forgotten, Result, Snapshot, limits};

const SAVE: &str = "\
    insert into snapshots (tenant, stream, encoding, revision, command_id, state, checksum) \
    values (?, ?, ?, ?, ?, ?, ?) \
    on conflict (tenant, stream, encoding) do update \
    set revision = excluded.revision, command_id = excluded.command_id, state = excluded.state, \
        checksum = excluded.checksum \
    where excluded.revision >= snapshots.revision";

const NOTE_USED: &str = "\
    insert into snapshot_encodings (encoding, used_at) values (?, ?) \
    on conflict (encoding) do update set used_at = max(excluded.used_at, used_at)";

pub(super) const FORGET: &str =
    "delete from snapshots where rowid in (select rowid from snapshots where encoding = ? limit ?)";

pub(super) async fn save(writer: &Writer, snapshots: &[Snapshot]) -> Result<()> {
    let rows: Vec<Snapshot> = latest(snapshots)?.into_iter().cloned().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let save = move |connection: &mut Connection| {
        transaction(connection, |connection| {
            let mut save = connection.prepare_cached(SAVE)?;
            for row in &rows {
                save.execute(params![
                    row.tenant.as_str(),
                    row.stream.as_str(),
                    row.encoding,
                    bound(row.revision.get()),
                    row.command.0.as_bytes(),
                    row.state,
                    row.checksum().bytes(),
                ])?;
            }
            Ok(())
        })
    };
    writer.run_derived(save).await
}

pub(super) async fn forget(writer: &Writer, used: &[String], unused_since: Timestamp) -> Result<Forgotten> {
    let used: Vec<String> = encodings(used)?.into_iter().map(str::to_owned).collect();
    writer.run_derived(move |connection| forget_piece(connection, &used, unused_since)).await
}

/// Notes which encodings are in use and which there are, and forgets a piece of one that has not been used for long.
fn forget_piece(connection: &Connection, used: &[String], unused_since: Timestamp) -> Result<Forgotten> {
    let (now, since) = (Timestamp::now().micros(), unused_since.micros());
    transaction(connection, |connection| {
        for encoding in used {
            connection.prepare_cached(NOTE_USED)?.execute((encoding, now))?;
        }
        connection.prepare_cached(NOTE_FOUND)?.execute([now])?;
        let Some(encoding) = unused(connection, used, since)? else { return Ok(Forgotten::default()) };
        let count = connection.prepare_cached(FORGET)?.execute((&encoding, PIECE))?;
        if count < usize::from(PIECE) {
            connection.prepare_cached(FORGET_ENCODING)?.execute((&encoding, since))?;
        }
        Ok(Forgotten { count: count as u64, more: true })
    })
}

fn unused(connection: &Connection, used: &[String], since: i64) -> Result<Option<String>> {
    let mut unused = connection.prepare_cached(UNUSED)?;
    let mut rows = unused.query((since, limits::one_more(used.len())))?;
    while let Some(row) = rows.next()? {
        let encoding = row.get::<_, String>(0)?;
        if !used.contains(&encoding) {
            return Ok(Some(encoding));
        }
    }
    Ok(None)
}
