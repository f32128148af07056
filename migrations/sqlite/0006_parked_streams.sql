-- What a projection could not be shown is put aside with its stream, and what an operator has decided about a projection
-- outlives the process.

-- How often streams that were parked have been taken up again. Rows change then although the position does not, and
-- whoever else has the same projection in memory must be told.
alter table checkpoints add column replays integer not null default 0 check (replays >= 0);

-- Streams that wait because a projection fails at one of their events. A row is the dead letter of that event.
create table parked_streams (
    projection     text    not null,
    tenant         text    not null,
    stream         text    not null,
    -- The event: everything of the stream from here on is still to be shown.
    position       integer not null,
    revision       integer not null,
    event          text    not null,
    version        integer not null,
    error          text    not null,
    -- The code that failed.
    plugin         text    not null,
    plugin_version text    not null,
    digest         blob    not null check (length(digest) = 32),
    attempts       integer not null,
    -- Microseconds since 1970.
    parked_at      integer not null,
    -- Serves: what is parked of this projection? Is this stream?
    primary key (projection, tenant, stream)
) strict, without rowid;

-- Projections by the names that they keep whatever becomes of their tables.
create table projection_states (
    plugin     text    not null,
    projection text    not null,
    -- Tables of another epoch are other tables.
    epoch      integer not null,
    -- The epoch that is being filled, while there is one.
    pending    integer,
    paused     integer not null,
    -- Serves: how does this projection stand?
    primary key (plugin, projection)
) strict, without rowid;
