-- What the log needs so that everything beside it can be made again from it, and so that nobody has to read it whole to
-- know what is in it.

-- A table that is in use is not waited for without end, because all others would wait behind this.
set local lock_timeout = '30s';

-- Under another name, whoever appends as before this migration does is refused: what it writes would not tell of claims.
alter table log_head rename column position to last;

-- What an append has changed about who holds what, on the first of its events; null when it has changed nothing, which
-- is the rule. `[{"take": {"constraint": "unique_label", "value": "x"}}, {"release": {…}}]`. Who holds what is thereby a
-- fold over the log, and the table of claims an index of it.
alter table events add column claims json;

-- Claims from before this column was there are told by the last event of whoever holds them: a fold over the log then
-- comes to what the table says.
update events e
set claims = held.claims
from (
    select c.tenant, c.stream,
        json_agg(json_build_object('take', json_build_object('constraint', c."constraint", 'value', c.value))) as claims
    from claims c
    group by c.tenant, c.stream
) held
where e.tenant = held.tenant and e.stream = held.stream
    and e.revision = (
        select max(last.revision) from events last where last.tenant = held.tenant and last.stream = held.stream
    );

-- Which kinds of events the log has: what a plugin has to be able to read. An append adds what is new in it.
create table event_kinds (
    aggregate text    collate "C" not null,
    name      text    collate "C" not null,
    version   integer not null,
    -- Where the log has the first of them.
    position  bigint  not null,
    -- Serves: all kinds, in order; is this kind there already?
    primary key (aggregate, name, version)
);
insert into event_kinds (aggregate, name, version, position)
select split_part(stream, '-', 1), name, version, min(position) from events group by 1, 2, 3;

-- A snapshot is told from a damaged one by its checksum. Those from before have none; they are made again when they are
-- missed.
delete from snapshots;
alter table snapshots add column checksum bytea not null check (octet_length(checksum) = 32);

-- Serves: which encodings are there? forget the snapshots in one.
create index snapshots_by_encoding on snapshots (encoding);

-- When an encoding was last said to be in use by any process, so that snapshots that nobody can read do not stay for ever.
create table snapshot_encodings (
    encoding text    collate "C" primary key,
    used_at  timestamptz not null
);

create or replace view event_log as
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
    encode(p.digest, 'hex')                         as plugin_digest,
    e.claims
from events e
left join plugins p on p.id = e.plugin;
