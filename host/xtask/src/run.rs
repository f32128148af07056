//! `cargo xtask run`: builds everything, and starts the server on SQLite in a data folder.
//!
//! It needs Rust and a C compiler. What else makes it nicer (Node, for the page at /graphiql) is used if it is there.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::step::{LeftOut, step};
use crate::workspace::{self, Workspace};
use crate::{graphiql, node, plugins};

/// Builds, then becomes the server. What follows `run` on the command line goes to `yado serve`, and wins there.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), String> {
    page(workspace, &mut LeftOut::default())?;
    guests(workspace)?;
    step("building the host (the first time takes several minutes)", || {
        workspace::run(&mut workspace.cargo(&["build", "--release", "--package", "yado-server"]))
    })?;
    let mut server = Command::new(workspace.target.join("release/yado"));
    server.current_dir(&workspace.root).args(["serve", "--data", "data", "--plugins"]);
    server.arg(workspace.target.join("plugins")).args(arguments);
    let error = server.exec();
    Err(format!("{} can't be started: {error}", server.get_program().display()))
}

/// The page at /graphiql, where there is Node to build it; without it, the server's own page there says how to get it. It
/// comes before the host, which embeds it.
pub(crate) fn page(workspace: &Workspace, left_out: &mut LeftOut) -> Result<(), String> {
    node::try_step(left_out, "building GraphiQL", || graphiql::build(workspace)).map(drop)
}

/// The plugins of this workspace.
pub(crate) fn guests(workspace: &Workspace) -> Result<(), String> {
    step("building the guests (the first time takes about half a minute)", || plugins::run(workspace, &[]))
}
