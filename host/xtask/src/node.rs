//! What is borrowed from npm.
//!
//! A project of npm lies in the checkout with its lock file. It is copied into the target folder and installed there, so
//! that the checkout stays as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::LeftOut;
use crate::workspace::{self, Workspace, run};

/// Whether Node and npm are on this machine.
pub(crate) fn is_there() -> bool {
    ["node", "npm"].into_iter().all(|program| workspace::is_there(Command::new(program).arg("--version")))
}

/// Brings a project into a folder, and its packages in the versions of the lock file. Tells whether anything has changed
/// since the last time.
pub(crate) fn bring(sources: &Path, folder: &Path) -> Result<bool, String> {
    let changed = copy(sources, folder).map_err(|error| format!("{} can't be written: {error}", folder.display()))?;
    // npm writes this file last.
    let installed = folder.join("node_modules/.package-lock.json").is_file();
    let of_npm = |file: &PathBuf| file.to_string_lossy().starts_with("package");
    if installed && !changed.iter().any(of_npm) {
        return Ok(!changed.is_empty());
    }
    let mut npm = Command::new("npm");
    // None of the packages needs its install script.
    npm.current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    run(&mut npm).map_err(|reason| format!("{reason}; is there a network, and is the npm registry reachable?"))?;
    Ok(true)
}

/// Does a step that needs Node and npm's registry, and says whether it was done. A machine without Node is left in peace.
pub(crate) fn try_step(
    left_out: &mut LeftOut,
    what: &str,
    work: impl FnOnce() -> Result<(), String>,
) -> Result<bool, String> {
    if !is_there() {
        left_out.add(what, "because Node is not installed");
        return Ok(false);
    }
    left_out.unless(what, work)
}

/// Installs the clients that tests borrow, and says where they are. Where they can't be had, the tests that need them are
/// left out too.
pub(crate) fn clients(workspace: &Workspace, left_out: &mut LeftOut) -> Result<Option<PathBuf>, String> {
    let (sources, folder) = (workspace.root.join("tests/clients"), workspace.target.join("node"));
    let there = try_step(left_out, "clients from npm, and the tests with them", || bring(&sources, &folder).map(drop))?;
    Ok(there.then_some(folder))
}

/// Copies the files of a folder that are not there in the same form, and names them.
fn copy(from: &Path, to: &Path) -> std::io::Result<Vec<PathBuf>> {
    fs::create_dir_all(to)?;
    let mut changed = Vec::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let (content, copy) = (fs::read(entry.path())?, to.join(entry.file_name()));
        if fs::read(&copy).ok().as_ref() != Some(&content) {
            fs::write(copy, content)?;
            changed.push(entry.file_name().into());
        }
    }
    Ok(changed)
}
