-- A snapshot says by which command the event came about that it was taken at. A revision alone would not do: after a
-- standby has taken over that had lagged, the log may have another event there. Those from before do not say it; they are
-- made again when they are missed.

-- A table that is in use is not waited for without end, because all others would wait behind this.
set local lock_timeout = '30s';

delete from snapshots;
alter table snapshots add column command_id uuid not null;
