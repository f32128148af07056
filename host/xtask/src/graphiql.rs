//! `cargo xtask graphiql`: the page at /graphiql, bundled from npm packages, for the program to embed.
//!
//! `host/graphql/graphiql` has its few lines and the exact versions. npm and the bundler work in the target folder, and
//! what they make is in `graphiql/dist` there, where the build of `yado-graphql` looks for it. If nothing has changed
//! since the last time, nothing is done.

use std::fs;
use std::process::Command;

use crate::node;
use crate::workspace::{Workspace, run};

/// Builds the page. It needs Node and, the first time, the npm registry.
pub(crate) fn build(workspace: &Workspace) -> Result<(), String> {
    let folder = workspace.target.join("graphiql");
    let page = folder.join("dist/index.html");
    let changed = node::bring(&workspace.root.join("host/graphql/graphiql"), &folder)?;
    if !changed && page.is_file() {
        return Ok(());
    }
    // The page is written last: without it the next build begins anew, whatever this one comes to.
    if page.is_file() {
        fs::remove_file(&page).map_err(|error| format!("{} can't be removed: {error}", page.display()))?;
    }
    run(Command::new("node").arg("build.mjs").current_dir(&folder))
}
