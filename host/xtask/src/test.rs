//! `cargo xtask test`: everything that has to hold before a change is taken.
//!
//! It sets up what the tests need, then goes from what fails fast to what takes long, and stops at the first step that
//! fails. Its last line is the sum of the runner's summaries; what was left out is repeated right above it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use crate::step::{LeftOut, say, step};
use crate::summary::Summary;
use crate::workspace::{Workspace, is_there, run};
use crate::{curl, node, plugins, postgres, python, run as start};

/// Runs all checks and tests, or, with a filter, only the tests whose names contain it.
pub(crate) fn test(workspace: &Workspace, filter: &[String]) -> Result<(), String> {
    let postgres = postgres::programs()?;
    let mut left_out = LeftOut::default();
    let clients = node::clients(workspace, &mut left_out)?;
    let fuzzer = fuzzer(workspace, &mut left_out)?;
    curl::ensure(&mut left_out)?;
    if filter.is_empty() {
        step("cargo fmt", || run(&mut workspace.cargo(&["fmt", "--all", "--check"])))?;
    }
    start::page(workspace, &mut left_out)?;
    start::guests(workspace)?;
    step("building the guests of the tests", || plugins::test_guests(workspace))?;
    if filter.is_empty() {
        lint(workspace, &mut left_out)?;
    } else {
        left_out.add("clippy, deny and doc", "because only some tests are asked for");
    }
    // Tests from end to end start the server as a process.
    step("building the host", || run(&mut workspace.cargo(&["build", "--workspace", "--bins"])))?;

    let mut tests = workspace.cargo(&["test", "--workspace", "--no-fail-fast"]);
    tests.arg("--").args(filter);
    // What has just been set up, where tests look for it first.
    let shelves = plugins::shelves(workspace).map_err(|error| format!("the folders of guests: {error}"))?;
    tests.env("YADO_TEST_PLUGINS", shelves).env("YADO_TEST_POSTGRES_BIN", postgres);
    for (variable, folder) in [("YADO_TEST_CLIENTS", clients), ("YADO_TEST_FUZZER", fuzzer)] {
        if let Some(folder) = folder {
            tests.env(variable, folder);
        }
    }
    let mut summary = Summary::default();
    let outcome = step("tests", || {
        let mut running = tests
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cargo can't be started: {error}"))?;
        for line in running.stdout.take().map(BufReader::new).into_iter().flat_map(|output| output.split(b'\n')) {
            let line = line.map_err(|error| format!("the output of the tests can't be read: {error}"))?;
            let line = String::from_utf8_lossy(&line);
            summary.read(&line);
            say(&line);
        }
        let status = running.wait().map_err(|error| format!("the tests can't be waited for: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("cargo test: {status}")) }
    });
    // Whatever comes of it, the sum is the last line, and what it does not cover stands above it.
    left_out.repeat();
    outcome.map_err(|reason| format!("{reason}\n{summary}"))?;
    say(&summary.to_string());
    Ok(())
}

/// Brings Schemathesis, and says where it is. Where it can't be had, the test that needs it is left out too.
fn fuzzer(workspace: &Workspace, left_out: &mut LeftOut) -> Result<Option<PathBuf>, String> {
    let (requirements, venv) = (workspace.root.join("tests/fuzz/requirements.txt"), workspace.target.join("fuzzer"));
    let there =
        left_out.unless("Schemathesis from PyPI, and the test with it", || python::bring(&requirements, &venv))?;
    Ok(there.then_some(venv))
}

fn lint(workspace: &Workspace, left_out: &mut LeftOut) -> Result<(), String> {
    step("cargo clippy", || {
        run(&mut workspace.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    if is_there(&mut workspace.cargo(&["deny", "--version"])) {
        step("cargo deny", || run(&mut workspace.cargo(&["deny", "check", "licenses", "bans", "sources"])))?;
    } else {
        left_out.add("cargo deny", "because it is not installed (cargo install cargo-deny)");
    }
    step("cargo doc", || run(workspace.cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings")))
}
