//! PostgreSQL: the connections that appends go through, when they break or an append is given up, and what is done beside
//! an append that waits.

use std::sync::Arc;

use sqlx::{Connection as _, PgConnection};
use yado_model::{Claim, ClaimValue, Position, Revision};
use yado_store::conformance::{counted, record};
use yado_store::testing::{Postgres, patient};
use yado_store::{Appended, Draft, EventStore, Options, open_events};

/// A store, and a connection past it to the same database.
async fn open() -> (Arc<dyn EventStore>, PgConnection) {
    let url = Postgres::shared().database().await;
    let options = Options { connections: 1, ..patient() };
    (open_events(&url, &options).await.unwrap(), PgConnection::connect(&url).await.unwrap())
}

fn recorded(revision: u64, position: u64) -> Vec<Appended> {
    vec![Appended::Recorded { revision: Revision::new(revision), position: Position::new(position) }]
}

/// Has an append wait for the lock of the log's head, which the connection takes. Gives the append and who waits.
async fn waiting(
    store: &Arc<dyn EventStore>,
    past: &mut PgConnection,
    draft: Draft,
) -> (tokio::task::JoinHandle<yado_store::Result<Vec<Appended>>>, i32) {
    sqlx::query("begin").execute(&mut *past).await.unwrap();
    sqlx::query("select last from log_head for update").execute(&mut *past).await.unwrap();
    let store = store.clone();
    let appending = tokio::spawn(async move { record(&*store, &[draft]).await });
    (appending, waits(past, 1).await)
}

/// Waits until so many wait for a lock. Gives the first who began to.
async fn waits(past: &mut PgConnection, count: usize) -> i32 {
    let waiting = "select pid from pg_stat_activity \
        where datname = current_database() and wait_event_type = 'Lock' order by query_start";
    loop {
        // What is known of others' sessions is kept until the end of the transaction, unless it is thrown away.
        sqlx::query("select pg_stat_clear_snapshot()").execute(&mut *past).await.unwrap();
        let found: Vec<i32> = sqlx::query_scalar(waiting).fetch_all(&mut *past).await.unwrap();
        if found.len() == count {
            return found[0];
        }
        tokio::task::yield_now().await;
    }
}

/// Ends a server process, and waits for its end.
async fn end(past: &mut PgConnection, pid: i32) {
    sqlx::query("select pg_terminate_backend($1, 60000)").bind(pid).execute(past).await.unwrap();
}

#[tokio::test]
async fn appends_go_on_after_their_connection_has_broken_between_two_of_them() {
    let (store, mut past) = open().await;
    assert_eq!(record(&*store, &[counted("Counter-a", 0, 1)]).await.unwrap(), recorded(1, 1));
    let others = "select pid from pg_stat_activity \
        where datname = current_database() and query like '%log_head%' and pid <> pg_backend_pid()";
    let pids: Vec<i32> = sqlx::query_scalar(others).fetch_all(&mut past).await.unwrap();
    assert!(!pids.is_empty());
    for pid in pids {
        end(&mut past, pid).await;
    }
    let next = async || record(&*store, &[counted("Counter-a", 1, 1)]).await;
    let outcomes = match next().await {
        Err(error) => {
            assert!(error.is_transient(), "{error}");
            next().await
        }
        // A connection that was idle for long is asked first whether it still stands.
        outcomes => outcomes,
    };
    assert_eq!(outcomes.unwrap(), recorded(2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_go_on_after_their_connection_has_broken_in_the_middle_of_one() {
    let (store, mut past) = open().await;
    record(&*store, &[counted("Counter-a", 0, 1)]).await.unwrap();
    let (appending, pid) = waiting(&store, &mut past, counted("Counter-a", 1, 1)).await;
    end(&mut past, pid).await;
    let error = appending.await.unwrap().unwrap_err();
    assert!(error.is_transient(), "{error}");
    sqlx::query("rollback").execute(&mut past).await.unwrap();
    assert_eq!(record(&*store, &[counted("Counter-a", 1, 1)]).await.unwrap(), recorded(2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_an_append_that_was_given_up_is_not_taken_for_that_to_the_next() {
    let (store, mut past) = open().await;
    record(&*store, &[counted("Counter-a", 0, 1)]).await.unwrap();
    // The server has the append's statement and will complete it.
    let (given_up, _) = waiting(&store, &mut past, counted("Counter-a", 1, 3)).await;
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    let next = tokio::spawn({
        let store = store.clone();
        async move { record(&*store, &[counted("Counter-b", 0, 1)]).await }
    });
    waits(&mut past, 2).await;
    sqlx::query("rollback").execute(&mut past).await.unwrap();

    assert_eq!(next.await.unwrap().unwrap(), recorded(1, 5));
    let log = store.read_log(Position::ZERO, 10).await.unwrap();
    let streams: Vec<_> = log.iter().map(|event| event.stream.as_str()).collect();
    assert_eq!(streams, ["Counter-a", "Counter-a", "Counter-a", "Counter-a", "Counter-b"]);
    // Nobody was told that the stream has gone on, and whoever tries again learns it.
    let conflict = Appended::Conflict { actual: Revision::new(4) };
    assert_eq!(record(&*store, &[counted("Counter-a", 1, 3)]).await.unwrap(), [conflict]);
    assert_eq!(record(&*store, &[counted("Counter-a", 4, 1)]).await.unwrap(), recorded(5, 6));
}

#[tokio::test]
async fn a_store_that_is_closed_appends_no_more() {
    let (store, _past) = open().await;
    record(&*store, &[counted("Counter-a", 0, 1)]).await.unwrap();
    store.close().await;
    let error = record(&*store, &[counted("Counter-a", 1, 1)]).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_a_repair_puts_back_while_its_holder_waits_to_let_go_of_it_is_free() {
    let value = |value: &str| ClaimValue { constraint: "unique_label".into(), value: value.into() };
    let claiming = |to: &str, expected, claims: &[Claim]| Draft { claims: claims.to_vec(), ..counted(to, expected, 1) };
    // One row is lost, the other is under somebody else.
    for damage in ["delete from claims", "update claims set stream = 'Counter-z'"] {
        let (store, mut past) = open().await;
        let (x, y) = (value("x"), value("y"));
        let taken = claiming("Counter-a", 0, &[Claim::Take(x.clone()), Claim::Take(y.clone())]);
        assert_eq!(record(&*store, &[taken]).await.unwrap(), recorded(1, 1));
        sqlx::query(damage).execute(&mut past).await.unwrap();

        sqlx::query("begin").execute(&mut past).await.unwrap();
        sqlx::query("select last from log_head for update").execute(&mut past).await.unwrap();
        let repairing = tokio::spawn({
            let store = store.clone();
            async move { store.rebuild_claims(true).await }
        });
        waits(&mut past, 1).await;
        let leaving = tokio::spawn({
            let (store, left) = (store.clone(), claiming("Counter-a", 1, &[Claim::Release(x.clone())]));
            async move { record(&*store, &[left]).await }
        });
        waits(&mut past, 2).await;
        // The server gives the lock to those who wait in the order in which they came.
        sqlx::query("rollback").execute(&mut past).await.unwrap();
        assert!(repairing.await.unwrap().unwrap().repaired);
        assert_eq!(leaving.await.unwrap().unwrap(), recorded(2, 2));

        let report = store.rebuild_claims(false).await.unwrap();
        assert_eq!((report.held, report.differences), (1, vec![]), "{damage}");
        let next = claiming("Counter-b", 0, &[Claim::Take(x)]);
        assert_eq!(record(&*store, &[next]).await.unwrap(), recorded(1, 3));
    }
}
