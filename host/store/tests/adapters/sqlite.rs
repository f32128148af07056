//! SQLite: in memory, in a file, and in a file that several stores share.

use std::sync::Arc;

use yado_store::conformance::{self, counted};
use yado_store::testing::patient;
use yado_store::{Error, EventStore, Options, ReadStore, open_events, open_reads};

mod in_memory {
    use super::*;

    yado_store::conformance::events!(open_events("sqlite::memory:", &patient()).await.unwrap());
    yado_store::conformance::reads!(open_reads("sqlite::memory:", &patient()).await.unwrap());
}

mod in_a_file {
    use super::*;

    yado_store::conformance::events!(Opened::events().await);
    yado_store::conformance::reads!(Opened::reads().await);
}

/// What a store with a limit for answers is held to.
mod with_little_room {
    use super::*;
    use yado_store::conformance::answers;

    fn options() -> Options {
        Options { answer_bytes: answers::ANSWER_BYTES, ..patient() }
    }

    #[tokio::test]
    async fn an_answer_takes_up_no_more_than_it_may() {
        answers::an_answer_takes_up_no_more_than_it_may(&*open_reads("sqlite::memory:", &options()).await.unwrap())
            .await;
    }

    #[tokio::test]
    async fn the_answers_of_a_request_take_up_no_more_than_one_may() {
        let (_folder, url) = file();
        let store = open_reads(&url, &options()).await.unwrap();
        answers::the_answers_of_a_request_take_up_no_more_than_one_may(&*store).await;
    }

    #[tokio::test]
    async fn an_answer_that_is_refused_does_the_others_no_harm() {
        let (_folder, url) = file();
        answers::an_answer_that_is_refused_does_the_others_no_harm(&*open_reads(&url, &options()).await.unwrap()).await;
    }
}

/// A store together with the folder that its file is in.
struct Opened<S: ?Sized> {
    store: Arc<S>,
    _folder: tempfile::TempDir,
}

impl Opened<dyn EventStore> {
    async fn events() -> Self {
        let (folder, url) = file();
        Self { store: open_events(&url, &patient()).await.unwrap(), _folder: folder }
    }
}

impl Opened<dyn ReadStore> {
    async fn reads() -> Self {
        let (folder, url) = file();
        Self { store: open_reads(&url, &patient()).await.unwrap(), _folder: folder }
    }
}

impl<S: ?Sized> std::ops::Deref for Opened<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.store
    }
}

/// A file that is not there yet, under a name that has to be encoded in a URL.
fn file() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/the%20log.db", folder.path().display());
    (folder, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_misses_nothing_while_many_write_to_one_file() {
    let (_folder, url) = file();
    // They open the file at once, while it is not there yet. SQLite lets whoever asks first have the lock, not whoever has
    // waited longest.
    let options = patient();
    let opening = (0..3).map(|_| open_events(&url, &options));
    let stores: Vec<_> = futures::future::join_all(opening).await.into_iter().map(Result::unwrap).collect();
    conformance::concurrency::a_reader_misses_nothing_while_many_write(stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_one_wins_in_one_file() {
    let (_folder, url) = file();
    let options = patient();
    let stores = [open_events(&url, &options).await.unwrap(), open_events(&url, &options).await.unwrap()];
    conformance::concurrency::of_two_nodes_one_wins(stores).await;
}

#[tokio::test]
async fn log_and_read_models_may_share_a_file() {
    let (_folder, url) = file();
    let events = open_events(&url, &patient()).await.unwrap();
    let reads = open_reads(&url, &patient()).await.unwrap();
    conformance::record(&*events, &[counted("Counter-a", 0, 1)]).await.unwrap();
    assert_eq!(reads.checkpoint("any").await.unwrap().position.get(), 0);
    events.close().await;
    let events = open_events(&url, &patient()).await.unwrap();
    assert_eq!(events.head().await.unwrap().get(), 1);
}

#[tokio::test]
async fn each_opening_in_memory_is_a_database_of_its_own() {
    let first = open_events("sqlite::memory:", &patient()).await.unwrap();
    let second = open_events("sqlite::memory:", &patient()).await.unwrap();
    conformance::record(&*first, &[counted("Counter-a", 0, 1)]).await.unwrap();
    assert_eq!(second.head().await.unwrap().get(), 0);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let (folder, url) = file();
    std::fs::write(folder.path().join("the log.db"), "not a database, and long enough to have a header".repeat(100))
        .unwrap();
    let error = open_events(&url, &patient()).await.err().unwrap();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_file_in_a_folder_that_is_not_there_is_refused_by_its_name() {
    let (folder, _) = file();
    let url = format!("sqlite:{}/no/such/log.db", folder.path().display());
    let error = open_events(&url, &patient()).await.err().unwrap();
    assert!(matches!(&error, Error::Invalid(reason) if reason.contains("/no/such/log.db")), "{error}");
}

#[tokio::test]
async fn a_url_with_parameters_is_refused() {
    for url in ["sqlite:a.db?mode=memory", "sqlite:", "sqlite://"] {
        assert!(matches!(open_events(url, &patient()).await.err(), Some(Error::Invalid(_))), "{url}");
    }
}
