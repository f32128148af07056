//! Mutations over HTTP: against the server that ships, and against the same stack with nothing behind it. Both are driven
//! by the same clients, which run on a thread of their own.

use async_trait::async_trait;
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::peer::Peer;
use super::{Contender, System};
use crate::Result;
use crate::bank::{self, Plugin};
use crate::cluster::Cluster;
use crate::http::{Connection, Url};
use crate::load::{self, Client};
use crate::place::Place;
use crate::server::Server;
use crate::work::{Outcome, Spec};

/// Requests under way while accounts are opened.
const AT_ONCE: usize = 64;

/// The server that ships, and where its log is.
pub struct Yado {
    server: Server,
    plugin: Plugin,
}

impl Yado {
    /// Starts a server with this form of the bank, and opens accounts.
    ///
    /// # Errors
    /// When it does not start, or an account can't be opened.
    pub async fn prepare(
        place: &Place,
        name: &str,
        plugin: Plugin,
        database: Option<&str>,
        spec: &Spec,
    ) -> Result<Self> {
        let server = Server::start(place, name, &place.bank(plugin)?, database).await?;
        let yado = Self { server, plugin };
        yado.open_accounts(spec.accounts).await?;
        Ok(yado)
    }

    /// Opens accounts.
    ///
    /// # Errors
    /// When one can't be opened.
    pub async fn open_accounts(&self, accounts: u32) -> Result<()> {
        const OPEN: &str = "mutation O($i:OpenInput!){open(input:$i){position}}";
        self.each_account(accounts, |account| json!({ "query": OPEN, "variables": { "i": bank::open(&account) } }))
            .await
    }

    /// Deposits once into each account.
    ///
    /// # Errors
    /// When a deposit fails.
    pub async fn deposit_into_each(&self, accounts: u32, payload_bytes: u32) -> Result<()> {
        const DEPOSIT: &str = "mutation D($i:DepositInput!){deposit(input:$i){position}}";
        let reference = bank::reference(payload_bytes);
        let document =
            |account: String| json!({ "query": DEPOSIT, "variables": { "i": bank::deposit(&account, &reference) } });
        self.each_account(accounts, document).await
    }

    /// The server's process.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    async fn each_account(&self, accounts: u32, document: impl Fn(String) -> Value) -> Result<()> {
        let url = self.server.graphql();
        let document = &document;
        let mut last = 0;
        let shares = (0..AT_ONCE as u32).map(|first| {
            let url = url.clone();
            async move {
                let mut connection = Connection::open(&url, "POST").await?;
                let mut last = 0;
                for number in (first..accounts).step_by(AT_ONCE) {
                    let body = document(bank::account(number)).to_string();
                    let (status, answer) = connection.send(body.as_bytes()).await?;
                    let position = position(answer);
                    let said = || format!("status {status}: {}", String::from_utf8_lossy(answer));
                    last = last.max(position.ok_or_else(said)?);
                }
                Ok::<_, String>(last)
            }
        });
        let mut shares = futures::stream::iter(shares).buffer_unordered(AT_ONCE);
        while let Some(done) = shares.next().await {
            last = last.max(done?);
        }
        self.shows(last).await
    }

    /// Waits until the read model shows a position, if there is one.
    async fn shows(&self, position: u64) -> Result<()> {
        if self.plugin.keeps_rows() { self.server.settle(position).await } else { Ok(()) }
    }
}

/// The position in the only field of an answer without errors.
fn position(answer: &[u8]) -> Option<u64> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let position = answer["data"].as_object()?.values().next()?["position"].clone();
    position.as_u64().filter(|_| answer.get("errors").is_none())
}

#[async_trait]
impl Contender for Yado {
    async fn run(&mut self, spec: &Spec) -> Result<Outcome> {
        drive(&self.server.graphql(), spec).await
    }

    /// One more deposit says where the log's end is; the read model has to get there, if there is one.
    async fn settle(&mut self) -> Result<()> {
        if !self.plugin.keeps_rows() {
            return Ok(());
        }
        let mut body = Vec::new();
        bank::deposit_document(&mut body, 0, "settle");
        let mut connection = Connection::open(&self.server.graphql(), "POST").await?;
        let (_, answer) = connection.send(&body).await?;
        let position = position(answer).ok_or_else(|| format!("it answers {}", String::from_utf8_lossy(answer)))?;
        self.shows(position).await
    }

    fn process(&self) -> Option<u32> {
        self.server.process()
    }

    fn about(&self) -> String {
        format!("yado serve {} with its default settings; {}", env!("CARGO_PKG_VERSION"), super::keeps(self.plugin))
    }
}

/// The stack with a resolver that does nothing.
pub(super) struct Noop {
    peer: Peer,
    url: Url,
}

impl Noop {
    pub(super) async fn prepare(place: &Place, cluster: &Cluster, spec: &Spec) -> Result<Self> {
        let peer = Peer::prepare(System::NoopGraphql, place, cluster, spec).await?;
        let url = Url::parse(peer.url().ok_or("the no-op stack does not say where it serves")?)?;
        Ok(Self { peer, url })
    }
}

#[async_trait]
impl Contender for Noop {
    async fn run(&mut self, spec: &Spec) -> Result<Outcome> {
        drive(&self.url, spec).await
    }

    fn process(&self) -> Option<u32> {
        self.peer.process()
    }

    fn about(&self) -> String {
        self.peer.about()
    }
}

/// Lets clients deposit over a GraphQL API.
async fn drive(url: &Url, spec: &Spec) -> Result<Outcome> {
    let reference = bank::reference(spec.payload_bytes);
    let at = url.clone();
    let caller = move |connection| Caller {
        url: at.clone(),
        connection: Some(connection),
        body: Vec::new(),
        reference: reference.clone(),
    };
    load::apart(url, spec, caller).await
}

struct Caller {
    url: Url,
    /// None after it has broken.
    connection: Option<Connection>,
    body: Vec<u8>,
    reference: String,
}

/// What a good answer has. What else it says is passed over.
#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    deposit: Option<Receipt>,
}

#[derive(Deserialize)]
struct Receipt {
    revision: u64,
}

impl Client for Caller {
    async fn operate(&mut self, account: u32) -> Result<()> {
        self.body.clear();
        bank::deposit_document(&mut self.body, account, &self.reference);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.url, "POST").await?,
        };
        let (status, answer) = connection.send(&self.body).await?;
        check(status, answer)?;
        self.connection = Some(connection);
        Ok(())
    }
}

fn check(status: u16, answer: &[u8]) -> Result<()> {
    let receipt = serde_json::from_slice::<Answer>(answer).ok().and_then(|answer| answer.data?.deposit);
    match receipt {
        Some(Receipt { revision: 1.. }) if status == 200 => Ok(()),
        _ => Err(format!("status {status}: {}", String::from_utf8_lossy(answer).chars().take(500).collect::<String>())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_status_200_and_an_error_inside_is_an_error() {
        let good = br#"{"data":{"deposit":{"id":"account-1","revision":2,"position":7}},"extensions":{}}"#;
        assert_eq!(check(200, good), Ok(()));
        assert_eq!(position(good), Some(7));
        let bad = br#"{"data":{"deposit":null},"errors":[{"message":"The account is closed."}]}"#;
        assert!(check(200, bad).unwrap_err().contains("closed"));
        assert_eq!(position(bad), None);
        assert!(check(503, good).is_err());
        assert!(check(200, b"").is_err());
    }
}
