//! PostgreSQL: a database for each test, of one cluster.

use yado_store::conformance::{self, counted};
use yado_store::testing::Postgres;
use yado_store::{Error, Options, open_events, open_reads};

async fn url() -> String {
    Postgres::shared().database().await
}

fn few() -> Options {
    Options { connections: 3, acquire_timeout_ms: 60_000 }
}

yado_store::conformance::events!(open_events(&url().await, &few()).await.unwrap());
yado_store::conformance::reads!(open_reads(&url().await, &few()).await.unwrap());

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_misses_nothing_while_many_write() {
    let url = url().await;
    // Five nodes start at once and make the tables, four of them write.
    let options = few();
    let opening = (0..5).map(|_| open_events(&url, &options));
    let stores: Vec<_> = futures::future::join_all(opening).await.into_iter().map(Result::unwrap).collect();
    conformance::concurrency::a_reader_misses_nothing_while_many_write(stores).await;
}

#[tokio::test]
async fn log_and_read_models_may_share_a_database() {
    let url = url().await;
    let events = open_events(&url, &few()).await.unwrap();
    let reads = open_reads(&url, &few()).await.unwrap();
    events.append(&[counted("Counter-a", 0, 1)]).await.unwrap();
    assert_eq!(reads.checkpoint("any").await.unwrap().get(), 0);
    assert_eq!(events.head().await.unwrap().get(), 1);
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
    use sqlx::{Connection, Executor};
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
