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
mod dead_letters;
mod environment;
mod example;
mod failure;
mod front;
mod health;
mod http;
mod logging;
mod metrics;
mod plugins;
mod projections;
mod serve;
mod stop;
mod terminal;
mod token;

use std::process::ExitCode;
use std::time::Instant;

use mimalloc::MiMalloc;

/// A command is made of many small pieces that one thread makes and another one frees, which the allocators of most
/// systems pay for with locks.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let began = Instant::now();
    let ended = cli::Cli::read().run(began);
    logging::settle();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::tell(&format!("yado: {failure}"));
            ExitCode::FAILURE
        }
    }
}
