//! Subscriptions: what a server takes with 10,000 sockets that follow the same, and how soon all of them are told.

use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::Bench;
use crate::Result;
use crate::bank::Plugin;
use crate::contender::Yado;
use crate::figures::grouped;
use crate::http::Url;
use crate::report::say;
use crate::requirement::Verdict;
use crate::usage::resident_bytes;
use crate::work::Spec;

/// Sockets, with a subscription each.
const SOCKETS: u32 = 10_000;
/// Changes that each of them is told.
const CHANGES: u32 = 100;
/// What a server may take.
const ALLOWED: u64 = 300_000_000;
/// Sockets that are opened at the same time.
const AT_ONCE: usize = 64;
/// The buffers of a socket on this side, in bytes.
const BUFFER: usize = 4 * 1024;
/// How long it may take until everybody has been told everything.
const PATIENCE: Duration = Duration::from_secs(120);

const DOCUMENT: &str = "subscription { balanceCreated { id } }";

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Sockets {
    /// Sockets that were open.
    pub sockets: u32,
    /// Changes that each was told.
    pub changes: u32,
    /// The resident set of a server that has just started, in bytes.
    pub at_start_bytes: u64,
    /// The resident set with all sockets, while there was nothing to tell, in bytes.
    pub idle_bytes: u64,
    /// The resident set when everybody had been told everything, in bytes.
    pub told_bytes: u64,
    /// From the first change to the last message, in seconds.
    pub seconds: f64,
}

type Socket = WebSocketStream<TcpStream>;

impl Sockets {
    /// Measures a server on SQLite.
    ///
    /// # Errors
    /// When a socket is not told everything, once and in order.
    pub async fn measure(bench: &Bench) -> Result<Self> {
        // A socket is a file.
        rlimit::increase_nofile_limit(u64::MAX).map_err(|error| format!("there are too few files: {error}"))?;
        let none = Spec { accounts: 0, ..bench.spec() };
        let yado = Yado::prepare(&bench.place, "sockets", Plugin::WithBalances, None, &none).await?;
        let process = yado.server().process().ok_or("the server has ended")?;
        let at_start_bytes = resident_bytes(process)?;
        let (sockets, url) = (bench.sized(SOCKETS), yado.server().graphql());
        let mut open = Vec::with_capacity(sockets as usize);
        let mut opening = futures::stream::iter((0..sockets).map(|_| subscribed(&url))).buffer_unordered(AT_ONCE);
        while let Some(socket) = opening.next().await {
            open.push(socket?);
        }
        let idle_bytes = resident_bytes(process)?;
        let begun = Instant::now();
        let told = open.into_iter().map(|socket| tokio::spawn(told(socket)));
        let told: Vec<_> = told.collect();
        yado.open_accounts(CHANGES).await?;
        let mut first: Option<Vec<String>> = None;
        for told in told {
            let ids = tokio::time::timeout(PATIENCE, told).await.map_err(|_| "a socket was not told everything")?;
            let ids = ids.map_err(|error| error.to_string())??;
            if *first.get_or_insert_with(|| ids.clone()) != ids {
                return Err("two sockets were told different things".into());
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        let told_bytes = resident_bytes(process)?;
        let found = Self { sockets, changes: CHANGES, at_start_bytes, idle_bytes, told_bytes, seconds };
        say(&format!(
            "    {} MB with {} sockets, {} MB at the start; {} messages a second",
            idle_bytes / 1_000_000,
            grouped(f64::from(sockets)),
            at_start_bytes / 1_000_000,
            grouped(found.rate())
        ));
        Ok(found)
    }

    /// Messages a second, over all sockets.
    #[must_use]
    pub fn rate(&self) -> f64 {
        f64::from(self.sockets) * f64::from(self.changes) / self.seconds
    }

    /// The greater of what was seen.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.idle_bytes.max(self.told_bytes)
    }

    /// What is reached.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let whole = self.sockets == SOCKETS;
        Verdict {
            what: "resident memory with 10,000 subscriptions on sockets of their own, all told everything".into(),
            required: "at most 300 MB".into(),
            found: format!("{} MB with {} sockets", self.bytes() / 1_000_000, grouped(f64::from(self.sockets))),
            reached: whole.then_some(self.bytes() <= ALLOWED),
        }
    }
}

/// A socket whose subscription is in force.
async fn subscribed(url: &Url) -> Result<Socket> {
    let failed = |error: &dyn std::fmt::Display| format!("a socket can't be opened at {}: {error}", url.host);
    let mut request = format!("ws://{}{}", url.host, url.path).into_client_request().map_err(|e| failed(&e))?;
    let protocol = "graphql-transport-ws".parse().map_err(|_| "no header")?;
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let stream = TcpStream::connect(&url.host).await.map_err(|error| failed(&error))?;
    let small = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(BUFFER);
    let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(small)).await;
    let mut socket = opened.map_err(|error| failed(&error))?.0;
    for message in [
        json!({ "type": "connection_init" }),
        json!({ "id": "1", "type": "subscribe", "payload": { "query": DOCUMENT } }),
        json!({ "type": "ping" }),
    ] {
        socket.send(Message::text(message.to_string())).await.map_err(|error| failed(&error))?;
    }
    for expected in ["connection_ack", "pong"] {
        let message = next(&mut socket).await?;
        if message["type"] != expected {
            return Err(failed(&message));
        }
    }
    Ok(socket)
}

/// What a socket is told, until that is everything.
async fn told(mut socket: Socket) -> Result<Vec<String>> {
    let mut ids = Vec::with_capacity(CHANGES as usize);
    while ids.len() < CHANGES as usize {
        let message = next(&mut socket).await?;
        let id = message["payload"]["data"]["balanceCreated"]["id"].as_str();
        ids.push(id.ok_or_else(|| format!("a socket is told {message}"))?.to_owned());
    }
    Ok(ids)
}

async fn next(socket: &mut Socket) -> Result<Value> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).map_err(|error| error.to_string()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => return Err(format!("a socket has ended: {other:?}")),
        }
    }
}
