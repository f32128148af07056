//! From a URL to a store.

use std::sync::Arc;
use std::time::Duration;

use crate::{Error, EventStore, ReadStore, Result, postgres, sqlite};

/// How a store uses its database.
#[derive(Debug, Clone)]
pub struct Options {
    /// At most so many connections for requests. One more request waits. An event store in PostgreSQL has five besides:
    /// two that appends go through, two that pages of events are read over while they are free, and one that listens
    /// for other nodes. Such a page may take up 24 MiB as it came, beside what it becomes. A read store there has as
    /// many again, which rows are read over: at most half of them, and no more than there are cores, are shared by
    /// questions that are answered quickly. It has one more for each projection that takes a small step at the same
    /// moment; four of these at most stay open. What nobody uses is closed after a minute. A connection whose question
    /// nobody waits for any more is not counted: it is closed as soon as the server has been told, which has five
    /// seconds for that. Nor is one over which the rest of an answer comes that was too large, as long as that is
    /// waited for.
    pub connections: u32,
    /// How long a request waits for a connection, or for another process's lock, before it fails as unavailable.
    pub acquire_timeout_ms: u64,
    /// How many bytes the rows that one statement finds may take up in memory, or all statements of a request together
    /// ([`ReadStore::for_request`]). On PostgreSQL those of a statement are there twice for a moment: as they came, and as
    /// they are handed on. As they came they have a room of their own, as large for all that comes over one connection and
    /// has not been fetched yet: a statement whose rows do not fit beside those of others is asked over another connection.
    pub answer_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 8, acquire_timeout_ms: 5_000, answer_bytes: 64 << 20 }
    }
}

impl Options {
    pub(crate) fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.acquire_timeout_ms)
    }
}

/// Opens an event store: `sqlite:PATH`, `sqlite::memory:`, or `postgres://…`. Applies its migrations.
///
/// A SQLite file is made if it is missing; each opening of `sqlite::memory:` has a database of its own.
///
/// # Errors
/// When the URL names no engine known here, or the database can't be opened or brought up to date.
pub async fn open_events(url: &str, options: &Options) -> Result<Arc<dyn EventStore>> {
    match engine(url)? {
        Engine::Sqlite => Ok(Arc::new(sqlite::Events::open(url, options).await?)),
        Engine::Postgres => Ok(Arc::new(postgres::Events::open(url, options).await?)),
    }
}

/// Opens a read store, which may be another database than the log's.
///
/// # Errors
/// As [`open_events`].
pub async fn open_reads(url: &str, options: &Options) -> Result<Arc<dyn ReadStore>> {
    match engine(url)? {
        Engine::Sqlite => Ok(Arc::new(sqlite::Reads::open(url, options).await?)),
        Engine::Postgres => Ok(Arc::new(postgres::Reads::open(url, options).await?)),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

/// Only the scheme is ever repeated in a message: the rest of a URL may hold a password.
fn engine(url: &str) -> Result<Engine> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "sqlite" => Ok(Engine::Sqlite),
        "postgres" | "postgresql" => Ok(Engine::Postgres),
        _ => Err(Error::Invalid(format!(
            "the database's URL begins with {:?}, which names no engine known here: use sqlite:PATH or postgres://…",
            scheme.chars().take(20).collect::<String>()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_names_the_engine() {
        assert_eq!(engine("sqlite::memory:").unwrap(), Engine::Sqlite);
        assert_eq!(engine("sqlite:/data/log.db").unwrap(), Engine::Sqlite);
        assert_eq!(engine("postgresql://localhost/yado").unwrap(), Engine::Postgres);
    }

    #[test]
    fn a_url_that_is_refused_does_not_show_its_password() {
        let error = engine("mysql://me:secret@host/db").unwrap_err().to_string();
        assert!(error.contains("mysql") && !error.contains("secret"), "{error}");
        assert!(engine("secret").is_err_and(|error| !error.to_string().contains("secret")));
    }
}

/// What a commit promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// It is on disk when it returns. For the log: what it has lost nobody can make again.
    Durable,
    /// It holds together with all commits before it, and a power cut may take back the last ones. For read models: rows
    /// and checkpoint go back together, and the projection makes up for them from the log.
    Derived,
}
