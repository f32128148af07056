//! Carries pages from the write-ahead log over into the database, beside the flushes and not within them.
//!
//! SQLite's own way is to do so at the end of whichever commit makes the write-ahead log longer than a thousand pages, and
//! that commit waits for all of them. Here a thread with a connection of its own copies most of them while commits go on.
//! But the write-ahead log begins anew only when there is nothing left to carry over at the moment of a commit, which does
//! not come by itself while the log is busy. So the thread begins late, and begins again after each half of the way that is
//! left: each time there is less to copy. At the end a commit carries over what little is left.
//!
//! The later it begins the less work it is: a page that was changed many times until then is carried over once.

use std::cell::RefCell;
use std::ffi::c_int;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::{Place, connect};
use crate::{Error, Result};

/// The write-ahead log is at most about so many bytes long; within a few commits it begins anew then.
///
/// In a log of millions of events each stream has the end of its index entries on a page of its own, so that a flush changes
/// as many pages as it has events. With ten thousand streams that are written to in turn, a write-ahead log of 16 MB
/// is carried over before it has met a page twice, and all that it has goes to the disk a second time; with this one it is a
/// small fraction of that. After a crash it has to be read once, which is done in a moment.
pub(super) const LONGEST: i64 = 512 * 1024 * 1024;

/// The other thread begins when this part of it is left.
const FIRST: c_int = 8;
/// And not again for less than this part of it.
const LAST: c_int = 64;

thread_local! {
    /// How the writer's thread reaches the other one. SQLite tells the length of the write-ahead log to a plain function,
    /// on the thread that commits.
    static TOLD: RefCell<Option<Told>> = const { RefCell::new(None) };
}

struct Told {
    /// One at a time: while it is at work, it need not hear of more.
    thread: SyncSender<()>,
    /// Pages after which a commit carries over the rest.
    longest: c_int,
    /// After how many it is told next.
    next: c_int,
}

impl Told {
    fn first(&self) -> c_int {
        self.longest - self.longest / FIRST
    }

    fn next_after(&self, pages: c_int) -> c_int {
        pages.saturating_add(((self.longest - pages) / 2).max(self.longest / LAST))
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
        let thread = thread::Builder::new().name("yado-log-checkpoints".into()).spawn(move || run(&connection, &told));
        let thread = thread.map_err(|error| Error::Unavailable(format!("no thread for checkpoints: {error}")))?;
        let mut told = Told { thread: tell, longest, next: 0 };
        told.next = told.first();
        TOLD.set(Some(told));
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

/// After a commit that has left so many pages in the write-ahead log.
fn committed(wal: &Wal, pages: c_int) -> rusqlite::Result<()> {
    TOLD.with_borrow_mut(|told| {
        let Some(told) = told else { return };
        if pages < told.first() {
            told.next = told.first();
        } else if pages >= told.longest {
            // The commit is durable whatever comes of this. If the other thread is at work just now, the next one tries.
            if let Err(error) = wal.checkpoint() {
                tracing::debug!(%error, "the write-ahead log is carried over later");
            }
        } else if pages >= told.next {
            told.next = told.next_after(pages);
            let _ = told.thread.try_send(());
        }
    });
    Ok(())
}

fn run(connection: &Connection, told: &Receiver<()>) {
    while told.recv().is_ok() {
        if let Err(error) = connection.query_row("pragma wal_checkpoint(passive)", (), |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead log could not be carried over into the database; it goes on growing");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_write_ahead_log_begins_anew_although_commits_never_pause() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { path: folder.path().join("log.db"), vfs: None, patience: Duration::from_secs(5) };
        std::fs::File::create(&place.path).unwrap();
        let connection = connect(&place).unwrap();
        connection.execute_batch("pragma journal_mode = wal; create table filler (bytes blob)").unwrap();
        let checkpoints = Checkpoints::start(&place, &connection, 64 * 4_096).unwrap();
        let pages = || connection.query_row("pragma wal_checkpoint(noop)", (), |row| row.get::<_, i64>(1)).unwrap();
        let mut longest = 0;
        let anew = (0..10_000).any(|_| {
            connection.execute("insert into filler values (zeroblob(3000))", ()).unwrap();
            let begun_anew = pages() < longest;
            longest = longest.max(pages());
            begun_anew
        });
        assert!(anew, "the write-ahead log has {longest} pages");
        assert!(longest >= 56, "{longest}");
        drop(checkpoints);
        let kept: i64 = connection.query_row("select count(*) from filler", (), |row| row.get(0)).unwrap();
        assert!(kept > 0);
    }
}
