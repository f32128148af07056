//! The binary as people and scripts meet it: what it prints, how it ends.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::io::{BufRead, BufReader, Lines, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

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

/// Where a server listens that has said this.
fn address(log: &mut Lines<impl BufRead>, said: &str) -> SocketAddr {
    let address = log.find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        (line["message"] == said).then(|| line["address"].as_str().unwrap().parse().unwrap())
    });
    address.unwrap_or_else(|| panic!("it ended before it was {said}"))
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
        Self::until("ready", &mut yado(&["serve", "--listen", "127.0.0.1:0"], folder.path()), folder)
    }

    /// Starts a server, and waits until it has said this.
    fn until(said: &str, command: &mut Command, folder: TempDir) -> Self {
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = address(&mut lines, said);
        // The pipe has to be read on, or the server would wait for room in it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, folder }
    }

    /// Asks for a path, and returns the whole answer, head and all.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Asks until it is well: a database may not have answered in time.
    fn is_ready(&self) {
        let is_ready = (0..60).any(|_| self.get("/health/ready").starts_with("HTTP/1.1 200"));
        assert!(is_ready, "it is never ready");
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

/// A log file on a disk that is full is the same to the server as a pipe whose reader has gone away.
#[test]
fn a_server_whose_log_can_not_be_written_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = yado(&["serve", "--listen", "127.0.0.1:0", "--log", "debug"], folder.path());
    let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
    let address = address(&mut BufReader::new(process.stderr.take().unwrap()).lines(), "ready");
    let mut server = Server { process, address, folder };
    for _ in 0..3 {
        server.is_ready();
    }
    server.signal("TERM");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_server_whose_log_nobody_reads_goes_on_and_says_how_much_is_missing() {
    /// More than the pipe and the queue hold.
    const LINES: usize = 5_000;
    const BROKE: &str = "a connection broke";
    let folder = tempfile::tempdir().unwrap();
    let mut command = yado(&["serve", "--listen", "127.0.0.1:0", "--log", "debug"], folder.path());
    let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let address = address(&mut log, "ready");
    let mut server = Server { process, address, folder };
    let breaks = || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(b"this is no request\r\n\r\n").unwrap();
        stream.read_to_end(&mut Vec::new()).expect("the server goes on");
        stream.local_addr().unwrap().to_string()
    };
    for _ in 0..LINES {
        breaks();
    }
    server.is_ready();
    // Somebody reads again.
    let (tell, told) = channel();
    let counted = std::thread::spawn(move || {
        let lines = log.map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
        lines.fold((0, 0), |(broke, missing), line| match line["message"].as_str() {
            Some(BROKE) => {
                // In the end nobody wants to know any more.
                let _ = tell.send(line["peer"].as_str().unwrap().to_owned());
                (broke + 1, missing)
            }
            _ => (broke, missing + line["lines"].as_u64().unwrap_or_default()),
        })
    });
    // What comes when there is room again is written behind all before it.
    let (mut last, mut tries) = (breaks(), 0);
    while tries < 1_000 {
        match told.recv_timeout(Duration::from_millis(100)) {
            Ok(peer) if peer == last => break,
            Ok(_) => {}
            Err(_) => (last, tries) = (breaks(), tries + 1),
        }
    }
    server.signal("TERM");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    let (broke, missing) = counted.join().unwrap();
    assert!(missing > 0 && broke + missing >= LINES as u64, "{broke} lines, and {missing} are said to be missing");
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

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("yado.toml"), "plugins = 'of-file'\n").unwrap();
    let mut command = yado(&["config"], folder.path());
    let printed = answered(command.env("YADO_LISTEN", "").env("YADO_PLUGINS", "").env("YADO_CONFIG", ""));
    for line in ["listen = \"127.0.0.1:4000\"", "plugins = \"of-file\""] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
}

#[test]
fn a_variable_that_nothing_reads_is_told_of_and_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = yado(&["config"], folder.path());
    command.env("YADO_LISTN", "127.0.0.1:1").env("YADO_PORT_4000_TCP", "tcp://10.0.0.1:4000").env("YADO_TEST_X", "1");
    let Output { status, stderr, .. } = command.output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{said}");
    assert!(said.contains("YADO_LISTN; did you mean YADO_LISTEN?") && said.contains("YADO_PORT_4000_TCP"), "{said}");
    assert!(!said.contains("YADO_TEST_X"), "{said}");
}

#[test]
fn a_server_that_is_starting_lives_and_says_that_it_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    // A database that takes connections and never says a word keeps the start waiting.
    let database = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://ada@{}/yado", database.local_addr().unwrap());
    let mut command = yado(&["serve", "--listen", "127.0.0.1:0", "--database-url", &url], folder.path());
    let mut server = Server::until("starting", command.env("YADO_DATABASE_ACQUIRE_TIMEOUT_MS", "3600000"), folder);
    for (path, status, body) in [
        ("/health/live", "200", "\"ok\""),
        ("/health/ready", "503", "\"starting\""),
        ("/graphql", "503", "\"UNAVAILABLE\""),
    ] {
        let answer = server.get(path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(body), "{path}: {answer}");
        assert_eq!(answer.contains("retry-after: "), path == "/graphql", "{path}: {answer}");
    }
    server.signal("TERM");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
}
