//! Accepts connections, and lets them end in order.
//!
//! There is a limit to how many are open at a time, and to how long one may be idle or take to send the head of a
//! request: a client that opens connections and says nothing takes no other client's place for long.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::config::Http;
use crate::stop::Stop;

/// The pause after an accept that failed for want of resources, which only time or a closed connection mends.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until it is told to stop, then lets the requests under way finish for as long as the configuration says.
pub(crate) async fn serve(listener: TcpListener, router: Router, http: &Http, stop: &Stop) {
    let permits = Arc::new(Semaphore::new(usize::try_from(http.connections).unwrap_or(Semaphore::MAX_PERMITS)));
    let idle = Duration::from_millis(http.idle_ms);
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
                Ok((stream, _)) => {
                    let connection = connection(stream, router.clone(), idle, finishing.clone());
                    open.spawn(async move {
                        connection.await;
                        drop(permit);
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

/// One connection. When the sender of `finishing` is gone, it ends with the request that it is at.
async fn connection(stream: TcpStream, router: Router, idle: Duration, mut finishing: watch::Receiver<()>) {
    // Answers are written whole, so there is nothing to gather.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = finishing.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients go away whenever they like; that is for the curious.
        tracing::debug!(%error, "a connection broke");
    }
}

#[cfg(test)]
mod tests;
