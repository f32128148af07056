-- A rebuild may be given up, and tables of one that was are never gone on with.

-- The greatest epoch that was ever begun to be filled.
alter table projection_states add column begun integer not null default 0;
