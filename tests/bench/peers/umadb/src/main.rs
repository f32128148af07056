//! UmaDB: an event store for dynamic consistency boundaries, with a server of its own.
//!
//! A deposit is an append with a condition: no event with the account's tag has come since those that were decided on.
//! [`model`] has what is decided on, [`server`] starts what is measured.

mod model;
mod server;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use peer::{Client, Deposit, Flags, Load, Peer, Refused};
use umadb_client::AsyncUmaDbClient;
use umadb_dcb::{DcbAppendCondition, DcbError, DcbEvent, DcbEventStoreAsync, DcbQuery, DcbQueryItem};

use model::{Account, Accounts};
use server::Server;

/// What the server and the client have in common: both are pinned to it.
const VERSION: &str = "0.7.8";

/// How many connections all clients share. HTTP/2 carries many requests on one; so few are a fifth faster with 128 clients
/// than one for each, and a third with 256, because more requests and answers travel together.
const CONNECTIONS: usize = 2;

/// How many accounts are opened with one append.
const OPENED_AT_ONCE: usize = 1_000;

fn main() -> ExitCode {
    peer::serve::<UmaDb>()
}

struct UmaDb {
    server: Server,
    connections: Vec<Arc<AsyncUmaDbClient>>,
    /// How many clients there are.
    clients: AtomicUsize,
    accounts: Arc<Accounts>,
    load: Load,
}

impl Peer for UmaDb {
    type Client = Depositor;

    async fn open(flags: &Flags) -> Result<Self> {
        let python = flags.python.as_deref().context(
            "UmaDB's server is a Python package: install tests/bench/peers/umadb/requirements.txt, and name that Python \
             with --python",
        )?;
        let server = Server::start(python, &flags.data.join("umadb")).await?;
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            connections.push(Arc::new(server.connect().await?));
        }
        let store = connections.first().context("there is a connection")?;
        let numbers: Vec<u32> = (0..flags.accounts).collect();
        for numbers in numbers.chunks(OPENED_AT_ONCE) {
            store.append(numbers.iter().map(|number| opened(*number)).collect(), None, None).await?;
        }
        let accounts = Arc::new(Accounts::new(flags.accounts));
        Ok(Self { server, connections, clients: AtomicUsize::new(0), accounts, load: flags.load })
    }

    fn version(&self) -> String {
        format!("UmaDB {VERSION}: server of the Python package, client of the Rust crate")
    }

    fn settings(&self) -> String {
        let load = match self.load {
            Load::Once => "clients keep decision models and read what they have missed when an append is refused",
            Load::Always => "clients read an account's events for each decision",
        };
        format!("durable as always; {}; {CONNECTIONS} connections; {load}", server::SETTINGS.join(" "))
    }

    async fn client(&self) -> Result<Depositor> {
        let number = self.clients.fetch_add(1, Ordering::Relaxed);
        let store = self.connections.iter().cycle().nth(number % CONNECTIONS).context("there is a connection")?;
        Ok(Depositor { store: Arc::clone(store), accounts: Arc::clone(&self.accounts), load: self.load })
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.server.process()]
    }
}

fn opened(account: u32) -> DcbEvent {
    DcbEvent::new().event_type("Opened").tags([tag(account)]).data(r#"{"owner":"somebody"}"#)
}

/// What all events of an account have.
fn tag(account: u32) -> String {
    format!("account:{account}")
}

struct Depositor {
    store: Arc<AsyncUmaDbClient>,
    accounts: Arc<Accounts>,
    load: Load,
}

impl Client for Depositor {
    async fn deposit(&mut self, number: u32, deposit: &Deposit) -> Result<(), Refused> {
        let query = DcbQuery::new().item(DcbQueryItem::new().tags([tag(number)]));
        let account = match self.load {
            Load::Once => self.accounts.known(number),
            Load::Always => None,
        };
        let account = match account {
            Some(account) => account,
            None => self.read(number, query.clone(), Account::default()).await?,
        };
        account.check(deposit)?;
        let event = DcbEvent::new().event_type("Deposited").tags([tag(number)]).data(deposit.document());
        let condition = DcbAppendCondition::new(query.clone()).after(Some(account.position));
        match self.store.append(vec![event], Some(condition), None).await {
            Ok(position) => {
                // The condition says that nothing has come between.
                let balance = account.balance + deposit.amount;
                self.accounts.learn(number, Account { position, balance, ..account });
                Ok(())
            }
            Err(DcbError::IntegrityError(_)) => {
                if self.load == Load::Once {
                    self.read(number, query, account).await?;
                }
                Err(Refused::Conflict)
            }
            Err(error) => Err(Refused::because(error)),
        }
    }
}

impl Depositor {
    /// Reads what has happened to an account since it was like this.
    async fn read(&self, number: u32, query: DcbQuery, mut account: Account) -> Result<Account, Refused> {
        let start = (account.position > 0).then_some(account.position + 1);
        let mut events = self.store.read(Some(query), start, false, None).await.map_err(Refused::because)?;
        loop {
            let batch = events.next_batch().await.map_err(Refused::because)?;
            if batch.is_empty() {
                break;
            }
            for event in &batch {
                account.evolve(event)?;
            }
        }
        self.accounts.learn(number, account);
        Ok(account)
    }
}
