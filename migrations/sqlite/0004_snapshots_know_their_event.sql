-- A snapshot says by which command the event came about that it was taken at. A revision alone would not do: after a
-- backup was restored, the log may have another event there. Those from before do not say it; they are made again when
-- they are missed.
drop table snapshots;
create table snapshots (
    tenant     text    not null,
    stream     text    not null,
    encoding   text    not null,
    revision   integer not null,
    command_id blob    not null check (length(command_id) = 16),
    -- Null if the thing was gone at that revision.
    state      blob,
    checksum   blob    not null check (length(checksum) = 32),
    -- Serves: the snapshot of a stream in an encoding.
    primary key (tenant, stream, encoding)
) strict;

-- Serves: which encodings are there? forget the snapshots in one.
create index snapshots_by_encoding on snapshots (encoding);
