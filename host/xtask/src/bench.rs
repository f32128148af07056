//! `cargo xtask bench`: builds Yado as it ships, those that it is measured beside, and the bench; then starts it.
//!
//! The other systems come from their registries, and a machine may have no network, no Python or no Node. Whoever can't be
//! built is left out; the result says so.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::step::{LeftOut, step};
use crate::workspace::{self, Workspace};
use crate::{node, plugins, postgres, python, run as start};

/// Where the other systems are.
const PEERS: &str = "tests/bench/peers";
/// The plugin that is measured: with its read model, and without.
const BANKS: [&str; 2] = ["bank", "bank-accounts"];

/// Builds everything, and measures. What follows `bench` on the command line goes to the bench itself.
pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Result<(), String> {
    let postgres = postgres::programs()?;
    start::guests(workspace)?;
    step("building the bank", || plugins::test_guests_of(workspace, &BANKS))?;
    // One after the other: built together they would share the features of their dependencies, and the server that is
    // measured would not be the one that ships.
    for package in ["yado-server", "yado-bench"] {
        step(&format!("building {package} as it ships"), || {
            workspace::run(&mut workspace.cargo(&["build", "--release", "--package", package]))
        })?;
    }
    let mut left_out = LeftOut::default();
    peers(workspace, &mut left_out);
    let mut bench = Command::new(workspace.target.join("release/yado-bench"));
    bench.current_dir(&workspace.root).args(arguments).env("YADO_TEST_POSTGRES_BIN", postgres);
    if env::var_os("TMPDIR").is_none() {
        // What is measured must be on a disk. /tmp is in memory on many machines; this folder never is.
        bench.env("TMPDIR", "/var/tmp");
    }
    let measured = workspace::run(&mut bench);
    left_out.repeat();
    measured
}

/// Builds the other systems as far as that is possible.
fn peers(workspace: &Workspace, left_out: &mut LeftOut) {
    let mut try_step = |what: &str, work: &dyn Fn() -> Result<(), String>| {
        if let Err(reason) = step(what, work) {
            left_out.add(what, &format!("because {reason}"));
        }
    };
    // Python comes first: it may have to bring the compiler that one of the peers is built with.
    try_step("UmaDB's Python wheel", &|| umadb(workspace));
    try_step("building the peers", &|| rust(workspace));
    try_step("emmett's npm packages", &|| emmett(workspace));
}

/// The peers' own workspace: their dependencies are none of Yado's.
fn rust(workspace: &Workspace) -> Result<(), String> {
    let manifest = workspace.root.join(PEERS).join("Cargo.toml");
    let mut cargo = workspace.cargo(&["build", "--release", "--locked", "--keep-going", "--manifest-path"]);
    cargo.arg(manifest).env("CARGO_TARGET_DIR", workspace.target.join("peers"));
    cargo
        .env("PROTOC", workspace.root.join(PEERS).join("umadb/protoc"))
        .env("PEERS_PYTHON", venv(workspace).join("bin/python"));
    workspace::run(&mut cargo)
}

/// Where the bench's own Python is.
fn venv(workspace: &Workspace) -> PathBuf {
    workspace.target.join("peers/venv")
}

/// UmaDB's server is in its wheel.
fn umadb(workspace: &Workspace) -> Result<(), String> {
    python::bring(&workspace.root.join(PEERS).join("umadb/requirements.txt"), &venv(workspace))
}

fn emmett(workspace: &Workspace) -> Result<(), String> {
    if !node::is_there() {
        return Err("Node is not installed".into());
    }
    let folder: PathBuf = workspace.target.join("peers/emmett");
    node::bring(&workspace.root.join(PEERS).join("emmett"), &folder).map(drop)
}
