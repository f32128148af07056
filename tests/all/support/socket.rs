//! A client of `graphql-transport-ws` that does no more than it is told: it can be cut off in the middle.

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::patience::PATIENCE;

/// A socket of a server. When it is dropped, nothing is said to the server.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

/// What a server says.
#[derive(Debug)]
pub(crate) enum Heard {
    /// An answer to an operation.
    Next(Value),
    /// Why there are no more of them.
    Failed(Value),
    /// The socket is closed, with a code.
    Closed(Option<u16>),
}

impl Socket {
    /// Opens a socket, from a page of a site if one is named; or says with which status it is refused.
    pub(crate) async fn try_open(url: &str, origin: Option<&str>) -> Result<Self, String> {
        let authority = url.strip_prefix("http://").unwrap();
        let mut request = format!("ws://{authority}/graphql").into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        let stream = TcpStream::connect(authority).await.map_err(|error| error.to_string())?;
        let opened = tokio_tungstenite::client_async(request, stream).await;
        let mut socket = Self(opened.map_err(|error| error.to_string())?.0);
        socket.send(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.message().await.unwrap(), json!({ "type": "connection_ack" }));
        Ok(socket)
    }

    /// Opens a socket.
    pub(crate) async fn open(url: &str) -> Self {
        Self::try_open(url, None).await.unwrap()
    }

    /// Begins a subscription. It is in force when this returns; what it was told until then is returned.
    pub(crate) async fn subscribe(&mut self, document: &str, variables: &Value) -> Vec<Value> {
        let payload = json!({ "query": document, "variables": variables });
        self.send(json!({ "id": "1", "type": "subscribe", "payload": payload })).await;
        self.send(json!({ "type": "ping" })).await;
        let mut told = Vec::new();
        loop {
            let message = self.message().await.unwrap();
            match message["type"].as_str().unwrap() {
                "pong" => return told,
                "next" => told.push(message["payload"].clone()),
                _ => panic!("{message}"),
            }
        }
    }

    /// What the server says next, within the time that anything may take.
    pub(crate) async fn heard(&mut self) -> Heard {
        match self.message().await {
            Ok(message) if message["type"] == "next" => Heard::Next(message["payload"].clone()),
            Ok(message) if message["type"] == "error" => Heard::Failed(message["payload"].clone()),
            Ok(message) => panic!("{message}"),
            Err(code) => Heard::Closed(code),
        }
    }

    /// The next answer.
    pub(crate) async fn next(&mut self) -> Value {
        match self.heard().await {
            Heard::Next(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message, or with which code the socket is closed.
    async fn message(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("the server says nothing") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }
}
