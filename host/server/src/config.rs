//! The configuration: one typed value, made of flags, environment and file.
//!
//! Flags win over the environment, the environment over the file, and the file over the defaults, key by key. Defaults
//! of limits are those of the parts that keep them; this module only carries the numbers there.

mod file;
mod keys;
mod nearest;
mod value;

use std::path::{Path, PathBuf};

pub(crate) use nearest::nearest;
pub(crate) use value::{DatabaseUrl, Listen, LogFormat, Origin, Secret};

use crate::failure::{Doing as _, Failure, Result};
use keys::{DatabaseKeys, GraphqlKeys, GuestKeys, HttpKeys, Keys, LimitKeys};

/// What is logged if nothing is asked for: this project's own crates all begin with its name.
const USUAL_LOG: &str = "warn,yado=info";

/// Where the configuration comes from: the file, and what flags and environment put on top of it.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Sources {
    /// The configuration file. By default yado.toml in the current folder, if it is there.
    #[arg(long, env = "YADO_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    keys: Keys,
}

/// The configuration of a server.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The folder for everything that the server keeps.
    pub(crate) data: PathBuf,
    /// The folder of plugins.
    pub(crate) plugins: PathBuf,
    /// Whether somebody asked for that folder: then it has to be there.
    pub(crate) plugins_asked_for: bool,
    /// Where HTTP is served.
    pub(crate) listen: Listen,
    /// The database of the event log.
    pub(crate) database_url: DatabaseUrl,
    /// The database of the read models.
    pub(crate) read_database_url: DatabaseUrl,
    /// What callers of the admin API show. Without one, the data folder keeps one that was made by itself.
    pub(crate) admin_token: Option<Secret>,
    /// Sites whose pages may call the API.
    pub(crate) cors_origins: Vec<Origin>,
    /// What is logged.
    pub(crate) log: String,
    /// What log lines look like.
    pub(crate) log_format: LogFormat,
    /// What one client may take up.
    pub(crate) http: Http,
    /// How databases are used.
    pub(crate) database: yado_store::Options,
    /// How guests are run; the folder for compiled code is within the data folder.
    pub(crate) guests: yado_runtime::Settings,
    /// What one GraphQL request may ask for.
    pub(crate) graphql: yado_graphql::Limits,
    /// Queues, batches and times of the engine.
    pub(crate) limits: yado_engine::Settings,
}

/// What one client may take up.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    /// Connections at a time.
    pub(crate) connections: u32,
    /// How long a connection may be idle, take to send the head of a request, or take nothing of an answer; that is
    /// longer where subscribers who are too slow have longer to be told so.
    pub(crate) idle_ms: u64,
    /// How long the body of a request may take.
    pub(crate) body_ms: u64,
    /// How long requests may go on when the server has been told to stop.
    pub(crate) drain_ms: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self { connections: 1_024, idle_ms: 60_000, body_ms: 60_000, drain_ms: 10_000 }
    }
}

impl Config {
    /// Puts the sources together.
    pub(crate) fn resolve(sources: Sources) -> Result<Self> {
        let file = file::read(sources.config.as_deref())?;
        Self::of(sources.keys.over(file))
    }

    fn of(keys: Keys) -> Result<Self> {
        let data = keys.data.unwrap_or_else(|| PathBuf::from("data"));
        // A read database of one's own lets projections write while commands are recorded; SQLite has one writer a file.
        let (database_url, usual_read) = match keys.database_url {
            Some(url) => (url.clone(), url),
            None => (within(&data, "events.db")?, within(&data, "reads.db")?),
        };
        let mut http = Http::default();
        let mut database = yado_store::Options::default();
        let mut guests =
            yado_runtime::Settings { cache: Some(data.join("cache")), ..yado_runtime::Settings::default() };
        let mut graphql = yado_graphql::Limits::default();
        let mut limits = yado_engine::Settings::default();
        keys.http.put(&mut http);
        keys.database.put(&mut database);
        keys.guests.put(&mut guests);
        keys.graphql.put(&mut graphql);
        keys.limits.put(&mut limits);
        graphql.check().doing(|| "the limits of [graphql] can't be".to_owned())?;
        limits.check().doing(|| "the limits of [limits] can't be".to_owned())?;
        Ok(Self {
            data,
            plugins_asked_for: keys.plugins.is_some(),
            plugins: keys.plugins.unwrap_or_else(|| PathBuf::from("plugins")),
            listen: keys.listen.unwrap_or(Listen(([127, 0, 0, 1], 4000).into())),
            read_database_url: keys.read_database_url.unwrap_or(usual_read),
            database_url,
            admin_token: keys.admin_token,
            cors_origins: keys.cors_origins.unwrap_or_default(),
            log: keys.log.unwrap_or_else(|| USUAL_LOG.to_owned()),
            log_format: keys.log_format.unwrap_or_default(),
            http,
            database,
            guests,
            graphql,
            limits,
        })
    }

    /// The configuration as a file that says the same, but for passwords and tokens, which are covered.
    pub(crate) fn to_toml(&self) -> Result<String> {
        let keys = Keys {
            data: Some(self.data.clone()),
            plugins: Some(self.plugins.clone()),
            listen: Some(self.listen),
            database_url: Some(self.database_url.clone()),
            read_database_url: Some(self.read_database_url.clone()),
            admin_token: self.admin_token.clone(),
            cors_origins: Some(self.cors_origins.clone()),
            log: Some(self.log.clone()),
            log_format: Some(self.log_format),
            http: HttpKeys::of(&self.http),
            database: DatabaseKeys::of(&self.database),
            guests: GuestKeys::of(&self.guests),
            graphql: GraphqlKeys::of(&self.graphql),
            limits: LimitKeys::of(&self.limits),
        };
        toml::to_string(&keys).doing(|| "the configuration can't be written as TOML".to_owned())
    }
}

/// An SQLite database in the data folder.
fn within(data: &Path, file: &str) -> Result<DatabaseUrl> {
    let path = data.join(file);
    let path = path.to_str().ok_or_else(|| {
        let path = path.display();
        Failure::new(format!("the path {path} is not UTF-8, which a database URL must be: use another data folder"))
    })?;
    Ok(DatabaseUrl::sqlite(path))
}

#[cfg(test)]
mod tests;
