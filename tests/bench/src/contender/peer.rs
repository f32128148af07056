//! A peer: another system, driven by a program that speaks the contract's lines.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{Contender, System};
use crate::Result;
use crate::cluster::Cluster;
use crate::place::Place;
use crate::server::last_lines_of;
use crate::work::{Outcome, Spec};

/// How long a peer may take to fill its database.
const READY: Duration = Duration::from_secs(300);
/// How much longer than it was told a turn may take.
const GRACE: Duration = Duration::from_secs(60);

/// A peer that is running. It is killed when this goes away.
pub(super) struct Peer {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
    ready: Ready,
}

#[derive(Debug, Deserialize)]
struct Ready {
    ready: bool,
    #[serde(default)]
    version: String,
    #[serde(default)]
    settings: String,
    url: Option<String>,
    reason: Option<String>,
}

impl Peer {
    pub(super) async fn prepare(system: System, place: &Place, cluster: &Cluster, spec: &Spec) -> Result<Self> {
        let folder = place.folder(system.name())?;
        let data = folder.join("data");
        crate::place::make(&data)?;
        let mut command = program(system, place)?;
        command.args(["--database-url", &cluster.database().await]).arg("--data").arg(&data);
        command.args(["--accounts", &spec.accounts.to_string(), "--payload", &spec.payload_bytes.to_string()]);
        command.args(["--seed", &spec.seed.to_string()]);
        if let Some(python) = &place.python {
            command.arg("--python").arg(python);
        }
        let log = folder.join("log");
        let file = File::create(&log).map_err(|error| format!("{} can't be written: {error}", log.display()))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("it can't be started: {error}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("it can't be spoken to".into());
        };
        let ready = Ready { ready: false, version: String::new(), settings: String::new(), url: None, reason: None };
        let mut peer = Self { child, input, output: BufReader::new(output).lines(), log, ready };
        let line = peer.line(READY).await?;
        peer.ready = serde_json::from_str(&line)
            .map_err(|error| format!("it says {line:?}, which is not as agreed: {error}"))?;
        match &peer.ready {
            Ready { ready: true, .. } => Ok(peer),
            Ready { reason, .. } => {
                Err(reason.clone().unwrap_or_else(|| "it is not ready and does not say why".into()))
            }
        }
    }

    /// Where it serves, if it does.
    pub(super) fn url(&self) -> Option<&str> {
        self.ready.url.as_deref()
    }

    async fn line(&mut self, patience: Duration) -> Result<String> {
        let last = |log: &PathBuf| last_lines_of(log);
        match tokio::time::timeout(patience, self.output.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => Err(format!("it ended: {}", last(&self.log))),
            Ok(Err(error)) => Err(format!("what it says can't be read: {error}")),
            Err(_) => Err(format!("it said nothing for {patience:?}: {}", last(&self.log))),
        }
    }
}

fn program(system: System, place: &Place) -> Result<Command> {
    let (program, script) = match system {
        System::Emmett => ("node".into(), Some(place.target.join("peers/emmett/main.mjs"))),
        _ => (place.target.join("peers/release").join(system.name()), None),
    };
    if let Some(missing) = script.iter().chain(script.is_none().then_some(&program)).find(|path| !path.is_file()) {
        return Err(format!("{} is not there: it was not built", missing.display()));
    }
    let mut command = Command::new(program);
    command.args(script);
    Ok(command)
}

#[async_trait]
impl Contender for Peer {
    async fn run(&mut self, spec: &Spec) -> Result<Outcome> {
        let mut line = serde_json::to_string(spec).map_err(|error| error.to_string())?;
        line.push('\n');
        let broke = |error: std::io::Error| format!("it does not listen any more: {error}");
        self.input.write_all(line.as_bytes()).await.map_err(broke)?;
        self.input.flush().await.map_err(broke)?;
        let told = Duration::from_secs_f64(spec.warm_up_seconds + spec.seconds);
        let line = self.line(told + GRACE).await?;
        answer(&line)
    }

    fn process(&self) -> Option<u32> {
        self.child.id()
    }

    fn about(&self) -> String {
        format!("{}; {}", self.ready.version, self.ready.settings)
    }
}

/// What came of a turn, in a peer's words.
fn answer(line: &str) -> Result<Outcome> {
    let not_agreed = |error: serde_json::Error| format!("it says {line:?}, which is not as agreed: {error}");
    let answer: Value = serde_json::from_str(line).map_err(not_agreed)?;
    match answer.get("failed").and_then(Value::as_str) {
        Some(reason) => Err(reason.to_owned()),
        None => serde_json::from_value(answer).map_err(not_agreed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_says_what_came_of_it_or_why_nothing_did() {
        let done = r#"{"operations":885,"errors":0,"first_error":null,"elapsed_seconds":1.0006,"p50_us":3,"p99_us":7}"#;
        let outcome = answer(done).unwrap();
        assert_eq!((outcome.operations, outcome.p99_us), (885, 7));
        assert!((outcome.elapsed_seconds - 1.0006).abs() < 1e-9);
        assert_eq!(answer(r#"{"failed":"no room"}"#), Err("no room".into()));
        assert!(answer(r#"{"operations":885}"#).unwrap_err().contains("not as agreed"));
        assert!(answer("done").unwrap_err().contains("not as agreed"));
    }
}
