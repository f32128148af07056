//! The clients that the tests borrow from npm.
//!
//! `tests/clients` says which, and their lock file says which versions. They are installed in the target folder, so that
//! the checkout stays as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{skip, step};
use crate::workspace::{self, Workspace, run};

/// Whether Node and npm are on this machine.
pub(crate) fn is_there() -> bool {
    ["node", "npm"].into_iter().all(|program| workspace::is_there(Command::new(program).arg("--version")))
}

/// Installs the clients, and says where they are. Where there is no Node, the tests that need it are left out.
pub(crate) fn clients(workspace: &Workspace) -> Result<Option<PathBuf>, String> {
    let sources = workspace.root.join("tests/clients");
    if !sources.join("package.json").is_file() {
        return Ok(None);
    }
    if !is_there() {
        skip("clients from npm", "because Node is not installed; the tests that need them are left out too");
        return Ok(None);
    }
    let folder = workspace.target.join("node");
    let installed = folder.join("node_modules/.package-lock.json").is_file();
    let changed = copy(&sources, &folder).map_err(|error| format!("{} can't be written: {error}", folder.display()))?;
    if changed || !installed {
        step("installing the clients of the tests (npm ci)", || {
            let mut npm = Command::new("npm");
            npm.current_dir(&folder).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
            run(&mut npm).map_err(|reason| format!("{reason}; is there a network, and is the npm registry reachable?"))
        })?;
    }
    Ok(Some(folder))
}

/// Copies the files of a folder, and tells whether what npm looks at has changed.
fn copy(from: &Path, to: &Path) -> std::io::Result<bool> {
    fs::create_dir_all(to)?;
    let mut changed = false;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let (content, copy) = (fs::read(entry.path())?, to.join(entry.file_name()));
        if fs::read(&copy).ok().as_ref() != Some(&content) {
            changed |= entry.file_name().to_string_lossy().starts_with("package");
            fs::write(copy, content)?;
        }
    }
    Ok(changed)
}
