//! The body of a request, as long as its sender goes on with it.
//!
//! Whatever reads a body, it waits no longer than the configuration says, and when the server stops, no longer than a
//! moment for each part. Routes may have limits of their own below these.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Patience;

/// Why a body ends before its end: its sender has not sent it in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body has not come in time")]
pub(super) struct Stalled;

/// Whether an error comes from a body that was not sent in time.
pub(crate) fn is_stalled(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<Stalled>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A body with a limit to its time.
pub(super) struct Timed<B> {
    body: B,
    patience: Patience,
    /// When all of it has to be here.
    end: Instant,
    finishing: watch::Receiver<()>,
    /// What ends the wait for the next part; made for the first part that has to be waited for, which most bodies of
    /// ordinary size never need.
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<B> Timed<B> {
    /// Puts the limits of the connection on a body whose head has just been read.
    pub(super) fn new(body: B, patience: Patience, finishing: watch::Receiver<()>) -> Self {
        Self { body, patience, end: Instant::now() + patience.body, finishing, waiting: None }
    }
}

/// Ends when the next part of a body is overdue.
async fn overdue(end: Instant, patience: Patience, mut finishing: watch::Receiver<()>) {
    let stopping = async {
        let _ = finishing.changed().await;
        tokio::time::sleep(patience.grace).await;
    };
    tokio::select! {
        () = sleep_until(end) => {}
        () = stopping => {}
    }
}

impl<B> Body for Timed<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(part) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = None;
            // A sender that trickles always has a part in time, but never the whole.
            let late = self.end <= Instant::now() && matches!(part, Some(Ok(_)));
            return Poll::Ready(if late {
                Some(Err(Stalled.into()))
            } else {
                part.map(|part| part.map_err(Into::into))
            });
        }
        let (end, patience) = (self.end, self.patience);
        let finishing = self.finishing.clone();
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(overdue(end, patience, finishing)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Stalled.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body whose sender has sent something, and the rest not in time.
#[cfg(test)]
pub(crate) fn stalled() -> axum::body::Body {
    use std::time::Duration;

    let patience =
        Patience { idle: Duration::ZERO, body: Duration::ZERO, taken: Duration::ZERO, grace: Duration::ZERO };
    let (_, finishing) = watch::channel(());
    axum::body::Body::new(Timed::new(axum::body::Body::from("still coming"), patience, finishing))
}
