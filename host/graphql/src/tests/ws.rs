//! The protocol over WebSockets, frame by frame.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::fixture::{Fixture, fixture, limited};
use super::patience::patient;
use crate::{GraphQl, Limits, router};

/// A client that sends and takes frames, and knows nothing of the protocol.
struct Client(WebSocketStream<TcpStream>);

/// Serves on a port of its own.
async fn served(graphql: &GraphQl) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = router(graphql.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

impl Client {
    async fn connect(fixture: &Fixture, protocol: Option<&str>) -> Self {
        let address = served(&fixture.graphql).await;
        let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        Self(tokio_tungstenite::client_async(request, stream).await.unwrap().0)
    }

    /// One that has said that it speaks the protocol.
    async fn begun(fixture: &Fixture) -> Self {
        let mut client = Self::connect(fixture, Some("graphql-transport-ws")).await;
        client.send(json!({ "type": "connection_init" })).await;
        assert_eq!(client.next().await, json!({ "type": "connection_ack" }));
        client
    }

    async fn send(&mut self, message: Json) {
        self.frame(Message::text(message.to_string())).await;
    }

    async fn frame(&mut self, frame: Message) {
        self.0.send(frame).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
        // What follows is in force by the time that the next message is read.
        self.ping().await;
    }

    async fn ping(&mut self) {
        self.send(json!({ "type": "ping", "payload": { "n": 1 } })).await;
        assert_eq!(self.next().await, json!({ "type": "pong", "payload": { "n": 1 } }));
    }

    /// The next message.
    async fn next(&mut self) -> Json {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The code and the reason with which it is closed.
    async fn closed(mut self) -> (u16, String) {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
                Message::Ping(_) | Message::Text(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_socket_speaks_the_protocol_or_is_closed_with_its_code() {
    let init = || json!({ "type": "connection_init" });
    let begin =
        || json!({ "id": "1", "type": "subscribe", "payload": { "query": "subscription { events { name } }" } });
    for (messages, code, reason) in [
        (vec![begin()], 4401, "Unauthorized"),
        (vec![init(), init()], 4429, "Too many initialisation requests"),
        (vec![init(), begin(), begin()], 4409, "Subscriber for 1 already exists"),
        (vec![init(), json!({ "type": "start" })], 4400, "there is no message of type \"start\""),
        (vec![init(), json!([])], 4400, "a message is a JSON object"),
        (
            vec![init(), json!({ "id": "1", "type": "subscribe", "payload": { "query": "{ a }", "variables": 1 } })],
            4400,
            "variables must be an object",
        ),
    ] {
        let mut client = Client::connect(&fixture(), Some("graphql-transport-ws")).await;
        for message in &messages {
            client.send(message.clone()).await;
        }
        assert_eq!(client.closed().await, (code, reason.to_owned()), "{messages:?}");
    }
    let client = Client::connect(&fixture(), None).await;
    assert_eq!(client.closed().await, (4406, "graphql-transport-ws was not asked for".to_owned()));
    let mut client = Client::begun(&fixture()).await;
    client.frame(Message::binary(&b"{}"[..])).await;
    assert_eq!(client.closed().await, (4400, "messages are texts".to_owned()));
}

#[tokio::test]
async fn whoever_does_not_begin_the_protocol_is_not_waited_for() {
    let fixture = limited(Limits { socket_init_ms: 1, ..patient() });
    let client = Client::connect(&fixture, Some("graphql-transport-ws")).await;
    assert_eq!(client.closed().await, (4408, "Connection initialisation timeout".to_owned()));
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_not_read() {
    let fixture = limited(Limits { document_bytes: 100, ..patient() });
    let mut client = Client::begun(&fixture).await;
    client.send(json!({ "type": "ping", "payload": { "much": "x".repeat(70_000) } })).await;
    let (code, reason) = client.closed().await;
    assert_eq!(code, 1009, "{reason}");
}

#[tokio::test]
async fn what_breaks_the_rules_of_sockets_is_closed_with_the_code_of_that_rule() {
    for (frame, code) in [
        // A text that is none: 0xff stands nowhere in UTF-8.
        (&[0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe][..], 1007),
        // A frame without a mask, which clients have to put on.
        (&[0x81, 0x02, b'{', b'}'], 1002),
        // The rest of a message of which there was no beginning.
        (&[0x80, 0x82, 0, 0, 0, 0, b'{', b'}'], 1002),
    ] {
        let mut client = Client::begun(&fixture()).await;
        client.0.get_mut().write_all(frame).await.unwrap();
        let (found, reason) = client.closed().await;
        assert_eq!(found, code, "{frame:?}: {reason}");
        assert!(!reason.is_empty(), "{frame:?}");
    }
}

#[tokio::test]
async fn operations_are_told_apart_by_their_ids() {
    let fixture = fixture();
    let mut client = Client::begun(&fixture).await;
    client.subscribe("a", "subscription { events { name } }").await;
    client.subscribe("b", "subscription { events(names: [\"B\"]) { position } }").await;
    fixture.memory.past.record("x", "A", json!({}));
    assert_eq!(
        client.next().await,
        json!({ "id": "a", "type": "next",
                "payload": { "data": { "events": { "name": "A" } }, "extensions": { "position": 1, "cursor": "1" } } })
    );
    client.send(json!({ "id": "a", "type": "complete" })).await;
    client.ping().await;
    fixture.memory.past.record("x", "B", json!({}));
    let next = client.next().await;
    assert_eq!((&next["id"], &next["payload"]["data"]), (&json!("b"), &json!({ "events": { "position": 2 } })));
    // An id is free again when its operation is over.
    client.subscribe("a", "subscription { events { position } }").await;
    assert_eq!(fixture.graphql.live().count(), (2, 2));
    fixture.memory.past.record("x", "A", json!({}));
    let next = client.next().await;
    assert_eq!((&next["id"], &next["payload"]["data"]), (&json!("a"), &json!({ "events": { "position": 3 } })));
    drop(client);
    gone(&fixture).await;
}

/// Waits until nothing is followed any more.
pub(super) async fn gone(fixture: &Fixture) {
    let wait = async {
        while fixture.graphql.live().count() != (0, 0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), wait).await.unwrap();
}

#[tokio::test]
async fn queries_and_mutations_go_over_a_socket_as_well() {
    let fixture = fixture();
    fixture.memory.put("Venue", json!({ "id": "v", "name": "Hall" }));
    let mut client = Client::begun(&fixture).await;
    let ask = |id: &str, query: &str| json!({ "id": id, "type": "subscribe", "payload": { "query": query } });
    client.send(ask("q", "{ venue(id: \"v\") { name } }")).await;
    let next = client.next().await;
    assert_eq!((&next["id"], &next["payload"]["data"]), (&json!("q"), &json!({ "venue": { "name": "Hall" } })));
    assert_eq!(client.next().await, json!({ "id": "q", "type": "complete" }));
    client.send(ask("m", "mutation { closeAll { position } }")).await;
    let next = client.next().await;
    assert_eq!(next["payload"]["data"], json!({ "closeAll": { "position": 1 } }));
    assert_eq!(client.next().await, json!({ "id": "m", "type": "complete" }));
    for wrong in ["{ nothing }", "subscription { nothing }", "{"] {
        client.send(ask("w", wrong)).await;
        let error = client.next().await;
        assert_eq!((&error["id"], &error["type"]), (&json!("w"), &json!("error")), "{error}");
        assert_eq!(error["payload"][0]["extensions"]["code"], "BAD_USER_INPUT", "{error}");
    }
    client.ping().await;
}

#[tokio::test]
async fn there_is_a_bound_to_the_operations_of_a_socket_and_to_the_sockets() {
    let fixture = limited(Limits { operations_per_socket: 1, sockets_max: 1, ..patient() });
    let mut client = Client::begun(&fixture).await;
    client.subscribe("a", "subscription { events { name } }").await;
    client.send(json!({ "id": "b", "type": "subscribe", "payload": { "query": "{ yado { version } }" } })).await;
    let refused = client.next().await;
    assert_eq!((&refused["id"], &refused["type"]), (&json!("b"), &json!("error")));
    assert_eq!(refused["payload"][0]["extensions"], json!({ "code": "UNAVAILABLE", "retryAfterMs": 1_000 }));

    let address = served(&fixture.graphql).await;
    let request = format!("ws://{address}/graphql").into_client_request().unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let error = tokio_tungstenite::client_async(request, stream).await.unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
}

#[tokio::test]
async fn whoever_takes_nothing_is_closed_with_a_code_of_its_own() {
    let fixture = limited(Limits { live_buffer: 8, slow_ms: 100, ..patient() });
    let mut client = Client::begun(&fixture).await;
    client.subscribe("a", "subscription { events { name payload } }").await;
    // More than the buffers of the connection take, and more messages than are kept.
    for _ in 0..100 {
        fixture.memory.past.record("x", "A", json!({ "much": "x".repeat(500_000) }));
        tokio::task::yield_now().await;
    }
    gone(&fixture).await;
    let mut told = 0;
    let code = loop {
        match client.0.next().await {
            Some(Ok(Message::Text(_))) => told += 1,
            Some(Ok(Message::Close(frame))) => break frame.map(|frame| u16::from(frame.code)),
            Some(Ok(_)) => {}
            // It was hung up on while a message was on its way.
            Some(Err(_)) | None => break None,
        }
    };
    assert!(told < 100, "{told} have come");
    assert!(code.is_none_or(|code| code == 4290), "{code:?}");
}

#[tokio::test]
async fn sockets_are_told_when_the_server_is_about_to_stop() {
    let fixture = fixture();
    let mut client = Client::begun(&fixture).await;
    client.subscribe("a", "subscription { events { name } }").await;
    let (closed, ()) = tokio::join!(client.closed(), fixture.graphql.close());
    assert_eq!(closed, (1001, "the server is about to stop".to_owned()));
    assert_eq!(fixture.graphql.live().count(), (0, 0));
}

#[tokio::test]
async fn a_socket_that_keeps_asking_is_closed_when_the_server_is_about_to_stop() {
    let fixture = fixture();
    fixture.memory.slow.send_replace(true);
    let mut client = Client::begun(&fixture).await;
    client.subscribe("under way", "mutation { closeAll { position } }").await;
    client.subscribe("a", "subscription { events { name } }").await;
    let graphql = fixture.graphql.clone();
    let closing = tokio::spawn(async move { graphql.close().await });
    gone(&fixture).await;
    for id in ["b", "c"] {
        client.send(json!({ "id": id, "type": "subscribe", "payload": { "query": "{ yado { version } }" } })).await;
        let refused = client.next().await;
        assert_eq!((&refused["id"], &refused["type"]), (&json!(id), &json!("error")), "{refused}");
        assert!(refused["payload"][0]["message"].as_str().unwrap().starts_with("the server is about to stop"));
    }
    client.send(json!({ "id": "under way", "type": "complete" })).await;
    assert_eq!(client.closed().await.0, 1001);
    closing.await.unwrap();
}

#[tokio::test]
async fn a_deployment_ends_only_the_operations_that_do_not_fit_it() {
    let fixture = fixture();
    let mut client = Client::begun(&fixture).await;
    client.subscribe("stays", "subscription { events { name } }").await;
    client.subscribe("ends", "subscription { ticketCreated { id } }").await;
    fixture.graphql.redeploy(&[]);
    let error = client.next().await;
    assert_eq!((&error["id"], &error["type"]), (&json!("ends"), &json!("error")), "{error}");
    assert_eq!(error["payload"][0]["extensions"]["code"], "SCHEMA_CHANGED");
    fixture.memory.past.record("x", "A", json!({}));
    assert_eq!(client.next().await["id"], "stays");
}

#[tokio::test]
async fn what_is_no_handshake_is_refused() {
    let fixture = fixture();
    let address = served(&fixture.graphql).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /graphql HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("BAD_USER_INPUT"), "{answer}");
}
