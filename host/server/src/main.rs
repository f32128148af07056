//! The `yado` binary: configuration, wiring, HTTP, command line.
//!
//! Everything that decides, stores or answers lives in the crates below; here it is put together and shown to the world.

mod admin;
mod banner;
mod check;
mod claims;
mod cli;
mod client;
mod config;
mod connections;
mod data;
mod environment;
mod example;
mod failure;
mod front;
mod health;
mod http;
mod logging;
mod metrics;
mod plugins;
mod serve;
mod stop;
mod terminal;
mod token;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let began = Instant::now();
    match cli::Cli::read().run(began) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::tell(&format!("yado: {failure}"));
            ExitCode::FAILURE
        }
    }
}
