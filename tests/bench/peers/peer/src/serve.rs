//! A peer's life: it opens its accounts, says so, does what it is told line by line, and ends with its standard input.

use std::future::Future;
use std::io::{self, BufRead};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::Flags;
use crate::protocol::{Failed, NotReady, Outcome, Ready, Spec, say};
use crate::round::{self, Client};

/// A system that is measured, ready for clients.
pub trait Peer: Sized + Send + 'static {
    /// Who deposits.
    type Client: Client;

    /// Sets it up, and opens accounts.
    ///
    /// # Errors
    /// If it can't do its work here; the bench shows the reason.
    fn open(flags: &Flags) -> impl Future<Output = Result<Self>>;

    /// What is measured, with its version.
    fn version(&self) -> String;

    /// What matters for durability and speed, in words.
    fn settings(&self) -> String;

    /// One more client. It is kept for the rounds to come.
    ///
    /// # Errors
    /// If it can't be connected.
    fn client(&self) -> impl Future<Output = Result<Self::Client>>;

    /// Processes that were started, whose processor time counts.
    fn processes(&self) -> Vec<u32> {
        Vec::new()
    }
}

/// The main function of a peer that carries out rounds.
#[must_use]
pub fn serve<P: Peer>() -> ExitCode {
    exit(live::<P>(&Flags::parse()))
}

/// What a peer that only serves has to say.
#[derive(Debug)]
pub struct Readiness {
    /// What is measured, with its version.
    pub version: String,
    /// What matters for speed, in words.
    pub settings: String,
    /// Where GraphQL is served.
    pub url: Option<String>,
}

/// The main function of a peer that others send requests to.
#[must_use]
pub fn host(start: impl AsyncFnOnce(&Flags) -> Result<Readiness>) -> ExitCode {
    exit(wait(start))
}

fn exit(lived: Result<()>) -> ExitCode {
    let Err(error) = lived else { return ExitCode::SUCCESS };
    // The bench has hung up if this fails too, and nobody is left to tell.
    let _ = say(&NotReady { ready: false, reason: format!("{error:#}") });
    ExitCode::FAILURE
}

fn wait(start: impl AsyncFnOnce(&Flags) -> Result<Readiness>) -> Result<()> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let Readiness { version, settings, url } = runtime.block_on(start(&Flags::parse()))?;
    say(&Ready { ready: true, version: &version, settings: &settings, url: url.as_deref() })?;
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

fn live<P: Peer>(flags: &Flags) -> Result<()> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let peer = runtime.block_on(P::open(flags))?;
    say(&Ready { ready: true, version: &peer.version(), settings: &peer.settings(), url: None })?;
    let mut clients = Vec::new();
    for line in io::stdin().lock().lines() {
        match carry_out(&runtime, &peer, &mut clients, &line?) {
            Ok(outcome) => say(&outcome)?,
            Err(error) => say(&Failed { failed: format!("{error:#}") })?,
        }
    }
    Ok(())
}

fn carry_out<P: Peer>(runtime: &Runtime, peer: &P, clients: &mut Vec<P::Client>, line: &str) -> Result<Outcome> {
    let spec: Spec = serde_json::from_str(line)?;
    runtime.block_on(async {
        while clients.len() < spec.clients {
            clients.push(peer.client().await?);
        }
        let taken = clients.split_off(clients.len() - spec.clients);
        // In a task of its own: the thread that waits here is none of the runtime's, and would be woken for nothing.
        let processes = peer.processes();
        let round = tokio::spawn(async move { round::run(&spec, taken, &processes).await });
        let (outcome, back) = round.await??;
        clients.extend(back);
        Ok(outcome)
    })
}
