//! A server: the binary that ships, in a folder of its own, on a free port.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Client;

/// How long a server may take to be ready. It is a limit for when something is broken; a start takes a fraction of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that is running, or was.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
}

impl Server {
    /// Starts a server with these plugins.
    pub(crate) async fn start(plugins: &[(&str, &[u8])]) -> Self {
        Self::start_with(&[], plugins).await
    }

    /// Starts a server with these arguments and plugins.
    pub(crate) async fn start_with(arguments: &[&str], plugins: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        for (name, component) in plugins {
            std::fs::write(folder.path().join("plugins").join(format!("{name}.wasm")), component).unwrap();
        }
        // Another process may take the port in between; then the server says so, and the test fails with its words.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let child = spawn(folder.path(), port, &arguments);
        let mut server = Self { child, folder, port, arguments };
        server.ready().await;
        server
    }

    /// A client for it.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url())
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// All that it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Puts a file into the plugin folder in one step.
    pub(crate) fn put_plugin(&self, name: &str, component: &[u8]) {
        let draft = self.folder.path().join(format!("{name}.draft"));
        std::fs::write(&draft, component).unwrap();
        std::fs::rename(&draft, self.folder.path().join("plugins").join(format!("{name}.wasm"))).unwrap();
    }

    /// Ends it without a word, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has. Returns whether it ended well.
    pub(crate) fn stop(&mut self) -> bool {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        self.child.wait().unwrap().success()
    }

    /// Starts it again in the same folder, on the same port.
    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(self.folder.path(), self.port, &self.arguments);
        self.ready().await;
    }

    async fn ready(&mut self) {
        let begun = Instant::now();
        let (http, url) = (reqwest::Client::new(), format!("{}/health/ready", self.url()));
        loop {
            if http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", self.log());
            }
            assert!(begun.elapsed() < PATIENCE, "the server is not ready after {PATIENCE:?}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let last: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("the server's last words:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

fn spawn(folder: &Path, port: u16, arguments: &[String]) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = Command::new(binary());
    command
        .arg("serve")
        .args(["--data".as_ref(), folder.join("data").as_os_str()])
        .args(["--plugins".as_ref(), folder.join("plugins").as_os_str()])
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    command.args(arguments).spawn().unwrap()
}

/// The server's binary: beside this test's own.
fn binary() -> PathBuf {
    let path = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("yado");
    assert!(path.exists(), "{} is not there: `cargo build -p yado-server` builds it", path.display());
    path
}
