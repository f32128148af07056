//! A database that was written before later migrations is the same after them, with all that was added made from it.

use std::borrow::Cow;

use sqlx::migrate::Migrator;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use yado_model::{Claim, ClaimValue, Position, Revision, TenantId, Timestamp};
use yado_store::conformance::{counted, record, stream};
use yado_store::testing::{Postgres, patient};
use yado_store::{Appended, Draft, EventStore, ReadStore, open_events, open_reads};

static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// The first migration alone.
fn first(of: &Migrator) -> Migrator {
    Migrator { migrations: Cow::Owned(of.migrations[..1].to_vec()), ..Migrator::DEFAULT }
}

/// What the code of that time has written: two streams of one tenant and one of another, a claim that was passed on, an
/// answer, and a snapshot. The times and ids are written as each engine has them.
fn before(time: &str, id: &str, digest: &str, state: &str) -> String {
    let event = |position: u32, tenant: &str, stream: &str, revision: u32, name: &str, version: u32| {
        format!(
            "insert into events (position, tenant, stream, revision, name, version, payload, recorded_at, command_id, \
                plugin) values ({position}, '{tenant}', '{stream}', {revision}, '{name}', {version}, '{{\"n\": 1.50}}', \
                {time}, {id}, 1);"
        )
    };
    let claim = |tenant: &str, value: &str, stream: &str| {
        format!(
            "insert into claims (tenant, \"constraint\", value, stream) \
                values ('{tenant}', 'unique_label', '{value}', '{stream}');"
        )
    };
    [
        format!("insert into plugins values (1, 'counters', '1.2.3', {digest}, {time});"),
        event(1, "default", "Counter-a-b", 1, "Counted", 1),
        event(2, "default", "Counter-c", 1, "Counted", 1),
        event(3, "acme", "Counter-a-b", 1, "Counted", 2),
        event(4, "default", "Counter-a-b", 2, "Ended", 1),
        claim("default", "x", "Counter-a-b"),
        claim("default", "with \"quotes\" and é", "Counter-a-b"),
        claim("default", "y", "Counter-c"),
        claim("acme", "x", "Counter-a-b"),
        format!("insert into answers values ('default', 'key', {digest}, 'Counter-c', 1, 2, {time});"),
        format!("insert into snapshots values ('default', 'Counter-a-b', 'one', 2, {state});"),
        "insert into checkpoints (projection, position) values ('counts', 3);".to_owned(),
    ]
    .concat()
}

async fn check_upgraded(store: &dyn EventStore) {
    // The kinds are noted, with their first positions.
    let kinds = store.event_kinds().await.unwrap();
    let told: Vec<_> =
        kinds.iter().map(|k| (k.aggregate.as_str(), k.name.as_str(), k.version, k.first.get())).collect();
    assert_eq!(told, [("Counter", "Counted", 1, 1), ("Counter", "Counted", 2, 3), ("Counter", "Ended", 1, 4)]);
    // The log tells of the claims what their table does.
    let claims = store.rebuild_claims(false).await.unwrap();
    assert_eq!((claims.held, claims.different), (4, 0), "{:?}", claims.differences);
    // A snapshot without a checksum is not trusted.
    let tenant = TenantId::default();
    assert_eq!(store.snapshot(&tenant, &stream("Counter-a-b"), "one").await.unwrap(), None);
    // Events are what they were, and the log goes on where it was.
    let page = store.read_stream(&tenant, &stream("Counter-a-b"), Revision::ZERO, 10).await.unwrap();
    let told: Vec<_> =
        page.events.iter().map(|e| (e.position.get(), e.revision.get(), e.event.payload.as_str())).collect();
    assert_eq!(told, [(1, 1, "{\"n\": 1.50}"), (4, 2, "{\"n\": 1.50}")]);
    assert_eq!(store.read_log(Position::ZERO, 10).await.unwrap().len(), 4);
    let take = |value: &str| vec![Claim::Take(ClaimValue { constraint: "unique_label".into(), value: value.into() })];
    let drafts = [
        Draft { claims: take("x"), ..counted("Counter-c", 1, 1) },
        Draft { claims: take("x"), ..counted("Counter-a-b", 2, 1) },
        Draft { claims: take("z"), ..counted("Counter-d", 0, 1) },
    ];
    let outcomes = record(store, &drafts).await.unwrap();
    let recorded = |revision, position| Appended::Recorded {
        revision: Revision::new(revision),
        position: Position::new(position),
    };
    let taken = Appended::Taken { constraint: "unique_label".into(), value: "x".into() };
    assert_eq!(outcomes, [taken, recorded(3, 5), recorded(1, 6)]);
    let claims = store.rebuild_claims(false).await.unwrap();
    assert_eq!((claims.held, claims.different), (5, 0), "{:?}", claims.differences);
    assert_eq!(store.forget_answers(Timestamp::now()).await.unwrap().count, 1);
}

/// A checkpoint stays where it was, and its event is not known.
async fn check_checkpoint(reads: &dyn ReadStore) {
    assert_eq!(reads.checkpoint("counts").await.unwrap(), Position::new(3).into());
    reads.close().await;
}

/// What a process of before does that is still running.
const MOVED: &str = "update checkpoints set position = 4 where projection = 'counts' and position = 3";

#[tokio::test]
async fn a_log_of_before_is_carried_over_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/log.db", folder.path().display());
    let options = url.parse::<sqlx::sqlite::SqliteConnectOptions>().unwrap().create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    first(&SQLITE).run(&mut connection).await.unwrap();
    let before = before("1700000000000000", "zeroblob(16)", "zeroblob(32)", "x'00'");
    connection.execute(sqlx::AssertSqlSafe(before)).await.unwrap();
    let store = open_events(&url, &patient()).await.unwrap();
    check_upgraded(&*store).await;
    let shown: String =
        sqlx::query_scalar("select claims from event_log where position = 2").fetch_one(&mut connection).await.unwrap();
    assert_eq!(shown, r#"[{"take":{"constraint":"unique_label","value":"y"}}]"#);
    store.close().await;
    check_checkpoint(&*open_reads(&url, &patient()).await.unwrap()).await;
    let old = connection.execute(MOVED).await.unwrap_err();
    assert!(old.to_string().contains("position"), "{old}");
}

#[tokio::test]
async fn a_log_of_before_is_carried_over_in_postgresql() {
    let url = Postgres::shared().database().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    first(&POSTGRES).run(&mut connection).await.unwrap();
    let before = before(
        "'2026-01-31T09:30:00Z'",
        "'00000000-0000-0000-0000-000000000000'",
        "decode(repeat('00', 32), 'hex')",
        "'\\x00'",
    );
    connection.execute(sqlx::AssertSqlSafe(before)).await.unwrap();
    connection.execute("update log_head set position = 4").await.unwrap();
    let store = open_events(&url, &patient()).await.unwrap();
    check_upgraded(&*store).await;
    let shown: String = sqlx::query_scalar("select claims->0->'take'->>'value' from event_log where position = 2")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(shown, "y");
    // A process of before that is still running can't append any more: the log would lack what it does to claims.
    let old = connection.execute("update log_head set position = position + 1").await.unwrap_err();
    assert!(old.to_string().contains("position"), "{old}");
    store.close().await;
    check_checkpoint(&*open_reads(&url, &patient()).await.unwrap()).await;
    let old = connection.execute(MOVED).await.unwrap_err();
    assert!(old.to_string().contains("position"), "{old}");
}
