-- A checkpoint says in which log it is: a position alone can't, once the log has been restored from a backup and has grown
-- again.

-- Under another name, whoever moves a checkpoint as before this migration is refused: it would leave the event of where
-- it was beside the position of where it is.
alter table checkpoints rename column position to last;

-- The command whose event is at that position. Null where nothing has been shown, and for checkpoints from before this
-- column was there, until they move for the next time.
alter table checkpoints add column command_id blob check (length(command_id) = 16);
