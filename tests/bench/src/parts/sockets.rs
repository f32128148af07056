//! Subscriptions: what a server takes with 10,000 sockets that follow the same, and how soon all of them are told; and how
//! soon those are who each ask for something else, of which all of them or one of them are told.

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
use crate::bank::{Plugin, account};
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
/// Sockets with a subscription each that is like no other.
const DIFFERENT: u32 = 2_000;
/// What a server may take.
const ALLOWED: u64 = 300_000_000;
/// Sockets that are opened at the same time.
const AT_ONCE: usize = 64;
/// The buffers of a socket on this side, in bytes.
const BUFFER: usize = 4 * 1024;
/// How long it may take until everybody has been told everything.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a socket asks for.
#[derive(Debug, Clone, Copy)]
enum Asks {
    /// All changes, as every other socket does.
    TheSame,
    /// All changes, in a form that no other socket wants.
    Another(u32),
    /// A change that no other socket wants.
    One(u32),
}

impl Asks {
    fn document(self) -> String {
        match self {
            Self::TheSame => "subscription { balanceCreated { id } }".to_owned(),
            Self::Another(at) => format!("subscription {{ a{at}: balanceCreated {{ id }} }}"),
            Self::One(at) => {
                let account = serde_json::Value::from(account(at));
                format!("subscription {{ balanceCreated(id: {account}) {{ id }} }}")
            }
        }
    }

    /// How many changes it is told.
    const fn told(self) -> u32 {
        match self {
            Self::TheSame | Self::Another(_) => CHANGES,
            Self::One(at) => (at < CHANGES) as u32,
        }
    }
}

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
    /// Sockets that were open when each of them asked for something else.
    pub different: u32,
    /// From the first change to the last message, where each is told every change in a form of its own, in seconds.
    pub different_seconds: f64,
    /// The same where each change is told to one of them.
    pub one_each_seconds: f64,
}

type Socket = WebSocketStream<TcpStream>;

impl Sockets {
    /// Measures servers on SQLite.
    ///
    /// # Errors
    /// When a socket is not told everything, once and in order.
    pub async fn measure(bench: &Bench) -> Result<Self> {
        // A socket is a file.
        rlimit::increase_nofile_limit(u64::MAX).map_err(|error| format!("there are too few files: {error}"))?;
        let (sockets, different) = (bench.sized(SOCKETS), bench.sized(DIFFERENT));
        let same = Told::measure(bench, "sockets", sockets, |_| Asks::TheSame).await?;
        let another = Told::measure(bench, "sockets-different", different, Asks::Another).await?;
        let one_each = Told::measure(bench, "sockets-one-each", different, Asks::One).await?;
        let found = Self {
            sockets,
            changes: CHANGES,
            at_start_bytes: same.at_start_bytes,
            idle_bytes: same.idle_bytes,
            told_bytes: same.told_bytes,
            seconds: same.seconds,
            different,
            different_seconds: another.seconds,
            one_each_seconds: one_each.seconds,
        };
        say(&format!(
            "    {} MB with {} sockets, {} MB at the start; {} messages a second; where {} differ, {} a second, and {} ms \
             for {} changes of which each is told to one",
            found.idle_bytes / 1_000_000,
            grouped(f64::from(sockets)),
            found.at_start_bytes / 1_000_000,
            grouped(found.rate()),
            grouped(f64::from(different)),
            grouped(f64::from(different) * f64::from(CHANGES) / found.different_seconds),
            grouped(found.one_each_seconds * 1_000.0),
            CHANGES,
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

/// What telling some sockets took.
struct Told {
    at_start_bytes: u64,
    idle_bytes: u64,
    told_bytes: u64,
    seconds: f64,
}

impl Told {
    async fn measure(bench: &Bench, name: &str, sockets: u32, asks: impl Fn(u32) -> Asks) -> Result<Self> {
        let none = Spec { accounts: 0, ..bench.spec() };
        let yado = Yado::prepare(&bench.place, name, Plugin::WithBalances, None, &none).await?;
        let process = yado.server().process().ok_or("the server has ended")?;
        let at_start_bytes = resident_bytes(process)?;
        let url = yado.server().graphql();
        let mut open = Vec::with_capacity(sockets as usize);
        let opening = (0..sockets).map(|at| {
            let (url, asks) = (&url, asks(at));
            async move { subscribed(url, &asks.document()).await.map(|socket| (socket, asks)) }
        });
        let mut opening = futures::stream::iter(opening).buffer_unordered(AT_ONCE);
        while let Some(socket) = opening.next().await {
            open.push(socket?);
        }
        let idle_bytes = resident_bytes(process)?;
        let begun = Instant::now();
        let told: Vec<_> =
            open.into_iter().map(|(socket, asks)| (asks, tokio::spawn(told(socket, asks.told())))).collect();
        yado.open_accounts(CHANGES).await?;
        let mut first: Option<Vec<String>> = None;
        let mut open = Vec::with_capacity(sockets as usize);
        for (asks, told) in told {
            let told = tokio::time::timeout(PATIENCE, told).await.map_err(|_| "a socket was not told everything")?;
            let (socket, ids) = told.map_err(|error| error.to_string())??;
            let expected = match asks {
                Asks::One(at) if asks.told() == 1 => vec![account(at)],
                Asks::One(_) => Vec::new(),
                Asks::TheSame | Asks::Another(_) => first.get_or_insert_with(|| ids.clone()).clone(),
            };
            if ids != expected {
                return Err(format!("a socket was told {ids:?} and not {expected:?}"));
            }
            open.push(socket);
        }
        let seconds = begun.elapsed().as_secs_f64();
        Ok(Self { at_start_bytes, idle_bytes, told_bytes: resident_bytes(process)?, seconds })
    }
}

/// A socket whose subscription is in force.
async fn subscribed(url: &Url, document: &str) -> Result<Socket> {
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
        json!({ "id": "1", "type": "subscribe", "payload": { "query": document } }),
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

/// What a socket is told, until that is everything; and the socket, which stays open for as long as others are told.
async fn told(mut socket: Socket, changes: u32) -> Result<(Socket, Vec<String>)> {
    let mut ids = Vec::with_capacity(changes as usize);
    while ids.len() < changes as usize {
        let message = next(&mut socket).await?;
        let told = message["payload"]["data"].as_object().and_then(|data| data.values().next());
        let id = told.and_then(|told| told["id"].as_str());
        ids.push(id.ok_or_else(|| format!("a socket is told {message}"))?.to_owned());
    }
    Ok((socket, ids))
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
