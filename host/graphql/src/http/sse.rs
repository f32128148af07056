//! GraphQL as a stream of events: "GraphQL over Server-Sent Events", with a connection for each operation.
//!
//! Whoever accepts `text/event-stream` gets one, whatever the operation is: each answer is an event `next`, and the end is
//! an event `complete`. What is wrong with a document is told in an answer as well; only what is no request at all is
//! refused by a status.
//!
//! A subscription that is cut short because the server stops, or because its client takes nothing, is not told `complete`:
//! to a client that is the end it asked for, and one whose stream ends without it comes back. Whoever took nothing is told
//! so before that, by an answer with the error `SLOW_READER`.
//!
//! What is told goes through a few places to the connection, and whoever fills them keeps the place of the stream and the
//! subscription. A connection that nobody reads from is known only to whoever writes to it, who has more patience; so it is
//! here that it is noticed, and that all that it held is given back. What is left is a few events,
//! and the reason behind them.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, VARY};
use axum::http::{HeaderName, HeaderValue, Response as HttpResponse, StatusCode};
use futures::Stream;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use yado_engine::Cursor;
use yado_model::TenantId;

use super::Fault;
use crate::GraphQl;
use crate::error::Error;
use crate::graphql::Begun;
use crate::live::{Place, Subscriber, Told};
use crate::request::{Request, Response};

/// Keeps proxies from gathering events.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A sign of life: a comment, which clients pass over.
const ALIVE: &[u8] = b":\n\n";

/// The end that a client has asked for, or that lies in what it has asked for.
const COMPLETE: &[u8] = b"event: complete\ndata: \n\n";

/// So many events are on their way to a connection at most. All that has one answer fits in, so that it need not wait.
const ON_THE_WAY: usize = 4;

/// Stands among the extensions of an answer that goes on for as long as its client likes: it has a place of its own, and
/// need not be counted among those that are soon done.
#[derive(Debug, Clone, Copy)]
pub struct Streaming;

/// Answers a request by a stream of events.
pub(super) async fn answer(graphql: &GraphQl, request: Request) -> HttpResponse<Body> {
    let place = match graphql.live().place() {
        Ok(place) => place,
        Err(error) => {
            let fault = Fault::of(StatusCode::SERVICE_UNAVAILABLE, error);
            let mut answer = axum::response::IntoResponse::into_response(fault);
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return answer;
        }
    };
    let (closing, tenant) = (graphql.live().closing(), request.caller.tenant.clone());
    let events = match graphql.begin(request).await {
        Err(response) => once(*response),
        Ok(Begun::Once(answer)) => stream::once(answer).flat_map(once).boxed(),
        Ok(Begun::Live(subscriber)) => told(subscriber).take_until(closed(closing)).boxed(),
    };
    // The first word is said at once, so that whoever is in between sees that there is an answer.
    let opened = stream::once(async { Bytes::from_static(ALIVE) });
    let pause = Duration::from_millis(graphql.limits().keep_alive_ms.max(1));
    let said = opened.chain(kept_alive(events, pause)).boxed();
    let (connection, taken) = mpsc::channel(ON_THE_WAY);
    let (last, ending) = oneshot::channel();
    tokio::spawn(send(place, tenant, said, connection, last, Duration::from_millis(graphql.limits().slow_ms)));
    let mut answer = HttpResponse::new(body(taken, ending));
    answer.extensions_mut().insert(Streaming);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    // Its place among the connections is another one's by the time that it ends.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// The only answer to a request.
fn once(response: Response) -> BoxStream<'static, Bytes> {
    stream::iter([next(None, &response.to_text()), Bytes::from_static(COMPLETE)]).boxed()
}

/// What a subscription tells, and how it ends.
fn told(subscriber: Subscriber) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(Some(subscriber.told().boxed()), |told| async {
        let mut told = told?;
        Some(match told.next().await {
            Some(Told::Next(message)) => (next(Some(message.cursor), &message.payload), Some(told)),
            Some(Told::Failed(errors)) => {
                // They were written as JSON, which is text.
                let answer = format!("{{\"errors\":{}}}", String::from_utf8_lossy(&errors));
                ([next(None, &answer), Bytes::from_static(COMPLETE)].concat().into(), None)
            }
            Some(Told::Slow) => (slow(), None),
            None => (Bytes::from_static(COMPLETE), None),
        })
    })
}

/// Why a stream ends whose client did not take what it was told.
fn slow() -> Bytes {
    next(None, &Response::refused(vec![Error::SlowReader.whole()]).to_text())
}

/// An event with an answer, which has no line breaks: JSON is written without them. A browser that is cut off sends the id
/// of the last event along when it comes back, and goes on behind that.
fn next(cursor: Option<Cursor>, answer: &str) -> Bytes {
    match cursor {
        Some(cursor) => format!("id: {cursor}\nevent: next\ndata: {answer}\n\n").into(),
        None => format!("event: next\ndata: {answer}\n\n").into(),
    }
}

async fn closed(mut closing: watch::Receiver<bool>) {
    // Without a sender there is no server any more.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Says something now and then where there is nothing to say, so that a connection that is gone is found to be.
fn kept_alive(events: BoxStream<'static, Bytes>, pause: Duration) -> BoxStream<'static, Bytes> {
    stream::unfold(events, move |mut events| async move {
        match timeout(pause, events.next()).await {
            Ok(event) => event.map(|event| (event, events)),
            Err(_) => Some((Bytes::from_static(ALIVE), events)),
        }
    })
    .boxed()
}

/// Sends events to a connection, and keeps a place, until they have ended, are not wanted any more, or are not taken for too
/// long. Then the last word is why.
async fn send(
    _place: Place,
    tenant: TenantId,
    mut events: BoxStream<'static, Bytes>,
    connection: mpsc::Sender<Bytes>,
    last: oneshot::Sender<Bytes>,
    patience: Duration,
) {
    loop {
        let event = tokio::select! {
            biased;
            () = connection.closed() => return,
            event = events.next() => event,
        };
        let Some(event) = event else { return };
        match connection.send_timeout(event, patience).await {
            Ok(()) => {}
            Err(SendTimeoutError::Closed(_)) => return,
            Err(SendTimeoutError::Timeout(_)) => {
                tracing::warn!(%tenant, "a stream of events was not taken in time, and is ended");
                // Nobody may be there to take that either.
                let _ = last.send(slow());
                return;
            }
        }
    }
}

/// What comes over a channel until that ends, and the last word, if there is one.
fn body(events: mpsc::Receiver<Bytes>, last: oneshot::Receiver<Bytes>) -> Body {
    let events = stream::unfold(events, |mut events| async move {
        let event = events.recv().await?;
        Some((event, events))
    });
    let last = stream::once(last).filter_map(async |last| last.ok());
    Body::from_stream(events.chain(last).map(Ok::<_, Infallible>))
}
