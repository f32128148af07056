use std::fs;

use futures::FutureExt as _;
use futures::future::join_all;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use super::super::DERIVED_SESSION;
use super::super::bound::Bound;
use super::*;
use crate::testing::{Fsync, Postgres, execute, told};

fn address(url: &str) -> Address {
    Address::of(&url.parse::<PgConnectOptions>().unwrap(), DERIVED_SESSION)
}

/// However long the server takes, nobody is sent elsewhere for it: most tests are of something else.
const fn limits(statements: usize) -> Limits {
    let held_up = Duration::from_secs(60 * 60);
    Limits { statements: NonZeroUsize::new(statements).unwrap(), answer_bytes: 64 << 20, held_up }
}

async fn opened(url: &str, statements: usize) -> Line {
    Line::open(&address(url), limits(statements)).await.unwrap()
}

fn question(number: u64, text: &str, values: &[Bound]) -> Question {
    Question::new(number, text.into(), values).unwrap()
}

/// The first cell of each row.
async fn texts(line: &Line, question: &Question) -> Result<Vec<String>, Failure> {
    let (answer, _) = line.ask(question).await?;
    let text = |record: Record<'_>| String::from_utf8(record.cell(0).unwrap().1.unwrap().to_vec()).unwrap();
    Ok(answer.records().map(text).collect())
}

fn trouble<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> Trouble {
    match outcome {
        Err(Failure::Trouble(trouble)) => trouble,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn questions_under_way_together_get_each_their_own_answer() {
    let line = opened(&Postgres::shared().database().await, 8).await;
    let echo = |text: String| question(1, "select $1::text", &[Bound::Text(text)]);
    let broken = question(2, "select 1 / $1::bigint::int", &[Bound::Integer(0)]);
    let senseless = question(3, "select nothing", &[]);
    let questions: Vec<_> = (0..40).map(|number| echo(number.to_string())).collect();
    let (answers, complaint, unknown) = futures::join!(
        join_all(questions.iter().map(|question| texts(&line, question))),
        line.ask(&broken),
        line.ask(&senseless)
    );
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), [number.to_string()]);
    }
    assert!(matches!(Error::from(trouble(complaint)), Error::Invalid(_)));
    assert!(matches!(Error::from(trouble(unknown)), Error::Engine(_)));
    assert_eq!(texts(&line, &echo("after".into())).await.unwrap(), ["after"]);
    assert_eq!(line.load(), Some(0));
    line.close().await;
}

#[tokio::test]
async fn values_of_all_kinds_arrive_as_they_are() {
    let line = opened(&Postgres::shared().database().await, 8).await;
    let time = "2026-01-31T09:30:00.000001Z".parse().unwrap();
    let values = [
        Bound::Text("ä\"b".into()),
        Bound::Integer(i64::MIN),
        Bound::Float(0.1),
        Bound::Boolean(true),
        Bound::Time(time),
        Bound::Texts(vec!["a,b".into(), String::new()]),
        Bound::Integers(vec![]),
        Bound::Floats(vec![-0.5]),
        Bound::Booleans(vec![true, false]),
        Bound::Times(vec![time]),
    ];
    // The types are those of the values, not those that the server would guess.
    let all = "select v from (values ($1::text), ($2::text), ($3::text), ($4::text), ($5::text), (array_to_json($6)::text), \
        (array_to_json($7)::text), (array_to_json($8)::text), (array_to_json($9)::text), (array_to_json($10)::text)) t (v)";
    let expected = [
        "ä\"b",
        "-9223372036854775808",
        "0.1",
        "true",
        "2026-01-31 09:30:00.000001+00",
        r#"["a,b",""]"#,
        "[]",
        "[-0.5]",
        "[true,false]",
        r#"["2026-01-31T09:30:00.000001+00:00"]"#,
    ];
    assert_eq!(texts(&line, &question(1, all, &values)).await.unwrap(), expected);
}

#[tokio::test]
async fn a_large_answer_is_whole_and_delays_no_more_than_itself() {
    let line = opened(&Postgres::shared().database().await, 8).await;
    let many = question(1, "select n::text from generate_series(1, 50000) n", &[]);
    let long = question(2, "select repeat('x', 3000000)", &[]);
    let (many, long) = futures::join!(texts(&line, &many), texts(&line, &long));
    let many = many.unwrap();
    assert_eq!((many.len(), many.last().map(String::as_str)), (50_000, Some("50000")));
    assert_eq!(long.unwrap()[0].len(), 3_000_000);
}

/// A connection over which answers of a megabyte come.
async fn with_little_room(url: &str) -> Line {
    Line::open(&address(url), Limits { answer_bytes: 1 << 20, ..limits(8) }).await.unwrap()
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_let_go_and_the_next_one_is_whole() {
    let url = Postgres::shared().database().await;
    let small = question(1, "select 'small'", &[]);
    // In many rows, in a single one, and in one that comes after some that fit.
    let many = "select repeat('x', 1000) from generate_series(1, 1500)";
    let single = "select repeat('x', 1500000)";
    let last = "select repeat('x', 100 * n * n) from generate_series(1, 38) n";
    for (number, large) in [(2, many), (3, single), (4, last)] {
        let line = with_little_room(&url).await;
        let large = question(number, large, &[]);
        let (before, large, after) = futures::join!(texts(&line, &small), line.ask(&large), texts(&line, &small));
        assert_eq!((before.unwrap(), after.unwrap()), (vec!["small".to_owned()], vec!["small".to_owned()]));
        assert!(matches!(large, Err(Failure::TooLarge)), "{large:?}");
        // As much as there is room for comes whole after it.
        let fits = texts(&line, &question(5, "select repeat('y', 1000000)", &[])).await.unwrap();
        assert_eq!((fits[0].len(), line.load()), (1_000_000, Some(0)));
    }
}

#[tokio::test]
async fn an_answer_is_asked_for_elsewhere_that_does_not_fit_beside_those_that_nobody_has_fetched() {
    let url = Postgres::shared().database().await;
    let (before, behind) =
        (question(1, "select repeat('x', 600000)", &[]), question(2, "select repeat('y', 600000)", &[]));
    let small = question(3, "select 'small'", &[]);
    let line = with_little_room(&url).await;
    let mut unfetched = Box::pin(texts(&line, &before));
    assert!(unfetched.as_mut().now_or_never().is_none());
    let refused = line.ask(&behind).await;
    assert!(matches!(refused, Err(Failure::HeldUp)), "{refused:?}");
    assert_eq!(texts(&line, &small).await.unwrap(), ["small"]);
    // There is room for it as soon as they are fetched.
    assert_eq!(unfetched.await.unwrap()[0].len(), 600_000);
    assert_eq!(texts(&line, &behind).await.unwrap()[0].len(), 600_000);
}

#[tokio::test]
async fn an_answer_without_end_is_cancelled_and_those_behind_ask_elsewhere() {
    let url = Postgres::shared().database().await;
    let line = with_little_room(&url).await;
    let endless = question(1, "select repeat('endless', n::int) from generate_series(1, 1000000) n", &[]);
    let behind = question(2, "select 'behind'", &[]);
    let (endless, behind) = futures::join!(line.ask(&endless), line.ask(&behind));
    assert!(matches!(endless, Err(Failure::TooLarge)), "{endless:?}");
    assert!(matches!(behind, Err(Failure::HeldUp)), "{behind:?}");
    let active = "select pid::text from pg_stat_activity where state = 'active' and query like '%(''endless''%' \
        and pid <> pg_backend_pid()";
    while !told(&url, active).await.is_empty() {}
    assert!(line.is_closed());
}

#[tokio::test]
async fn whoever_asks_a_statement_that_is_refused_is_told_why() {
    let line = opened(&Postgres::shared().database().await, 8).await;
    let senseless = question(1, "select nothing", &[]);
    for complaint in join_all((0..20).map(|_| line.ask(&senseless))).await {
        let complaint = trouble(complaint);
        assert!(!complaint.is_stale());
        let words = Error::from(complaint).to_string();
        assert!(words.contains("42703"), "{words}");
    }
    // It is the connection's as soon as it makes sense.
    let sensible = question(1, "select 'something'", &[]);
    for answer in join_all((0..20).map(|_| texts(&line, &sensible))).await {
        assert_eq!(answer.unwrap(), ["something"]);
    }
    let prepared = question(2, "select name from pg_prepared_statements order by name", &[]);
    assert_eq!(texts(&line, &prepared).await.unwrap(), ["s1", "s2"]);
}

#[tokio::test]
async fn a_statement_that_can_not_be_written_takes_no_place() {
    let line = opened(&Postgres::shared().database().await, 2).await;
    let one = |number: u64| question(number, &format!("select '{number}'::text"), &[]);
    for number in [1, 2] {
        texts(&line, &one(number)).await.unwrap();
    }
    let unwritable = question(3, "select 'a\0b'", &[]);
    assert!(matches!(Error::from(trouble(line.ask(&unwritable).await)), Error::Invalid(_)));
    // What had to go for it is not known any more, and is parsed anew.
    for number in [1, 2] {
        assert_eq!(texts(&line, &one(number)).await.unwrap(), [number.to_string()]);
    }
    let prepared = question(4, "select name from pg_prepared_statements order by name", &[]);
    assert_eq!(texts(&line, &prepared).await.unwrap(), ["s2", "s4"]);
}

#[tokio::test]
async fn a_connection_keeps_no_more_statements_than_it_may() {
    let line = opened(&Postgres::shared().database().await, 2).await;
    for round in 0..2 {
        for number in 1..=5 {
            let one = question(number, &format!("select '{number}'::text"), &[]);
            assert_eq!(texts(&line, &one).await.unwrap(), [number.to_string()], "{round}");
        }
    }
    let prepared = question(6, "select name from pg_prepared_statements order by name", &[]);
    assert_eq!(texts(&line, &prepared).await.unwrap(), ["s5", "s6"]);
}

#[tokio::test]
async fn a_statement_whose_table_has_become_another_is_parsed_anew() {
    let url = Postgres::shared().database().await;
    let line = opened(&url, 8).await;
    execute(&url, "create table changing (a text)").await;
    execute(&url, "insert into changing values ('7')").await;
    let all = question(1, "select a from changing", &[]);
    assert_eq!(texts(&line, &all).await.unwrap(), ["7"]);
    execute(&url, "alter table changing alter a type bigint using a::bigint").await;
    assert!(trouble(line.ask(&all).await).is_stale());
    let (answer, _) = line.ask(&all).await.unwrap();
    assert_eq!(answer.records().next().unwrap().cell(0).unwrap(), (oid::INT8, Some(&7_i64.to_be_bytes()[..])));
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_does_not_stand_in_the_way() {
    let line = opened(&Postgres::shared().database().await, 8).await;
    let one = question(1, "select 'one'", &[]);
    for _ in 0..5 {
        assert!(line.ask(&one).now_or_never().is_none());
    }
    assert_eq!(texts(&line, &question(2, "select 'two'", &[])).await.unwrap(), ["two"]);
}

#[tokio::test]
async fn what_stands_behind_a_question_that_takes_long_is_sent_elsewhere() {
    let url = Postgres::shared().database().await;
    let line = Line::open(&address(&url), Limits { held_up: HELD_UP, ..limits(8) }).await.unwrap();
    let long = question(1, "select pg_sleep(300)", &[]);
    let mut long = Box::pin(line.ask(&long));
    assert!(long.as_mut().now_or_never().is_none());
    let behind = line.ask(&question(2, "select 'behind'", &[])).await;
    assert!(matches!(behind, Err(Failure::HeldUp)), "{behind:?}");
    assert_eq!((line.load(), line.is_closed()), (None, false));
    // Once nobody waits for that either, the server is told, and the connection is given up.
    drop(long);
    while !told(&url, "select query from pg_stat_activity where state = 'active' and query like '%sleep(300)'")
        .await
        .iter()
        .all(|query| query.contains("pg_stat_activity"))
    {}
    assert!(line.is_closed());
}

#[tokio::test]
async fn a_password_is_proven_in_each_way_and_a_wrong_one_is_what_it_was() {
    let cluster = Postgres::start(Fsync::Off);
    let url = cluster.database().await;
    let rules = cluster.folder().join("data/pg_hba.conf");
    let old = fs::read_to_string(&rules).unwrap();
    for (role, way) in [("proven", "scram-sha-256"), ("hashed", "md5"), ("plain", "password")] {
        let encryption = if way == "md5" { "md5" } else { "scram-sha-256" };
        let made = format!(
            "do $$ begin set local password_encryption = '{encryption}'; \
            create role {role} login password 'p@:/%ä'; end $$"
        );
        execute(&url, &made).await;
    }
    let guarded = "local all proven scram-sha-256\nlocal all hashed md5\nlocal all plain password\n";
    fs::write(&rules, format!("{guarded}{old}")).unwrap();
    cluster.crash();
    for role in ["proven", "hashed", "plain"] {
        let with = |password: &str| url.replace("yado@", &format!("{role}:{password}@"));
        let line = opened(&with("p%40%3A%2F%25%C3%A4"), 8).await;
        assert_eq!(texts(&line, &question(1, "select current_user::text", &[])).await.unwrap(), [role]);
        for wrong in ["wrong", ""] {
            let error = Line::open(&address(&with(wrong)), limits(1)).await.unwrap_err();
            let before = PgConnection::connect(&with(wrong)).await.unwrap_err();
            assert_eq!(Error::from(error), Error::from(before), "{role}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_what_it_was() {
    for url in ["postgres://yado@localhost/x?host=/nowhere", "postgres://yado@127.0.0.1:1/x"] {
        let error = Line::open(&address(url), limits(1)).await.unwrap_err();
        let before = PgConnection::connect(url).await.unwrap_err();
        assert_eq!(Error::from(error), Error::from(before), "{url}");
    }
}
