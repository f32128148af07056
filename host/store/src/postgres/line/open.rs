//! How a connection is opened: the greeting, the proof of the password, and the session's settings; and how the server is
//! asked, over another connection, to let go of what one is busy with.

use std::io;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::address::Place;
use super::answer::complaint;
use super::{Address, Trouble};
use crate::Error;

/// So long the server is given to take note that nobody wants an answer any more.
const CANCELLING: Duration = Duration::from_secs(5);

/// Both ways of bytes.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection over which nothing is under way.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Stream>,
    pub(super) process: Process,
    /// How long one took there and back that costs the server nothing.
    pub(super) reach: Duration,
}

/// The server's process at the other end, and what proves that it is ours.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Process {
    number: i32,
    secret: i32,
}

/// Opens a connection.
pub(super) async fn open(address: &Address) -> Result<Opened, Trouble> {
    let mut talk = Talk { stream: connect(&address.place).await?, heard: BytesMut::new() };
    let greeting = address.greeting.iter().map(|(name, value)| (*name, value.as_str()));
    talk.say(|out| frontend::startup_message([("user", address.user.as_str())].into_iter().chain(greeting), out))
        .await?;
    let process = talk.prove(address).await?;
    talk.say(|out| frontend::query(address.session, out)).await?;
    talk.until_ready().await?;
    let begun = Instant::now();
    talk.say(|out| {
        frontend::sync(out);
        Ok(())
    })
    .await?;
    talk.until_ready().await?;
    Ok(Opened { stream: talk.stream, process, reach: begun.elapsed() })
}

/// Has the server let go of what a connection is busy with. It is a wish, which comes too late as often as not, and of which
/// nobody hears.
pub(super) async fn cancel(address: &Address, process: Process) {
    let wish = async {
        let mut stream = connect(&address.place).await?;
        let mut bytes = BytesMut::new();
        frontend::cancel_request(process.number, process.secret, &mut bytes);
        stream.write_all(&bytes).await?;
        // The server closes its side when it has seen to it.
        stream.read_u8().await.map(|_| ())
    };
    if timeout(CANCELLING, wish).await.is_err() {
        tracing::debug!("PostgreSQL does not take note that a question is not wanted any more");
    }
}

async fn connect(place: &Place) -> io::Result<Box<dyn Stream>> {
    match place {
        #[cfg(unix)]
        Place::Socket(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        #[cfg(not(unix))]
        Place::Socket(_) => Err(io::Error::from(io::ErrorKind::Unsupported)),
        Place::Host(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
    }
}

/// One message after the other, as long as there is nothing else to do.
struct Talk {
    stream: Box<dyn Stream>,
    heard: BytesMut,
}

impl Talk {
    async fn say(&mut self, words: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> io::Result<()> {
        let mut out = BytesMut::new();
        words(&mut out)?;
        self.stream.write_all(&out).await
    }

    async fn hear(&mut self) -> Result<Message, Trouble> {
        loop {
            if self.heard.first() == Some(&b'E')
                && let Some(complaint) = complaint(&self.heard)
            {
                return Err(Trouble::told(complaint));
            }
            if let Some(message) = Message::parse(&mut self.heard)? {
                return Ok(message);
            }
            if self.stream.read_buf(&mut self.heard).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Until the session is let in.
    async fn prove(&mut self, address: &Address) -> Result<Process, Trouble> {
        let password = address.password.as_bytes();
        let mut process = Process::default();
        let mut proof = None;
        loop {
            match self.hear().await? {
                Message::AuthenticationCleartextPassword => {
                    self.say(|out| frontend::password_message(password, out)).await?;
                }
                Message::AuthenticationMd5Password(asked) => {
                    let hash = md5_hash(address.user.as_bytes(), password, asked.salt());
                    self.say(|out| frontend::password_message(hash.as_bytes(), out)).await?;
                }
                // The one way that servers know beside that which needs TLS.
                Message::AuthenticationSasl(_) => {
                    let begun = proof.insert(ScramSha256::new(password, ChannelBinding::unsupported()));
                    self.say(|out| frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), out)).await?;
                }
                Message::AuthenticationSaslContinue(told) => {
                    let proof = proof.as_mut().ok_or_else(unproven)?;
                    proof.update(told.data())?;
                    self.say(|out| frontend::sasl_response(proof.message(), out)).await?;
                }
                // The server proves that it knows the password, too.
                Message::AuthenticationSaslFinal(told) => {
                    proof.as_mut().ok_or_else(unproven)?.finish(told.data())?;
                }
                Message::BackendKeyData(key) => {
                    process = Process { number: key.process_id(), secret: key.secret_key() };
                }
                Message::AuthenticationOk | Message::ParameterStatus(_) | Message::NoticeResponse(_) => {}
                Message::ReadyForQuery(_) => return Ok(process),
                _ => return Err(unproven()),
            }
        }
    }

    async fn until_ready(&mut self) -> Result<(), Trouble> {
        while !matches!(self.hear().await?, Message::ReadyForQuery(_)) {}
        Ok(())
    }
}

fn unproven() -> Trouble {
    let reason =
        "the server asks for a proof of who is there that is not known here: use scram-sha-256, md5 or password";
    Trouble::refused(Error::Engine(reason.into()))
}
