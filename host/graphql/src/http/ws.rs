//! GraphQL over a WebSocket: the protocol `graphql-transport-ws`.
//!
//! A client says that it speaks the protocol, and then begins operations, each under an id of its own: subscriptions, and
//! queries and mutations as well. What a socket holds is small, because there may be ten thousands of them: two buffers of
//! 4 KiB, one task, and a place in what each subscription follows.
//!
//! A subscription is in force before the next message is read: whoever has the answer to a `ping` that was sent after a
//! `subscribe` misses nothing that is recorded from then on.
//!
//! Pages of other sites can open sockets, and browsers ask nobody whether they may. Whoever serves this sees to it that
//! only those do that are meant to.

mod beside;
mod message;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Message as Frame, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::header::{RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response as HttpResponse, StatusCode};
use futures::future::{Either, FutureExt as _};
use futures::stream::{self, AbortHandle, BoxStream, SelectAll, abortable};
use futures::{SinkExt as _, StreamExt as _};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use super::{Fault, caller};
use crate::error::Error;
use crate::graphql::Begun;
use crate::live::{Place, Told};
use crate::request::{Caller, Request, Response};
use crate::{GraphQl, Limits};

use beside::{Beside, Turn};
use message::{Sent, Wrong};

/// The name of the protocol.
const PROTOCOL: &str = "graphql-transport-ws";
/// The buffer for what comes in over a socket, in bytes. There are as many as there are sockets.
const READ_BUFFER: usize = 4 * 1024;
/// From how many bytes on what is to go out does: about what a packet holds. The buffer for it doubles until it has room for
/// so many and stays like that, so that more of them would be kept by every socket that was ever told much at once.
const WRITE_BUFFER: usize = 1_400;
/// What a message may have beside its document: variables, mostly.
const BESIDE_DOCUMENT: usize = 64 * 1024;
/// How many signs of life a client may leave without an answer.
const SILENCES: u32 = 3;
/// So many messages of one socket are gathered at most before they are sent.
const GATHERED: usize = 32;
/// How long a client may take to take a word of farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a socket is closed: the protocol's codes, and those of WebSockets.
mod code {
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const NOT_UTF_8: u16 = 1007;
    pub(super) const TOO_LARGE: u16 = 1009;
    pub(super) const BAD_REQUEST: u16 = 4400;
    pub(super) const UNAUTHORIZED: u16 = 4401;
    pub(super) const SUBPROTOCOL: u16 = 4406;
    pub(super) const INIT_TIMEOUT: u16 = 4408;
    pub(super) const ALREADY: u16 = 4409;
    pub(super) const TOO_MANY_INITS: u16 = 4429;
    /// A code of this server's own.
    pub(super) const SLOW_READER: u16 = 4290;
}

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Makes a WebSocket of a connection.
pub(super) async fn upgrade(graphql: &GraphQl, mut head: Parts) -> HttpResponse<Body> {
    let fault = |status, error| Fault::of(status, error);
    let refuse = |fault: Fault| axum::response::IntoResponse::into_response(fault);
    let place = match graphql.live().place() {
        Ok(place) => place,
        Err(error) => {
            let mut answer = refuse(fault(StatusCode::SERVICE_UNAVAILABLE, error));
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return answer;
        }
    };
    let caller = match caller(&head.headers) {
        Ok(caller) => Caller { idempotency_key: None, min_position: None, told: None, ..caller },
        Err(fault) => return refuse(fault),
    };
    let asks = head.headers.contains_key(SEC_WEBSOCKET_PROTOCOL);
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut head, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let reason = format!("this is no handshake of a WebSocket: {rejection}");
            return refuse(Fault::new(axum::response::IntoResponse::into_response(rejection).status(), reason));
        }
    };
    let limits = graphql.limits();
    let largest = limits.document_bytes.saturating_add(BESIDE_DOCUMENT);
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(largest)
        .max_frame_size(largest);
    let speaks = upgrade.selected_protocol().is_some();
    let graphql = graphql.clone();
    upgrade.on_upgrade(move |socket| {
        // The future is large, and whoever runs it keeps it in his own for as long as the socket is open.
        Box::pin(async move {
            let mut socket = Socket::new(graphql, socket, caller, place);
            let end = if speaks {
                socket.run().await
            } else {
                let why = if asks { "is not among the protocols that are asked for" } else { "was not asked for" };
                End::closing(code::SUBPROTOCOL, format!("{PROTOCOL} {why}"))
            };
            socket.close(end).await;
        })
    })
}

/// How a socket ends.
enum End {
    /// It is gone.
    Gone,
    /// It is closed, with a code and the reason.
    Close(u16, String),
}

impl End {
    fn closing(code: u16, reason: impl Into<String>) -> Self {
        Self::Close(code, reason.into())
    }
}

impl From<Wrong> for End {
    fn from(wrong: Wrong) -> Self {
        Self::closing(code::BAD_REQUEST, wrong.0)
    }
}

/// What an operation has to say.
enum Said {
    /// The only answer, which has its turn until it is told.
    Answer { response: Response, turn: Turn },
    /// One of several answers, or why there are no more.
    Told(Told),
}

type Operations = SelectAll<BoxStream<'static, (Arc<str>, Said)>>;

struct Socket {
    graphql: GraphQl,
    socket: WebSocket,
    caller: Caller,
    /// What ends each of the operations under way, by id, and whether it is a subscription.
    known: HashMap<Arc<str>, (AbortHandle, bool)>,
    operations: Operations,
    beside: Beside,
    /// Whether the client has said that it speaks the protocol.
    is_acknowledged: bool,
    /// Whether the server is about to stop.
    is_closing: bool,
    heard: Instant,
    _place: Place,
}

impl Socket {
    fn new(graphql: GraphQl, socket: WebSocket, caller: Caller, place: Place) -> Self {
        let (known, operations, beside) = (HashMap::new(), SelectAll::new(), Beside::new());
        let (is_acknowledged, is_closing, heard) = (false, false, Instant::now());
        Self { graphql, socket, caller, known, operations, beside, is_acknowledged, is_closing, heard, _place: place }
    }

    fn limits(&self) -> &Limits {
        self.graphql.limits()
    }

    async fn run(&mut self) -> End {
        match self.converse().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn converse(&mut self) -> Result<std::convert::Infallible, End> {
        let mut closing = self.graphql.live().closing();
        self.is_closing = *closing.borrow_and_update();
        let begun = Instant::now();
        let init = begun + Duration::from_millis(self.limits().socket_init_ms);
        let pause = Duration::from_millis(self.limits().keep_alive_ms.max(1));
        let mut sign = begun + pause;
        loop {
            if self.is_closing && self.only_subscriptions() {
                return Err(End::closing(code::GOING_AWAY, "the server is about to stop"));
            }
            tokio::select! {
                // It changes once, and there is one to tell for as long as there is this socket.
                _ = closing.changed(), if !self.is_closing => {
                    self.is_closing = true;
                    self.end_subscriptions();
                }
                () = sleep_until(if self.is_acknowledged { sign } else { sign.min(init) }) => {
                    if !self.is_acknowledged && Instant::now() >= init {
                        return Err(End::closing(code::INIT_TIMEOUT, "Connection initialisation timeout"));
                    }
                    if self.heard + pause * SILENCES < Instant::now() {
                        return Err(End::Gone);
                    }
                    self.write(Frame::Ping(axum::body::Bytes::new())).await?;
                    sign = Instant::now() + pause;
                }
                frame = self.socket.next() => {
                    self.heard = Instant::now();
                    self.read(frame).await?;
                }
                Some((id, said)) = self.operations.next(), if !self.operations.is_empty() => {
                    self.say(id, said).await?;
                }
            }
        }
    }

    /// Takes in what the client has sent.
    async fn read(&mut self, frame: Option<Result<Frame, axum::Error>>) -> Result<(), End> {
        let text = match frame {
            Some(Ok(Frame::Text(text))) => text,
            Some(Ok(Frame::Binary(_))) => return Err(Wrong::new("messages are texts").into()),
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => return Ok(()),
            Some(Ok(Frame::Close(_))) | None => return Err(End::Gone),
            Some(Err(error)) => return Err(broken(error)),
        };
        match message::read(text.as_bytes())? {
            Sent::Init if self.is_acknowledged => {
                Err(End::closing(code::TOO_MANY_INITS, "Too many initialisation requests"))
            }
            Sent::Init => {
                self.is_acknowledged = true;
                self.write(text_frame(message::ACKNOWLEDGED.to_owned())).await
            }
            Sent::Ping(payload) => self.write(text_frame(message::pong(payload.as_ref()))).await,
            Sent::Pong => Ok(()),
            Sent::Subscribe { .. } if !self.is_acknowledged => Err(End::closing(code::UNAUTHORIZED, "Unauthorized")),
            Sent::Subscribe { id, .. } if self.known.contains_key(id.as_str()) => {
                Err(End::closing(code::ALREADY, format!("Subscriber for {id} already exists")))
            }
            Sent::Subscribe { id, request } => self.begin(id.into(), *request).await,
            Sent::Complete { id } => {
                if let Some((operation, _)) = self.known.remove(id.as_str()) {
                    operation.abort();
                }
                Ok(())
            }
        }
    }

    /// Begins an operation.
    async fn begin(&mut self, id: Arc<str>, request: Request) -> Result<(), End> {
        let most = self.limits().operations_per_socket;
        let refuse = |error: Error| Err(Box::new(Response::refused(vec![error.whole()])));
        let begun = if self.is_closing {
            // A socket that is never without an operation would never be closed.
            refuse(Error::Closing)
        } else if self.known.len() >= most {
            refuse(Error::operations(most))
        } else {
            self.graphql.begin(Request { caller: self.caller.clone(), ..request }).await
        };
        let (said, lives) = match begun {
            Err(response) => return self.write(text_frame(message::error(&id, &response.errors_to_json()))).await,
            Ok(Begun::Once(answer)) => (
                Either::Left(stream::once(
                    self.beside.clone().run(answer).map(|(response, turn)| Said::Answer { response, turn }),
                )),
                false,
            ),
            Ok(Begun::Live(subscriber)) => (Either::Right(subscriber.told().map(Said::Told)), true),
        };
        let own = id.clone();
        let (said, abort) = abortable(said);
        self.operations.push(said.map(move |said| (own.clone(), said)).boxed());
        self.known.insert(id, (abort, lives));
        Ok(())
    }

    /// Sends on what operations have to say, with what else there is to say at this moment.
    async fn say(&mut self, id: Arc<str>, said: Said) -> Result<(), End> {
        let limit = Duration::from_millis(self.limits().slow_ms);
        let (first, mut turns) = (id.clone(), Vec::new());
        let mut frames = self.frames(id, said, &mut turns)?;
        for _ in 1..GATHERED {
            match self.operations.next().now_or_never() {
                Some(Some((id, said))) => frames.extend(self.frames(id, said, &mut turns)?),
                _ => break,
            }
        }
        let send = async {
            for frame in frames {
                self.socket.feed(frame).await?;
            }
            self.socket.flush().await
        };
        sent(timeout(limit, send).await).map_err(|unsent| self.unsent(unsent, Some(&first)))
    }

    /// What an operation has to say, as it is sent. Its turn goes on until that is done.
    fn frames(&mut self, id: Arc<str>, said: Said, turns: &mut Vec<Turn>) -> Result<Vec<Frame>, End> {
        let told = match said {
            Said::Answer { response, turn } => {
                turns.push(turn);
                self.known.remove(&id);
                if response.is_refused() {
                    return Ok(vec![text_frame(message::error(&id, &response.errors_to_json()))]);
                }
                let answer = text_frame(message::next(&id, &response.to_text()));
                return Ok(vec![answer, text_frame(message::complete(&id))]);
            }
            Said::Told(told) => told,
        };
        match told {
            Told::Next(message) => Ok(vec![text_frame(message::next(&id, &message.payload))]),
            Told::Failed(errors) => {
                self.known.remove(&id);
                Ok(vec![text_frame(message::error(&id, &errors))])
            }
            Told::Slow => Err(self.slow(Some(&id))),
        }
    }

    async fn write(&mut self, frame: Frame) -> Result<(), End> {
        let limit = Duration::from_millis(self.limits().slow_ms);
        sent(timeout(limit, self.socket.send(frame)).await).map_err(|unsent| self.unsent(unsent, None))
    }

    /// Why it ends when something could not be sent, which was of an operation, or of none.
    fn unsent(&self, unsent: Unsent, operation: Option<&str>) -> End {
        match unsent {
            Unsent::Broken => End::Gone,
            Unsent::Late => self.slow(operation),
        }
    }

    /// Why it ends when what there is to tell is not taken in time.
    fn slow(&self, operation: Option<&str>) -> End {
        let tenant = &self.caller.tenant;
        tracing::warn!(%tenant, operation, "a socket did not take in time what it was told, and is closed");
        End::closing(code::SLOW_READER, yado_model::Code::SlowReader.as_str())
    }

    /// Whether nothing is under way that has an end of its own.
    fn only_subscriptions(&self) -> bool {
        self.known.values().all(|(_, lives)| *lives)
    }

    fn end_subscriptions(&mut self) {
        self.known.retain(|_, (operation, lives)| {
            if *lives {
                operation.abort();
            }
            !*lives
        });
    }

    /// Says farewell.
    async fn close(mut self, end: End) {
        let End::Close(code, reason) = end else { return };
        // Nobody is told any more what they come to.
        self.operations.clear();
        let mut patience = FAREWELL;
        if code == code::SLOW_READER {
            // All that is on its way to it comes before the reason.
            patience = patience.max(Duration::from_millis(self.limits().slow_ms));
        }
        let frame = CloseFrame { code, reason: Utf8Bytes::from(message::reason(reason)) };
        let close = async {
            self.socket.send(Frame::Close(Some(frame))).await?;
            // Its answer tells that it has come.
            while let Some(Ok(_)) = self.socket.next().await {}
            Ok::<_, axum::Error>(())
        };
        let _ = timeout(patience, close).await;
    }
}

fn text_frame(text: String) -> Frame {
    Frame::Text(Utf8Bytes::from(text))
}

/// Why something could not be sent.
enum Unsent {
    /// Nobody is there any more.
    Broken,
    /// It was not taken in time.
    Late,
}

fn sent(sent: Result<Result<(), axum::Error>, tokio::time::error::Elapsed>) -> Result<(), Unsent> {
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Unsent::Broken),
        Err(_) => Err(Unsent::Late),
    }
}

/// What is wrong with what came over a socket.
fn broken(error: axum::Error) -> End {
    let error = match error.into_inner().downcast::<SocketError>() {
        Ok(error) => *error,
        Err(error) => {
            tracing::debug!(error, "a socket broke");
            return End::Gone;
        }
    };
    let code = match &error {
        SocketError::Capacity(_) => code::TOO_LARGE,
        SocketError::Utf8(_) => code::NOT_UTF_8,
        // Nobody is there any more to be told.
        SocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing) => {
            return End::Gone;
        }
        SocketError::Protocol(_) | SocketError::AttackAttempt => code::PROTOCOL,
        _ => {
            tracing::debug!(%error, "a socket broke");
            return End::Gone;
        }
    };
    End::closing(code, error.to_string())
}
