//! A connection to PostgreSQL that questions go over, several at a time.
//!
//! Through a pool, each question takes a connection for itself: it is written alone, its answer is read alone, and on a busy
//! server the two of them wake each other's processes for every page. The protocol asks for none of that. Questions may
//! follow each other before the first is answered; the server answers in the order in which it was asked, and whatever came
//! meanwhile is read and written at once. One task drives each connection ([`drive`]). Whoever asks leaves what is to be written
//! and waits for the bytes of the answer, which are decoded where they are wanted, and not by the task that everybody waits for.
//!
//! Each question ends with a `Sync` of its own, so that it is a transaction by itself, and an error in one is none in the
//! next. A statement that the connection does not know yet is parsed and asked in one flight ([`statements`]). How much an
//! answer takes up is limited, because it is there as a whole before anybody looks at its rows. A question whose
//! asker has gone is answered to nobody; it delays others by what is left of it, and no more.
//!
//! This is the extended protocol and nothing else of it: no `copy`, no notifications, no transactions of several statements.
//! Those go through sqlx, as do all writes. TLS is not spoken here, as sqlx is built without it. Messages are put together
//! and passwords proven by `postgres-protocol`, the layer below `tokio-postgres`. That library itself would serve as
//! well but for three things that need a hand on the driver: it has whoever reads slowly hold up the answers behind, it takes
//! a round trip of its own to prepare, and it can't tell how long one of several questions under way has taken.

mod address;
mod answer;
mod drive;
pub(super) mod oid;
mod open;
mod question;
mod statements;
#[cfg(test)]
mod tests;
mod way;

pub(super) use address::Address;
pub(super) use answer::{Answer, Record};
pub(super) use drive::HELD_UP;
pub(super) use question::Question;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postgres_protocol::message::frontend;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::answer::{Complaint, Messages, complaint};
use self::drive::{Heard, Shared, State, Traffic, Waiting};
use self::statements::Statements;
use crate::Error;

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// One that stands before it takes too long, or too much room. It may be asked again, over another connection.
    HeldUp,
    /// It has more rows than there is room for.
    TooLarge,
    Trouble(Trouble),
}

/// How much a connection keeps, how much comes over it at once, and how long it is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// At most so many statements are kept prepared.
    pub(super) statements: NonZeroUsize,
    /// The rows of an answer have at most so many bytes, together with those of all that were answered before it and that
    /// nobody has fetched yet.
    pub(super) answer_bytes: usize,
    /// A connection that gives no answer for so long, although questions are under way, holds them up: [`HELD_UP`].
    pub(super) held_up: Duration,
}

/// What went wrong.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    kind: Kind,
    error: Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The connection is of no use any more, and nothing is wrong with what was asked.
    Broken,
    /// The server is only just coming up, or has no room at the moment.
    Passing,
    /// The statement that the connection had prepared is not what it was.
    Stale,
    /// It would be the same if it were asked again.
    Final,
}

impl Trouble {
    /// By the codes of PostgreSQL's appendix A.
    fn told(complaint: Complaint) -> Self {
        let Complaint { severity, code, words } = complaint;
        let kind = match code.as_str() {
            // It can't be connected with now, or not by so many.
            "57P03" | "53300" => Kind::Passing,
            // A server says this to everybody when it stops; and 08 is of the connection itself.
            code if code.starts_with("57P0") || code.starts_with("08") => Kind::Broken,
            // There is no such statement, or its table has become another one: `cached plan must not change result type`.
            "26000" | "0A000" => Kind::Stale,
            _ => Kind::Final,
        };
        Self { kind, error: Error::told_by_postgres(&severity, &code, words) }
    }

    fn refused(error: Error) -> Self {
        Self { kind: Kind::Final, error }
    }

    /// The same, when the server has hung up after it.
    fn broken(self) -> Self {
        Self { kind: Kind::Broken, ..self }
    }

    /// Whether another connection may do what this one could not.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.kind, Kind::Broken | Kind::Passing)
    }

    /// Whether the same connection may do it.
    pub(super) fn is_stale(&self) -> bool {
        self.kind == Kind::Stale
    }

    /// Whether a connection may be had a little later.
    pub(super) fn is_passing(&self) -> bool {
        self.kind == Kind::Passing
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        let kind = if error.kind() == io::ErrorKind::ConnectionRefused { Kind::Passing } else { Kind::Broken };
        Self { kind, error: sqlx::Error::Io(error).into() }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        trouble.error
    }
}

/// A connection. When it is dropped it is closed, and what it is still busy with is cancelled.
#[derive(Debug)]
pub(super) struct Line {
    shared: Arc<Shared>,
    driver: JoinHandle<()>,
}

impl Line {
    /// Opens a connection.
    pub(super) async fn open(address: &Address, limits: Limits) -> Result<Self, Trouble> {
        let opened = open::open(address).await?;
        let shared = Arc::new(Shared::new(Statements::new(limits.statements)));
        let driver = tokio::spawn(drive::drive(opened, Arc::clone(&shared), address.clone(), limits));
        Ok(Self { shared, driver })
    }

    /// Asks, and says how long the server has taken. What is dropped meanwhile has been asked all the same.
    pub(super) async fn ask(&self, question: &Question) -> Result<(Answer, Duration), Failure> {
        let (asker, heard) = oneshot::channel();
        let columns = {
            let mut traffic = self.shared.traffic();
            if traffic.state == State::Closed {
                return Err(Failure::Trouble(gone()));
            }
            let Traffic { statements, out, .. } = &mut *traffic;
            let columns = statements.prepare(question, out).map_err(refused)?;
            out.extend_from_slice(&question.bytes);
            traffic.waiting.push_back(Waiting::new(asker));
            columns
        };
        self.shared.wake();
        let Heard { bytes, failed, took, unfetched } = heard.await.map_err(|_| Failure::Trouble(gone()))??;
        drop(unfetched);
        if failed {
            return Err(Failure::Trouble(self.complaint(question, &bytes)));
        }
        let untold = columns.is_none();
        let answer = Answer::read(bytes, columns).map_err(refused)?;
        if untold {
            self.shared.traffic().statements.described(question.number, answer.columns());
        }
        Ok((answer, took))
    }

    /// Whether it still stands.
    pub(super) async fn ping(&self) -> bool {
        let (asker, heard) = oneshot::channel();
        {
            let mut traffic = self.shared.traffic();
            if traffic.state == State::Closed {
                return false;
            }
            frontend::sync(&mut traffic.out);
            traffic.waiting.push_back(Waiting::new(asker));
        }
        self.shared.wake();
        matches!(heard.await, Ok(Ok(heard)) if !heard.failed)
    }

    /// How many questions are under way; none if nothing more is to be asked, for now or for good.
    pub(super) fn load(&self) -> Option<usize> {
        let traffic = self.shared.traffic();
        (traffic.state == State::Open).then(|| traffic.waiting.len())
    }

    /// Whether nothing more is to be asked for good.
    pub(super) fn is_closed(&self) -> bool {
        self.shared.traffic().state == State::Closed
    }

    /// How long nothing has been heard from it.
    pub(super) fn idle(&self) -> Duration {
        self.shared.traffic().heard.elapsed()
    }

    /// Closes it, and waits until it is.
    pub(super) async fn close(mut self) {
        self.leave();
        // The task has ended, one way or the other.
        let _ = (&mut self.driver).await;
    }

    fn leave(&self) {
        self.shared.traffic().state = State::Closed;
        self.shared.wake();
    }

    /// What the server has against a question. A statement that it may not have taken is forgotten.
    fn complaint(&self, question: &Question, bytes: &Bytes) -> Trouble {
        let trouble = Trouble::told(complaint(bytes).unwrap_or_default());
        let parsed = Messages(bytes).any(|(tag, _)| matches!(tag, b'1' | b'2'));
        if trouble.is_stale() || !parsed {
            self.shared.traffic().statements.forget(question.number);
        }
        trouble
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.leave();
    }
}

fn refused(error: Error) -> Failure {
    Failure::Trouble(Trouble::refused(error))
}

fn gone() -> Trouble {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}
