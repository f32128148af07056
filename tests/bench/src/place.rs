//! Where things are: what has been built, and the folder that is measured in.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Result;
use crate::bank::Plugin;

/// What a run works with.
#[derive(Debug)]
pub struct Place {
    /// The checkout.
    pub root: PathBuf,
    /// The folder that cargo builds into.
    pub target: PathBuf,
    /// A Python with what the peers want of it, if there is one.
    pub python: Option<PathBuf>,
    /// Databases of files, and logs. It goes away with the run.
    pub scratch: TempDir,
}

impl Place {
    /// Finds the places, beginning with this program's own: cargo has put it below the target folder.
    ///
    /// # Errors
    /// When this was not started by cargo, or nothing can be written.
    pub fn find(root: PathBuf) -> Result<Self> {
        let program =
            std::env::current_exe().map_err(|error| format!("the path of this program is unknown: {error}"))?;
        let target = program.ancestors().nth(2).ok_or("this program lies in no target folder")?.to_owned();
        let scratch = tempfile::Builder::new().prefix("yado-bench-").tempdir();
        let scratch = scratch.map_err(|error| format!("no folder can be made to measure in: {error}"))?;
        let python = Some(target.join("peers/venv/bin/python")).filter(|python| python.is_file());
        Ok(Self { root, target, python, scratch })
    }

    /// The bank's component, in one of its forms.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn bank(&self, plugin: Plugin) -> Result<Vec<u8>> {
        self.component("test-guests", plugin.guest())
    }

    /// A component from a shelf of the target folder.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn component(&self, shelf: &str, name: &str) -> Result<Vec<u8>> {
        let path = self.target.join(shelf).join(name).with_extension("wasm");
        std::fs::read(&path)
            .map_err(|error| format!("{} can't be read: {error}; `cargo xtask bench` builds it", path.display()))
    }

    /// The server's program.
    #[must_use]
    pub fn server(&self) -> PathBuf {
        self.target.join("release/yado")
    }

    /// A new folder of its own on the disk that is measured, however many of this name there have been.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let prefix = format!("{name}-");
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(self.scratch.path());
        Ok(folder.map_err(|error| format!("no folder can be made for {name}: {error}"))?.keep())
    }
}

/// Makes a folder and those above it.
///
/// # Errors
/// When it can't be made.
pub fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{} can't be made: {error}", folder.display()))
}
