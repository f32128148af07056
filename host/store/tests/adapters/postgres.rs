//! PostgreSQL: a database for each test, of one cluster.

use std::sync::Arc;

use sqlx::Connection as _;
use yado_model::{Claim, ClaimValue, Name, Position, Revision, TenantId};
use yado_store::conformance::{self, answers, counted};
use yado_store::testing::{Fsync, Postgres, patient};
use yado_store::{
    Appended, ChangeKind, ChangeQuery, Changed, Checkpoint, Draft, Error, Options, Progress, Step, open_events,
    open_reads,
};

async fn url() -> String {
    Postgres::shared().database().await
}

fn few() -> Options {
    Options { connections: 3, ..patient() }
}

yado_store::conformance::events!(open_events(&url().await, &few()).await.unwrap());
yado_store::conformance::reads!(open_reads(&url().await, &few()).await.unwrap());

#[tokio::test]
async fn an_answer_takes_up_no_more_than_it_may() {
    let options = Options { answer_bytes: answers::ANSWER_BYTES, ..few() };
    answers::an_answer_takes_up_no_more_than_it_may(&*open_reads(&url().await, &options).await.unwrap()).await;
}

#[tokio::test]
async fn the_answers_of_a_request_take_up_no_more_than_one_may() {
    let options = Options { answer_bytes: answers::ANSWER_BYTES, connections: 6, ..few() };
    let store = open_reads(&url().await, &options).await.unwrap();
    answers::the_answers_of_a_request_take_up_no_more_than_one_may(&*store).await;
}

#[tokio::test]
async fn an_answer_that_is_refused_does_the_others_no_harm() {
    let options = Options { answer_bytes: answers::ANSWER_BYTES, connections: 6, ..few() };
    answers::an_answer_that_is_refused_does_the_others_no_harm(&*open_reads(&url().await, &options).await.unwrap())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_misses_nothing_while_many_write() {
    let url = url().await;
    // Five nodes start at once and make the tables, four of them write.
    let options = few();
    let opening = (0..5).map(|_| open_events(&url, &options));
    let stores: Vec<_> = futures::future::join_all(opening).await.into_iter().map(Result::unwrap).collect();
    conformance::concurrency::a_reader_misses_nothing_while_many_write(stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_one_wins() {
    let url = url().await;
    let stores = [open_events(&url, &few()).await.unwrap(), open_events(&url, &few()).await.unwrap()];
    conformance::concurrency::of_two_nodes_one_wins(stores).await;
}

#[tokio::test]
async fn an_announcement_reaches_other_nodes() {
    let url = url().await;
    let (one, other) = (open_events(&url, &few()).await.unwrap(), open_events(&url, &few()).await.unwrap());
    conformance::record(&*one, &[counted("Counter-a", 0, 1)]).await.unwrap();
    let (heard, mut hears) = tokio::sync::watch::channel(Position::ZERO);
    let listening = tokio::spawn({
        let other = other.clone();
        async move {
            loop {
                match other.listen(heard.clone()).await {
                    // A server that takes long for an answer passes for one that has gone silent.
                    Err(Error::Unheard(_)) => {}
                    ended => return ended,
                }
            }
        }
    });
    // First of all the end of the log, as it is.
    hears.wait_for(|position| position.get() == 1).await.unwrap();
    conformance::record(&*one, &[counted("Counter-a", 1, 4)]).await.unwrap();
    one.announce(Position::new(5)).await.unwrap();
    hears.wait_for(|position| position.get() == 5).await.unwrap();
    // An older one changes nothing.
    one.announce(Position::new(3)).await.unwrap();
    conformance::record(&*one, &[counted("Counter-a", 5, 1)]).await.unwrap();
    // What is announced is not believed: the log ends where it ends.
    other.announce(Position::new(1_000_000)).await.unwrap();
    hears.wait_for(|position| position.get() != 5).await.unwrap();
    assert_eq!(hears.borrow().get(), 6);
    // When the connection breaks, it says so. One that is only just being opened may escape that.
    while !listening.is_finished() {
        Postgres::shared().cut(&url).await;
    }
    let error = listening.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn nothing_is_recorded_in_a_log_that_has_gone_back() {
    let url = url().await;
    let store = open_events(&url, &few()).await.unwrap();
    conformance::record(&*store, &[counted("Counter-a", 0, 1)]).await.unwrap();
    conformance::record(&*store, &[counted("Counter-a", 1, 1), counted("Counter-b", 0, 1)]).await.unwrap();
    // What a restored backup looks like: the last transaction is gone, and others have written since.
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    for statement in ["delete from events where position > 1", "update log_head set last = 1"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    let other = open_events(&url, &few()).await.unwrap();
    conformance::record(&*other, &[counted("Counter-c", 0, 5)]).await.unwrap();
    // Also what would not conflict: it may have been decided on what is gone. Nor does it pass by trying again.
    for draft in [counted("Counter-a", 2, 1), counted("Counter-a", 1, 1), counted("Counter-d", 0, 1)] {
        for _ in 0..2 {
            let error = conformance::record(&*store, std::slice::from_ref(&draft)).await.unwrap_err();
            assert_eq!(error, Error::Rewound { seen: Position::new(3) });
            assert!(!error.is_transient());
        }
    }
    assert_eq!(other.head().await.unwrap(), Position::new(6));
    // Whoever begins anew knows no more than the log.
    let anew = open_events(&url, &few()).await.unwrap();
    let outcomes = conformance::record(&*anew, &[counted("Counter-a", 1, 1)]).await.unwrap();
    assert_eq!(outcomes, [Appended::Recorded { revision: Revision::new(2), position: Position::new(7) }]);
}

#[tokio::test]
async fn log_and_read_models_may_share_a_database() {
    let url = url().await;
    let events = open_events(&url, &few()).await.unwrap();
    let reads = open_reads(&url, &few()).await.unwrap();
    conformance::record(&*events, &[counted("Counter-a", 0, 1)]).await.unwrap();
    assert_eq!(reads.checkpoint("any").await.unwrap().position.get(), 0);
    assert_eq!(events.head().await.unwrap().get(), 1);
}

/// What is told of rows is not logged. After a crash it must not look as if there had been nothing to tell.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_of_rows_before_a_crash_is_gone_and_known_to_be() {
    let cluster = Postgres::start(Fsync::On);
    let reads = open_reads(&cluster.database().await, &few()).await.unwrap();
    let at = |position: u64| Checkpoint::from(Position::new(position));
    let tell = async |from: u64, to: u64| {
        let progress = Progress { projection: "tickets", from: at(from), to: at(to) };
        let changed = Changed {
            position: Position::new(to),
            place: 0,
            tenant: TenantId::default(),
            model: Name::parse("Ticket").unwrap(),
            key: "a".into(),
            kind: ChangeKind::Created,
            row: "{}".into(),
        };
        let step = Step::new(progress, &[]);
        let changed = [Arc::new(changed)];
        let step = step.telling(Position::new(from), &changed);
        // As below: none of these is done by a connection that is gone.
        let first = reads.commit(&step).await;
        let done = if first.as_ref().is_err_and(Error::is_transient) { reads.commit(&step).await } else { first };
        done.unwrap();
    };
    let told = async || {
        // Each of the connections that were there before the crash is found out to be gone by whoever takes it.
        for _ in 0..=few().connections {
            match reads.changes("tickets", &ChangeQuery::of_all((Position::ZERO, u32::MAX), 10)).await {
                Err(error) if error.is_transient() => {}
                page => return page.map(|page| (page.floor.map(Position::get), page.changes.len())).unwrap(),
            }
        }
        panic!("there is no connection that stands");
    };
    tell(0, 5).await;
    tell(5, 9).await;
    assert_eq!(told().await, (Some(0), 2));
    tokio::task::block_in_place(|| cluster.crash());
    assert_eq!(told().await, (None, 0));
    // Nobody had waited for the checkpoint to be on the disk either.
    let left = async || reads.checkpoint("tickets").await.map(|checkpoint| checkpoint.position.get());
    let left = match left().await {
        Err(error) if error.is_transient() => left().await,
        left => left,
    };
    let left = left.unwrap();
    tell(left, 12).await;
    assert_eq!(told().await, (Some(left), 1));
    reads.close().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://yado@localhost/none?host={}", folder.path().display());
    let options = Options { acquire_timeout_ms: 100, ..few() };
    let error = open_events(&url, &options).await.err().unwrap();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    use sqlx::Executor;
    let url = url().await;
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    connection
        .execute("create database latin encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0")
        .await
        .unwrap();
    let (start, rest) = url.rsplit_once("/test_").unwrap();
    let latin = format!("{start}/latin?{}", rest.split_once('?').unwrap().1);
    let error = open_events(&latin, &few()).await.err().unwrap();
    assert!(matches!(&error, Error::Invalid(reason) if reason.contains("LATIN1")), "{error}");
}

#[tokio::test]
async fn logs_in_two_schemas_do_not_hear_of_each_other() {
    let url = url().await;
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::query("create schema other").execute(&mut connection).await.unwrap();
    let mut listener = sqlx::postgres::PgListener::connect(&url).await.unwrap();
    let mut channels = Vec::new();
    for schema in ["public", "other"] {
        let log = open_events(&format!("{url}&options=-c%20search_path%3D{schema}"), &few()).await.unwrap();
        let table = format!("select 'yado_log_' || '{schema}.log_head'::regclass::oid::text");
        let channel: String = sqlx::query_scalar(sqlx::AssertSqlSafe(table)).fetch_one(&mut connection).await.unwrap();
        listener.listen(&channel).await.unwrap();
        log.announce(Position::new(1)).await.unwrap();
        channels.push((listener.recv().await.unwrap().channel().to_owned(), channel));
    }
    assert!(channels.iter().all(|(heard, own)| heard == own) && channels[0] != channels[1], "{channels:?}");
}

#[tokio::test]
async fn claims_go_down_in_the_statement_that_records_their_events() {
    use sqlx::Executor as _;
    let url = url().await;
    let store = open_events(&url, &few()).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    connection
        .execute(
            "create table seen (query text not null); \
            create function see() returns trigger language plpgsql as \
                $$ begin insert into seen values (current_query()); return null; end $$; \
            create trigger seen after insert or delete on claims for each statement execute function see()",
        )
        .await
        .unwrap();
    let value = |value: &str| ClaimValue { constraint: "unique_label".into(), value: value.into() };
    let (take, release) = (|text| Claim::Take(value(text)), |text| Claim::Release(value(text)));
    let append =
        |stream: &str, expected, claims: &[Claim]| Draft { claims: claims.to_vec(), ..counted(stream, expected, 2) };
    let batches = [
        vec![append("Counter-a", 0, &[take("x"), take("y")])],
        vec![append("Counter-a", 2, &[release("x")]), append("Counter-b", 0, &[take("z")])],
    ];
    for batch in batches {
        let outcomes = conformance::record(&*store, &batch).await.unwrap();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Appended::Recorded { .. })), "{outcomes:?}");
    }
    let seen: Vec<String> = sqlx::query_scalar("select query from seen").fetch_all(&mut connection).await.unwrap();
    assert!(seen.len() >= 2 && seen.iter().all(|query| query.starts_with("with moved as")), "{seen:?}");
    let held = || sqlx::query_as::<_, (String, String)>("select value, stream from claims order by value");
    let expected =
        [("y", "Counter-a"), ("z", "Counter-b")].map(|(value, stream)| (value.to_owned(), stream.to_owned()));
    assert_eq!(held().fetch_all(&mut connection).await.unwrap(), expected);

    // What does not belong to who lets go of it is looked at the long way, and stays.
    let outcomes = conformance::record(&*store, &[append("Counter-b", 2, &[release("y")])]).await.unwrap();
    assert!(matches!(&outcomes[..], [Appended::Recorded { .. }]), "{outcomes:?}");
    assert_eq!(held().fetch_all(&mut connection).await.unwrap(), expected);
    // One that is held by another stream is found out about in the same way, and what goes along is not harmed.
    let batch = [append("Counter-c", 0, &[take("z")]), append("Counter-d", 0, &[take("x")])];
    let outcomes = conformance::record(&*store, &batch).await.unwrap();
    assert!(matches!(&outcomes[..], [Appended::Taken { .. }, Appended::Recorded { .. }]), "{outcomes:?}");
    assert_eq!(held().fetch_all(&mut connection).await.unwrap().len(), 3);
    assert!(store.rebuild_claims(false).await.unwrap().differences.is_empty(), "the log tells the same");
}

#[tokio::test]
async fn what_fails_only_at_the_commit_is_not_acknowledged() {
    use sqlx::Executor as _;
    let url = url().await;
    let store = open_events(&url, &few()).await.unwrap();
    conformance::record(&*store, &[counted("Counter-a", 0, 1)]).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    // It raises when the statement has given its row already, and only the commit is left.
    connection
        .execute(
            "create function refuse() returns trigger language plpgsql as \
                $$ begin if new.stream like 'Counter-bad%' then raise 'refused at the commit'; end if; return null; end $$; \
            create constraint trigger refused after insert on events deferrable initially deferred \
                for each row execute function refuse()",
        )
        .await
        .unwrap();
    let take = |value: &str| Claim::Take(ClaimValue { constraint: "unique_label".into(), value: value.into() });
    // By the short way, and by the long one.
    for (at, claims) in [(1, vec![]), (2, vec![take("x"), take("x")])] {
        let bad = Draft { claims, ..counted("Counter-bad", 0, 1) };
        let error = conformance::record(&*store, &[counted("Counter-a", at, 1), bad.clone()]).await.unwrap_err();
        assert!(error.to_string().contains("refused at the commit"), "{error}");
        assert_eq!(store.head().await.unwrap(), Position::new(at));
        // What failed is not remembered as if it were there.
        let outcomes =
            conformance::record(&*store, &[Draft { claims: bad.claims, ..counted("Counter-a", at, 1) }]).await;
        let recorded = Appended::Recorded { revision: Revision::new(at + 1), position: Position::new(at + 1) };
        assert_eq!(outcomes.unwrap(), [recorded]);
    }
    let log = store.read_log(Position::ZERO, 10).await.unwrap();
    assert_eq!(log.len(), 3);
}
