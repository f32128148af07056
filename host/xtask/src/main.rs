//! `cargo xtask …`: the project's own commands.
//!
//! Each command is a module that says what it does while it does it, and returns why it could not.

mod bench;
mod curl;
mod debian;
mod graphiql;
mod node;
mod plugins;
mod postgres;
mod python;
mod run;
mod rustup;
mod step;
mod summary;
mod test;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use crate::step::say;
use crate::workspace::Workspace;

/// Why a command could not do what it is for, in words for whoever runs it.
type Failure = String;

const USAGE: &str = "\
cargo xtask run [FLAG…]        builds everything and starts the server; flags are those of `yado serve`
cargo xtask test [FILTER]      runs all checks and tests, or only the tests whose names contain the filter
cargo xtask plugins [NAME…]    builds all plugins, or the named ones, to target/plugins/<name>.wasm
cargo xtask bench [FLAG…]      measures Yado beside other systems; an unknown flag shows those that there are
cargo xtask graphiql           builds the page at /graphiql, which the next build of the host embeds; needs Node";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((command, rest)) => match command.as_str() {
            "run" => Workspace::find().and_then(|workspace| run::run(&workspace, rest)),
            "test" => Workspace::find().and_then(|workspace| test::test(&workspace, rest)),
            "plugins" => Workspace::find().and_then(|workspace| plugins::run(&workspace, rest)),
            "bench" => Workspace::find().and_then(|workspace| bench::bench(&workspace, rest)),
            "graphiql" => Workspace::find().and_then(|workspace| graphiql::build(&workspace)),
            other => Err(format!("there is no command {other}\n\n{USAGE}")),
        },
        None => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure);
            ExitCode::FAILURE
        }
    }
}
