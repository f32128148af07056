//! Those who take part: Yado in several forms, the floor below it, the ceiling above it, and its peers.

mod bus;
pub(crate) mod graphql;
mod mixed;
mod peer;
pub(crate) mod pgbench;

use async_trait::async_trait;
use serde::Serialize;

use crate::Result;
use crate::bank::Plugin;
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

    /// Ends, with everything that it has started.
    async fn stop(self: Box<Self>) {}

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
    /// The same, with the read model of balances kept beside the log.
    BusPostgresBalances,
    /// The same as the first, with commands of several kinds.
    BusPostgresMixed,
    /// The command bus in process, on SQLite.
    BusSqlite,
    /// The same, with the read model of balances.
    BusSqliteBalances,
    /// The server, over GraphQL, on PostgreSQL.
    GraphqlPostgres,
    /// The same, with the read model of balances.
    GraphqlPostgresBalances,
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
    pub const ALL: [Self; 14] = [
        Self::BusPostgres,
        Self::BusPostgresBalances,
        Self::BusPostgresMixed,
        Self::BusSqlite,
        Self::BusSqliteBalances,
        Self::GraphqlPostgres,
        Self::GraphqlPostgresBalances,
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
            Self::BusPostgresBalances => "bus-postgres-balances",
            Self::BusPostgresMixed => "bus-postgres-mixed",
            Self::BusSqlite => "bus-sqlite",
            Self::BusSqliteBalances => "bus-sqlite-balances",
            Self::GraphqlPostgres => "graphql-postgres",
            Self::GraphqlPostgresBalances => "graphql-postgres-balances",
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
            Self::BusPostgresBalances => "Yado bus, PostgreSQL, balances kept",
            Self::BusPostgresMixed => "Yado bus, PostgreSQL, mixed commands",
            Self::BusSqlite => "Yado bus, SQLite",
            Self::BusSqliteBalances => "Yado bus, SQLite, balances kept",
            Self::GraphqlPostgres => "Yado GraphQL, PostgreSQL",
            Self::GraphqlPostgresBalances => "Yado GraphQL, PostgreSQL, balances kept",
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
        match self {
            Self::BusPostgres | Self::BusPostgresBalances | Self::BusPostgresMixed => true,
            Self::BusSqlite | Self::BusSqliteBalances => true,
            Self::GraphqlPostgres | Self::GraphqlPostgresBalances | Self::GraphqlSqlite => true,
            Self::Pgbench | Self::NoopGraphql | Self::SqliteEach | Self::Umadb | Self::PostgresEs | Self::Emmett => {
                false
            }
        }
    }

    /// The bank that it runs, if it is Yado. The others only append, so Yado does no more than that where it is compared
    /// with them.
    fn plugin(self) -> Plugin {
        match self {
            Self::BusPostgresBalances | Self::BusSqliteBalances | Self::GraphqlPostgresBalances => Plugin::WithBalances,
            _ => Plugin::Accounts,
        }
    }

    /// Sets it up with accounts in databases of its own.
    ///
    /// # Errors
    /// Says why it can't take part.
    pub async fn prepare(self, place: &Place, cluster: &Cluster, spec: &Spec) -> Result<Box<dyn Contender>> {
        Ok(match self {
            Self::BusPostgres | Self::BusPostgresBalances => {
                let url = cluster.database().await;
                Box::new(bus::Bus::prepare(place, self.plugin(), (&url, &url), spec).await?)
            }
            Self::BusPostgresMixed => {
                let url = cluster.database().await;
                Box::new(mixed::Mixed::prepare(place, (&url, &url), spec).await?)
            }
            Self::BusSqlite | Self::BusSqliteBalances => {
                let folder = place.folder(self.name())?;
                let url = |file: &str| format!("sqlite:{}", folder.join(file).display());
                let databases = (url("events.db"), url("reads.db"));
                Box::new(bus::Bus::prepare(place, self.plugin(), (&databases.0, &databases.1), spec).await?)
            }
            Self::GraphqlPostgres | Self::GraphqlPostgresBalances => {
                let url = cluster.database().await;
                Box::new(graphql::Yado::prepare(place, self.name(), self.plugin(), Some(&url), spec).await?)
            }
            Self::GraphqlSqlite => {
                Box::new(graphql::Yado::prepare(place, self.name(), self.plugin(), None, spec).await?)
            }
            Self::NoopGraphql => Box::new(graphql::Noop::prepare(place, cluster, spec).await?),
            Self::Pgbench => Box::new(pgbench::Pgbench::prepare(place, cluster, spec).await?),
            Self::SqliteEach | Self::Umadb | Self::PostgresEs | Self::Emmett => {
                Box::new(peer::Peer::prepare(self, place, cluster, spec).await?)
            }
        })
    }
}

/// What Yado keeps beside its log, for people.
fn keeps(plugin: Plugin) -> &'static str {
    match plugin {
        Plugin::Accounts => "the bank is deployed without its read model, as the others keep none",
        Plugin::WithBalances => "the bank's read model of balances is kept live as well, which the others don't do",
    }
}

impl std::fmt::Display for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

pub use bus::Bus;
pub use graphql::Yado;
