//! A server: the binary that ships, in a folder of its own, on a free port.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::patience::patiently;
use super::{Client, eventually};

/// A server that is running, or was.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
    arguments: Vec<String>,
}

impl Server {
    /// Starts a server with these plugins.
    pub(crate) async fn start(plugins: &[(&str, &[u8])]) -> Self {
        Self::start_with(&[], plugins).await
    }

    /// Starts a server with these arguments and plugins. It has as much time for everything as it needs, but where the arguments
    /// say how much.
    pub(crate) async fn start_with(arguments: &[&str], plugins: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        for (name, component) in plugins {
            std::fs::write(folder.path().join("plugins").join(format!("{name}.wasm")), component).unwrap();
        }
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        // The operating system chooses the port, and the server says which one it is.
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let child = spawn(folder.path(), address, &arguments);
        let mut server = Self { child, folder, address, arguments };
        server.ready(0).await;
        server
    }

    /// A client for it.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url())
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Whatever it has logged before this is called: it writes its log beside all else, line by line in their order, so all of
    /// that is written once the log tells of a connection that breaks now.
    pub(crate) async fn whole_log(&self) -> String {
        let said = self.log().len();
        let mut broken = TcpStream::connect(self.address).await.unwrap();
        let own = broken.local_addr().unwrap().to_string();
        broken.write_all(b"\0").await.unwrap();
        eventually("the log is written", async || self.log().get(said..).is_some_and(|told| told.contains(&own))).await;
        self.log()
    }

    /// What is written of its log. There may be more to come.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Puts a file into the plugin folder in one step.
    pub(crate) fn put_plugin(&self, name: &str, component: &[u8]) {
        let draft = self.folder.path().join(format!("{name}.draft"));
        std::fs::write(&draft, component).unwrap();
        std::fs::rename(&draft, self.folder.path().join("plugins").join(format!("{name}.wasm"))).unwrap();
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Takes all time from it, without its knowing.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Gives it time again.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Asks it to stop, and waits until it has. Returns whether it ended well.
    pub(crate) fn stop(&mut self) -> bool {
        self.signal("-TERM");
        self.child.wait().unwrap().success()
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Starts it again in the same folder, on the same port.
    pub(crate) async fn start_again(&mut self) {
        let said = self.log().len();
        self.child = spawn(self.folder.path(), self.address, &self.arguments);
        self.ready(said).await;
    }

    /// Starts it again with further arguments.
    pub(crate) async fn start_again_with(&mut self, arguments: &[&str]) {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self.start_again().await;
    }

    /// Waits until it says that it is ready, beyond what it had said before, and at which address.
    async fn ready(&mut self, said: usize) {
        let mut address = None;
        eventually("the server is ready", async || {
            let log = self.log();
            let told = log.get(said..).unwrap_or_default();
            address = ready_at(told);
            if let Some(ended) = self.child.try_wait().unwrap().filter(|_| address.is_none()) {
                // While it was away, somebody may have been given its port for a moment.
                assert!(told.contains("can't be listened at"), "the server ended with {ended}:\n{log}");
                self.child = spawn(self.folder.path(), self.address, &self.arguments);
            }
            address.is_some()
        })
        .await;
        self.address = address.unwrap();
        let (http, url) = (reqwest::Client::new(), format!("{}/health/ready", self.url()));
        let is_ready = async || http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success());
        eventually("its health is good", is_ready).await;
    }
}

/// The address in the line of a log that says that the server is ready.
fn ready_at(log: &str) -> Option<SocketAddr> {
    log.lines().find_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        if line["message"] != "ready" {
            return None;
        }
        line["address"].as_str()?.parse().ok()
    })
}

/// The same arguments, but that some lines of the server are logged, whatever a test wants to see of others: one of them says
/// where it listens, and others how far the log is written.
fn heard(arguments: &[String]) -> Vec<String> {
    let mut arguments = arguments.to_vec();
    let filter = arguments.iter().position(|argument| argument == "--log").and_then(|at| arguments.get_mut(at + 1));
    match filter {
        Some(filter) => filter.push_str(HEARD),
        None => arguments.extend(["--log".to_owned(), format!("info{HEARD}")]),
    }
    arguments
}

/// Filters for lines that are always logged.
const HEARD: &str = ",yado=info,yado::connections=debug";

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

fn spawn(folder: &Path, address: SocketAddr, arguments: &[String]) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = yado();
    command
        .arg("serve")
        .args(["--data".as_ref(), folder.join("data").as_os_str()])
        .args(["--plugins".as_ref(), folder.join("plugins").as_os_str()])
        .args(["--listen", &address.to_string()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    command.args(heard(arguments)).args(patiently(arguments)).spawn().unwrap()
}

/// The binary, to be run with arguments of the test's own.
pub(crate) fn yado() -> Command {
    let mut command = Command::new(binary());
    // What is configured here is for the server of whoever runs the tests, and none of the tests' business.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("YADO_")) {
        command.env_remove(name);
    }
    command
}

/// The server's binary: beside this test's own.
fn binary() -> PathBuf {
    let path = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("yado");
    assert!(path.exists(), "{} is not there: `cargo build -p yado-server` builds it", path.display());
    path
}
