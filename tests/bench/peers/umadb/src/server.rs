//! UmaDB's server, from the Python package that it is distributed with.
//!
//! It ends with this process, however that ends: a shell waits for the other end of a pipe, which the operating system
//! closes with the process, and then stops the server.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use umadb_client::{AsyncUmaDbClient, UmaDbClient};

/// Starts what it is given, says its process, and stops it when its own standard input is closed.
const KEEPER: &str = r#""$@" </dev/null >&2 & server=$!; echo "$server"; read -r _; kill "$server"; wait "$server""#;

/// What the package's own script does.
const SERVE: &str = "from umadb.umadb_server_cli import main; main()";

/// How long it may take until it answers.
const START_TIME: Duration = Duration::from_secs(30);

/// How long to wait before asking again.
const START_PAUSE: Duration = Duration::from_millis(20);

/// What differs from the server's defaults. Reading pages through a memory map costs fewer system calls, and gains more than
/// the page cache does. Without zeros in fresh pages it is slower. The pipelined writer, which has to be asked for, is
/// faster, but reads beside it were answered with `database corrupted` in this version.
pub(crate) const SETTINGS: [&str; 2] = ["--read-method", "mmap"];

/// A running server.
pub(crate) struct Server {
    address: SocketAddr,
    process: u32,
    keeper: Child,
}

impl Server {
    /// Starts it over a folder that it makes.
    pub(crate) async fn start(python: &Path, folder: &Path) -> Result<Self> {
        // The port is free again when the server asks for it, and nobody else is given it so soon.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "sh"])
            .arg(python)
            .args(["-c", SERVE, "--listen", &address.to_string(), "--db-path"])
            .arg(folder)
            .args(SETTINGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("/bin/sh does not start")?;
        let mut process = String::new();
        BufReader::new(keeper.stdout.take().context("the shell has no output")?).read_line(&mut process)?;
        let server = Self { address, process: process.trim().parse()?, keeper };
        let begun = Instant::now();
        while let Err(error) = server.connect().await {
            ensure!(begun.elapsed() < START_TIME, "UmaDB's server does not answer: {error}");
            tokio::time::sleep(START_PAUSE).await;
        }
        Ok(server)
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// A connection.
    pub(crate) async fn connect(&self) -> Result<AsyncUmaDbClient> {
        Ok(UmaDbClient::new(format!("http://{}", self.address)).connect_async().await?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // The server may have ended before, and there is nobody to tell.
        let _ = self.keeper.wait();
    }
}
