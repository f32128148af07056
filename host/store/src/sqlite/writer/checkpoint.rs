//! Carries pages from the write-ahead log over into the database, beside the flushes and not within them.
//!
//! SQLite's own way is to do so at the end of whichever commit makes the write-ahead log longer than a thousand pages, and
//! that commit waits for all of them. Here a thread with a connection of its own copies them, and has them on disk, while
//! commits go on. But the write-ahead log begins anew only when there is nothing left to carry over at the moment of a
//! commit, which does not come by itself while the log is busy. So the thread begins again and again, each time with less to
//! copy, and when little is left a commit carries that over.
//!
//! When the disk has failed ([`Disk`]) nothing is carried over any more, nor recorded, and what is in the write-ahead
//! log stays there: the next start reads it and carries all of it over anew.
//!
//! The later it begins the less work it is: a page that was changed many times until then is carried over once. So it does not
//! begin earlier than every ten seconds, unless the log has become long.

use std::cell::RefCell;
use std::ffi::c_int;
use std::fs::{File, OpenOptions};
use std::mem::ManuallyDrop;
use std::path::{self, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::hooks::{CheckpointMode, Wal};
use rusqlite::{Connection, ErrorCode, ffi};

use super::super::disk::{Disk, sync};
use super::{Place, connect};
use crate::{Error, Result};

/// So many bytes of pages are in the write-ahead log when it is to begin anew. It gets longer while somebody reads for long,
/// and where the disk is too slow for the thread; the longer it is the more of it a commit carries over, which waits for that.
///
/// In a log of millions of events each stream has the end of its index entries on a page of its own, so that a flush changes
/// as many pages as it has events. With ten thousand streams that are written to in turn, a write-ahead log of 16 MB
/// is carried over before it has met a page twice, and all that it has goes to the disk a second time; with this one it is a
/// small fraction of that. After a crash it is read once.
pub(super) const LONGEST: i64 = 512 * 1024 * 1024;

/// The thread begins when this part of it is left.
const FIRST: c_int = 8;
/// And not again for less than this part of it, which is also what a commit may carry over, and twice as much with each time that
/// the log is longer by all of [`LONGEST`].
const LAST: c_int = 64;
/// From so many times [`LONGEST`] on a commit carries over whatever there is: who writes more than the disk can take has to
/// wait for it in the end.
const MOST: c_int = 8;

/// So often the thread carries over what there is, if there is anything, so that a server with little to do has little left
/// when it ends.
const REGULARLY: Duration = Duration::from_secs(10);

thread_local! {
    /// How the writer's thread reaches the other one. SQLite tells the length of the write-ahead log to a plain function,
    /// on the thread that commits.
    static TOLD: RefCell<Option<Told>> = const { RefCell::new(None) };
}

struct Told {
    /// One at a time: while it is at work, it need not hear of more.
    thread: SyncSender<()>,
    course: Course,
    shared: Arc<Shared>,
}

/// What the two threads know of each other.
#[derive(Debug, Default)]
struct Shared {
    carried: Carried,
    /// Whether there has been a commit since the thread has last begun.
    committed: AtomicBool,
    disk: Disk,
}

/// Pages that have been carried over and are on disk, of those in the write-ahead log; and above them, how often that has begun
/// anew, lest what is heard of the one before be taken for this one.
#[derive(Debug, Default)]
struct Carried(AtomicU64);

impl Carried {
    const PAGES: u64 = u32::MAX as u64;

    fn pages(&self) -> c_int {
        c_int::try_from(self.seen() & Self::PAGES).unwrap_or(c_int::MAX)
    }

    /// What there is, to say with [`Carried::set_since`] that it has become more.
    fn seen(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set_since(&self, seen: u64, pages: c_int) {
        let now = seen & !Self::PAGES | u64::from(pages.unsigned_abs());
        let _ = self.0.compare_exchange(seen, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn begin_anew(&self) {
        self.0.store((self.seen() | Self::PAGES).wrapping_add(1), Ordering::Relaxed);
    }
}

/// When to carry pages over. All lengths are in pages.
#[derive(Debug)]
struct Course {
    longest: c_int,
    /// After the last commit.
    length: c_int,
    /// At which length the thread is told next.
    next: c_int,
    /// Below which length no commit tries it, because it has failed.
    patience: c_int,
}

/// What to do after a commit.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// The thread is told to carry pages over.
    Beside,
    /// The commit does.
    Here,
}

impl Course {
    const fn new(longest: c_int) -> Self {
        Self { longest, length: 0, next: longest - longest / FIRST, patience: 0 }
    }

    /// Whether the write-ahead log has begun anew with the commit that left so many pages in it.
    const fn begins_anew(&mut self, length: c_int) -> bool {
        let anew = length < self.length;
        if anew {
            *self = Self::new(self.longest);
        }
        self.length = length;
        anew
    }

    /// What is to be done at that length, if so many have been carried over.
    fn due(&mut self, carried: c_int) -> Due {
        let little = (self.longest / LAST).max(1);
        let bearable = match self.length / self.longest.max(1) {
            MOST.. => c_int::MAX,
            times => little << (times - 1).clamp(0, MOST),
        };
        if self.length >= self.longest.max(self.patience) && self.length - carried <= bearable {
            Due::Here
        } else if self.length >= self.next {
            self.next = self.length.saturating_add(((self.longest - self.length) / 2).max(little));
            Due::Beside
        } else {
            Due::Nothing
        }
    }

    /// It was tried, and can't be done now: not again soon, because each commit would try the same.
    fn failed(&mut self) {
        self.patience = self.length.saturating_add((self.longest / LAST).max(1));
    }
}

/// The other thread, which ends with this.
pub(super) struct Checkpoints {
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// For the writer's connection, on its thread: has the write-ahead log begin anew at about so many bytes.
    pub(super) fn start(place: &Place, writer: &Connection, longest: i64) -> Result<Self> {
        let connection = connect(place)?;
        // A file keeps the pages that it was made with.
        let page: i64 = connection.query_row("pragma page_size", (), |row| row.get(0))?;
        let longest = c_int::try_from(longest / page.max(1)).unwrap_or(c_int::MAX / 2);
        let (tell, told) = mpsc::sync_channel(1);
        let shared = Arc::new(Shared { disk: place.disk.clone(), ..Shared::default() });
        let carrier = Carrier {
            connection,
            path: path::absolute(&place.path).unwrap_or_else(|_| place.path.clone()),
            file: None,
            regularly: REGULARLY,
            shared: shared.clone(),
        };
        let thread = thread::Builder::new().name("yado-log-checkpoints".into()).spawn(move || carrier.run(&told));
        let thread = thread.map_err(|error| Error::Unavailable(format!("no thread for checkpoints: {error}")))?;
        TOLD.set(Some(Told { thread: tell, course: Course::new(longest), shared }));
        writer.wal_hook(Some(committed));
        Ok(Self { thread: Some(thread) })
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        TOLD.set(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// On the writer's thread: a commit has failed. If it is for the disk, what was committed before, and not waited for, may be
/// missing from the middle of the write-ahead log, and whatever came behind it would be lost.
pub(super) fn failed(error: &rusqlite::Error) {
    if is_of_sync(error) {
        TOLD.with_borrow(|told| {
            if let Some(told) = told {
                told.shared.disk.fails(error);
            }
        });
    }
}

fn is_of_sync(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

/// After a commit that has left so many pages in the write-ahead log. It is durable whatever comes of this.
fn committed(wal: &Wal, pages: c_int) -> rusqlite::Result<()> {
    TOLD.with_borrow_mut(|told| {
        let Some(Told { thread, course, shared }) = told else { return };
        if shared.disk.has_failed() {
            return;
        }
        shared.committed.store(true, Ordering::Relaxed);
        if course.begins_anew(pages) {
            shared.carried.begin_anew();
        }
        let seen = shared.carried.seen();
        match course.due(shared.carried.pages()) {
            Due::Nothing => {}
            Due::Beside => drop(thread.try_send(())),
            Due::Here => match wal.checkpoint_v2(CheckpointMode::PASSIVE) {
                // No commit of this process can have come between, so that SQLite has waited for the disk; and where another
                // process shares the log, SQLite does so before it begins anew.
                Ok((length, carried)) if carried == length => shared.carried.set_since(seen, carried),
                // Somebody still reads what was before.
                Ok(_) => course.failed(),
                // The other thread is at work just now; the next commit tries.
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
                Err(error) if is_of_sync(&error) => shared.disk.fails(&error),
                Err(error) => {
                    tell_of_growth(&error);
                    course.failed();
                }
            },
        }
    });
    Ok(())
}

fn tell_of_growth(error: &dyn std::fmt::Display) {
    tracing::warn!(%error, "the write-ahead log could not be carried over into the database; it goes on growing");
}

/// What the other thread works with.
struct Carrier {
    connection: Connection,
    path: PathBuf,
    /// The database, to have what was copied written to the disk. It is never closed, because of whoever closes a file the
    /// system takes away all locks that the process has on it, those of SQLite's connections as well.
    file: Option<ManuallyDrop<File>>,
    regularly: Duration,
    shared: Arc<Shared>,
}

impl Carrier {
    fn run(mut self, told: &Receiver<()>) {
        loop {
            match told.recv_timeout(self.regularly) {
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if !self.shared.committed.load(Ordering::Relaxed) => {}
                Ok(()) | Err(RecvTimeoutError::Timeout) => self.carry(),
            }
        }
    }

    fn carry(&mut self) {
        if self.shared.disk.has_failed() {
            return;
        }
        self.shared.committed.store(false, Ordering::Relaxed);
        let seen = self.shared.carried.seen();
        let carried = self.connection.query_row("pragma wal_checkpoint(passive)", (), |row| {
            Ok((row.get::<_, bool>(0)?, row.get::<_, c_int>(2)?))
        });
        let done = match carried {
            // A commit is at it, or another process.
            Ok((true, _)) => false,
            // SQLite itself waits for the disk only if nothing was committed meanwhile, and does not say whether it has. If
            // nobody did, whoever carries over the rest would wait for all of it.
            Ok((false, carried)) => self.write_out().is_some_and(|()| {
                self.shared.carried.set_since(seen, carried);
                true
            }),
            Err(error) if is_of_sync(&error) => {
                self.shared.disk.fails(&error);
                false
            }
            Err(error) => {
                tell_of_growth(&error);
                false
            }
        };
        if !done {
            // It is tried again, also if nothing is committed any more.
            self.shared.committed.store(true, Ordering::Relaxed);
        }
    }

    fn write_out(&mut self) -> Option<()> {
        if self.file.is_none() {
            match OpenOptions::new().read(true).write(true).open(&self.path) {
                Ok(file) => self.file = Some(ManuallyDrop::new(file)),
                Err(error) => tell_of_growth(&error),
            }
        }
        let synced = sync(self.file.as_ref()?);
        synced.map_err(|error| self.shared.disk.fails_for(&error)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::patient;

    fn log(folder: &tempfile::TempDir) -> (Place, Connection) {
        let place = Place::file(folder.path().join("log.db"), patient().acquire_timeout());
        File::create(&place.path).unwrap();
        let connection = connect(&place).unwrap();
        connection.execute_batch("pragma journal_mode = wal; create table filler (bytes blob)").unwrap();
        (place, connection)
    }

    fn fill(connection: &Connection) {
        connection.execute("insert into filler values (zeroblob(3000))", ()).unwrap();
    }

    /// Pages in the write-ahead log, and those of them that have been carried over.
    fn pages(connection: &Connection) -> (i64, i64) {
        connection.query_row("pragma wal_checkpoint(noop)", (), |row| Ok((row.get(1)?, row.get(2)?))).unwrap()
    }

    #[test]
    fn the_write_ahead_log_begins_anew_although_commits_never_pause() {
        let folder = tempfile::tempdir().unwrap();
        let (place, connection) = log(&folder);
        let checkpoints = Checkpoints::start(&place, &connection, 64 * 4_096).unwrap();
        // How long it gets hangs on how long the other thread takes, for which no commit waits. Where the commits take long
        // it may begin anew after ten seconds, while it is short, and that does not count.
        let mut longest = 0;
        let anew = (0..200_000).any(|_| {
            fill(&connection);
            let (length, _) = pages(&connection);
            let begun_anew = length < longest;
            longest = longest.max(length);
            begun_anew && longest >= 56
        });
        assert!(anew, "the write-ahead log has {longest} pages");
        drop(checkpoints);
        let kept: i64 = connection.query_row("select count(*) from filler", (), |row| row.get(0)).unwrap();
        assert!(kept > 0);
    }

    #[test]
    fn the_thread_carries_pages_over_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (place, connection) = log(&folder);
        let (tell, told) = mpsc::sync_channel(1);
        let shared = Arc::new(Shared::default());
        let own = connect(&place).unwrap();
        let carrier =
            Carrier { connection: own, path: place.path, file: None, regularly: REGULARLY, shared: shared.clone() };
        fill(&connection);
        tell.send(()).unwrap();
        drop(tell);
        carrier.run(&told);
        let (length, carried) = pages(&connection);
        assert!(length > 0);
        assert_eq!(carried, length);
        assert_eq!(i64::from(shared.carried.pages()), length);
    }

    #[test]
    fn what_was_committed_is_carried_over_after_some_time() {
        let folder = tempfile::tempdir().unwrap();
        let (place, connection) = log(&folder);
        let (tell, told) = mpsc::sync_channel(1);
        let shared = Arc::new(Shared::default());
        let own = connect(&place).unwrap();
        let regularly = Duration::ZERO;
        let carrier = Carrier { connection: own, path: place.path, file: None, regularly, shared: shared.clone() };
        let thread = thread::spawn(move || carrier.run(&told));
        fill(&connection);
        assert_eq!(shared.carried.pages(), 0);
        shared.committed.store(true, Ordering::Relaxed);
        while shared.carried.pages() == 0 {
            assert!(!thread.is_finished());
            thread::yield_now();
        }
        assert!(!shared.committed.load(Ordering::Relaxed));
        drop(tell);
        thread.join().unwrap();
        let (length, carried) = pages(&connection);
        assert_eq!(carried, length);
    }

    #[test]
    fn what_was_carried_over_is_written_out_and_said_of_this_beginning_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (place, connection) = log(&folder);
        let (own, shared) = (connect(&place).unwrap(), Arc::new(Shared::default()));
        let mut carrier = Carrier {
            connection: own,
            path: place.path.clone(),
            file: None,
            regularly: REGULARLY,
            shared: shared.clone(),
        };
        fill(&connection);
        // Whoever reads what there is now keeps what comes from being carried over.
        let reader = connect(&place).unwrap();
        reader.execute_batch("begin; select count(*) from filler").unwrap();
        fill(&connection);
        carrier.carry();
        let (length, carried) = pages(&connection);
        assert!(0 < carried && carried < length, "{carried} of {length}");
        assert!(carrier.file.is_some());
        assert_eq!(i64::from(shared.carried.pages()), carried);
        reader.execute_batch("commit").unwrap();
        carrier.carry();
        assert_eq!(pages(&connection), (length, length));

        let seen = shared.carried.seen();
        shared.carried.begin_anew();
        shared.carried.set_since(seen, 7);
        assert_eq!(shared.carried.pages(), 0);
        shared.carried.set_since(shared.carried.seen(), 7);
        assert_eq!(shared.carried.pages(), 7);
    }

    #[test]
    fn what_is_not_on_disk_is_not_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let (place, connection) = log(&folder);
        let (own, shared) = (connect(&place).unwrap(), Arc::new(Shared::default()));
        let path = folder.path().join("elsewhere/log.db");
        let mut carrier = Carrier { connection: own, path, file: None, regularly: REGULARLY, shared: shared.clone() };
        fill(&connection);
        carrier.carry();
        assert_eq!(shared.carried.pages(), 0);
        assert!(shared.committed.load(Ordering::Relaxed), "it is tried again");
        assert!(shared.disk.allow().is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_carried_over_after_the_disk_has_failed_once() {
        let folder = tempfile::tempdir().unwrap();
        let (place, connection) = log(&folder);
        let (own, shared) = (connect(&place).unwrap(), Arc::new(Shared::default()));
        // What has no disk can't be made to wait for it.
        let path = "/dev/null".into();
        let mut carrier = Carrier { connection: own, path, file: None, regularly: REGULARLY, shared: shared.clone() };
        fill(&connection);
        carrier.carry();
        assert!(shared.disk.allow().is_err_and(|error| error.to_string().contains("start again")));
        assert_eq!(shared.carried.pages(), 0);
        fill(&connection);
        carrier.carry();
        let (length, carried) = pages(&connection);
        assert!(carried < length, "{carried} of {length}");
    }

    #[test]
    fn the_thread_begins_late_and_again_after_each_half_of_the_way_and_a_commit_ends_it() {
        let mut course = Course::new(6_400);
        let mut told = Vec::new();
        for length in 1..6_400 {
            assert!(!course.begins_anew(length));
            match course.due(0) {
                Due::Beside => told.push(length),
                due => assert_eq!(due, Due::Nothing),
            }
        }
        assert_eq!(told, [5_600, 6_000, 6_200, 6_300]);
        // As long as much is left the thread goes on with it.
        assert!(!course.begins_anew(6_400));
        assert_eq!(course.due(6_299), Due::Beside);
        assert_eq!(course.due(6_299), Due::Nothing);
        assert_eq!(course.due(6_300), Due::Here);
        assert!(course.begins_anew(30));
        assert_eq!(course.due(0), Due::Nothing);
        assert_eq!(course.next, 5_600);
    }

    #[test]
    fn a_commit_carries_over_more_where_it_is_much_too_long_but_not_again_at_once_if_that_fails() {
        let mut course = Course::new(6_400);
        course.begins_anew(12_799);
        assert_eq!(course.due(12_698), Due::Beside);
        assert_eq!(course.due(12_699), Due::Here);
        course.begins_anew(12_800);
        assert_eq!(course.due(12_599), Due::Nothing);
        assert_eq!(course.due(12_600), Due::Here);
        course.failed();
        course.begins_anew(12_899);
        assert_ne!(course.due(12_899), Due::Here);
        course.begins_anew(12_900);
        assert_eq!(course.due(12_900), Due::Here);
        // When somebody who has read for long comes to an end it is the thread's; but not without end.
        course.begins_anew(51_199);
        assert_eq!(course.due(0), Due::Beside);
        course.begins_anew(51_200);
        assert_eq!(course.due(0), Due::Here);
    }
}
