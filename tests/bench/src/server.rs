//! The server that ships, as a process: started with its defaults in a folder of its own, on a free port.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::Result;
use crate::http::{Connection, Url};
use crate::operator::Operator;
use crate::place::{self, Place};

/// How long it may take to start, and its read models to show what was recorded.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A server that is running. It is killed when this goes away.
#[derive(Debug)]
pub struct Server {
    child: Child,
    host: String,
    folder: PathBuf,
    log: PathBuf,
}

impl Server {
    /// Starts one with a plugin. Without a database it keeps everything in SQLite files in its folder, which is what it
    /// does for everybody.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(place: &Place, name: &str, plugin: &[u8], database: Option<&str>) -> Result<Self> {
        let folder = place.folder(name)?;
        let plugins = folder.join("plugins");
        place::make(&plugins)?;
        let failed = |error: std::io::Error| format!("{} can't be written: {error}", folder.display());
        fs::write(plugins.join("plugin.wasm"), plugin).map_err(failed)?;
        let log = folder.join("log");
        let file = File::create(&log).map_err(failed)?;
        let mut command = Command::new(place.server());
        command.arg("serve").current_dir(&folder).args(["--data", "data", "--plugins", "plugins"]);
        command.args(["--listen", "127.0.0.1:0", "--log-format", "json"]);
        if let Some(database) = database {
            command.args(["--database-url", database]);
        }
        // What is configured here is meant for other servers.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("YADO_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(file.try_clone().map_err(failed)?).stderr(file).kill_on_drop(true);
        let child = command.spawn();
        let child = child.map_err(|error| format!("{} can't be started: {error}", place.server().display()))?;
        let mut server = Self { child, host: String::new(), folder, log };
        server.ready().await?;
        Ok(server)
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// Where it serves GraphQL.
    #[must_use]
    pub fn graphql(&self) -> Url {
        Url { host: self.host.clone(), path: "/graphql".into() }
    }

    /// What its operator may do.
    ///
    /// # Errors
    /// When the token is not where servers keep it.
    pub fn operator(&self) -> Result<Operator> {
        let file = self.folder.join("data/admin-token");
        let token = fs::read_to_string(&file).map_err(|error| format!("{} can't be read: {error}", file.display()))?;
        Ok(Operator::new(self.host.clone(), token))
    }

    async fn ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(address) = ready_at(&log) {
                self.host = address;
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended with {status}: {}", last_lines(&log)));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(format!("the server was not ready after {PATIENCE:?}: its log is {}", self.log.display()))
    }

    /// Waits until its read models show a position.
    ///
    /// # Errors
    /// When they don't get there.
    pub async fn settle(&self, position: u64) -> Result<()> {
        let url = Url { host: self.host.clone(), path: "/health".into() };
        let mut connection = Connection::open(&url, "GET").await?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let (_, body) = connection.send(b"").await?;
            if projected(body).is_some_and(|reached| reached >= position) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(format!("the read models do not show position {position} after {PATIENCE:?}"))
    }
}

impl Server {
    /// A figure of `/metrics`.
    ///
    /// # Errors
    /// When the server does not tell it.
    pub async fn figure(&self, name: &str) -> Result<f64> {
        let url = Url { host: self.host.clone(), path: "/metrics".into() };
        let mut connection = Connection::open(&url, "GET").await?;
        let (_, body) = connection.send(b"").await?;
        figure(&String::from_utf8_lossy(body), name).ok_or_else(|| format!("/metrics has no {name}"))
    }
}

/// The value of a figure that has no labels, in the form that Prometheus reads.
fn figure(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The position that all projections have reached, as `/health` tells it.
fn projected(health: &[u8]) -> Option<u64> {
    let health: Value = serde_json::from_slice(health).ok()?;
    let checks = health["checks"].as_array()?.iter();
    let projections = checks.filter(|check| check["name"].as_str().is_some_and(|name| name.starts_with("projection ")));
    let positions = projections.map(|check| check["detail"].as_str()?.rsplit(' ').next()?.parse().ok());
    positions.collect::<Option<Vec<u64>>>()?.into_iter().min()
}

/// The address in the line of a log that says that the server is ready.
fn ready_at(log: &str) -> Option<String> {
    log.lines().find_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["message"] == "ready").then(|| line["address"].as_str().map(str::to_owned))?
    })
}

/// The end of a program's log, for a message.
pub(crate) fn last_lines(log: &str) -> String {
    let last: Vec<&str> = log.lines().rev().take(5).collect();
    last.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// The end of a log file, for a message.
pub(crate) fn last_lines_of(log: &Path) -> String {
    last_lines(&fs::read_to_string(log).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_projection_says_how_far_the_read_models_are() {
        let health = br#"{"checks":[{"name":"loops","detail":"x"},{"name":"projection A","detail":"at position 12"},
            {"name":"projection B","detail":"at position 7"}]}"#;
        assert_eq!(projected(health), Some(7));
        assert_eq!(projected(br#"{"checks":[]}"#), None);
        let stuck =
            br#"{"checks":[{"name":"projection A","detail":"stands at position 3; the server's log says why"}]}"#;
        assert_eq!(projected(stuck), None);
    }

    #[test]
    fn a_figure_is_found_by_its_whole_name() {
        let text = "# HELP entries What is there.\nentries_total 3\nentries 1200\n";
        assert_eq!(figure(text, "entries"), Some(1_200.0));
        assert_eq!(figure(text, "entr"), None);
    }

    #[test]
    fn the_log_says_where_the_server_is() {
        let log =
            "{\"message\":\"starting\",\"address\":\"a\"}\nnoise\n{\"message\":\"ready\",\"address\":\"127.0.0.1:5\"}";
        assert_eq!(ready_at(log).as_deref(), Some("127.0.0.1:5"));
        assert_eq!(ready_at("noise"), None);
    }
}
