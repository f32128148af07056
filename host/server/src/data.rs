//! The data folder: made for the user that the server runs as, and used by one server at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::failure::{Doing as _, Failure, Result};

/// The data folder, for as long as this server may use it. The operating system lets go of it when the process ends,
/// however it ends.
#[derive(Debug)]
pub(crate) struct DataFolder {
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if it is not there, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .doing_or(|| format!("the data folder {shown} can't be made"), "name another one with --data")?;
        let lock = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path.join("lock"));
        let mut lock = lock.doing_or(
            || format!("the data folder {shown} can't be written to"),
            "mend its rights, or name another --data",
        )?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                let holder = holder.trim();
                let holder = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                return Err(Failure::new(format!(
                    "another yado server{holder} uses the data folder {shown}: stop it, or give this one a folder of its \
                     own with --data"
                )));
            }
            Err(TryLockError::Error(error)) => {
                return Err(error)
                    .doing_or(|| format!("the data folder {shown} can't be locked"), "it has to be on a local disk");
            }
        }
        // Who holds the lock is for people only; the lock itself does not depend on what is written.
        let _ = lock.set_len(0);
        let _ = lock.rewind();
        let _ = write!(lock, "{}", std::process::id());
        Ok(Self { _lock: lock })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_folder_is_made_for_its_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b");
        let _folder = DataFolder::open(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_second_server_on_the_same_folder_is_told_who_has_it() {
        let place = tempfile::tempdir().unwrap();
        let first = DataFolder::open(place.path()).unwrap();
        let refused = DataFolder::open(place.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("(process {})", std::process::id())), "{refused}");
        drop(first);
        assert!(DataFolder::open(place.path()).is_ok());
    }
}
