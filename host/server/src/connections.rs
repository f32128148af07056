//! Accepts connections, and lets them end in order.
//!
//! There is a limit to how many are open at a time, to how long one may be idle or take to send the head of a request, and
//! to how long the body may take: a client that opens connections and says nothing, or stops in the middle, takes no other
//! client's place for long. Neither does one that takes nothing of its answer. When the server stops, whoever has begun a
//! request and does not go on with it is hung up on soon; what the server itself is still at gets all the time that the
//! configuration gives it.

mod body;
mod taken;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use yado_graphql::Streaming;

use crate::config::Http;
use crate::front::Front;
use crate::stop::Stop;

use body::Timed;
pub(crate) use body::is_stalled;
#[cfg(test)]
pub(crate) use body::stalled;
use taken::Taken;

/// The pause after an accept that failed for want of resources, which only time or a closed connection mends.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a client may keep a stopping server waiting for the next part of a request. What is on its way through a
/// network arrives within that.
const GRACE: Duration = Duration::from_secs(1);

/// How long parts of a request may take.
#[derive(Debug, Clone, Copy)]
struct Patience {
    idle: Duration,
    body: Duration,
    /// How long nothing of an answer may be taken.
    taken: Duration,
    grace: Duration,
}

/// Serves until it is told to stop, then lets the requests under way finish for as long as the configuration says. Whoever
/// follows what happens and is too slow for it may take so long to be told so.
pub(crate) async fn serve(listener: TcpListener, front: Front, http: &Http, farewell: Duration, stop: &Stop) {
    let idle = Duration::from_millis(http.idle_ms);
    let patience =
        Patience { idle, body: Duration::from_millis(http.body_ms), taken: idle.max(farewell), grace: GRACE };
    serve_within(listener, front, http, patience, stop).await;
}

async fn serve_within(listener: TcpListener, front: Front, http: &Http, patience: Patience, stop: &Stop) {
    let permits = Arc::new(Semaphore::new(usize::try_from(http.connections).unwrap_or(Semaphore::MAX_PERMITS)));
    let (finish, finishing) = watch::channel(());
    let mut open = JoinSet::new();
    loop {
        let next = async {
            // Nobody closes the semaphore; if it were closed, there would be no limit, and no connection lost.
            let permit = permits.clone().acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        tokio::select! {
            () = stop.told() => break,
            Some(_) = open.join_next() => {}
            (accepted, permit) = next => match accepted {
                Ok((stream, peer)) => {
                    let connection = connection(stream, front.clone(), patience, finishing.clone(), permit);
                    open.spawn(async move {
                        if let Err(error) = connection.await {
                            // Clients go away whenever they like; that is for the curious.
                            tracing::debug!(%peer, %error, "a connection broke");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    drop(finish);
    let drained = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_millis(http.drain_ms), drained).await.is_err() {
        tracing::warn!(after_ms = http.drain_ms, "requests that were still going on have been cut off");
    }
}

/// One connection. When the sender of `finishing` is gone, it ends with the request that it is at. It has its place among
/// the connections until it becomes a socket, or an answer goes on for as long as its client likes: those have places of
/// their own.
async fn connection(
    stream: TcpStream,
    front: Front,
    patience: Patience,
    finishing: watch::Receiver<()>,
    permit: Option<OwnedSemaphorePermit>,
) -> hyper::Result<()> {
    // Answers are written whole, so there is nothing to gather.
    let _ = stream.set_nodelay(true);
    let begun = AtomicBool::new(false);
    let permit = Mutex::new(permit);
    let permit = &permit;
    let service = service_fn(|request: hyper::Request<Incoming>| {
        begun.store(true, Ordering::Relaxed);
        let request = request.map(|body| Body::new(Timed::new(body, patience, finishing.clone())));
        let answer = front.answer(request);
        async move {
            let answer: Response = answer.await;
            if answer.extensions().get::<Streaming>().is_some() {
                permit.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
            Ok::<Response, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.idle)
        .serve_connection(TokioIo::new(Taken::new(stream, patience.taken)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut told = finishing.clone();
    tokio::select! {
        ended = connection.as_mut() => ended,
        _ = told.changed() => {
            connection.as_mut().graceful_shutdown();
            // A connection between two requests is closed by now, and one that is at its request stays open for it. What
            // is left is a first request whose head has not come whole.
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = tokio::time::sleep(patience.grace), if !begun.load(Ordering::Relaxed) => {
                    if !begun.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    connection.await
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
