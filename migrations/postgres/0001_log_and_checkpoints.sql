-- The event log and what goes with it, then the read side's checkpoints. One set for both, so that log and read models
-- may share a database. Texts that are keys compare byte by byte ("C"): equality and order are then the same on every
-- server, whatever its locale, and the index needs no locale's rules.

-- Builds of plugins. Events name one by its number, which is four bytes instead of sixty.
create table plugins (
    id            integer primary key,
    name          text        not null,
    version       text        not null,
    -- Serves: which number has this build? (at start)
    digest        bytea       not null unique check (octet_length(digest) = 32),
    registered_at timestamptz not null
);

-- One row: the position of the last event. Whoever appends holds its lock until the commit. Positions are therefore taken
-- in the order of commits and without gaps: a transaction that fails gives back what it took, as a sequence would not.
create table log_head (
    one_row  boolean primary key default true check (one_row),
    position bigint not null check (position >= 0)
);
insert into log_head (position) values (0);

-- The log. Rows are only ever inserted.
create table events (
    -- Serves: events after a position, in order.
    position       bigint      primary key,
    tenant         text        collate "C" not null,
    -- The aggregate's name, '-', and the id of the instance.
    stream         text        collate "C" not null,
    revision       bigint      not null check (revision > 0),
    name           text        not null,
    version        integer     not null,
    -- `json` and not `jsonb`: the document stays as it was decided, to the last digit and in the order of its fields,
    -- and it costs a check instead of a conversion, both ways. A query by content can cast it.
    payload        json        not null,
    tags           text[],
    recorded_at    timestamptz not null,
    command_id     uuid        not null,
    -- Null when it is the command's own id, which is the rule.
    correlation_id uuid,
    causation_id   uuid,
    actor          text,
    -- No foreign key: it would cost a query for each event, and numbers come from the registry alone.
    plugin         integer     not null,
    -- Serves: events of a stream after a revision, in order; the last revision of a stream (read backwards). It is also
    -- what makes two events with the same revision impossible, whatever else goes wrong.
    constraint events_by_stream unique (tenant, stream, revision)
);

-- What was answered to requests that came with an idempotency key.
create table answers (
    tenant          text        collate "C" not null,
    idempotency_key text        collate "C" not null,
    request         bytea       not null,
    stream          text        not null,
    revision        bigint      not null,
    position        bigint      not null,
    answered_at     timestamptz not null,
    -- Serves: has this request been answered before?
    primary key (tenant, idempotency_key)
);
-- Serves: forget answers older than a time.
create index answers_by_age on answers (answered_at);

-- Values that only one stream of a tenant may hold, and which one does.
create table claims (
    tenant    text collate "C" not null,
    -- The constraint's name in the manifest.
    "constraint" text collate "C" not null,
    value     text collate "C" not null,
    stream    text not null,
    -- Serves: who holds these values?
    primary key (tenant, "constraint", value)
);

-- States of streams, so that nobody need fold from the first event.
create table snapshots (
    tenant   text   collate "C" not null,
    stream   text   collate "C" not null,
    encoding text   collate "C" not null,
    revision bigint not null,
    -- Null if the thing was gone at that revision.
    state    bytea,
    -- Serves: the snapshot of a stream in an encoding.
    primary key (tenant, stream, encoding)
);

-- How far projections have come. A row moves in the same transaction as the rows that the projection has written.
create table checkpoints (
    -- Serves: how far is this projection?
    projection text   collate "C" primary key,
    position   bigint not null check (position >= 0)
);

-- The log for people: `select * from event_log where tenant = 'default' order by position desc limit 20`.
create view event_log as
select
    e.position,
    e.tenant,
    split_part(e.stream, '-', 1)                    as aggregate,
    substr(e.stream, strpos(e.stream, '-') + 1)     as id,
    e.revision,
    e.name,
    e.version,
    e.payload,
    e.tags,
    e.recorded_at,
    e.command_id,
    coalesce(e.correlation_id, e.command_id)        as correlation_id,
    e.causation_id,
    e.actor,
    p.name                                          as plugin,
    p.version                                       as plugin_version,
    encode(p.digest, 'hex')                         as plugin_digest
from events e
left join plugins p on p.id = e.plugin;
