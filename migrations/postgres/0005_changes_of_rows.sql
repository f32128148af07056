-- What projections tell of the rows that they change, for those who listen. All of it may be lost: rows and log are still
-- there, and whoever was to go on from some place is told to read anew. So neither table is logged. After a crash both are
-- empty, and on a standby that takes over as well, so that never one is there without the other.

-- A row that an event has created, changed or removed, written in the transaction that writes the row itself.
create unlogged table model_changes (
    projection text     collate "C" not null,
    position   bigint   not null,
    -- Which of the event's changes.
    place      bigint   not null,
    tenant     text     collate "C" not null,
    model      text     collate "C" not null,
    key        text     collate "C" not null,
    -- 1 created, 2 updated, 3 deleted.
    kind       smallint not null,
    -- The row afterwards; if it is gone, as it was.
    "row"      text     not null,
    -- Serves: the changes of a projection after a place, in order; those up to a position, to be forgotten.
    primary key (projection, position, place)
);

-- Which changes of a projection are kept: all of those after `position` and up to `told`. They say what has become of the
-- rows only as long as the checkpoint is there too: whoever moves that and tells nothing leaves this behind.
create unlogged table change_floors (
    -- Serves: from where on are there changes?
    projection text   collate "C" primary key,
    position   bigint not null,
    told       bigint not null,
    -- How often parked streams had been taken up again, as in the checkpoint.
    replays    bigint not null
);
