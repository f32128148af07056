//! What is known of the disk that a file is on.
//!
//! A disk that says once that it could not keep something may not say so again, although it has not kept it. So a
//! file whose disk has failed is left alone by all of this process until the process ends: nothing is recorded in it
//! or carried over within it, whichever connection would do so. All stores that have the file open know the same of
//! it, because log and read models may share one, and with it one write-ahead log.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{self, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use crate::{Error, Result};

/// Of which files something is known, by where they are.
static KNOWN: Mutex<BTreeMap<PathBuf, Weak<Known>>> = Mutex::new(BTreeMap::new());

/// A handle to what is known, which is forgotten with the last one.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Why nothing is recorded or carried over any more, if that is so.
    failed: OnceLock<String>,
    holds_log: AtomicBool,
}

impl Disk {
    /// That of a file, which need not be there yet.
    pub(super) fn of(path: &Path) -> Self {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, disk| disk.strong_count() > 0);
        let place = resolved(path);
        if let Some(disk) = known.get(&place).and_then(Weak::upgrade) {
            return Self(disk);
        }
        let disk = Self::default();
        known.insert(place, Arc::downgrade(&disk.0));
        disk
    }

    /// Whether it has kept everything so far.
    pub(super) fn allow(&self) -> Result<()> {
        self.0.failed.get().map_or(Ok(()), |reason| Err(Error::OutOfUse(reason.clone())))
    }

    pub(super) fn has_failed(&self) -> bool {
        self.0.failed.get().is_some()
    }

    /// It has not kept what it was to keep, as SQLite says, which does not tell whether it was for lack of room.
    pub(super) fn fails(&self, error: &dyn Display) {
        self.tell(error, "see to the disk, which may also be full, and start again");
    }

    /// The same, as the system says. Some file systems tell only here that there is no room (NFS, and where there are
    /// quotas). What was to be written is then in memory or lost, as after any other failure, so that room alone does
    /// not mend it.
    pub(super) fn fails_for(&self, error: &io::Error) {
        match error.kind() {
            ErrorKind::StorageFull => self.tell(error, "the disk is full: make room on it, and start again"),
            ErrorKind::QuotaExceeded => {
                self.tell(error, "the quota on the disk is used up: make room within it, or raise it, and start again");
            }
            _ => self.fails(error),
        }
    }

    fn tell(&self, error: &dyn Display, remedy: &str) {
        let reason = format!(
            "the disk could not keep what was written to it: {error}. Nothing more is recorded, and what was recorded \
             stays in the write-ahead log. What to do: {remedy}"
        );
        if self.0.failed.set(reason.clone()).is_ok() {
            tracing::error!("{reason}");
        }
    }

    /// Whether a log is in the file, as far as this process knows.
    pub(super) fn holds_log(&self) -> bool {
        self.0.holds_log.load(Ordering::Relaxed)
    }

    pub(super) fn hold_log(&self) {
        self.0.holds_log.store(true, Ordering::Relaxed);
    }
}

/// At most so many links are followed, as most systems have it.
const LINKS: usize = 40;

/// Where a file is, whichever way there was taken. One that is not there yet is where it is going to be made: at the
/// end of a link, if there is one, and in its folder.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let mut way = path.to_owned();
    for _ in 0..LINKS {
        if let Ok(there) = way.canonicalize() {
            return there;
        }
        let Ok(end) = way.read_link() else { break };
        // A relative link begins in the folder that it is in.
        way = way.parent().map_or_else(|| end.clone(), |folder| folder.join(&end));
    }
    let in_folder = || {
        let folder = path::absolute(&way).ok()?.parent()?.canonicalize().ok()?;
        Some(folder.join(way.file_name()?))
    };
    in_folder().unwrap_or_else(|| path.to_owned())
}

/// Returns when what was written to a file is on disk. An error means that it may not be.
pub(super) fn sync(file: &File) -> io::Result<()> {
    settle(file.sync_data(), || plainly(file))
}

/// On macOS the standard library has the disk's own memory written out as well, which a volume of another system may
/// not know how to do; and some file systems know only one of the two calls that others have. Such a volume does as
/// well as it can when asked plainly, which is also what SQLite does there.
fn settle(synced: io::Result<()>, plainly: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match synced {
        Err(error) if is_refused(&error) => plainly(),
        synced => synced,
    }
}

#[cfg(unix)]
fn plainly(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fsync(file)?)
}

#[cfg(not(unix))]
fn plainly(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Whether the file system can't do what it was asked for, rather than having failed at it.
#[cfg(unix)]
fn is_refused(error: &io::Error) -> bool {
    use rustix::io::Errno;
    // The first two are the same on some systems.
    let refusals = [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::NOTTY, Errno::INVAL];
    Errno::from_io_error(error).is_some_and(|error| refusals.contains(&error))
}

#[cfg(not(unix))]
fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_volume_that_can_only_be_asked_plainly_is_and_has_not_failed() {
        use rustix::io::Errno;
        for errno in [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::NOTTY, Errno::INVAL] {
            let refused = || Err(io::Error::from(errno));
            assert!(settle(refused(), || Ok(())).is_ok(), "{errno}");
            let failed = settle(refused(), || Err(Errno::IO.into())).unwrap_err();
            assert_eq!(Errno::from_io_error(&failed), Some(Errno::IO));
        }
        // A plain call after one that has failed would say that all is well.
        for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT] {
            assert!(settle(Err(errno.into()), || Ok(())).is_err(), "{errno}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_synced_and_what_has_no_disk_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        sync(&File::create(&path).unwrap()).unwrap();
        plainly(&File::open(&path).unwrap()).unwrap();
        let none = File::open("/dev/null").unwrap();
        assert!(is_refused(&none.sync_data().unwrap_err()));
        sync(&none).unwrap_err();
    }

    fn reason(disk: &Disk) -> String {
        disk.allow().unwrap_err().to_string()
    }

    #[test]
    fn whoever_runs_a_server_is_told_what_to_do_about_its_disk() {
        for (kind, remedy) in [
            (ErrorKind::StorageFull, "the disk is full: make room on it, and start again"),
            (ErrorKind::QuotaExceeded, "the quota on the disk is used up: make room within it"),
            (ErrorKind::Other, "see to the disk, which may also be full, and start again"),
        ] {
            let disk = Disk::default();
            disk.allow().unwrap();
            disk.fails_for(&kind.into());
            assert!(reason(&disk).contains(remedy), "{}", reason(&disk));
            assert!(disk.has_failed());
        }
    }

    #[test]
    fn all_who_have_a_file_open_know_the_same_of_its_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let (early, other) = (Disk::of(&path), Disk::of(&folder.path().join("reads.db")));
        File::create(&path).unwrap();
        let late = Disk::of(&folder.path().join(".").join("log.db"));
        early.fails(&"as a test says");
        assert_eq!(reason(&late), reason(&early));
        assert!(!other.has_failed());
        drop((early, late));
        assert!(!Disk::of(&path).has_failed());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_not_there_yet_is_at_the_end_of_a_link_to_it() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        // The folder for what is temporary may be behind a link itself.
        let folder = folder.path().canonicalize().unwrap();
        let at = |name: &str| folder.join(name);
        symlink("log.db", at("near")).unwrap();
        symlink(at("near"), at("far")).unwrap();
        symlink("round", at("round")).unwrap();
        assert_eq!(resolved(&at("round")), at("round"));
        let before = [resolved(&at("far")), resolved(&at("near")), resolved(&at("log.db"))];
        File::create(at("log.db")).unwrap();
        let there = at("log.db").canonicalize().unwrap();
        assert_eq!(before, [there.clone(), there.clone(), there.clone()]);
        assert_eq!(resolved(&at("far")), there);
    }
}
