//! Statements that both engines take as they are.
//!
//! Casts are written out in full: PostgreSQL must be told what a parameter is that may be null, and how wide a number is that
//! is read, and SQLite takes no other form of them.

/// Puts a stream aside, or moves its letter on.
pub(crate) const PARK: &str = "\
    insert into parked_streams (projection, tenant, stream, position, revision, event, version, error, plugin, \
        plugin_version, digest, attempts, parked_at, event_stream) \
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
    on conflict (projection, tenant, stream) do update set position = excluded.position, \
        revision = excluded.revision, event = excluded.event, version = excluded.version, error = excluded.error, \
        plugin = excluded.plugin, plugin_version = excluded.plugin_version, digest = excluded.digest, \
        attempts = excluded.attempts, parked_at = excluded.parked_at, event_stream = excluded.event_stream";

/// Lets a stream go on.
pub(crate) const RELEASE: &str = "delete from parked_streams where projection = $1 and tenant = $2 and stream = $3";

/// Forgets whatever is put aside of a projection.
pub(crate) const RELEASE_ALL: &str = "delete from parked_streams where projection = $1";

/// What is put aside, of one projection or of all.
pub(crate) const PARKED: &str = "\
    select projection, tenant, stream, position, revision, event, cast(version as bigint) as version, error, plugin, \
        plugin_version, digest, cast(attempts as bigint) as attempts, parked_at, event_stream \
    from parked_streams where cast($1 as text) is null or projection = $1 \
    order by projection, position, stream limit $2";

/// By its event, or by its tenant: what is not asked for is null.
pub(crate) const LETTER: &str = "\
    select projection, tenant, stream, position, revision, event, cast(version as bigint) as version, error, plugin, \
        plugin_version, digest, cast(attempts as bigint) as attempts, parked_at, event_stream \
    from parked_streams where projection = $1 and case when cast($3 as text) is null \
        then position = $2 and stream <> '' else tenant = $3 and stream = '' end limit 1";

/// What an operator has decided about a projection.
pub(crate) const STATE: &str = "\
    select cast(epoch as bigint), cast(pending as bigint), paused, cast(begun as bigint) \
    from projection_states where plugin = $1 and projection = $2";

/// There is something to be changed, whatever was decided before.
pub(crate) const BEGIN_STATE: &str = "\
    insert into projection_states (plugin, projection, epoch, pending, paused) values ($1, $2, 0, null, false) \
    on conflict (plugin, projection) do nothing";

/// Finds nothing if somebody else has changed it.
pub(crate) const SET_STATE: &str = "\
    update projection_states set epoch = $3, pending = $4, paused = $5, begun = $9 \
    where plugin = $1 and projection = $2 and epoch = $6 and pending is not distinct from $7 and paused = $8 \
        and begun = $10";

/// Where the changes begin, how far the projection has come, and the changes. There is a row even if there are none. A floor
/// that has been left behind is none.
///
/// Those that are gone through are told apart by what each adds to the page in bytes, which is nothing where it is not asked
/// for, and how large a text is stands beside it. Only when it is known which ones the page has are their rows looked up, and
/// the last that was gone through comes with them, whosever it is. The page ends at a limit if that one says so.
pub(crate) const CHANGES: &str = r#"
    select f.position, coalesce(k.last, 0), c.position, c.place, c.tenant, c.model, c.key, c.kind,
        case when c.own > 0 then (
            select m."row" from model_changes m where m.projection = $1 and m.position = c.position and m.place = c.place
        ) end,
        c.own > 0, c.number >= $6 or c.bytes >= $7
    from (select cast($1 as text) as projection) p
    left join checkpoints k on k.projection = p.projection
    left join change_floors f on f.projection = p.projection and f.told = k.last and f.replays = k.replays
    left join (
        select *, row_number() over places as number, sum(own) over places as bytes,
            lead(place) over places is null as is_last
        from (
            select position, place, tenant, model, key, kind,
                case when coalesce(tenant = $4 and model = $5, true)
                    then octet_length(key) + octet_length("row") else 0 end as own
            from model_changes where projection = $1 and (position, place) > ($2, $3)
            order by position, place limit $6
        ) gone_through
        window places as (order by position, place rows unbounded preceding)
    ) c on c.bytes - c.own < $7 and (c.own > 0 or c.is_last)
    order by c.position, c.place"#;

/// How far a projection has told.
pub(crate) const TOLD: &str = "select told from change_floors where projection = $1";

/// Nothing up to a position is handed out any more.
pub(crate) const RAISE_FLOOR: &str = "update change_floors set position = $2 where projection = $1 and position < $2";

/// Forgets so many changes at most, the oldest first.
pub(crate) const FORGET: &str = "\
    delete from model_changes where projection = $1 and (position, place) in \
        (select position, place from model_changes where projection = $1 and position <= $2 \
            order by position, place limit $3)";

/// How many changes are kept.
pub(crate) const COUNT: &str = "select count(*) from model_changes where projection = $1";

/// Forgets whatever a projection has told.
pub(crate) const FORGET_ALL: [&str; 2] =
    ["delete from change_floors where projection = $1", "delete from model_changes where projection = $1"];
