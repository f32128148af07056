-- A tenant of which too many streams wait, waits as a whole; and tables that nobody uses any more are found.

-- A table that is in use is not waited for without end, because all others would wait behind this.
set local lock_timeout = '30s';

-- A row whose stream is empty is of everything of the tenant from its position on. The event at which a projection was the
-- last one to fail is of this stream then.
alter table parked_streams add column event_stream text collate "C";

-- Serves: the dead letters of a projection in the order of their events; the one of an event.
create index parked_streams_by_position on parked_streams (projection, position);

-- Which process uses which tables, and since when it has not said so any more. What a projection fills is told by its name
-- alone from no other one's; so its tables are kept beside it, for whoever drops them.
create table tables_in_use (
    projection text        collate "C" not null,
    process    text        collate "C" not null,
    -- The names of its tables, with commas between them.
    tables     text        not null,
    used_at    timestamptz not null,
    -- Serves: does anybody use this projection's tables?
    primary key (projection, process)
);
