-- A rebuild may be given up, and tables of one that was are never gone on with.

-- A table that is in use is not waited for without end, because all others would wait behind this.
set local lock_timeout = '30s';

-- The greatest epoch that was ever begun to be filled.
alter table projection_states add column begun integer not null default 0;
