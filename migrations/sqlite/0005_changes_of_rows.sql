-- What projections tell of the rows that they change, for those who listen. All of it may be lost: rows and log are still
-- there, and whoever was to go on from some place is told to read anew.

-- A row that an event has created, changed or removed, written in the transaction that writes the row itself.
create table model_changes (
    projection text    not null,
    position   integer not null,
    -- Which of the event's changes.
    place      integer not null,
    tenant     text    not null,
    model      text    not null,
    key        text    not null,
    -- 1 created, 2 updated, 3 deleted.
    kind       integer not null,
    -- The row afterwards; if it is gone, as it was.
    "row"      text    not null,
    -- Serves: the changes of a projection after a place, in order; those up to a position, to be forgotten.
    primary key (projection, position, place)
) strict, without rowid;

-- Which changes of a projection are kept: all of those after `position` and up to `told`. They say what has become of the
-- rows only as long as the checkpoint is there too: whoever moves that and tells nothing leaves this behind.
create table change_floors (
    -- Serves: from where on are there changes?
    projection text    not null primary key,
    position   integer not null,
    told       integer not null,
    -- How often parked streams had been taken up again, as in the checkpoint.
    replays    integer not null
) strict, without rowid;
