//! What an operator tells a projection's loop while it runs.

use tokio::sync::{mpsc, oneshot, watch};
use yado_store::{Held, Parked};

use super::Status;

/// Orders that may wait for a loop. One more waits with whoever gives it.
pub(super) const QUEUE: usize = 64;

/// What a loop is told.
pub(crate) enum Order {
    /// To take up again what it has put aside.
    Replay { held: Held, reply: oneshot::Sender<Replayed> },
    /// To stand still, or to go on.
    Pause(bool),
    /// To look whether what it has kept is there still.
    Look,
}

/// What became of a stream that was to be taken up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// All of it is shown. Of a tenant that waited as a whole, streams may wait by themselves.
    Shown,
    /// It fails again, and stays parked.
    Parked(Box<Parked>),
}

/// The way to a loop, for as long as that runs.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) status: watch::Receiver<Status>,
}

impl Handle {
    /// How the loop stands, and news of it.
    pub(crate) const fn status(&self) -> &watch::Receiver<Status> {
        &self.status
    }

    /// The projection's name.
    pub(crate) fn name(&self) -> String {
        self.status.borrow().name.clone()
    }

    /// Takes up again what is put aside. None, if the loop has ended.
    pub(crate) async fn replay(&self, held: Held) -> Option<Replayed> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Replay { held, reply }).await.ok()?;
        answer.await.ok()
    }

    /// Has the loop stand still, or go on, as soon as it comes to that.
    pub(crate) fn heed(&self, paused: bool) {
        if self.status.borrow().paused != paused {
            // A loop that has so many orders waiting is looked at again before long.
            let _ = self.orders.try_send(Order::Pause(paused));
        }
    }

    /// Has the loop look whether what it has kept is there still.
    pub(crate) fn look(&self) {
        // One that has so many orders waiting is told again before long.
        let _ = self.orders.try_send(Order::Look);
    }

    /// Has the loop stand still, or go on, and waits until it does. None, if the loop has ended.
    pub(crate) async fn pause(&self, paused: bool) -> Option<()> {
        self.orders.send(Order::Pause(paused)).await.ok()?;
        let mut status = self.status.clone();
        status.wait_for(|status| status.paused == paused).await.ok().map(|_| ())
    }
}
