//! The one connection that writes to the log, on a thread of its own.
//!
//! A flush of the lane is a handful of short statements, each of which SQLite answers in a few microseconds. What a
//! driver adds to them, a hop to another thread and back for each, would cost many times that. So a whole transaction goes
//! over to this thread as one job, and runs there as plain calls.
//!
//! A job on the log returns when what it wrote is on disk. One on what can be made again, such as snapshots, does not wait
//! for that ([`Writer::run_derived`]): its commit goes into the write-ahead log like any other, and the next commit that is
//! synced takes it along, because a sync is one of the whole file. If the machine fails before, the end of the write-ahead
//! log is lost from there on, in which nothing was that anybody had been told of.
//!
//! A job that was handed over is done, whether or not somebody still waits for it: a transaction is never cut in two
//! because its caller has gone away. A job that panics is rolled back and reported, and the thread goes on.

mod checkpoint;

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};

use self::checkpoint::{Checkpoints, LONGEST};
use super::disk::{Disk, resolved, sync};
use crate::open::Promise;
use crate::{Error, Result};

/// At most so many jobs wait for the thread. One more waits for room, as long as one would for a connection.
const QUEUE: usize = 64;
/// So many statements stay prepared: more than there are.
const STATEMENTS: usize = 32;
/// So many bytes of what a crash has left are written anew at a time.
const PIECE: usize = 1024 * 1024;
/// At most so many KiB of pages stay in memory after a transaction, which itself keeps what it changes: the inner ones of
/// the trees, and what the last flushes have changed.
///
/// Whoever has more of them pays for it: at the end of a commit that has balanced a tree SQLite goes through all of them. What
/// they spare is to read leaves of the index, which the system has in memory as well; and of those of a log of millions of
/// events most would not be among them either.
const CACHE: u32 = 1024;

/// A write-ahead log that has become longer is cut to so many bytes when it begins anew. As long as it usually gets, with what
/// it says of each page, lest it be cut and made longer each time.
pub(super) const KEPT: i64 = LONGEST + LONGEST / 8;

/// Where the log is and how to open it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// The file system of SQLite's own that it is in, unless it is that of the machine.
    pub(super) vfs: Option<&'static str>,
    /// How long a job waits for room in the queue, and for another process's lock.
    pub(super) patience: Duration,
    pub(super) disk: Disk,
}

impl Place {
    /// In the file system of the machine.
    pub(super) fn file(path: PathBuf, patience: Duration) -> Self {
        let disk = Disk::of(&path);
        Self { path, vfs: None, patience, disk }
    }
}

/// A handle to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    patience: Duration,
    disk: Disk,
}

/// What is to be done with the connection; or, if it is not fit to keep the promise, why nothing can be.
type Work = Box<dyn FnOnce(Result<&mut Connection>) + Send>;

enum Job {
    Run(Promise, Work),
    Close,
}

impl Writer {
    /// Opens the connection to a database that is there and up to date, and starts the thread. The thread ends when it is
    /// closed or dropped.
    pub(super) async fn start(place: Place) -> Result<Self> {
        let (jobs, received) = mpsc::channel(QUEUE);
        let (opened, opening) = oneshot::channel();
        let patience = place.patience;
        let disk = place.disk.clone();
        disk.allow()?;
        disk.hold_log();
        let work = move || match open(&place) {
            Ok((connection, checkpoints)) => {
                let _ = opened.send(Ok(()));
                work(connection, checkpoints, place.disk, received);
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        let started = thread::Builder::new().name("yado-log-writer".into()).spawn(work);
        started.map_err(|error| Error::Unavailable(format!("no thread for the log's writer: {error}")))?;
        opening.await.map_err(|_| gone())??;
        Ok(Self { jobs, patience, disk })
    }

    /// Runs a job on the thread, after those that wait already. What it commits is on disk when this returns, and what it
    /// was given is dropped.
    pub(super) async fn run<T, J>(&self, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        self.keeping(Promise::Durable, job).await
    }

    /// The same for what can be made again: what it commits gets to the disk with a later job.
    pub(super) async fn run_derived<T, J>(&self, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        self.keeping(Promise::Derived, job).await
    }

    async fn keeping<T, J>(&self, promise: Promise, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let done = connection.and_then(job);
            // Whoever does not listen any more has given up waiting; what is done is done all the same.
            drop(reply.send(done));
        });
        let job = Job::Run(promise, work);
        let room = tokio::time::timeout(self.patience, self.jobs.reserve()).await;
        let room = room.map_err(|_| {
            Error::Unavailable(format!("{QUEUE} transactions have waited for the log for {:?}", self.patience))
        })?;
        room.map_err(|_| gone())?.send(job);
        outcome.await.map_err(|_| broken_off())?
    }

    /// Whether the disk has kept everything so far. Where it has not, nothing is done any more.
    pub(super) fn allow(&self) -> Result<()> {
        self.disk.allow()
    }

    /// Waits for the jobs before this, and closes the connection.
    pub(super) async fn close(&self) {
        if self.jobs.send(Job::Close).await.is_ok() {
            self.jobs.closed().await;
        }
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Run(..) => "Run",
            Self::Close => "Close",
        })
    }
}

fn gone() -> Error {
    Error::Unavailable("the log's writer has been closed".into())
}

/// Before the commit or behind it.
fn broken_off() -> Error {
    Error::Unheard("the log's writer broke off in the middle of this".into())
}

/// Does something in a transaction that holds the write lock from its beginning: all of it is committed, or nothing is.
/// Its ends are prepared statements like others, because to parse them anew would be a fortieth of a flush.
pub(super) fn transaction<T>(connection: &Connection, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    connection.prepare_cached("begin immediate")?.execute(())?;
    let done = work(connection).and_then(|done| {
        connection.prepare_cached("commit")?.execute(()).inspect_err(checkpoint::failed)?;
        Ok(done)
    });
    // What can't be rolled back now is left to the thread, which tries again before it does anything else; so is what was
    // open in a panic.
    if done.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("rollback");
    }
    done
}

fn open(place: &Place) -> Result<(Connection, Option<Checkpoints>)> {
    let connection = connect(place)?;
    // From its first question on nobody else who closes the file takes himself for the last one.
    connection.query_row("pragma schema_version", (), |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // In memory there is no write-ahead log.
    let checkpoints = if place.vfs.is_none() { Some(Checkpoints::start(place, &connection, LONGEST)?) } else { None };
    Ok((connection, checkpoints))
}

/// A connection that has read what a crash has left in the write-ahead log, however long that took, if the database is there.
/// As long as it is open nobody else has to. What is wrong with the file is told to whoever opens it next.
///
/// What was left is written once more before anything is recorded behind it: it may be what the disk has failed to keep, and
/// be there only because the system remembers it, and then whatever stood behind it would be lost with it.
pub(super) fn recover(place: &Place) -> Option<Connection> {
    let connection = connect(place).ok()?;
    connection.query_row("pragma schema_version", (), |_| Ok(())).ok()?;
    // SQLite keeps the write-ahead log beside the file itself, wherever a link to it is.
    let file = connection.path().map_or_else(|| resolved(&place.path), PathBuf::from);
    if let Err(error) = write_anew(&connection, &file) {
        place.disk.fails_for(&error);
    }
    Some(connection)
}

/// Writes all of a write-ahead log once more, in its place, and waits for the disk. It is nobody else's for as long as a piece
/// takes: another process may be recording, and has been here before.
fn write_anew(connection: &Connection, database: &Path) -> io::Result<()> {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    // SQLite locks other files than this one, so it may be closed again.
    let mut log = match OpenOptions::new().read(true).write(true).open(&name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        log => log?,
    };
    let mut piece = vec![0; PIECE];
    // A process that does not let go of it for so long is not one that has crashed.
    while connection.execute_batch("begin immediate").is_ok() {
        let written = write_piece(&mut log, &mut piece);
        let released = connection.execute_batch("rollback");
        if written? == 0 || released.is_err() {
            break;
        }
    }
    sync(&log)
}

/// Returns of how many bytes it was.
fn write_piece(log: &mut File, piece: &mut [u8]) -> io::Result<usize> {
    let at = log.stream_position()?;
    let length = log.read(piece)?;
    log.seek(SeekFrom::Start(at))?;
    log.write_all(&piece[..length])?;
    Ok(length)
}

/// The file is in WAL mode for good. What is set here is the connection's own.
fn connect(place: &Place) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match place.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&place.path, flags, vfs)?,
        None => Connection::open_with_flags(&place.path, flags)?,
    };
    connection.busy_timeout(place.patience)?;
    connection.execute_batch(&format!(
        "pragma synchronous = full; pragma fullfsync = on; pragma foreign_keys = on; \
         pragma journal_size_limit = {KEPT}; pragma cache_size = -{CACHE}; pragma cache_spill = off;"
    ))?;
    Ok(connection)
}

fn work(mut connection: Connection, checkpoints: Option<Checkpoints>, disk: Disk, mut jobs: mpsc::Receiver<Job>) {
    // As the connection was opened.
    let mut kept = Promise::Durable;
    while let Some(Job::Run(promise, job)) = jobs.blocking_recv() {
        let fit = if promise == kept { Ok(()) } else { keep(&connection, promise) };
        if fit.is_ok() {
            kept = promise;
        }
        let fit = fit.and_then(|()| disk.allow()).map(|()| &mut connection);
        // What unwinds through here has left nothing behind but a transaction, and the rest of a connection is SQLite's.
        if catch_unwind(AssertUnwindSafe(|| job(fit))).is_err() {
            tracing::error!("a transaction on the log broke off, and has been rolled back");
        }
        // Where the disk did not let it be rolled back, too, it is tried again, lest all that follow fail on what is left.
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("rollback")
        {
            tracing::error!(%error, "a transaction on the log could not be rolled back");
        }
    }
    // Until the other thread has ended it may find that the disk fails.
    drop(checkpoints);
    // Whoever is the last to close the file carries over all that there is and clears the write-ahead log away, which
    // must be there at the next start. SQLite can be told not to, but not over the connections of a pool. So this one
    // stays open until the process ends, and nobody is the last. Whoever opens the file until then is told that its
    // disk has failed.
    if disk.has_failed() {
        std::mem::forget((connection, disk));
        return;
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the log could not be closed in order; the next opening sees to it");
    }
    // Only now may whoever waits for the end go on.
    drop(jobs);
}

/// Has commits wait for the disk, or not. SQLite refuses it within a transaction, such as one that could not be rolled
/// back; nothing is promised then that would not be kept.
fn keep(connection: &Connection, promise: Promise) -> Result<()> {
    let synchronous = match promise {
        Promise::Durable => "full",
        Promise::Derived => "normal",
    };
    Ok(connection.pragma_update(None, "synchronous", synchronous)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(120);

    async fn writer() -> (tempfile::TempDir, Writer) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("pragma journal_mode = wal; create table filler (bytes blob)").unwrap();
        (folder, Writer::start(Place::file(path, PATIENCE)).await.unwrap())
    }

    fn fill(connection: &mut Connection, bytes: i32) -> Result<()> {
        transaction(connection, |connection| {
            connection.execute("insert into filler values (zeroblob(?))", [bytes])?;
            Ok(())
        })
    }

    async fn filled(writer: &Writer) -> i64 {
        let count = |connection: &mut Connection| {
            Ok(connection.query_row("select count(*) from filler", (), |row| row.get(0))?)
        };
        writer.run(count).await.unwrap()
    }

    #[tokio::test]
    async fn a_disk_that_was_full_is_written_to_again_once_there_is_room() {
        let (_folder, writer) = writer().await;
        // As many pages as there are: for SQLite it is the same as a full disk.
        let limit = |pages: u32| {
            writer.run(move |connection| {
                Ok(connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
            })
        };
        limit(1).await.unwrap();
        let refused = writer.run(|connection| fill(connection, 1_000_000)).await.unwrap_err();
        assert!(matches!(refused, Error::Full(_)), "{refused}");
        limit(1_000_000).await.unwrap();
        writer.run(|connection| fill(connection, 1_000_000)).await.unwrap();
        assert_eq!(filled(&writer).await, 1);
    }

    #[tokio::test]
    async fn a_transaction_that_panics_is_rolled_back_and_the_next_one_is_not_harmed() {
        let (_folder, writer) = writer().await;
        let broken: Result<()> = writer
            .run(|connection| {
                transaction(connection, |connection| {
                    connection.execute("insert into filler values (null)", ())?;
                    panic!("as a mistake would");
                })
            })
            .await;
        assert!(matches!(broken, Err(Error::Unheard(_))), "{broken:?}");
        assert_eq!(filled(&writer).await, 0);
        writer.run(|connection| fill(connection, 1)).await.unwrap();
        assert_eq!(filled(&writer).await, 1);
    }

    async fn synchronous(writer: &Writer, promise: Promise) -> i64 {
        let asked = |connection: &mut Connection| {
            Ok(connection.query_row("pragma synchronous", (), |row| row.get::<_, i64>(0))?)
        };
        writer.keeping(promise, asked).await.unwrap()
    }

    #[tokio::test]
    async fn only_what_can_be_made_again_does_not_wait_for_the_disk() {
        let (_folder, writer) = writer().await;
        for (promise, expected) in
            [(Promise::Durable, 2), (Promise::Derived, 1), (Promise::Derived, 1), (Promise::Durable, 2)]
        {
            assert_eq!(synchronous(&writer, promise).await, expected, "{promise:?}");
        }
        // Neither does it when such a job breaks off in the middle of a transaction.
        let broken = writer
            .run_derived(|connection| -> Result<()> {
                connection.execute_batch("begin immediate; insert into filler values (null)")?;
                panic!("as a mistake would");
            })
            .await;
        assert!(broken.is_err());
        assert_eq!(synchronous(&writer, Promise::Durable).await, 2);
        assert_eq!(filled(&writer).await, 0);
    }

    #[tokio::test]
    async fn nothing_is_recorded_after_the_disk_has_failed_and_what_was_is_there_at_the_next_start() {
        let (folder, writer) = writer().await;
        writer.run(|connection| fill(connection, 1)).await.unwrap();
        let failed = |_: &mut Connection| {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
            checkpoint::failed(&rusqlite::Error::SqliteFailure(code, None));
            Ok(())
        };
        writer.run(failed).await.unwrap();
        let refused = writer.run(|connection| fill(connection, 1)).await.unwrap_err();
        assert!(matches!(&refused, Error::OutOfUse(reason) if reason.contains("start again")), "{refused}");
        assert!(writer.allow().is_err());
        writer.close().await;
        let place = || Place::file(folder.path().join("log.db"), PATIENCE);
        // Until the process ends nobody else begins anew, or is the last to close the file.
        let refused = Writer::start(place()).await.unwrap_err();
        assert!(refused.to_string().contains("start again"), "{refused}");
        drop(writer);
        assert!(place().disk.has_failed());
        drop(recover(&place()).unwrap());
        // What the next process finds.
        let next = tempfile::tempdir().unwrap();
        for name in ["log.db", "log.db-wal"] {
            std::fs::copy(folder.path().join(name), next.path().join(name)).unwrap();
        }
        assert!(next.path().join("log.db-wal").metadata().unwrap().len() > 0);
        let opened = next.path().join(if cfg!(unix) { "link.db" } else { "log.db" });
        #[cfg(unix)]
        std::os::unix::fs::symlink("log.db", &opened).unwrap();
        let place = Place::file(opened, PATIENCE);
        let (log, written) =
            (next.path().join("log.db-wal"), || next.path().join("log.db-wal").metadata().unwrap().modified().unwrap());
        let (before, left) = (written(), std::fs::read(&log).unwrap());
        let recovered = recover(&place).unwrap();
        assert!(written() > before && std::fs::read(&log).unwrap() == left, "nothing stands behind what may be lost");
        let writer = Writer::start(place).await.unwrap();
        drop(recovered);
        writer.run(|connection| fill(connection, 1)).await.unwrap();
        assert_eq!(filled(&writer).await, 2);
    }

    #[test]
    fn a_connection_that_can_not_keep_a_promise_gives_none() {
        let connection = Connection::open_in_memory().unwrap();
        keep(&connection, Promise::Derived).unwrap();
        connection.execute_batch("begin").unwrap();
        assert!(keep(&connection, Promise::Durable).is_err());
        connection.execute_batch("rollback").unwrap();
        keep(&connection, Promise::Durable).unwrap();
    }

    #[tokio::test]
    async fn a_transaction_ends_although_nobody_waits_for_it_any_more() {
        let (_folder, writer) = writer().await;
        {
            let abandoned = writer.run(|connection| fill(connection, 1));
            futures::pin_mut!(abandoned);
            let _ = futures::poll!(abandoned);
        }
        assert_eq!(filled(&writer).await, 1);
    }

    #[tokio::test]
    async fn a_writer_that_is_closed_has_done_what_came_before_and_does_no_more() {
        let (folder, writer) = writer().await;
        let (filled, ()) = tokio::join!(writer.run(|connection| fill(connection, 1)), writer.close());
        filled.unwrap();
        // The last connection takes the write-ahead log along.
        assert!(!folder.path().join("log.db-wal").exists());
        let late = writer.run(|connection| fill(connection, 1)).await;
        assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
        writer.close().await;
    }
}
