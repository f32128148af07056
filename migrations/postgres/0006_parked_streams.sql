-- What a projection could not be shown is put aside with its stream, and what an operator has decided about a projection
-- outlives the process.

-- A table that is in use is not waited for without end, because all others would wait behind this.
set local lock_timeout = '30s';

-- How often streams that were parked have been taken up again. Rows change then although the position does not, and
-- whoever else has the same projection in memory must be told.
alter table checkpoints add column replays bigint not null default 0;

-- Streams that wait because a projection fails at one of their events. A row is the dead letter of that event.
create table parked_streams (
    projection     text        collate "C" not null,
    tenant         text        collate "C" not null,
    stream         text        collate "C" not null,
    -- The event: everything of the stream from here on is still to be shown.
    position       bigint      not null,
    revision       bigint      not null,
    event          text        not null,
    version        integer     not null,
    error          text        not null,
    -- The code that failed.
    plugin         text        not null,
    plugin_version text        not null,
    digest         bytea       not null check (octet_length(digest) = 32),
    attempts       integer     not null,
    parked_at      timestamptz not null,
    -- Serves: what is parked of this projection? Is this stream?
    primary key (projection, tenant, stream)
);

-- Projections by the names that they keep whatever becomes of their tables.
create table projection_states (
    plugin     text    collate "C" not null,
    projection text    collate "C" not null,
    -- Tables of another epoch are other tables.
    epoch      integer not null,
    -- The epoch that is being filled, while there is one.
    pending    integer,
    paused     boolean not null,
    -- Serves: how does this projection stand?
    primary key (plugin, projection)
);
