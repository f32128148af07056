//! What people see of the database, and what becomes of a reader when other hands have been at it.

use sqlx::{Connection, PgConnection, Row, SqliteConnection};
use yado_model::{Claim, ClaimValue, CommandId, Digest, Position, Revision, TenantId, Timestamp};
use yado_store::conformance::{counted, record, stream};
use yado_store::testing::{Postgres, patient};
use yado_store::{Appended, Draft, Error, EventStore, Options, PluginRecord, Snapshot, open_events};

/// Records three events of a registered plugin.
async fn three_events(store: &dyn EventStore) {
    let plugin = PluginRecord {
        name: "counters".into(),
        version: "1.2.3".into(),
        digest: Digest::of(b"code"),
        registered_at: Timestamp::now(),
    };
    let plugin = store.register_plugin(&plugin).await.unwrap();
    let recorded_at = "2026-01-31T09:30:00.000007Z".parse().unwrap();
    let append = Draft { plugin, recorded_at, ..counted("Counter-a-b", 0, 3) };
    record(store, &[append]).await.unwrap();
}

async fn sqlite() -> (tempfile::TempDir, std::sync::Arc<dyn EventStore>, SqliteConnection) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/log.db", folder.path().display());
    let store = open_events(&url, &patient()).await.unwrap();
    three_events(&*store).await;
    (folder, store, SqliteConnection::connect(&url).await.unwrap())
}

async fn postgres() -> (std::sync::Arc<dyn EventStore>, PgConnection) {
    let url = Postgres::shared().database().await;
    let store = open_events(&url, &Options { connections: 2, ..patient() }).await.unwrap();
    three_events(&*store).await;
    (store, PgConnection::connect(&url).await.unwrap())
}

const SHOWN: &str = "\
    select tenant, aggregate, id, name, plugin, plugin_version, plugin_digest, cast(payload as text), \
        cast(command_id as text), cast(correlation_id as text) \
    from event_log where revision = 2 and position = 2";

fn check_shown(shown: &[String]) {
    let digest = Digest::of(b"code").to_string();
    let expected = ["default", "Counter", "a-b", "Counted", "counters", "1.2.3", &digest, r#"{"number":2}"#];
    assert_eq!(shown[..8], expected);
    assert_eq!(shown[8], shown[9]);
}

#[tokio::test]
async fn the_log_can_be_read_with_plain_sql_in_sqlite() {
    let (_folder, _store, mut connection) = sqlite().await;
    let row = sqlx::query(SHOWN).fetch_one(&mut connection).await.unwrap();
    check_shown(&(0..10).map(|at| row.get(at)).collect::<Vec<_>>());
    let time: String =
        sqlx::query_scalar("select recorded_at from event_log").fetch_one(&mut connection).await.unwrap();
    assert_eq!(time, "2026-01-31T09:30:00.000007Z");
}

#[tokio::test]
async fn the_log_can_be_read_with_plain_sql_in_postgresql() {
    let (_store, mut connection) = postgres().await;
    let row = sqlx::query(SHOWN).fetch_one(&mut connection).await.unwrap();
    check_shown(&(0..10).map(|at| row.get(at)).collect::<Vec<_>>());
    let time: String = sqlx::query_scalar("select (recorded_at at time zone 'utc')::text from event_log")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(time, "2026-01-31 09:30:00.000007");
}

async fn check_damage(store: &dyn EventStore, part: &str) {
    let log = store.read_log(Position::ZERO, 10).await.unwrap_err();
    assert!(matches!(&log, Error::Corrupt { .. }), "{part}: {log}");
    let stream = store.read_stream(&TenantId::default(), &stream("Counter-a-b"), Revision::ZERO, 10).await.unwrap_err();
    assert!(matches!(&stream, Error::Corrupt { .. }), "{part}: {stream}");
}

/// What other hands may have done to the second of three events, so that both ways to read it must notice.
const DAMAGE: [&str; 3] = [
    "update events set version = -1 where position = 2",
    "update events set actor = '' where position = 2",
    "delete from events where position = 2",
];

#[tokio::test]
async fn damage_is_reported_and_not_passed_on_in_sqlite() {
    let (_folder, store, mut connection) = sqlite().await;
    for damage in DAMAGE {
        sqlx::query(damage).execute(&mut connection).await.unwrap();
        check_damage(&*store, damage).await;
    }
}

#[tokio::test]
async fn damage_is_reported_and_not_passed_on_in_postgresql() {
    let (store, mut connection) = postgres().await;
    for damage in DAMAGE {
        sqlx::query(damage).execute(&mut connection).await.unwrap();
        check_damage(&*store, damage).await;
    }
}

#[tokio::test]
async fn a_damaged_migration_is_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/log.db", folder.path().display());
    open_events(&url, &patient()).await.unwrap().close().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("update _sqlx_migrations set checksum = x'00'").execute(&mut connection).await.unwrap();
    let error = open_events(&url, &patient()).await.err().unwrap();
    assert!(matches!(error, Error::Migration(_)), "{error}");
}

/// What other hands may have done to claims: one lost, one under another stream, one that nobody holds.
const STRAYED: [&str; 3] = [
    "delete from claims where value = 'lost'",
    "update claims set stream = 'Counter-z' where value = 'moved'",
    "insert into claims (tenant, \"constraint\", value, stream) values ('default', 'unique_label', 'stray', 'Counter-y')",
];

async fn check_claims_repaired(store: &dyn EventStore) {
    let found = store.rebuild_claims(false).await.unwrap();
    let told: Vec<_> = found
        .differences
        .iter()
        .map(|found| {
            (found.value.as_str(), found.by_log.as_ref().map(|s| s.id()), found.by_table.as_ref().map(|s| s.id()))
        })
        .collect();
    assert_eq!(told, [("lost", Some("c"), None), ("moved", Some("c"), Some("z")), ("stray", None, Some("y"))]);
    assert_eq!((found.held, found.different, found.repaired), (2, 3, false));
    assert!(store.rebuild_claims(true).await.unwrap().repaired);
    let after = store.rebuild_claims(true).await.unwrap();
    assert_eq!((after.held, after.different, after.repaired), (2, 0, false));
}

/// What other hands do to claims before their streams go on: one is lost, another is under a stream that has not taken it.
const WRONG: [&str; 2] = [
    "delete from claims where value = 'mine'",
    "insert into claims (tenant, \"constraint\", value, stream) values ('default', 'unique_label', 'new', 'Counter-d')",
];

fn value(value: &str) -> ClaimValue {
    ClaimValue { constraint: "unique_label".into(), value: value.into() }
}

fn claiming(to: &str, expected: u64, claims: &[Claim]) -> Draft {
    Draft { claims: claims.to_vec(), ..counted(to, expected, 1) }
}

async fn recorded(store: &dyn EventStore, draft: Draft) -> bool {
    let outcomes = record(store, &[draft]).await.unwrap();
    matches!(outcomes.as_slice(), [Appended::Recorded { .. }])
}

async fn mine_is_taken(store: &dyn EventStore) {
    assert!(recorded(store, claiming("Counter-a", 0, &[Claim::Take(value("mine"))])).await);
    assert!(recorded(store, counted("Counter-d", 0, 1)).await);
}

/// While the table is wrong, a value is let go of that it has lost, and one is taken that it has given away already.
async fn check_the_log_is_right_while_the_table_is_not(store: &dyn EventStore) {
    assert!(recorded(store, claiming("Counter-a", 1, &[Claim::Release(value("mine"))])).await);
    assert!(recorded(store, claiming("Counter-d", 1, &[Claim::Take(value("new"))])).await);
    let report = store.rebuild_claims(true).await.unwrap();
    assert_eq!((report.held, report.differences), (1, vec![]));
    assert!(recorded(store, claiming("Counter-b", 0, &[Claim::Take(value("mine"))])).await);
    assert!(!recorded(store, claiming("Counter-c", 0, &[Claim::Take(value("new"))])).await);
}

#[tokio::test]
async fn a_wrong_table_of_claims_does_not_make_the_log_wrong_in_sqlite() {
    let (_folder, store, mut connection) = sqlite().await;
    mine_is_taken(&*store).await;
    for statement in WRONG {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    check_the_log_is_right_while_the_table_is_not(&*store).await;
}

#[tokio::test]
async fn a_wrong_table_of_claims_does_not_make_the_log_wrong_in_postgresql() {
    let (store, mut connection) = postgres().await;
    mine_is_taken(&*store).await;
    for statement in WRONG {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    check_the_log_is_right_while_the_table_is_not(&*store).await;
}

async fn two_claims(store: &dyn EventStore) {
    let take = |text: &str| Claim::Take(value(text));
    assert!(recorded(store, claiming("Counter-c", 0, &[take("lost"), take("moved")])).await);
}

fn snapshot() -> Snapshot {
    Snapshot {
        tenant: TenantId::default(),
        stream: stream("Counter-a"),
        revision: Revision::new(2),
        command: CommandId(uuid::Uuid::from_u128(7)),
        encoding: "one".into(),
        state: Some(b"state".to_vec()),
    }
}

async fn find(store: &dyn EventStore) -> Option<Snapshot> {
    let sought = snapshot();
    store.snapshot(&sought.tenant, &sought.stream, &sought.encoding).await.unwrap()
}

#[tokio::test]
async fn what_other_hands_did_beside_the_log_is_found_and_put_right_in_sqlite() {
    let (_folder, store, mut connection) = sqlite().await;
    two_claims(&*store).await;
    for statement in STRAYED {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    check_claims_repaired(&*store).await;
    store.save_snapshots(&[snapshot()]).await.unwrap();
    assert_eq!(find(&*store).await, Some(snapshot()));
    sqlx::query("update snapshots set state = x'00'").execute(&mut connection).await.unwrap();
    assert_eq!(find(&*store).await, None);
}

#[tokio::test]
async fn what_other_hands_did_beside_the_log_is_found_and_put_right_in_postgresql() {
    let (store, mut connection) = postgres().await;
    two_claims(&*store).await;
    for statement in STRAYED {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    check_claims_repaired(&*store).await;
    store.save_snapshots(&[snapshot()]).await.unwrap();
    assert_eq!(find(&*store).await, Some(snapshot()));
    sqlx::query("update snapshots set revision = 3").execute(&mut connection).await.unwrap();
    assert_eq!(find(&*store).await, None);
}

#[tokio::test]
async fn claims_are_compared_without_holding_anybody_up_in_postgresql() {
    let url = Postgres::shared().database().await;
    // Whoever waits for a lock is refused instead of waiting for the one that this test holds.
    let impatient =
        "do $$ begin execute format('alter database %I set lock_timeout = 100', current_database()); end $$";
    yado_store::testing::execute(&url, impatient).await;
    let store = open_events(&url, &Options { connections: 2, ..patient() }).await.unwrap();
    two_claims(&*store).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for statement in STRAYED {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    let mut holder = connection.begin().await.unwrap();
    sqlx::query("select * from log_head for update").execute(&mut *holder).await.unwrap();
    assert_eq!(store.rebuild_claims(false).await.unwrap().different, 3);
    let refused = store.rebuild_claims(true).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
    holder.rollback().await.unwrap();
    check_claims_repaired(&*store).await;
    // Where nothing differs there is nothing to lock for.
    sqlx::query("begin").execute(&mut connection).await.unwrap();
    sqlx::query("select * from log_head for update").execute(&mut connection).await.unwrap();
    assert_eq!(store.rebuild_claims(true).await.unwrap().different, 0);
}
