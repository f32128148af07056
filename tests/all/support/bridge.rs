//! Clients that are programs of their own: npm's, through a script that lends them, and curl.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tokio::sync::mpsc;

/// What comes of an operation, one after the other.
pub(crate) type Answers = mpsc::UnboundedReceiver<Said>;

/// Something that a client says of an operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    /// An answer.
    Next(Value),
    /// That there will be no more.
    Done,
    /// Why it has given up.
    Failed(Value),
}

/// Where `cargo xtask test` has put npm's packages; none where they can't be had. If it says where they are, they have to
/// be there.
pub(crate) fn packages() -> Option<PathBuf> {
    // npm writes this file last.
    let is_whole = |folder: &PathBuf| folder.join("node_modules/.package-lock.json").is_file();
    if let Some(folder) = std::env::var_os("YADO_TEST_CLIENTS").filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        assert!(is_whole(&folder), "YADO_TEST_CLIENTS is {}, and npm's packages are not there", folder.display());
        return Some(folder);
    }
    let beside = std::env::current_exe().ok()?.ancestors().nth(3)?.join("node");
    is_whole(&beside).then_some(beside)
}

/// A client of npm's, in a process of its own.
pub(crate) struct Bridge {
    child: Mutex<Child>,
    input: Mutex<ChildStdin>,
    listeners: Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<Said>>>>,
    next: AtomicU64,
}

impl Bridge {
    /// Starts a client for a server.
    pub(crate) fn start(packages: &Path, client: &str, url: &str) -> Self {
        let mut command = Command::new("node");
        command.arg(packages.join("bridge.mjs")).args([client, url]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = Mutex::new(child.stdin.take().unwrap());
        let output = BufReader::new(child.stdout.take().unwrap());
        let listeners: Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<Said>>>> = Arc::default();
        let heard = listeners.clone();
        thread::spawn(move || {
            for line in output.lines() {
                let mut line: Value = serde_json::from_str(&line.unwrap()).unwrap();
                let said = match (line["next"].take(), line["failed"].take()) {
                    (Value::Null, Value::Null) => Said::Done,
                    (Value::Null, failed) => Said::Failed(failed),
                    (next, _) => Said::Next(next),
                };
                if let Some(listener) = heard.lock().unwrap().get(&line["id"].as_u64().unwrap()) {
                    // Nobody may listen any more.
                    let _ = listener.send(said);
                }
            }
            heard.lock().unwrap().clear();
        });
        Self { child: Mutex::new(child), input, listeners, next: AtomicU64::new(1) }
    }

    /// Starts an operation.
    pub(crate) fn run(&self, document: &str, variables: &Value) -> Answers {
        let (sender, answers) = mpsc::unbounded_channel();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.listeners.lock().unwrap().insert(id, sender);
        let line = json!({ "id": id, "query": document, "variables": variables });
        writeln!(self.input.lock().unwrap(), "{line}").unwrap();
        answers
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// An operation by curl, as a shell script would send it: a subscription is asked for as a stream of events.
pub(crate) fn curl(url: &str, document: &str, variables: &Value) -> Curl {
    let body = json!({ "query": document, "variables": variables }).to_string();
    let is_subscription = document.lines().any(|line| line.starts_with("subscription"));
    let accept = if is_subscription { "text/event-stream" } else { "application/json" };
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--no-buffer", url]);
    command.args(["-H", "content-type: application/json", "-H", &format!("accept: {accept}"), "--data-binary", &body]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (sender, answers) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let mut event = String::new();
        for line in output.lines() {
            let line = line.unwrap();
            let said = match (is_subscription, line.strip_prefix("event: "), line.strip_prefix("data: ")) {
                (false, ..) => Some(Said::Next(serde_json::from_str(&line).unwrap())),
                (true, Some(kind), _) => {
                    kind.clone_into(&mut event);
                    None
                }
                (true, _, Some(data)) if event == "next" => Some(Said::Next(serde_json::from_str(data).unwrap())),
                _ => None,
            };
            // Nobody may listen any more.
            let _ = said.map(|said| sender.send(said));
        }
        let _ = sender.send(Said::Done);
    });
    Curl { child, answers }
}

/// A curl that is running.
pub(crate) struct Curl {
    child: Child,
    pub(crate) answers: Answers,
}

impl Drop for Curl {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
