//! The command line's side of the admin API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::config::Secret;
use crate::failure::{Doing as _, Failure, Result};
use crate::{terminal, token};

/// How long a server may take to answer. A deployment reads the history of the read models that it changes.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a server may take to accept the connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Which server is asked, and with which token.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// The server.
    #[arg(long, env = "YADO_SERVER", value_name = "URL", default_value = "http://127.0.0.1:4000")]
    server: String,

    /// The admin token. By default the one that a server on this machine keeps in its data folder.
    #[arg(long, env = "YADO_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<Secret>,

    /// The data folder of a server on this machine.
    #[arg(long, env = "YADO_DATA", value_name = "DIR", default_value = "data")]
    data: PathBuf,
}

/// `yado plugin deploy`.
pub(crate) async fn deploy(file: &Path, remote: &Remote) -> Result<()> {
    let component = std::fs::read(file).doing(|| format!("{} can't be read", file.display()))?;
    let answer = remote.ask(Method::POST, "plugins", |request| request.body(component)).await?;
    let (plugin, version, digest) = (text(&answer, "plugin"), text(&answer, "version"), short(&answer, "digest"));
    terminal::say(&match (answer.get("unchanged").and_then(Value::as_bool), answer.get("previous")) {
        (Some(true), _) => format!("{plugin} {version} ({digest}) runs already"),
        (_, Some(Value::String(_))) => {
            format!("{plugin} {version} ({digest}) runs in place of {}", short(&answer, "previous"))
        }
        _ => format!("{plugin} {version} ({digest}) runs"),
    });
    advise(&answer);
    Ok(())
}

/// Says what a plugin asks of its read models that no index serves.
fn advise(answer: &Value) {
    let advice = answer.get("advice").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for one in advice {
        terminal::say(&format!("  advice: {}", text(one, "message")));
    }
}

/// `yado plugin list`.
pub(crate) async fn list(remote: &Remote) -> Result<()> {
    let answer = remote.ask(Method::GET, "plugins", |request| request).await?;
    let plugins = answer.get("plugins").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if plugins.is_empty() {
        terminal::tell("no plugin is deployed");
    }
    for plugin in plugins {
        let (name, version, digest) = (text(plugin, "name"), text(plugin, "version"), short(plugin, "digest"));
        terminal::say(&format!("{name} {version} ({digest})"));
        advise(plugin);
    }
    Ok(())
}

impl Remote {
    pub(crate) async fn ask(
        &self,
        method: Method,
        what: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Value> {
        let server = self.server.trim_end_matches('/');
        if !server.starts_with("http://") {
            return Err(Failure::new(format!(
                "{server} is no server that can be asked: write http://HOST:PORT (what speaks TLS is a proxy before it)"
            )));
        }
        let token = match &self.token {
            Some(token) => token.clone(),
            None => token::kept(&self.data)?.ok_or_else(|| {
                let data = self.data.display();
                Failure::new(format!(
                    "the data folder {data} has no admin token: name the server's --data, or a --token"
                ))
            })?,
        };
        // The token is for the server alone; whatever proxy the environment names must not see it.
        let client = Client::builder().no_proxy().connect_timeout(CONNECT).timeout(PATIENCE).build();
        let client = client.doing(|| "a request can't be made".to_owned())?;
        let request = client.request(method, format!("{server}/admin/{what}")).bearer_auth(token.expose());
        let response = with(request).send().await.map_err(|error| unanswered(server, &error))?;
        let status = response.status();
        let answer: Value = response.json().await.map_err(|_| no_yado(server, status))?;
        if status.is_success() {
            return Ok(answer);
        }
        match answer.pointer("/error/message").and_then(Value::as_str) {
            Some(message) => Err(Failure::new(message)),
            None => Err(no_yado(server, status)),
        }
    }
}

fn unanswered(server: &str, error: &reqwest::Error) -> Failure {
    Failure::new(if error.is_connect() {
        format!("no server answers at {server}: start it with `yado serve`, or name another --server")
    } else if error.is_timeout() {
        format!("the server at {server} has not answered in time; its log says whether it is still at it")
    } else {
        format!("the server at {server} broke off: {error}")
    })
}

fn no_yado(server: &str, status: StatusCode) -> Failure {
    Failure::new(format!("what answers at {server} is no yado server: it answered {status}"))
}

pub(crate) fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The beginning of a digest, which is enough to tell two apart.
pub(crate) fn short<'a>(answer: &'a Value, name: &str) -> &'a str {
    text(answer, name).get(..12).unwrap_or_default()
}
