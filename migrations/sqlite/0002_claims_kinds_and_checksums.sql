-- What the log needs so that everything beside it can be made again from it, and so that nobody has to read it whole to
-- know what is in it.

-- What an append has changed about who holds what, on the first of its events; null when it has changed nothing, which
-- is the rule. `[{"take": {"constraint": "unique_label", "value": "x"}}, {"release": {…}}]`. Who holds what is thereby a
-- fold over the log, and the table of claims an index of it.
alter table events add column claims text;

-- Claims from before this column was there are told by the last event of whoever holds them: a fold over the log then
-- comes to what the table says.
update events
set claims = held.claims
from (
    select c.tenant, c.stream,
        json_group_array(json_object('take', json_object('constraint', c."constraint", 'value', c.value))) as claims
    from claims c
    group by c.tenant, c.stream
) held
where events.tenant = held.tenant and events.stream = held.stream
    and events.revision = (
        select max(last.revision) from events last where last.tenant = held.tenant and last.stream = held.stream
    );

-- Which kinds of events the log has: what a plugin has to be able to read. An append adds what is new in it.
create table event_kinds (
    aggregate text    not null,
    name      text    not null,
    version   integer not null,
    -- Where the log has the first of them.
    position  integer not null,
    -- Serves: all kinds, in order; is this kind there already?
    primary key (aggregate, name, version)
) strict, without rowid;
insert into event_kinds (aggregate, name, version, position)
select substr(stream, 1, instr(stream, '-') - 1), name, version, min(position) from events group by 1, 2, 3;

-- A snapshot is told from a damaged one by its checksum. Those from before have none; they are made again when they are
-- missed.
drop table snapshots;
create table snapshots (
    tenant   text    not null,
    stream   text    not null,
    encoding text    not null,
    revision integer not null,
    -- Null if the thing was gone at that revision.
    state    blob,
    checksum blob    not null check (length(checksum) = 32),
    -- Serves: the snapshot of a stream in an encoding.
    primary key (tenant, stream, encoding)
) strict;

-- Serves: which encodings are there? forget the snapshots in one.
create index snapshots_by_encoding on snapshots (encoding);

-- When an encoding was last said to be in use by any process, so that snapshots that nobody can read do not stay for ever.
create table snapshot_encodings (
    encoding text not null primary key,
    used_at  integer not null
) strict, without rowid;

drop view event_log;
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
    lower(hex(p.digest))                            as plugin_digest,
    e.claims
from events e
left join plugins p on p.id = e.plugin;
