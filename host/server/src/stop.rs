//! Being told to stop: by SIGINT or SIGTERM.
//!
//! The first signal lets requests finish. Whoever sends a second one does not want to wait.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::failure::{Doing as _, Result};
use crate::logging;

/// Whether the server has been told to stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Begins to listen to signals.
    pub(crate) fn on_signals() -> Result<Self> {
        let listen = |kind: SignalKind| signal(kind).doing(|| "signals can't be received".to_owned());
        let (interrupts, terminations) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let (tell, told) = watch::channel(false);
        tokio::spawn(listen_to(interrupts, terminations, tell));
        Ok(Self(told))
    }

    /// One that is told through the sender.
    #[cfg(test)]
    pub(crate) fn by_hand() -> (watch::Sender<bool>, Self) {
        let (tell, told) = watch::channel(false);
        (tell, Self(told))
    }

    /// Waits until the server is told to stop.
    pub(crate) async fn told(&self) {
        // Without a sender nobody can tell any more, and to stop is what is left.
        let _ = self.0.clone().wait_for(|told| *told).await;
    }

    /// Whether the server has been told to stop.
    pub(crate) fn is_told(&self) -> bool {
        *self.0.borrow()
    }
}

async fn listen_to(mut interrupts: Signal, mut terminations: Signal, tell: watch::Sender<bool>) {
    let mut next = async || {
        tokio::select! {
            _ = interrupts.recv() => 2,
            _ = terminations.recv() => 15,
        }
    };
    next().await;
    tell.send_replace(true);
    let number = next().await;
    tracing::warn!("told to stop a second time: exiting at once");
    logging::settle();
    // What a shell reports of a process that a signal has ended.
    std::process::exit(128 + number);
}
