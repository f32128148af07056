//! A PostgreSQL of one's own, for tests: a cluster in a temporary folder, reached through a socket in it.
//!
//! The cluster goes away with the process that started it, however that ends. A shell waits for the other end of a pipe,
//! which the operating system closes with the process; then it stops the server and removes the folder.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

use crate::Options;

/// Names the folder with `initdb` and `pg_ctl`, if they are where nobody would look.
const FOLDER: &str = "YADO_TEST_POSTGRES_BIN";

/// What the shell does once the pipe is closed.
const WATCH: &str = r#"read -r _; "$1/pg_ctl" -D "$2/data" -m immediate -w stop >/dev/null 2>&1; rm -rf "$2""#;

/// Whether commits of the cluster wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// They do, as in production.
    On,
    /// They don't: much faster, and nothing is lost as long as the machine stays up.
    Off,
}

/// A running cluster.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    databases: AtomicU32,
    binaries: PathBuf,
    /// The user and group that the server runs as, if not ourselves.
    owner: Option<(u32, u32)>,
    /// What the server is started with.
    options: String,
    /// Holds the pipe. It is never waited for: it lives as long as this process, and a little longer.
    watcher: Child,
}

impl Postgres {
    /// The cluster that all tests of this process share. It does not wait for the disk.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start; the message says what to do.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Fsync::Off))
    }

    /// Starts a cluster.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start; the message says what to do.
    #[must_use]
    pub fn start(fsync: Fsync) -> Self {
        Self::start_with(fsync, &[])
    }

    /// Starts a cluster with settings of its own, each a name and a value of `postgresql.conf` without spaces.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start; the message says what to do.
    #[must_use]
    pub fn start_with(fsync: Fsync, settings: &[(&str, &str)]) -> Self {
        let binaries = programs().unwrap_or_else(|| {
            panic!(
                "PostgreSQL's initdb and pg_ctl were not found. Run `cargo xtask test`, which sets them up, or name \
                 their folder in {FOLDER}."
            )
        });
        Self::launch(&binaries, fsync, settings).unwrap_or_else(|error| {
            panic!("PostgreSQL of {} did not start: {error}. `cargo xtask test` sets one up.", binaries.display())
        })
    }

    /// Makes an empty database, and gives its URL.
    ///
    /// # Panics
    /// If the cluster does not answer any more.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url("postgres")).await.expect("the test cluster answers");
        connection.execute(AssertSqlSafe(format!("create database {name}"))).await.expect("a database can be made");
        connection.close().await.expect("the connection closes");
        self.url(&name)
    }

    /// Ends all sessions with a database, as a failover does. Whoever comes after that is let in.
    ///
    /// # Panics
    /// If the cluster does not answer any more.
    pub async fn cut(&self, url: &str) {
        let name = url.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let mut connection = PgConnection::connect(&self.url("postgres")).await.expect("the test cluster answers");
        let sessions = sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1");
        sessions.bind(name).execute(&mut connection).await.expect("sessions can be ended");
        connection.close().await.expect("the connection closes");
    }

    /// Ends the server without a word, as a machine that fails does, and starts it again: what is not logged is gone, and
    /// all sessions are.
    ///
    /// # Panics
    /// If it does not start again.
    pub fn crash(&self) {
        let mut stop = command(&self.folder, self.owner, &self.binaries.join("pg_ctl"));
        run(stop.args(["-D", "data", "-m", "immediate", "-w", "stop"])).expect("the server can be ended");
        self.serve().expect("the server starts again");
    }

    /// The folder with the socket, the server's log, and its data below `data`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://yado@localhost/{database}?host={}", self.folder.display())
    }

    fn launch(binaries: &Path, fsync: Fsync, settings: &[(&str, &str)]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("yado-pg-").tempdir()?;
        let owner = server_owner(folder.path())?;
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group))?;
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))?;
        // From here on the folder is the watcher's to remove.
        let folder = folder.keep();
        let command = |program: &Path| command(&folder, owner, program);

        let mut watch = command(Path::new("/bin/sh"));
        // In a group of its own: an interrupt from the keyboard is for the tests, and the watcher outlives them.
        watch.args(["-c", WATCH, "sh"]).arg(binaries).arg(&folder).stdin(Stdio::piped()).process_group(0);
        let watcher = watch.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;

        let mut initdb = command(&binaries.join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--username=yado", "--encoding=UTF8", "--no-locale", "-D", "data"]);
        run(&mut initdb)?;
        let fsync = if fsync == Fsync::On { "on" } else { "off" };
        let mut options = format!(
            "-c listen_addresses='' -c unix_socket_directories={} -c fsync={fsync} -c max_connections=200",
            folder.display()
        );
        // The last word on a setting counts.
        settings.iter().for_each(|(name, value)| options.push_str(&format!(" -c {name}={value}")));
        let cluster =
            Self { folder, databases: AtomicU32::new(0), binaries: binaries.to_owned(), owner, options, watcher };
        cluster.serve()?;
        Ok(cluster)
    }

    fn serve(&self) -> io::Result<()> {
        let mut start = command(&self.folder, self.owner, &self.binaries.join("pg_ctl"));
        start.args(["-D", "data", "-l", "log", "-w", "-o"]).arg(&self.options).arg("start");
        // Not through a pipe: the server would hold its other end, and reading would not end before it does.
        start.stdout(Stdio::null()).stderr(Stdio::null());
        if start.status()?.success() {
            return Ok(());
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        Err(io::Error::other(format!("pg_ctl start failed, and its log says: {log}")))
    }
}

impl Drop for Postgres {
    /// Closes the pipe and waits for the watcher: whoever starts a cluster of their own has it gone afterwards.
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // There is nobody to tell, and the temporary folder is no worse off than after a crash.
        let _ = self.watcher.wait();
    }
}

/// Options of a test that is about something else than waiting: on a busy machine anybody may stand still for a while.
#[must_use]
pub fn patient() -> Options {
    Options { acquire_timeout_ms: 120_000, ..Options::default() }
}

/// Executes a statement in a database, past all that the stores promise: for tests of what becomes of damage.
///
/// # Panics
/// If the database can't be used so.
pub async fn execute(url: &str, statement: &str) {
    let statement = AssertSqlSafe(statement.to_owned());
    let outcome = match url.starts_with("sqlite:") {
        true => match sqlite(url).await {
            Ok(mut database) => database.execute(statement).await.map(|_| ()),
            Err(error) => Err(error),
        },
        false => match PgConnection::connect(url).await {
            Ok(mut database) => database.execute(statement).await.map(|_| ()),
            Err(error) => Err(error),
        },
    };
    outcome.expect("the statement can be executed");
}

/// Asks a database for texts, past all that the stores promise.
///
/// # Panics
/// If the database can't be asked so.
pub async fn told(url: &str, question: &str) -> Vec<String> {
    let statement = AssertSqlSafe(question.to_owned());
    let answer = match url.starts_with("sqlite:") {
        true => match sqlite(url).await {
            Ok(mut database) => sqlx::query_scalar(statement).fetch_all(&mut database).await,
            Err(error) => Err(error),
        },
        false => match PgConnection::connect(url).await {
            Ok(mut database) => sqlx::query_scalar(statement).fetch_all(&mut database).await,
            Err(error) => Err(error),
        },
    };
    answer.expect("the question is answered with texts")
}

async fn sqlite(url: &str) -> sqlx::Result<SqliteConnection> {
    let options = url.parse::<SqliteConnectOptions>()?.busy_timeout(patient().acquire_timeout());
    SqliteConnection::connect_with(&options).await
}

/// A program that runs in the cluster's folder as its owner.
fn command(folder: &Path, owner: Option<(u32, u32)>, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_remove("PGDATA").env("LC_ALL", "C").stdin(Stdio::null());
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{} failed: {errors}", command.get_program().display())))
}

/// The folder with the server's programs, if they are installed.
#[must_use]
pub fn programs() -> Option<PathBuf> {
    let has_all = |folder: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|name| folder.join(name).is_file());
    if let Some(folder) = std::env::var_os(FOLDER) {
        return Some(PathBuf::from(folder)).filter(has_all);
    }
    let told = Command::new("pg_config").arg("--bindir").output().ok().filter(|output| output.status.success());
    let told = told.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps several versions side by side, outside of the path.
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().collect();
    versions.sort_by_key(|entry| entry.file_name().to_string_lossy().parse::<u32>().unwrap_or_default());
    let debian = versions.iter().rev().map(|entry| entry.path().join("bin"));
    told.into_iter().chain(std::env::split_paths(&path)).chain(debian).find(has_all)
}

/// The user and group to run the server as, if it is not ourselves: it refuses to run as root.
fn server_owner(ours: &Path) -> io::Result<Option<(u32, u32)>> {
    if fs::metadata(ours)?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let entry = |name: &str| {
        let fields =
            users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|user| user.first() == Some(&name))?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    let owner = entry("postgres").or_else(|| entry("nobody"));
    owner.map(Some).ok_or_else(|| io::Error::other("we are root, and there is neither a user postgres nor nobody"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cluster_goes_away_with_whoever_started_it() {
        let cluster = Postgres::start(Fsync::On);
        let url = cluster.database().await;
        assert!(PgConnection::connect(&url).await.is_ok());
        let folder = cluster.folder.clone();
        drop(cluster);
        assert!(!folder.exists());
        assert!(PgConnection::connect(&url).await.is_err());
    }
}
