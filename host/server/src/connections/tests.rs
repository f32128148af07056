//! How connections end: idle ones by themselves, busy ones with their request, stubborn ones with the server.

use std::future::pending;
use std::net::SocketAddr;

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::*;

struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router, http: Http) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, stop) = Stop::by_hand();
        let serving = tokio::spawn(async move { serve(listener, router, &http, &stop).await });
        Self { address, stop: tell, serving }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
}

/// All that the server still says, until it closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    said
}

#[tokio::test]
async fn a_request_under_way_finishes_when_the_server_stops() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (telling, waiting) = (begun.clone(), go_on.clone());
    let answer = async move || {
        telling.notify_one();
        waiting.notified().await;
        "done"
    };
    let server = Server::start(Router::new().route("/", get(answer)), Http::default()).await;
    let mut stream = server.connect().await;
    ask(&mut stream).await;
    begun.notified().await;
    server.stop.send_replace(true);
    // The listener is closed first, so the server has begun to stop when nobody can connect any more.
    while TcpStream::connect(server.address).await.is_ok() {}
    go_on.notify_one();
    assert!(rest(&mut stream).await.ends_with("done"));
    server.serving.await.unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off() {
    let begun = Arc::new(Notify::new());
    let telling = begun.clone();
    let answer = async move || {
        telling.notify_one();
        pending::<()>().await;
    };
    let http = Http { drain_ms: 1, ..Http::default() };
    let server = Server::start(Router::new().route("/", get(answer)), http).await;
    let mut stream = server.connect().await;
    ask(&mut stream).await;
    begun.notified().await;
    server.stop.send_replace(true);
    server.serving.await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_hung_up_on() {
    let server = Server::start(Router::new(), Http { idle_ms: 1, ..Http::default() }).await;
    let mut stream = server.connect().await;
    rest(&mut stream).await;
}

#[tokio::test]
async fn a_client_beyond_the_limit_is_served_when_another_has_gone() {
    let http = Http { connections: 1, ..Http::default() };
    let server = Server::start(Router::new().route("/", get(async || "done")), http).await;
    let mut first = server.connect().await;
    ask(&mut first).await;
    first.readable().await.unwrap();
    let mut second = server.connect().await;
    ask(&mut second).await;
    let mut byte = [0; 1];
    // The one permit is taken, so nothing can have been written to the second connection.
    assert_eq!(second.try_read(&mut byte).map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
    drop(first);
    second.read_exact(&mut byte).await.unwrap();
    assert_eq!(&byte, b"H");
}
