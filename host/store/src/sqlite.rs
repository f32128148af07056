//! The adapter for SQLite, the embedded default.
//!
//! One connection writes, and several read what is committed (WAL), so that a reader never waits for a writer or the
//! other way round. Every transaction that writes begins with the write lock (`begin immediate`): it can't lose it halfway,
//! and writers of other processes wait their turn. `synchronous=full` has a commit to the log return when it is on disk;
//! read models, which can be made again, do with `normal`.
//!
//! What goes into the log goes through a thread of its own ([`writer`]); what goes into read models, through the pool of
//! one connection that also applies the migrations.
//!
//! A database in memory is in a file system of SQLite's own (`memdb`), under a name that nobody else comes upon. There the
//! pool's one connection also reads.

mod append;
mod bound;
mod claims;
mod dialect;
mod disk;
mod journal;
mod log;
mod parked;
#[cfg(test)]
mod plans;
mod read;
mod reading;
mod registry;
mod rows;
mod snapshots;
mod tables;
mod uses;
mod writer;

pub(crate) use log::Events;
pub(crate) use read::Reads;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Executor as _, Sqlite, SqlitePool, Transaction};

use self::disk::Disk;
use self::writer::Place;
use crate::open::Promise;
use crate::{Error, Options, Result, decimal};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/sqlite");

/// SQLite's own file system in memory. A name in it that begins with `/` is the same database for all of the process.
const MEMORY: &str = "memdb";

/// So many statements a connection keeps prepared: the conditions of questions are of many shapes.
const STATEMENTS: usize = 512;

/// How long to wait before asking again for a file that another process is just setting up.
const SETUP_PAUSE: Duration = Duration::from_millis(20);

/// When the write-ahead log has so many pages they are carried over before the next change of read models that are in a
/// log's file. SQLite by itself does so from as many on.
const CARRIED_OVER: i64 = 1_000;

/// SQLite's codes for a file, or a folder, that it could not have written to the disk.
const NOT_SYNCED: [&str; 2] = ["1034", "1290"];

/// Rows of one statement. A few sizes, so that a few prepared statements serve batches of every size; and at most so many
/// that a table with the most columns allowed stays below SQLite's 32,766 parameters.
const CHUNKS: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// A database file, or one in memory.
#[derive(Debug)]
struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
    place: Place,
}

impl Database {
    async fn open(url: &str, options: &Options, promise: Promise) -> Result<Self> {
        let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path)).unwrap_or_default();
        if path.is_empty() || path.contains('?') {
            return Err(Error::Invalid("a SQLite URL is sqlite:PATH or sqlite::memory:, without parameters".into()));
        }
        let memory = path == ":memory:";
        let connect = SqliteConnectOptions::from_str(url)?
            .busy_timeout(options.acquire_timeout())
            .collation("decimal", decimal::compare)
            .statement_cache_capacity(STATEMENTS);
        // Statements are logged as sqlx has it: all of them under `sqlx::query` at debug, those over a second at warn.
        // A connection that is closed takes a database in memory along; a file's writer would have to be made again.
        let one = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(options.acquire_timeout())
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false);
        let patience = options.acquire_timeout();
        let connect = connect.create_if_missing(true);
        let database = if memory {
            let path = PathBuf::from(format!("/yado-{}", uuid::Uuid::new_v4().simple()));
            let connect = connect.in_memory(false).shared_cache(false).filename(&path).vfs(MEMORY);
            let connection = one.connect_with(connect).await?;
            let place = Place { path, vfs: Some(MEMORY), patience, disk: Disk::default() };
            Self { readers: connection.clone(), writer: connection, place }
        } else {
            let place = Place::file(connect.get_filename().to_owned(), patience);
            place.disk.allow()?;
            let (connect, synchronous) = match promise {
                // The log's writer sees to it, and notices if the disk fails.
                Promise::Durable => (connect.pragma("wal_autocheckpoint", "0"), SqliteSynchronous::Full),
                Promise::Derived => (connect, SqliteSynchronous::Normal),
            };
            let writing = connect.clone().synchronous(synchronous);
            let writing = writing
                .journal_mode(SqliteJournalMode::Wal)
                // Where `fsync` alone leaves data in the disk's own memory (macOS), this has it written out.
                .pragma("fullfsync", "on")
                .pragma("journal_size_limit", writer::KEPT.to_string());
            // After a crash whoever comes first reads the write-ahead log, and the pool would not wait for that long enough.
            let recovered = tokio::task::spawn_blocking({
                let place = place.clone();
                move || writer::recover(&place)
            });
            let recovered = recovered.await.ok().flatten();
            if let Err(failed) = place.disk.allow() {
                // Whoever is the last to close the file would clear away what is in the write-ahead log.
                std::mem::forget((recovered, place.disk));
                return Err(failed);
            }
            let one = allowed(one, &place.disk);
            let writer = patiently(options, path, || one.clone().connect_with(writing.clone())).await;
            // The last connection to end carries over all that there is.
            let _ = tokio::task::spawn_blocking(move || drop(recovered)).await;
            let writer = writer?;
            let readers = allowed(SqlitePoolOptions::new(), &place.disk)
                .max_connections(options.connections.max(1))
                .acquire_timeout(options.acquire_timeout())
                .test_before_acquire(false)
                .connect_lazy_with(connect.pragma("query_only", "on"));
            Self { writer, readers, place }
        };
        database.migrate().await?;
        Ok(database)
    }

    /// All of them in one transaction with the write lock, so that two processes that open a new file don't both make
    /// its tables.
    async fn migrate(&self) -> Result<()> {
        let mut transaction = self.write().await?;
        MIGRATIONS.run(&mut *transaction).await?;
        self.commit(transaction).await
    }

    /// A transaction that holds the write lock from the beginning.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>> {
        self.place.disk.allow()?;
        self.carry_over().await?;
        match self.writer.begin_with("begin immediate").await {
            // A full disk makes SQLite end a transaction by itself, and the connection's wrapper never hears of it: it
            // takes the connection to be within that transaction for ever. A new connection knows nothing of it.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                self.writer.acquire().await?.close().await?;
                self.carry_over().await?;
                Ok(self.writer.begin_with("begin immediate").await?)
            }
            begun => Ok(begun?),
        }
    }

    /// Where a log is in the file, too, carries over what earlier changes have left in the write-ahead log. SQLite
    /// does so by itself at the end of a commit, but then nobody hears of it if the disk fails.
    async fn carry_over(&self) -> Result<()> {
        if !self.place.disk.holds_log() {
            return Ok(());
        }
        let mut connection = self.writer.acquire().await?;
        connection.execute("pragma wal_autocheckpoint = 0").await?;
        let pages = sqlx::query_as("pragma wal_checkpoint(noop)").fetch_one(&mut *connection).await;
        let (_, pages, carried): (i64, i64, i64) = pages?;
        if pages - carried < CARRIED_OVER {
            return Ok(());
        }
        // If it fails for anything else it is tried again with the next change, as SQLite would.
        let _ = self.noticed(connection.execute("pragma wal_checkpoint(passive)").await);
        self.place.disk.allow()
    }

    /// Ends a transaction of [`write`](Self::write).
    async fn commit(&self, transaction: Transaction<'static, Sqlite>) -> Result<()> {
        self.noticed(transaction.commit().await)
    }

    /// What has been done, and whether the disk has failed at it.
    fn noticed<T>(&self, done: sqlx::Result<T>) -> Result<T> {
        if let Err(error) = &done
            && let Some(code) = error.as_database_error().and_then(|error| error.code())
            && NOT_SYNCED.contains(&code.as_ref())
        {
            self.place.disk.fails(error);
        }
        Ok(done?)
    }

    /// Leaves writing to somebody else. A connection in memory stays, because it reads, too.
    async fn only_read(&self) {
        if !self.in_memory() {
            self.writer.close().await;
        }
    }

    /// Whether reader and writer are one.
    fn in_memory(&self) -> bool {
        self.place.vfs.is_some()
    }

    async fn ping(&self) -> Result<()> {
        sqlx::query("select 1").execute(&self.readers).await?;
        Ok(())
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Nothing is committed over a pool's connections any more once the disk has failed, nor carried over, which comes
/// with a commit.
fn allowed(pool: SqlitePoolOptions, disk: &Disk) -> SqlitePoolOptions {
    let disk = disk.clone();
    pool.after_connect(move |connection, _| {
        let disk = disk.clone();
        Box::pin(async move {
            connection.lock_handle().await?.set_commit_hook(move || !disk.has_failed());
            Ok(())
        })
    })
}

/// Whoever switches a new file to WAL has it alone for a moment, and SQLite tells others at once instead of having them
/// wait.
async fn patiently<T, F>(options: &Options, path: &str, mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    const BUSY: i32 = 5;
    const CANT_OPEN: i32 = 14;
    let begun = Instant::now();
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        match primary_code(&error) {
            Some(BUSY) if begun.elapsed() < options.acquire_timeout() => tokio::time::sleep(SETUP_PAUSE).await,
            Some(CANT_OPEN) => {
                return Err(Error::Invalid(format!(
                    "the file {path} can't be opened or made: does its folder exist, and may it be written to?"
                )));
            }
            _ => return Err(error.into()),
        }
    }
}

/// SQLite's primary result code: the low byte of the extended one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Takes a list apart into pieces of a few fixed sizes.
fn chunks<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = CHUNKS.into_iter().find(|size| *size <= items.len())?;
        let (chunk, rest) = items.split_at(size);
        items = rest;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::patient;

    #[test]
    fn chunks_are_of_a_few_sizes_and_leave_nothing_out() {
        let items: Vec<u32> = (0..151).collect();
        let sizes: Vec<_> = chunks(&items).map(<[u32]>::len).collect();
        assert_eq!(sizes, [64, 64, 16, 4, 2, 1]);
        assert_eq!(chunks(&items).flatten().copied().collect::<Vec<_>>(), items);
        assert_eq!(chunks::<u32>(&[]).count(), 0);
    }

    #[test]
    fn the_largest_statement_is_within_sqlites_parameters() {
        assert!(CHUNKS[0] * (crate::limits::MOST_COLUMNS + 1) <= 32_766);
    }

    async fn opened(folder: &tempfile::TempDir, promise: Promise) -> Database {
        let url = format!("sqlite:{}", folder.path().join("both.db").display());
        Database::open(&url, &patient(), promise).await.unwrap()
    }

    /// In a transaction that is not committed yet.
    async fn filling(database: &Database, pages: i64) -> Result<Transaction<'static, Sqlite>> {
        let mut transaction = database.write().await?;
        transaction.execute("create table if not exists filler (bytes blob)").await?;
        sqlx::query("insert into filler values (zeroblob(?))").bind(pages * 4_096).execute(&mut *transaction).await?;
        Ok(transaction)
    }

    /// Pages in the write-ahead log, and those of them that have been carried over.
    async fn pages(database: &Database) -> (i64, i64) {
        let query = sqlx::query_as("pragma wal_checkpoint(noop)");
        let (_, length, carried): (i64, i64, i64) = query.fetch_one(&database.writer).await.unwrap();
        (length, carried)
    }

    #[tokio::test]
    async fn what_changes_in_a_logs_file_is_carried_over_where_it_is_heard_of() {
        let folder = tempfile::tempdir().unwrap();
        let database = opened(&folder, Promise::Derived).await;
        // A log of its own carries over what is in it.
        let log = opened(&folder, Promise::Durable).await;
        filling(&log, 2 * CARRIED_OVER).await.unwrap().commit().await.unwrap();
        assert_eq!(pages(&log).await.1, 0);
        filling(&database, 1).await.unwrap().commit().await.unwrap();
        let (length, carried) = pages(&database).await;
        assert_eq!((carried, length > CARRIED_OVER), (length, true), "as SQLite does by itself");

        database.place.disk.hold_log();
        filling(&database, 2 * CARRIED_OVER).await.unwrap().commit().await.unwrap();
        assert_eq!(pages(&database).await.1, 0);
        filling(&database, 1).await.unwrap().rollback().await.unwrap();
        let (length, carried) = pages(&database).await;
        assert_eq!((carried, length > CARRIED_OVER), (length, true));
    }

    /// What SQLite says in a commit, by its extended code.
    #[derive(Debug, thiserror::Error)]
    #[error("disk I/O error")]
    struct Said(&'static str);

    impl sqlx::error::DatabaseError for Said {
        fn message(&self) -> &str {
            "disk I/O error"
        }

        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    #[tokio::test]
    async fn a_disk_that_fails_in_a_commit_of_read_models_has_failed_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let database = opened(&folder, Promise::Derived).await;
        let log = opened(&folder, Promise::Durable).await;
        // Neither a read nor a full disk.
        for code in ["266", "13"] {
            database.noticed::<()>(Err(sqlx::Error::Database(Box::new(Said(code))))).unwrap_err();
            log.place.disk.allow().unwrap();
        }
        database.noticed::<()>(Err(sqlx::Error::Database(Box::new(Said(NOT_SYNCED[0]))))).unwrap_err();
        log.place.disk.allow().unwrap_err();
    }

    #[tokio::test]
    async fn nothing_is_committed_or_carried_over_once_the_disk_has_failed() {
        for held in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let database = opened(&folder, Promise::Derived).await;
            if held {
                database.place.disk.hold_log();
            }
            let before = pages(&database).await;
            let begun = filling(&database, 2 * CARRIED_OVER).await.unwrap();
            database.place.disk.fails(&"as a test says");
            let refused = Error::from(begun.commit().await.unwrap_err());
            assert!(matches!(refused, Error::OutOfUse(_)), "{refused}");
            let refused = database.write().await.unwrap_err();
            assert!(matches!(&refused, Error::OutOfUse(reason) if reason.contains("start again")), "{refused}");
            assert_eq!(pages(&database).await, before);
        }
    }

    #[tokio::test]
    async fn a_disk_that_was_full_is_written_to_again_once_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("full.db").display());
        let database = Database::open(&url, &patient(), Promise::Durable).await.unwrap();
        let write = async |bytes: usize| {
            let mut transaction = database.write().await?;
            sqlx::query("create table if not exists filler (bytes blob)").execute(&mut *transaction).await?;
            sqlx::query("insert into filler values (zeroblob(?))")
                .bind(i64::try_from(bytes).unwrap())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok::<_, Error>(())
        };
        write(1_000).await.unwrap();
        // As many pages as there are: for SQLite it is the same as a full disk.
        sqlx::query("pragma max_page_count = 1").execute(&database.writer).await.unwrap();
        let refused = write(1_000_000).await.unwrap_err();
        assert!(matches!(refused, Error::Full(_)), "{refused}");
        // The next connection does not know of the limit that this test has set, and finds room.
        write(1_000_000).await.unwrap();
        database.close().await;
    }
}
