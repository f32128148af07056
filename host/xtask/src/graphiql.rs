//! The page at /graphiql: bundled from npm packages, for the program to embed.
//!
//! `host/graphql/graphiql` has its few lines and the exact versions. npm and the bundler work in the target folder, so
//! that the checkout stays as it is, and what they make is in `graphiql/dist` there, where the build of `yado-graphql`
//! looks for it. If nothing has changed since the last time, nothing is done.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::{Workspace, run};

/// Builds the page. It needs Node and, the first time, the npm registry.
pub(crate) fn build(workspace: &Workspace) -> Result<(), String> {
    let (sources, folder) = (workspace.root.join("host/graphql/graphiql"), workspace.target.join("graphiql"));
    let page = folder.join("dist/index.html");
    let changed =
        bring(&sources, &folder).map_err(|error| format!("{} can't be written: {error}", folder.display()))?;
    if changed.is_empty() && page.is_file() {
        return Ok(());
    }
    // The page is written last: without it the next build begins anew, whatever this one comes to.
    if page.is_file() {
        fs::remove_file(&page).map_err(|error| format!("{} can't be removed: {error}", page.display()))?;
    }
    let of_npm = |file: &PathBuf| file.to_string_lossy().starts_with("package");
    if changed.iter().any(of_npm) || !folder.join("node_modules/.package-lock.json").is_file() {
        let mut npm = Command::new("npm");
        // None of the packages needs its install script.
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        run(npm.current_dir(&folder))
            .map_err(|reason| format!("{reason}; is there a network, and is the npm registry reachable?"))?;
    }
    run(Command::new("node").arg("build.mjs").current_dir(&folder))
}

/// Copies the files of a folder that are not there in the same form, and names them.
fn bring(from: &Path, to: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(to)?;
    let mut changed = Vec::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let (content, copy) = (fs::read(entry.path())?, to.join(entry.file_name()));
        if fs::read(&copy).ok().as_ref() != Some(&content) {
            fs::write(&copy, content)?;
            changed.push(entry.file_name().into());
        }
    }
    Ok(changed)
}
