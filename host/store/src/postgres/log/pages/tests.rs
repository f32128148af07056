use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use sqlx::AssertSqlSafe;
use yado_model::{Actor, CommandId, CommandMeta, Position, RecordedEvent};

use super::super::{Events, READ_LOG, READ_STREAM};
use super::*;
use crate::conformance::fixtures::{counted, record};
use crate::open::Promise;
use crate::recorded::Stored;
use crate::testing::{Postgres as Cluster, execute, patient, told};
use crate::{Draft, EventStore as _};

/// Everything up to so many events.
const fn first(most: i64) -> [Bound; 2] {
    [Bound::Integer(0), Bound::Integer(most)]
}

async fn opened(url: &str) -> Events {
    Events::open(url, &patient()).await.unwrap()
}

/// With room for answers of so many bytes.
async fn pages(url: &str, room: usize) -> Pages {
    let options = patient();
    let database = Database::open(url, &options, Promise::Durable).await.unwrap();
    Pages::with_room(&database, &options, room)
}

/// What there is a connection for as soon as the server lets one in: a busy machine may take its time, but not for ever.
async fn once_let_in<T>(attempt: impl AsyncFn() -> Result<Option<T>>) -> T {
    let attempts = async {
        loop {
            if let Some(found) = attempt().await.unwrap() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), attempts).await.unwrap()
}

/// A page as a whole.
async fn whole(pages: &Pages, statement: &'static str, values: &[Bound]) -> Page {
    once_let_in(async || pages.as_a_whole(statement, values).await).await
}

/// An event with all that it may have, beside one that has as little as it can.
fn drafts() -> [Draft; 2] {
    let mut all = counted("Counter-a", 0, 2);
    all.command = CommandMeta {
        command_id: CommandId::generate(),
        correlation_id: Uuid::from_u128(7),
        causation_id: Some(Uuid::from_u128(8)),
        actor: Some(Actor::parse("zoë").unwrap()),
    };
    all.events[0].tags = vec!["a,b".into(), "ü\"{}".into()];
    all.events[0].version = 3;
    all.events[0].payload = r#"{"b": 1.00,  "a": "ä\n"}"#.into();
    all.recorded_at = "1999-12-31T23:59:59.999999Z".parse().unwrap();
    [all, counted("Counter-b", 0, 1)]
}

/// The event as sqlx understands each of its columns.
fn understood(row: &PgRow) -> RecordedEvent {
    Stored {
        position: row.get(0),
        tenant: row.get(1),
        stream: row.get(2),
        revision: row.get(3),
        name: row.get(4),
        version: row.get::<i32, _>(5).into(),
        payload: row.try_get_raw(6).unwrap().as_str().unwrap().to_owned(),
        tags: row.get::<Option<Vec<String>>, _>(7).unwrap_or_default(),
        recorded_at: row.get::<Time, _>(8).0,
        command_id: row.get(9),
        correlation_id: row.get(10),
        causation_id: row.get(11),
        actor: row.get(12),
    }
    .event()
    .unwrap()
}

#[tokio::test]
async fn an_event_is_the_same_whichever_way_it_comes() {
    let url = Cluster::shared().database().await;
    let events = opened(&url).await;
    let drafts = drafts();
    record(&events, &drafts).await.unwrap();
    execute(&url, "update events set tags = '{}', recorded_at = 'infinity' where position = 2").await;
    let page = whole(&events.pages, READ_LOG, &first(10)).await.events;
    let by_row = events.pages.row_by_row(READ_LOG, &first(10)).await.unwrap().events;
    let query = sqlx::query(READ_LOG).bind(0_i64).bind(10_i64);
    let rows = query.fetch_all(&events.database.pool).await.unwrap();
    let understood: Vec<_> = rows.iter().map(understood).collect();
    assert_eq!((page.len(), &page, &by_row), (3, &understood, &understood));
    let (draft, event) = (&drafts[0], &page[0]);
    assert_eq!((&event.event, &event.command), (&draft.events[0], &draft.command));
    assert_eq!((event.recorded_at, &event.tenant, &event.stream), (draft.recorded_at, &draft.tenant, &draft.stream));
    assert_eq!((&page[2].event.tags, &page[2].command.actor), (&vec![], &None));

    let of = [Bound::Text("default".into()), Bound::Text("Counter-a".into()), Bound::Integer(1), Bound::Integer(10)];
    let stream = whole(&events.pages, READ_STREAM, &of).await.events;
    assert_eq!(stream, page[1..2]);
    assert_eq!(events.pages.row_by_row(READ_STREAM, &of).await.unwrap().events, stream);
}

#[tokio::test]
async fn a_page_ends_where_it_is_full_whichever_way_it_comes() {
    let url = Cluster::shared().database().await;
    let events = opened(&url).await;
    let mut draft = counted("Counter-a", 0, 12);
    for event in &mut draft.events {
        event.payload = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    }
    record(&events, &[draft]).await.unwrap();
    let at_once = whole(&events.pages, READ_LOG, &first(12)).await;
    assert_eq!((at_once.events.len(), at_once.is_full()), (8, true));
    // Where there is no room for what was asked for, no more than a page comes either.
    let little = pages(&url, 4 << 20).await;
    assert!(little.as_a_whole(READ_LOG, &first(12)).await.unwrap().is_none());
    let page = little.read(READ_LOG, &first(12)).await.unwrap();
    assert_eq!((page.events.len(), page.is_full()), (8, true));
    assert!(page.events == at_once.events);
    // The next one fits, on a connection that is whole.
    assert_eq!(whole(&little, READ_LOG, &first(3)).await.events.len(), 3);
    little.close().await;
}

#[tokio::test]
async fn connections_that_break_between_pages_cost_nobody_a_page() {
    let cluster = Cluster::shared();
    let url = cluster.database().await;
    let events = opened(&url).await;
    record(&events, &drafts()).await.unwrap();
    for _ in 0..3 {
        let page = || whole(&events.pages, READ_LOG, const { &first(10) });
        // Both of them are opened.
        for page in join_all([page(), page()]).await {
            assert_eq!(page.events.len(), 3);
        }
        cluster.cut(&url).await;
    }
    assert_eq!(whole(&events.pages, READ_LOG, &first(10)).await.events.len(), 3);
}

#[tokio::test]
async fn a_page_that_finds_no_connection_comes_over_the_pool() {
    let url = Cluster::shared().database().await;
    let events = opened(&url).await;
    record(&events, &drafts()).await.unwrap();
    let busy = || events.pages.readers.fetch_at_once("select pg_sleep(300)", &[]);
    let mut busy = Box::pin(join_all([busy(), busy()]));
    assert!(busy.as_mut().now_or_never().is_none());
    assert!(events.pages.as_a_whole(READ_LOG, &first(10)).await.unwrap().is_none());
    assert_eq!(events.read_log(Position::ZERO, 10).await.unwrap().len(), 3);
    drop(busy);
    assert_eq!(whole(&events.pages, READ_LOG, &first(10)).await.events.len(), 3);

    // Nor does it need one that the server does not let in.
    let events = opened(&url).await;
    // The pool has one that is let in already.
    while events.database.pool.num_idle() == 0 {
        tokio::task::yield_now().await;
    }
    let database = url.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap();
    let elsewhere = Cluster::shared().database().await;
    execute(&elsewhere, &format!("alter database {database} with allow_connections false")).await;
    assert!(events.pages.as_a_whole(READ_LOG, &first(10)).await.unwrap().is_none());
    assert_eq!(events.read_log(Position::ZERO, 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_table_that_others_have_changed_is_read_as_far_as_it_can_be() {
    let url = Cluster::shared().database().await;
    let events = opened(&url).await;
    record(&events, &drafts()).await.unwrap();
    let page = whole(&events.pages, READ_LOG, &first(10)).await;
    // What it was prepared with is not what it is now.
    for change in ["drop view event_log", "alter table events alter name type varchar(100), alter payload type text"] {
        execute(&url, change).await;
    }
    assert!(events.pages.as_a_whole(READ_LOG, &first(10)).await.unwrap().is_none());
    assert!(events.read_log(Position::ZERO, 10).await.unwrap() == page.events);
    execute(&url, "alter table events alter payload type jsonb using payload::jsonb").await;
    let error = opened(&url).await.read_log(Position::ZERO, 10).await.unwrap_err();
    assert!(error.to_string().contains("its column payload is of the type JSONB"), "{error}");
}

#[tokio::test]
async fn sessions_for_pages_are_like_those_of_the_pool() {
    let url = Cluster::shared().database().await;
    let events = opened(&url).await;
    let settings =
        "select string_agg(name || '=' || setting, ' ' order by name) from pg_settings where source = 'session'";
    let answer = once_let_in(async || events.pages.readers.fetch_at_once(settings, &[]).await).await;
    let ours = answer.records().next().unwrap().cell(0).unwrap().1.unwrap().to_vec();
    let ours = String::from_utf8(ours).unwrap();
    let pools: String = sqlx::query_scalar(AssertSqlSafe(settings)).fetch_one(&events.database.pool).await.unwrap();
    assert_eq!(ours, pools);
    assert!(ours.contains("statement_timeout=30000"), "{ours}");
    events.close().await;
    let sessions =
        "select pid::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    while !told(&url, sessions).await.is_empty() {}
}
