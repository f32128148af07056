//! The run's own PostgreSQL: one cluster, the same for every contender, with a database for each.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;
use yado_store::testing::{Fsync, Postgres, programs};

use crate::Result;

/// What differs from PostgreSQL's defaults. All contenders share it. `fsync` and `synchronous_commit` are on.
pub const SETTINGS: [(&str, &str); 2] = [("shared_buffers", "512MB"), ("max_connections", "600")];

/// A cluster that is running.
#[derive(Debug)]
pub struct Cluster {
    postgres: Postgres,
    programs: PathBuf,
    postmaster: u32,
}

impl Cluster {
    /// Starts one in a temporary folder.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn start() -> Result<Self> {
        let programs = programs().ok_or("PostgreSQL's programs are not installed: `cargo xtask test` installs them")?;
        let postgres = Postgres::start_with(Fsync::On, &SETTINGS);
        let file = postgres.folder().join("data/postmaster.pid");
        let text =
            std::fs::read_to_string(&file).map_err(|error| format!("{} can't be read: {error}", file.display()))?;
        let postmaster = text.lines().next().and_then(|line| line.trim().parse().ok());
        let postmaster = postmaster.ok_or_else(|| format!("{} names no process", file.display()))?;
        Ok(Self { postgres, programs, postmaster })
    }

    /// The process from which all of the server's descend.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.postmaster
    }

    /// A new database.
    pub async fn database(&self) -> String {
        self.postgres.database().await
    }

    /// Drops all databases but this one, with what is still connected to them, so that the server has nothing to do for them
    /// any more.
    ///
    /// # Errors
    /// When it fails.
    pub async fn drop_all_but(&self, kept: &str) -> Result<()> {
        let others = "select quote_ident(datname) from pg_database \
            where not datistemplate and datname not in ('postgres', current_database())";
        for other in self.query(kept, others).await?.lines() {
            self.query(kept, &format!("drop database {other} with (force)")).await?;
        }
        Ok(())
    }

    /// A program that comes with PostgreSQL: from the same folder as the server, or from the path.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let beside = self.programs.join(name);
        Command::new(if beside.is_file() { beside } else { name.into() })
    }

    /// Runs a statement, and gives what it answers: a line a row.
    ///
    /// # Errors
    /// When it fails.
    pub async fn query(&self, database: &str, statement: &str) -> Result<String> {
        let mut psql = self.program("psql");
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-c", statement, database]).stdin(Stdio::null());
        let output = psql.output().await.map_err(|error| format!("psql can't be started: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(format!("{statement}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
