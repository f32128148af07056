//! HTTP/1.1 as a load generator needs it: one connection that is kept alive, one request at a time, and nothing allocated
//! a request. A client for general use takes more processor time than many a server that would be measured with it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Result;

/// More headers than any answer here has.
const HEADERS: usize = 32;
/// An answer beyond this is a mistake.
const LONGEST: usize = 1024 * 1024;

/// An address of the form `http://host:port/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// `host:port`.
    pub host: String,
    /// The path, with its slash.
    pub path: String,
}

impl Url {
    /// Reads one.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(text: &str) -> Result<Self> {
        let rest = text.strip_prefix("http://").ok_or_else(|| format!("{text} does not begin with http://"))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self { host: host.to_owned(), path: format!("/{path}") })
    }
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// The request's line and headers, up to the value of the last one.
    head: Vec<u8>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    /// Connects, for requests with this method and path.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn open(url: &Url, method: &str) -> Result<Self> {
        Self::open_with(url, method, "").await
    }

    /// Connects, for requests that show a token.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn open_bearing(url: &Url, method: &str, token: &str) -> Result<Self> {
        Self::open_with(url, method, &format!("authorization: Bearer {token}\r\n")).await
    }

    async fn open_with(url: &Url, method: &str, header: &str) -> Result<Self> {
        let failed = |error: std::io::Error| format!("{} can't be reached: {error}", url.host);
        let stream = TcpStream::connect(&url.host).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let head = format!(
            "{method} {} HTTP/1.1\r\nhost: {}\r\n{header}content-type: application/json\r\naccept: application/json\r\ncontent-length: ",
            url.path, url.host
        );
        Ok(Self { stream, head: head.into_bytes(), request: Vec::new(), answer: Vec::new() })
    }

    /// Sends a request with this body, and gives the answer's status and body.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is not understood. The connection is of no use any more then.
    pub async fn send(&mut self, body: &[u8]) -> Result<(u16, &[u8])> {
        let broke = |error: std::io::Error| format!("the connection broke: {error}");
        self.request.clear();
        self.request.extend_from_slice(&self.head);
        self.request.extend_from_slice(body.len().to_string().as_bytes());
        self.request.extend_from_slice(b"\r\n\r\n");
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await.map_err(broke)?;
        self.answer.clear();
        loop {
            if let Some(answer) = parse(&self.answer)?
                && self.answer.len() >= answer.ends
            {
                return Ok((answer.status, &self.answer[answer.begins..answer.ends]));
            }
            if self.answer.len() > LONGEST {
                return Err(format!("an answer has more than {LONGEST} bytes"));
            }
            if self.stream.read_buf(&mut self.answer).await.map_err(broke)? == 0 {
                return Err("the server closed the connection".into());
            }
        }
    }
}

/// Where the body of an answer lies.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    begins: usize,
    ends: usize,
}

/// Reads the head of an answer; none as long as it is not complete.
fn parse(bytes: &[u8]) -> Result<Option<Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let begins = match response.parse(bytes) {
        Ok(httparse::Status::Complete(begins)) => begins,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("an answer is not HTTP: {error}")),
    };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse::<usize>().ok());
    let length = length.ok_or("an answer does not say its length")?;
    Ok(Some(Answer { status: response.code.unwrap_or_default(), begins, ends: begins.saturating_add(length) }))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_url_has_a_host_and_a_path() {
        let url = |host: &str, path: &str| Url { host: host.into(), path: path.into() };
        assert_eq!(Url::parse("http://127.0.0.1:4000/graphql"), Ok(url("127.0.0.1:4000", "/graphql")));
        assert_eq!(Url::parse("http://localhost:1"), Ok(url("localhost:1", "/")));
        assert!(Url::parse("https://localhost/").is_err());
    }

    #[test]
    fn an_answer_is_complete_when_its_body_is() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(parse(&head.as_bytes()[..20]), Ok(None));
        assert_eq!(parse(head.as_bytes()), Ok(Some(Answer { status: 200, begins: head.len(), ends: head.len() + 2 })));
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse(b"SSH-2.0-OpenSSH\r\n").is_err());
    }

    #[tokio::test]
    async fn a_connection_is_used_again_and_reads_answers_that_come_in_pieces() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/p", listener.local_addr().unwrap())).unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            for answer in [
                ["HTTP/1.1 200 OK\r\nconte", "nt-length: 3\r\n\r\nab", "c"],
                ["HTTP/1.1 503 No\r\n", "content-length: 0\r\n", "\r\n"],
            ] {
                while !heard.ends_with(b"{}") {
                    stream.read_buf(&mut heard).await.unwrap();
                }
                assert!(heard.starts_with(b"POST /p HTTP/1.1\r\n"));
                heard.clear();
                for piece in answer {
                    stream.write_all(piece.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut connection = Connection::open(&url, "POST").await.unwrap();
        assert_eq!(connection.send(b"{}").await.unwrap(), (200, &b"abc"[..]));
        assert_eq!(connection.send(b"{}").await.unwrap(), (503, &b""[..]));
        serving.await.unwrap();
    }
}
