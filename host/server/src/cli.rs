//! The command line: what can be asked of the binary, and who answers.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::client::Remote;
use crate::config::{Config, Sources};
use crate::failure::{Doing as _, Result};
use crate::{check, claims, client, dead_letters, environment, logging, projections, serve, terminal};

/// The host's part of the stack of a thread: what Rust gives to one if nobody asks for more.
const HOST_STACK: usize = 2 * 1024 * 1024;

/// A server for event-sourced domain logic whose guests are WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "yado", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server. Every flag is also a key of yado.toml and an environment variable; `--help` lists them all.
    #[command(args_override_self = true)]
    Serve(Box<Serve>),
    /// Prints the configuration that `serve` would run with. Passwords and tokens are covered.
    Config(Box<Sources>),
    /// Compares who holds which unique value with what the log says, and repairs it.
    #[command(subcommand)]
    Claims(Claims),
    /// Looks at plugins, and deploys them to a running server.
    #[command(subcommand)]
    Plugin(Plugin),
    /// Tells how the projections of a running server stand, pauses them, and fills their tables anew.
    #[command(subcommand)]
    Projection(Projection),
    /// Shows the events at which projections of a running server fail, and has them shown again.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
}

#[derive(Debug, Args)]
struct Serve {
    /// Prints the configuration, and does not start.
    #[arg(long)]
    print_config: bool,

    #[command(flatten)]
    sources: Sources,
}

#[derive(Debug, Subcommand)]
enum Claims {
    /// Says where the table of claims differs from the log, and changes nothing. A server may run meanwhile.
    Check(Box<Sources>),
    /// Makes the table of claims say what the log says. A server may run meanwhile.
    Rebuild(Box<Sources>),
}

#[derive(Debug, Subcommand)]
enum Plugin {
    /// Loads a plugin's file here, without a server, and prints what it brings or why it is refused.
    Check {
        /// The component, or a core module that carries its component type.
        file: PathBuf,
    },
    /// Hands a plugin's file to a running server, which puts it in place of the version that runs.
    Deploy {
        /// The component, or a core module that carries its component type.
        file: PathBuf,
        #[command(flatten)]
        remote: Remote,
    },
    /// Lists the plugins of a running server.
    List {
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Subcommand)]
enum Projection {
    /// Lists them: what they do, how far they are, and how fast.
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Has one stand still, or, while its tables are filled anew, the filling. It stays so after a restart.
    Pause {
        /// Its name, as the list has it.
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Has one go on that stands still.
    Resume {
        /// Its name, as the list has it.
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Fills the tables of one anew beside those that serve, and puts them in their place when they show as much.
    Rebuild {
        /// Its name, as the list has it.
        name: String,
        /// Gives up what is being filled, also by a plugin that is being deployed: the tables that serve go on, and the others are
        /// dropped.
        #[arg(long)]
        cancel: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Subcommand)]
enum DeadLetters {
    /// Lists the streams that wait, and the tenants of which everything does, each with the event at which a projection fails.
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Prints all there is to know of one, the event's payload included.
    Show {
        /// PROJECTION:POSITION, or PROJECTION:tenant:TENANT, as the list has it.
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Has the projection shown again what waits, from that event on. Other code does that by itself.
    Replay {
        /// PROJECTION:POSITION, or PROJECTION:tenant:TENANT, as the list has it.
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
}

impl Cli {
    /// What the command line asks for. If it asks for help, or for nothing that can be, this prints what there is to say
    /// and ends the process.
    pub(crate) fn read() -> Self {
        let mut command = environment::without_empty(Self::command());
        let matches = command.get_matches_mut();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }

    /// Does what was asked. The time is when the process began.
    pub(crate) fn run(self, began: Instant) -> Result<()> {
        match self.command {
            Command::Serve(serve) if serve.print_config => print(serve.sources),
            Command::Serve(serve) => {
                let config = Config::resolve(serve.sources)?;
                logging::start(&config)?;
                environment::unread(&Self::command()).iter().for_each(|remark| tracing::warn!("{remark}"));
                let threads = threads(config.guests.limits.stack_bytes + HOST_STACK)?;
                threads.block_on(Box::pin(serve::run(config, began)))
            }
            Command::Config(sources) => print(*sources),
            Command::Claims(Claims::Check(sources)) => claims(*sources, false),
            Command::Claims(Claims::Rebuild(sources)) => claims(*sources, true),
            Command::Plugin(Plugin::Check { file }) => check::run(&file),
            Command::Plugin(Plugin::Deploy { file, remote }) => {
                threads(HOST_STACK)?.block_on(client::deploy(&file, &remote))
            }
            Command::Plugin(Plugin::List { remote }) => threads(HOST_STACK)?.block_on(client::list(&remote)),
            Command::Projection(Projection::List { remote }) => {
                threads(HOST_STACK)?.block_on(projections::list(&remote))
            }
            Command::Projection(Projection::Pause { name, remote }) => {
                threads(HOST_STACK)?.block_on(projections::tell(&name, "pause", &remote))
            }
            Command::Projection(Projection::Resume { name, remote }) => {
                threads(HOST_STACK)?.block_on(projections::tell(&name, "resume", &remote))
            }
            Command::Projection(Projection::Rebuild { name, cancel: true, remote }) => {
                threads(HOST_STACK)?.block_on(projections::cancel(&name, &remote))
            }
            Command::Projection(Projection::Rebuild { name, remote, .. }) => {
                threads(HOST_STACK)?.block_on(projections::tell(&name, "rebuild", &remote))
            }
            Command::DeadLetters(DeadLetters::List { remote }) => {
                threads(HOST_STACK)?.block_on(dead_letters::list(&remote))
            }
            Command::DeadLetters(DeadLetters::Show { id, remote }) => {
                threads(HOST_STACK)?.block_on(dead_letters::show(&id, &remote))
            }
            Command::DeadLetters(DeadLetters::Replay { id, remote }) => {
                threads(HOST_STACK)?.block_on(dead_letters::replay(&id, &remote))
            }
        }
    }
}

/// The threads that do the work. Guests run on them, so a guest's part of the stack is part of theirs.
fn threads(stack_bytes: usize) -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_stack_size(stack_bytes).build().doing(|| "threads can't be started".to_owned())
}

fn claims(sources: Sources, apply: bool) -> Result<()> {
    threads(HOST_STACK)?.block_on(claims::run(&Config::resolve(sources)?, apply))
}

fn print(sources: Sources) -> Result<()> {
    environment::unread(&Cli::command()).iter().for_each(|remark| terminal::tell(&format!("yado: {remark}")));
    terminal::say(Config::resolve(sources)?.to_toml()?.trim_end());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
