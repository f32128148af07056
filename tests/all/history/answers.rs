//! An answer knows of everything that anybody had been told when the question was asked, on whatever node. What goes wrong
//! otherwise is a matter of moments; here they are held still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore};
use tokio::task::unconstrained;
use yado_engine::Settings;
use yado_runtime::Runtime;
use yado_store::Result;

use super::drive::Node;
use super::engines::Local;
use super::record::{Command, Outcome, Request};
use crate::support::{Freight, Journey, patient};

/// A way on which one thing, once it has been done, is not heard of before the gate is opened.
struct Gate {
    stops: Freight,
    shut: AtomicBool,
    arrived: Notify,
    open: Semaphore,
}

#[async_trait]
impl Journey for Gate {
    async fn there(&self, _: Freight) -> Result<()> {
        Ok(())
    }

    async fn back(&self, freight: Freight) -> Result<()> {
        if freight == self.stops && self.shut.swap(false, Ordering::SeqCst) {
            self.arrived.notify_one();
            self.open.acquire().await.unwrap().forget();
        }
        Ok(())
    }
}

/// Two engines over one log. The first one's way has a gate.
struct Pair {
    _folder: tempfile::TempDir,
    gated: Arc<Local<Gate>>,
    other: Arc<Local<Gate>>,
}

impl Pair {
    /// Both have an account that holds 100.
    async fn new(stops: Freight) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("events.db").display());
        let runtime = Runtime::new(yado_runtime::Settings::default()).unwrap();
        let gate = || Gate { stops, shut: AtomicBool::new(false), arrived: Notify::new(), open: Semaphore::new(0) };
        let settings = || Settings { shards: 1, ..patient() };
        let gated = Local::start("gated", &url, &runtime, settings(), gate()).await;
        let other = Local::start("other", &url, &runtime, settings(), gate()).await;
        let pair = Self { _folder: folder, gated, other };
        pair.records(&pair.gated, "a", Command::Open).await;
        pair.records(&pair.gated, "a", Command::Deposit(100)).await;
        pair
    }

    fn gate(&self) -> &Gate {
        &self.gated.way.journey
    }

    async fn records(&self, engine: &Local<Gate>, account: &str, command: Command) {
        let outcome = send(engine, account, command).await;
        assert!(matches!(outcome, Outcome::Recorded { .. }), "{outcome:?}");
    }

    /// Waits until the first engine has taken in all that it has been sent: it has one shard, which takes in one thing
    /// after another.
    async fn taken_in(&self) {
        assert_eq!(send(&self.gated, "nobody", Command::Close).await, Outcome::NotFound);
    }
}

async fn send(engine: &Local<Gate>, account: &str, command: Command) -> Outcome {
    let (account, reference) = (account.to_owned(), "for it".to_owned());
    let request = Request { account, command, reference, key: None, expected: None };
    engine.send(&request, 1).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_while_the_log_is_read_is_not_answered_from_what_was_read() {
    let pair = Pair::new(Freight::Stream).await;
    pair.gate().shut.store(true, Ordering::SeqCst);
    let first = tokio::spawn({
        let engine = pair.gated.clone();
        async move { send(&engine, "a", Command::Withdraw(200)).await }
    });
    // The first engine has read that there are 100, and does not know it yet. Then there are more, and somebody knows.
    pair.gate().arrived.notified().await;
    pair.records(&pair.other, "a", Command::Deposit(100)).await;
    let mut second = Box::pin(unconstrained(send(&pair.gated, "a", Command::Withdraw(200))));
    assert!(futures::poll!(&mut second).is_pending());
    pair.taken_in().await;
    pair.gate().open.add_permits(1);
    // Whoever had asked before that may be told either.
    let (first, second) = (first.await.unwrap(), second.await);
    assert!(matches!(first, Outcome::Rejected { .. }), "{first:?}");
    assert!(matches!(second, Outcome::Recorded { .. }), "{second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_while_something_is_recorded_is_not_answered_from_what_it_comes_to() {
    let pair = Pair::new(Freight::Append).await;
    pair.gate().shut.store(true, Ordering::SeqCst);
    let first = tokio::spawn({
        let engine = pair.gated.clone();
        async move { send(&engine, "a", Command::Deposit(1)).await }
    });
    // The deposit is recorded, and the first engine does not know it yet. Then all is taken, and somebody knows.
    pair.gate().arrived.notified().await;
    pair.records(&pair.other, "a", Command::Withdraw(101)).await;
    let mut second = Box::pin(unconstrained(send(&pair.gated, "a", Command::Close)));
    assert!(futures::poll!(&mut second).is_pending());
    pair.taken_in().await;
    pair.gate().open.add_permits(1);
    let (first, second) = (first.await.unwrap(), second.await);
    assert!(matches!(first, Outcome::Recorded { .. }), "{first:?}");
    assert!(matches!(second, Outcome::Recorded { .. }), "{second:?}");
}
