//! How connections end: idle ones by themselves, busy ones with their request, stubborn ones with the server.

use std::future::pending;
use std::net::SocketAddr;

use axum::Router;
use axum::body::to_bytes;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::*;

struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// Longer than anybody waits for a test: whoever waits for this long does so for ever.
const FOR_EVER_MS: u64 = 3_600_000;

impl Server {
    async fn start(router: Router, http: Http) -> Self {
        let front = Front::closed(crate::metrics::Metrics::apart());
        front.open(router, None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, stop) = Stop::by_hand();
        let [idle, body] = [http.idle_ms, http.body_ms].map(Duration::from_millis);
        let patience = Patience { idle, body, taken: idle, grace: Duration::from_millis(1) };
        let serving = tokio::spawn(async move { serve_within(listener, front, &http, patience, &stop).await });
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

/// Reads the body, after having told that it does, and says how that ended.
fn reader(begun: Arc<Notify>) -> Router {
    let read = async move |body: Body| {
        begun.notify_one();
        match to_bytes(body, 1_000).await {
            Ok(body) => format!("read {} bytes", body.len()),
            Err(error) if is_stalled(&error) => "stalled".to_owned(),
            Err(_) => "broken".to_owned(),
        }
    };
    Router::new().route("/", post(read))
}

/// Sends a request whose body lacks a byte.
async fn ask_in_part(stream: &mut TcpStream) {
    stream.write_all(b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 5\r\n\r\nfour").await.unwrap();
}

#[tokio::test]
async fn a_body_that_stalls_is_waited_for_as_long_as_the_configuration_says() {
    let http = Http { body_ms: 1, ..Http::default() };
    let server = Server::start(reader(Arc::default()), http).await;
    let mut stream = server.connect().await;
    ask_in_part(&mut stream).await;
    assert!(rest(&mut stream).await.ends_with("stalled"));
    let server = Server::start(reader(Arc::default()), Http::default()).await;
    let mut stream = server.connect().await;
    ask_in_part(&mut stream).await;
    stream.write_all(b"!GET ? HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.contains("read 5 bytes"));
}

#[tokio::test]
async fn a_body_that_trickles_beyond_its_time_has_stalled_too() {
    assert!(is_stalled(&to_bytes(stalled(), 1_000).await.unwrap_err()));
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_a_body_that_stalls() {
    let begun = Arc::new(Notify::new());
    let http = Http { body_ms: FOR_EVER_MS, drain_ms: FOR_EVER_MS, ..Http::default() };
    let server = Server::start(reader(begun.clone()), http).await;
    let mut stream = server.connect().await;
    ask_in_part(&mut stream).await;
    begun.notified().await;
    server.stop.send_replace(true);
    assert!(rest(&mut stream).await.ends_with("stalled"));
    server.serving.await.unwrap();
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_a_request_that_has_not_begun() {
    let http = Http { idle_ms: FOR_EVER_MS, drain_ms: FOR_EVER_MS, ..Http::default() };
    let server = Server::start(Router::new().route("/", get(async || "done")), http).await;
    let (_silent, mut half, mut between) = (server.connect().await, server.connect().await, server.connect().await);
    half.write_all(b"GET / HT").await.unwrap();
    // When the server has answered this one, it has heard the other's beginning.
    ask(&mut between).await;
    between.readable().await.unwrap();
    server.stop.send_replace(true);
    server.serving.await.unwrap();
    assert_eq!(rest(&mut half).await, "");
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

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_makes_room_for_the_next() {
    // More than any buffer on the way holds.
    let large = get(async || vec![0_u8; 64 * 1024 * 1024]);
    let router = Router::new().route("/large", large).route("/", get(async || "done"));
    let server = Server::start(router, Http { connections: 1, idle_ms: 50, ..Http::default() }).await;
    let mut first = server.connect().await;
    first.write_all(b"GET /large HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    first.readable().await.unwrap();
    let mut second = server.connect().await;
    ask(&mut second).await;
    assert!(rest(&mut second).await.ends_with("done"));
    drop(first);
}
