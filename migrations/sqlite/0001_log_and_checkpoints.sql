-- The event log and what goes with it, then the read side's checkpoints. One set for both, so that log and read models
-- may share a file. Texts compare byte by byte, which is SQLite's default. Times are microseconds since 1970.

-- Builds of plugins. Events name one by its number.
create table plugins (
    id            integer primary key,
    name          text    not null,
    version       text    not null,
    -- Serves: which number has this build? (at start)
    digest        blob    not null unique check (length(digest) = 32),
    registered_at integer not null
) strict;

-- The log. Rows are only ever inserted. SQLite lets one transaction write at a time, in all processes together, so that
-- the greatest position plus one is the next in the order of commits, and there is no gap.
create table events (
    -- Serves: events after a position, in order; the head of the log (the end of the table's own tree).
    position       integer primary key,
    tenant         text    not null,
    -- The aggregate's name, '-', and the id of the instance.
    stream         text    not null,
    revision       integer not null check (revision > 0),
    name           text    not null,
    version        integer not null,
    -- JSON, to the last digit as it was decided.
    payload        text    not null,
    -- A JSON array of strings; null when there are none, which is the rule.
    tags           text,
    recorded_at    integer not null,
    command_id     blob    not null,
    -- Null when it is the command's own id, which is the rule.
    correlation_id blob,
    causation_id   blob,
    actor          text,
    -- A number of the plugins' table. No foreign key, as with PostgreSQL, where it would cost a query for each event.
    plugin         integer not null
) strict;
-- Serves: events of a stream after a revision, in order; the last revision of a stream (read backwards). It is also what
-- makes two events with the same revision impossible, whatever else goes wrong.
create unique index events_by_stream on events (tenant, stream, revision);

-- What was answered to requests that came with an idempotency key.
create table answers (
    tenant          text    not null,
    idempotency_key text    not null,
    request         blob    not null,
    stream          text    not null,
    revision        integer not null,
    position        integer not null,
    answered_at     integer not null,
    -- Serves: has this request been answered before?
    primary key (tenant, idempotency_key)
) strict, without rowid;
-- Serves: forget answers older than a time.
create index answers_by_age on answers (answered_at);

-- Values that only one stream of a tenant may hold, and which one does.
create table claims (
    tenant       text not null,
    -- The constraint's name in the manifest.
    "constraint" text not null,
    value        text not null,
    stream       text not null,
    -- Serves: who holds these values?
    primary key (tenant, "constraint", value)
) strict, without rowid;

-- States of streams, so that nobody need fold from the first event. With a rowid, because states may be large and would
-- make the tree of the keys deep.
create table snapshots (
    tenant   text    not null,
    stream   text    not null,
    encoding text    not null,
    revision integer not null,
    -- Null if the thing was gone at that revision.
    state    blob,
    -- Serves: the snapshot of a stream in an encoding.
    primary key (tenant, stream, encoding)
) strict;

-- How far projections have come. A row moves in the same transaction as the rows that the projection has written.
create table checkpoints (
    -- Serves: how far is this projection?
    projection text    not null primary key,
    position   integer not null check (position >= 0)
) strict, without rowid;

-- The log for people: `select * from event_log where tenant = 'default' order by position desc limit 20`.
create view event_log as
select
    e.position,
    e.tenant,
    substr(e.stream, 1, instr(e.stream, '-') - 1)   as aggregate,
    substr(e.stream, instr(e.stream, '-') + 1)      as id,
    e.revision,
    e.name,
    e.version,
    e.payload,
    e.tags,
    strftime('%Y-%m-%dT%H:%M:%S', e.recorded_at / 1000000 - (e.recorded_at % 1000000 < 0), 'unixepoch')
        || printf('.%06dZ', ((e.recorded_at % 1000000) + 1000000) % 1000000) as recorded_at,
    lower(hex(e.command_id))                        as command_id,
    lower(hex(coalesce(e.correlation_id, e.command_id))) as correlation_id,
    -- Without the test, hex(null) would be an empty text.
    case when e.causation_id is not null then lower(hex(e.causation_id)) end as causation_id,
    e.actor,
    p.name                                          as plugin,
    p.version                                       as plugin_version,
    lower(hex(p.digest))                            as plugin_digest
from events e
left join plugins p on p.id = e.plugin;
