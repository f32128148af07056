//! Snapshots: states of streams, kept beside the log and never trusted blindly.

use std::collections::HashMap;

use sqlx::{Database, Encode, Executor, FromRow, IntoArguments, Pool, Type};
use uuid::Uuid;
use yado_model::{CommandId, Digest, Revision, StreamId, TenantId};

use crate::Result;
use crate::limits::{self, LONGEST_LIST, LONGEST_NAME};
use crate::number::{loaded, stored};

/// The state of a stream at a revision, so that nobody need fold from the first event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose stream.
    pub tenant: TenantId,
    /// Which stream.
    pub stream: StreamId,
    /// At which revision.
    pub revision: Revision,
    /// The command that the event there came of. A log that has gone back may have another event at this revision, and
    /// the state is not what that comes to.
    pub command: CommandId,
    /// Who can read the state: the plugin's digest, or the name that its manifest gives to the encoding.
    pub encoding: String,
    /// The state; none if the thing was gone at that revision.
    pub state: Option<Vec<u8>>,
}

/// The columns of a snapshot that is asked for by the others.
pub(crate) const FIND: &str = "\
    select revision, command_id, state, checksum from snapshots where tenant = $1 and stream = $2 and encoding = $3";

/// Those encodings of snapshots that nobody has noted, by one descent into the index for each: their time begins now.
pub(crate) const NOTE_FOUND: &str = "\
    with recursive found (encoding) as ( \
        select min(encoding) from snapshots \
        union all \
        select (select min(s.encoding) from snapshots s where s.encoding > found.encoding) \
        from found where found.encoding is not null) \
    insert into snapshot_encodings (encoding, used_at) select encoding, $1 from found where encoding is not null \
    on conflict do nothing";

/// Encodings that nobody has noted for long. One more than are in use are enough to find one that is not.
pub(crate) const UNUSED: &str = "select encoding from snapshot_encodings where used_at < $1 order by encoding limit $2";

/// Unless somebody has come in the meantime who uses it.
pub(crate) const FORGET_ENCODING: &str = "delete from snapshot_encodings where encoding = $1 and used_at < $2";

/// What [`FIND`] finds.
#[derive(sqlx::FromRow)]
pub(crate) struct Kept {
    revision: i64,
    command_id: Uuid,
    state: Option<Vec<u8>>,
    checksum: Vec<u8>,
}

/// The latest snapshot of a stream in an encoding, in a database of either kind.
pub(crate) async fn find<D: Database>(
    pool: &Pool<D>,
    tenant: &TenantId,
    stream: &StreamId,
    encoding: &str,
) -> Result<Option<Snapshot>>
where
    D::Arguments: IntoArguments<D>,
    Kept: for<'r> FromRow<'r, D::Row>,
    for<'t> &'t str: Encode<'t, D> + Type<D>,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    named_well(encoding)?;
    let query = sqlx::query_as::<D, Kept>(FIND).bind(tenant.as_str()).bind(stream.as_str()).bind(encoding);
    Ok(query.fetch_optional(pool).await?.and_then(|kept| Snapshot::verified(tenant, stream, encoding, kept)))
}

impl Snapshot {
    /// Over all that it says, so that neither a damaged state nor one that got under another stream or revision is taken
    /// for right.
    pub(crate) fn checksum(&self) -> Digest {
        let revision = self.revision.get().to_le_bytes();
        let command = self.command.0.as_bytes().as_slice();
        let there = [u8::from(self.state.is_some())];
        let state = self.state.as_deref().unwrap_or_default();
        let (tenant, stream) = (self.tenant.as_str().as_bytes(), self.stream.as_str().as_bytes());
        Digest::of_parts([tenant, stream, self.encoding.as_bytes(), &revision, command, &there, state])
    }

    /// Whether every engine can hold it.
    fn check(&self) -> Result<()> {
        stored(self.revision.get())?;
        named_well(&self.encoding)
    }

    /// What was found, if it is what had been saved. One that is not is as good as none: the log has everything.
    fn verified(tenant: &TenantId, stream: &StreamId, encoding: &str, kept: Kept) -> Option<Self> {
        let damaged = |reason: &str| {
            tracing::warn!(%tenant, %stream, encoding, "a snapshot is damaged and left aside: {reason}");
        };
        let Ok(revision) = loaded(kept.revision, "a snapshot") else {
            damaged("its revision is less than zero");
            return None;
        };
        let snapshot = Self {
            tenant: tenant.clone(),
            stream: stream.clone(),
            revision: Revision::new(revision),
            command: CommandId(kept.command_id),
            encoding: encoding.to_owned(),
            state: kept.state,
        };
        if snapshot.checksum().bytes().as_slice() != kept.checksum {
            damaged("its checksum is not that of its state");
            return None;
        }
        Some(snapshot)
    }
}

/// Those to be saved: of each stream and encoding the latest, since no statement can write a row twice. One that no
/// engine can hold does not keep the others from being saved.
pub(crate) fn latest(snapshots: &[Snapshot]) -> Result<Vec<&Snapshot>> {
    limits::within("the snapshots saved at once", snapshots.len(), LONGEST_LIST)?;
    let mut latest = HashMap::<_, &Snapshot>::with_capacity(snapshots.len());
    for snapshot in snapshots {
        if let Err(error) = snapshot.check() {
            let Snapshot { tenant, stream, encoding, .. } = snapshot;
            tracing::warn!(%tenant, %stream, encoding, %error, "a snapshot can't be kept, and is left out");
            continue;
        }
        let kept = latest.entry((&snapshot.tenant, &snapshot.stream, &snapshot.encoding)).or_insert(snapshot);
        if snapshot.revision > kept.revision {
            *kept = snapshot;
        }
    }
    Ok(latest.into_values().collect())
}

/// Those of these encodings that snapshots can be saved in.
pub(crate) fn encodings(named: &[String]) -> Result<Vec<&str>> {
    limits::within("the encodings in use", named.len(), LONGEST_LIST)?;
    Ok(named.iter().filter(|name| named_well(name).is_ok()).map(String::as_str).collect())
}

/// Refuses the name of an encoding that no snapshot can have been saved in.
fn named_well(encoding: &str) -> Result<()> {
    limits::text("the name of an encoding", encoding, LONGEST_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            tenant: TenantId::default(),
            stream: StreamId::parse("Counter-a").unwrap(),
            revision: Revision::new(5),
            command: CommandId(Uuid::from_u128(1)),
            encoding: "one".into(),
            state: Some(b"state".to_vec()),
        }
    }

    #[test]
    fn one_that_can_not_be_held_does_not_harm_the_others() {
        let nameless = Snapshot { encoding: "e".repeat(LONGEST_NAME + 1), ..snapshot() };
        assert_eq!(latest(&[nameless, snapshot()]).unwrap(), [&snapshot()]);
    }

    #[test]
    fn only_what_was_saved_is_given_back() {
        let saved = snapshot();
        let found = |revision: i64, command: u128, state: Option<&[u8]>| {
            let (command_id, state) = (Uuid::from_u128(command), state.map(<[u8]>::to_vec));
            let kept = Kept { revision, command_id, state, checksum: saved.checksum().bytes().to_vec() };
            Snapshot::verified(&saved.tenant, &saved.stream, "one", kept)
        };
        assert_eq!(found(5, 1, Some(b"state")), Some(saved.clone()));
        for damaged in [
            found(6, 1, Some(b"state")),
            found(-1, 1, Some(b"state")),
            found(5, 2, Some(b"state")),
            found(5, 1, Some(b"stale")),
            found(5, 1, None),
        ] {
            assert_eq!(damaged, None);
        }
    }
}
