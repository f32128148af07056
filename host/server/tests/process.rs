//! The binary as people and scripts meet it: what it prints, how it ends.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// Nobody listens at this port: it belongs to a protocol that nobody speaks any more.
const NOBODY: &str = "127.0.0.1:1";

fn yado(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yado"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("YADO_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command that has to fail, and returns what it says.
fn refused(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), stdout.as_slice()), (Some(1), [].as_slice()), "{said}");
    // Log lines are JSON here; what is said to people is one line, and the last.
    let said: Vec<&str> = said.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    said[0].to_owned()
}

fn answered(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// A server that runs until it is dropped.
struct Server {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process =
            yado(&["serve", "--listen", "127.0.0.1:0"], folder.path()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let ready = lines.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            (line["message"] == "ready").then(|| line["address"].as_str().unwrap().parse().unwrap())
        });
        let address = ready.expect("it ended before it was ready");
        // The pipe has to be read on, or the server would wait for room in it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, folder }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("yado.toml"), "data = 'of-file'\nplugins = 'of-file'\nlog = 'of-file'\n")
        .unwrap();
    let printed = answered(
        yado(&["serve", "--print-config", "--data", "of-flag"], folder.path())
            .env("YADO_DATA", "of-environment")
            .env("YADO_PLUGINS", "of-environment"),
    );
    for line in ["data = \"of-flag\"", "plugins = \"of-environment\"", "log = \"of-file\""] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
}

#[test]
fn an_unknown_key_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("yado.toml"), "# ours\nlisten_at = '127.0.0.1:0'\n").unwrap();
    let said = refused(&mut yado(&["serve"], folder.path()));
    assert_eq!(said, "yado: yado.toml:2: there is no key listen_at; did you mean listen?");
}

#[test]
fn a_port_in_use_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&mut yado(&["serve", "--listen", &address], folder.path()));
    assert!(said.starts_with(&format!("yado: {address} can't be listened at")), "{said}");
}

#[test]
fn a_plugin_folder_that_is_asked_for_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let said = refused(&mut yado(&["serve", "--listen", "127.0.0.1:0", "--plugins", "nowhere"], folder.path()));
    assert!(said.contains("there is no plugin folder nowhere"), "{said}");
}

#[test]
fn a_database_that_is_away_is_named_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://ada:s3cret@{NOBODY}/yado");
    let mut command = yado(&["serve", "--listen", "127.0.0.1:0", "--database-url", &url], folder.path());
    let said = refused(command.env("YADO_DATABASE_ACQUIRE_TIMEOUT_MS", "50"));
    assert!(said.contains(&format!("postgres://ada:***@{NOBODY}/yado")) && !said.contains("s3cret"), "{said}");
}

#[test]
fn a_second_server_on_the_same_data_folder_is_refused() {
    let server = Server::start();
    let said = refused(&mut yado(&["serve", "--listen", "127.0.0.1:0"], server.folder.path()));
    assert!(said.contains("uses the data folder data"), "{said}");
}

#[test]
fn a_signal_ends_the_server_in_order() {
    for signal in ["INT", "TERM"] {
        let mut server = Server::start();
        server.signal(signal);
        assert_eq!(server.process.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn plugins_are_listed_for_whoever_has_the_token() {
    let server = Server::start();
    let url = server.url();
    assert_eq!(answered(&mut yado(&["plugin", "list", "--server", &url], server.folder.path())), "");
    let wrong = ["plugin", "list", "--server", &url, "--token", "0123456789abcdef"];
    let said = refused(&mut yado(&wrong, server.folder.path()));
    assert!(said.starts_with("yado: show the admin token"), "{said}");
}

#[test]
fn what_is_no_plugin_is_refused_with_the_reason() {
    let server = Server::start();
    std::fs::write(server.folder.path().join("letter.wasm"), "Dear host").unwrap();
    let said =
        refused(&mut yado(&["plugin", "deploy", "letter.wasm", "--server", &server.url()], server.folder.path()));
    assert!(said.contains("neither a WebAssembly module nor a component"), "{said}");
    let said = refused(&mut yado(&["plugin", "check", "letter.wasm"], server.folder.path()));
    assert!(said.contains("neither a WebAssembly module nor a component"), "{said}");
}

#[test]
fn a_server_that_is_away_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{NOBODY}");
    let arguments = ["plugin", "list", "--server", &url, "--token", "0123456789abcdef"];
    let said = refused(&mut yado(&arguments, folder.path()));
    assert!(said.starts_with(&format!("yado: no server answers at {url}")), "{said}");
}
