//! What people see of the database, and what becomes of a reader when other hands have been at it.

use sqlx::{Connection, PgConnection, Row, SqliteConnection};
use yado_model::{Digest, Position, Revision, TenantId, Timestamp};
use yado_store::conformance::{counted, stream};
use yado_store::testing::Postgres;
use yado_store::{Append, Error, EventStore, Options, PluginRecord, open_events};

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
    let append = Append { plugin, recorded_at, ..counted("Counter-a-b", 0, 3) };
    store.append(&[append]).await.unwrap();
}

async fn sqlite() -> (tempfile::TempDir, std::sync::Arc<dyn EventStore>, SqliteConnection) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/log.db", folder.path().display());
    let store = open_events(&url, &Options::default()).await.unwrap();
    three_events(&*store).await;
    (folder, store, SqliteConnection::connect(&url).await.unwrap())
}

async fn postgres() -> (std::sync::Arc<dyn EventStore>, PgConnection) {
    let url = Postgres::shared().database().await;
    let store = open_events(&url, &Options { connections: 2, ..Options::default() }).await.unwrap();
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
    open_events(&url, &Options::default()).await.unwrap().close().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("update _sqlx_migrations set checksum = x'00'").execute(&mut connection).await.unwrap();
    let error = open_events(&url, &Options::default()).await.err().unwrap();
    assert!(matches!(error, Error::Migration(_)), "{error}");
}
