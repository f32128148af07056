use std::collections::HashSet;

use futures::FutureExt as _;
use futures::future::join_all;

use super::*;
use crate::testing::{Fsync, Postgres as Cluster, execute, patient, told};

fn readers(url: &str, connections: u32) -> Readers {
    with(url, &Options { connections, ..patient() })
}

fn with(url: &str, options: &Options) -> Readers {
    Readers::for_rows(&url.parse().unwrap(), options)
}

const PROCESS: &str = "select pg_backend_pid()::bigint";

/// The server's process that answers.
async fn process(readers: &Readers) -> i64 {
    let answer = readers.fetch(Sql::new(PROCESS)).await.unwrap();
    let cell = answer.records().next().unwrap().cell(0).unwrap().1.unwrap().to_vec();
    i64::from_be_bytes(cell.try_into().unwrap())
}

fn sleep(seconds: f64) -> Sql<Bound> {
    let mut sql = Sql::new("select pg_sleep(");
    sql.bind(Bound::Float(seconds)).push(")");
    sql
}

/// Has a statement pass for one that is answered quickly, so that it shares a connection.
fn thought_quick(readers: &Readers, text: &str) {
    let shape = readers.shapes.of(text);
    (0..100).for_each(|_| shape.took(Duration::ZERO));
    assert!(shape.is_quick());
}

/// Waits until the server is not busy with what takes long.
async fn nobody_sleeps(url: &str) {
    let sleepers = "select query from pg_stat_activity where state = 'active' and query like 'select pg_sleep%' \
        and datname = current_database()";
    while !told(url, sleepers).await.is_empty() {}
}

#[tokio::test]
async fn questions_that_are_answered_quickly_share_a_few_connections() {
    let readers = &readers(&Cluster::shared().database().await, 4);
    process(readers).await;
    // On a machine that is busy with others even this may take long at first, and is given connections of its own.
    let mut processes = HashSet::new();
    let is_shared = |processes: &HashSet<i64>| (1..=2).contains(&processes.len());
    for _ in 0..200 {
        processes = join_all((0..100).map(|_| process(readers))).await.into_iter().collect();
        if is_shared(&processes) {
            break;
        }
    }
    assert!(is_shared(&processes), "{processes:?}");
    // One that has failed is no harm to the connection.
    assert!(readers.fetch(Sql::new("select 1 / 0")).await.is_err());
    process(readers).await;
}

#[tokio::test]
async fn a_statement_that_takes_long_does_not_hold_up_those_that_do_not() {
    let url = Cluster::shared().database().await;
    let readers = &readers(&url, 8);
    process(readers).await;
    let mut busy = Box::pin(join_all([readers.fetch(sleep(300.0)), readers.fetch(sleep(301.0))]));
    assert!(busy.as_mut().now_or_never().is_none());
    join_all((0..100).map(|_| process(readers))).await;
    // Whoever does not wait for it any more has it cancelled.
    drop(busy);
    nobody_sleeps(&url).await;
}

#[tokio::test]
async fn a_statement_that_was_thought_quick_holds_others_up_for_a_moment() {
    let url = Cluster::shared().database().await;
    let readers = &readers(&url, 2);
    // Opens the connection that is shared.
    thought_quick(readers, PROCESS);
    process(readers).await;
    let (sleeping, _) = sleep(300.0).into_parts();
    thought_quick(readers, &sleeping);
    thought_quick(readers, PROCESS);
    let others = async {
        join_all((0..40).map(|_| process(readers))).await;
        // Where the connection had been idle it was not asked at once.
        let long = format!(
            "select query from pg_stat_activity where state = 'active' and query like 'select pg_sleep%' \
                and datname = current_database() and clock_timestamp() - query_start > interval '{} milliseconds'",
            HELD_UP.as_millis()
        );
        while told(&url, &long).await.is_empty() {}
    };
    tokio::select! {
        biased;
        answer = readers.fetch(sleep(300.0)) => panic!("{answer:?}"),
        () = others => {}
    }
    // It has not been answered, and is known to be slow all the same.
    assert!(!readers.shapes.of(&sleeping).is_quick());
    nobody_sleeps(&url).await;
    process(readers).await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_costs_nobody_else_an_answer() {
    let url = Cluster::shared().database().await;
    let options = Options { connections: 4, answer_bytes: 1 << 20, ..patient() };
    let readers = &with(&url, &options);
    process(readers).await;
    let large = || Sql::new("select repeat('x', n::int) from generate_series(1, 3000) n");
    for round in 0..10 {
        if round % 2 == 0 {
            thought_quick(readers, &large().into_parts().0);
        }
        let others = join_all((0..20).map(|_| process(readers)));
        let (refused, _) = futures::join!(readers.fetch(large()), others);
        assert!(matches!(refused, Err(Error::TooLarge { limit: 1_048_576 })), "{refused:?}");
    }
}

#[tokio::test]
async fn the_connection_of_an_answer_that_was_too_large_is_used_again() {
    let url = Cluster::shared().database().await;
    let options = Options { connections: 2, answer_bytes: 1 << 20, ..patient() };
    let readers = &with(&url, &options);
    // A statement that nobody knows is asked by itself, over the only connection that there is for such.
    let by_itself = async |number: u32| {
        let answer = readers.fetch(Sql::new(format!("select pg_backend_pid()::bigint as n{number}"))).await.unwrap();
        answer.records().next().unwrap().cell(0).unwrap().1.unwrap().to_vec()
    };
    // It takes nearly as long as one may before it is too much, and the rest of it does not come at once.
    let large = "select case n when 1 then pg_sleep(0.08)::text when 4 then pg_sleep(0.05)::text \
        else repeat('x', 600000) end from generate_series(1, 5) n";
    // On a machine that is very busy the rest of it may take longer than is waited for.
    let mut is_used_again = false;
    for round in 0..20 {
        let before = by_itself(2 * round).await;
        let refused = readers.fetch(Sql::new(large)).await;
        assert!(matches!(refused, Err(Error::TooLarge { limit: 1_048_576 })), "{refused:?}");
        while readers.kept().iter().any(|line| line.line.load() != Some(0) && !line.line.is_closed()) {
            tokio::task::yield_now().await;
        }
        is_used_again |= by_itself(2 * round + 1).await == before;
        if is_used_again {
            break;
        }
    }
    assert!(is_used_again);
}

#[tokio::test]
async fn connections_that_were_cut_off_meanwhile_cost_nobody_an_answer() {
    let cluster = Cluster::shared();
    let url = cluster.database().await;
    let readers = &readers(&url, 4);
    let before: HashSet<_> = join_all((0..20).map(|_| process(readers))).await.into_iter().collect();
    for _ in 0..3 {
        cluster.cut(&url).await;
        let after = join_all((0..20).map(|_| process(readers))).await;
        assert!(after.iter().all(|process| !before.contains(process)));
    }
}

#[tokio::test]
async fn a_server_that_has_come_again_is_asked_again() {
    let cluster = Cluster::start(Fsync::Off);
    let readers = &readers(&cluster.database().await, 4);
    join_all((0..20).map(|_| process(readers))).await;
    cluster.crash();
    join_all((0..20).map(|_| process(readers))).await;
}

#[tokio::test]
async fn a_question_that_breaks_its_connection_is_asked_no_more_than_twice() {
    let url = Cluster::shared().database().await;
    let readers = &readers(&url, 4);
    execute(&url, "create sequence asked").await;
    let breaks = "select nextval('asked'), pg_sleep(0.2), pg_terminate_backend(pg_backend_pid()), pg_sleep(300)";
    // By itself, because nobody knows it, and then among others.
    for asked in ["2", "4"] {
        let refused = readers.fetch(Sql::new(breaks)).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        assert_eq!(told(&url, "select last_value::text from asked").await, [asked]);
        thought_quick(readers, breaks);
    }
}

#[tokio::test]
async fn there_are_no_more_readers_at_a_time_than_connections() {
    let url = Cluster::shared().database().await;
    let readers = &with(&url, &Options { connections: 1, acquire_timeout_ms: 1_000, ..patient() });
    let mut busy = Box::pin(readers.fetch(sleep(300.0)));
    assert!(busy.as_mut().now_or_never().is_none());
    let refused = readers.fetch(Sql::new("select 1")).await;
    assert!(refused.is_err_and(|error| error.is_transient()));
    drop(busy);
    nobody_sleeps(&url).await;
    while readers.fetch(Sql::new("select 1")).await.is_err() {}
}

#[tokio::test]
async fn what_is_closed_leaves_no_session_behind() {
    let cluster = Cluster::shared();
    let url = cluster.database().await;
    let readers = &readers(&url, 4);
    join_all((0..20).map(|_| process(readers))).await;
    readers.close().await;
    let refused = readers.fetch(Sql::new("select 1")).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))));
    let sessions =
        "select pid::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    while !told(&url, sessions).await.is_empty() {}
}
