//! The `yado` binary: configuration, wiring, HTTP, command line.
//!
//! Everything that decides, stores or answers lives in the crates below; here it is put together and shown to the world.

mod admin;
mod banner;
mod check;
mod cli;
mod client;
mod config;
mod connections;
mod data;
mod example;
mod failure;
mod health;
mod http;
mod logging;
mod plugins;
mod serve;
mod stop;
mod terminal;
mod token;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

fn main() -> ExitCode {
    let began = Instant::now();
    match cli::Cli::parse().run(began) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::tell(&format!("yado: {failure}"));
            ExitCode::FAILURE
        }
    }
}
