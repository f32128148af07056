//! Those who take part: Yado in two forms, the floor below it, the ceiling above it, and its peers.

mod bus;
mod graphql;
mod peer;
mod pgbench;

use async_trait::async_trait;
use serde::Serialize;

use crate::Result;
use crate::cluster::Cluster;
use crate::place::Place;
use crate::work::{Outcome, Spec};

/// Something that has been filled with accounts, and deposits money as it is told.
#[async_trait]
pub trait Contender: Send {
    /// Deposits for as long as it is told, and leaves nothing under way.
    async fn run(&mut self, spec: &Spec) -> Result<Outcome>;

    /// Waits until all is done that operations leave behind, so that it does not disturb whoever is next.
    async fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    /// Its process, from which all of its others descend; none if it runs in the bench's own.
    fn process(&self) -> Option<u32> {
        None
    }

    /// Which version of what, with which settings that matter.
    fn about(&self) -> String;
}

/// Who can take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// The command bus in process, on PostgreSQL.
    BusPostgres,
    /// The command bus in process, on SQLite.
    BusSqlite,
    /// The server, over GraphQL, on PostgreSQL.
    GraphqlPostgres,
    /// The server, over GraphQL, on SQLite.
    GraphqlSqlite,
    /// A prepared insert of one row into the same table.
    Pgbench,
    /// The same HTTP and GraphQL stack with a resolver that does nothing.
    NoopGraphql,
    /// One transaction an insert into the same table.
    SqliteEach,
    /// UmaDB.
    Umadb,
    /// The crate `postgres-es`.
    PostgresEs,
    /// The npm package `@event-driven-io/emmett-postgresql`.
    Emmett,
}

impl System {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::BusPostgres,
        Self::BusSqlite,
        Self::GraphqlPostgres,
        Self::GraphqlSqlite,
        Self::Pgbench,
        Self::NoopGraphql,
        Self::SqliteEach,
        Self::Umadb,
        Self::PostgresEs,
        Self::Emmett,
    ];

    /// Its name, on the command line and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BusPostgres => "bus-postgres",
            Self::BusSqlite => "bus-sqlite",
            Self::GraphqlPostgres => "graphql-postgres",
            Self::GraphqlSqlite => "graphql-sqlite",
            Self::Pgbench => "pgbench",
            Self::NoopGraphql => "noop-graphql",
            Self::SqliteEach => "sqlite-each",
            Self::Umadb => "umadb",
            Self::PostgresEs => "postgres-es",
            Self::Emmett => "emmett",
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::BusPostgres => "Yado bus, PostgreSQL",
            Self::BusSqlite => "Yado bus, SQLite",
            Self::GraphqlPostgres => "Yado GraphQL, PostgreSQL",
            Self::GraphqlSqlite => "Yado GraphQL, SQLite",
            Self::Pgbench => "pgbench, one insert a commit",
            Self::NoopGraphql => "no-op GraphQL, nothing stored",
            Self::SqliteEach => "SQLite, one insert a commit",
            Self::Umadb => "UmaDB",
            Self::PostgresEs => "postgres-es",
            Self::Emmett => "emmett, PostgreSQL",
        }
    }

    /// Whether it is Yado.
    #[must_use]
    pub fn is_ours(self) -> bool {
        matches!(self, Self::BusPostgres | Self::BusSqlite | Self::GraphqlPostgres | Self::GraphqlSqlite)
    }

    /// Sets it up with accounts in databases of its own.
    ///
    /// # Errors
    /// Says why it can't take part.
    pub async fn prepare(self, place: &Place, cluster: &Cluster, spec: &Spec) -> Result<Box<dyn Contender>> {
        Ok(match self {
            Self::BusPostgres => {
                let url = cluster.database().await;
                Box::new(bus::Bus::prepare(place, (&url, &url), spec).await?)
            }
            Self::BusSqlite => {
                let folder = place.folder(self.name())?;
                let url = |file: &str| format!("sqlite:{}", folder.join(file).display());
                Box::new(bus::Bus::prepare(place, (&url("events.db"), &url("reads.db")), spec).await?)
            }
            Self::GraphqlPostgres => {
                let url = cluster.database().await;
                Box::new(graphql::Yado::prepare(place, self.name(), Some(&url), spec).await?)
            }
            Self::GraphqlSqlite => Box::new(graphql::Yado::prepare(place, self.name(), None, spec).await?),
            Self::NoopGraphql => Box::new(graphql::Noop::prepare(place, cluster, spec).await?),
            Self::Pgbench => Box::new(pgbench::Pgbench::prepare(place, cluster, spec).await?),
            Self::SqliteEach | Self::Umadb | Self::PostgresEs | Self::Emmett => {
                Box::new(peer::Peer::prepare(self, place, cluster, spec).await?)
            }
        })
    }
}

impl std::fmt::Display for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

pub use bus::Bus;
pub use graphql::Yado;
