//! Reading goes on where it stopped, and asks for no more than it may.

use yado_model::{Position, Revision, TenantId};

use super::fixtures::{append, counted, stream};
use crate::limits::LONGEST_PAGE;
use crate::{Error, EventStore, StreamPage};

pub async fn a_stream_is_read_page_by_page(store: &dyn EventStore) {
    append(store, counted("Counter-b", 0, 1)).await;
    append(store, counted("Counter-a", 0, 5)).await;
    append(store, counted("Counter-c", 0, 1)).await;
    let mut after = Revision::ZERO;
    let mut pages = Vec::new();
    let mut more = true;
    while more {
        let page = store.read_stream(&TenantId::default(), &stream("Counter-a"), after, 2).await.unwrap();
        after = page.events.last().unwrap().revision;
        pages.push(page.events.iter().map(|event| event.revision.get()).collect::<Vec<_>>());
        more = page.more;
    }
    assert_eq!(pages, [vec![1, 2], vec![3, 4], vec![5]]);
}

pub async fn the_log_is_read_page_by_page(store: &dyn EventStore) {
    for number in 0..5 {
        append(store, counted(&format!("Counter-{number}"), 0, 1)).await;
    }
    let mut after = Position::ZERO;
    let mut pages = Vec::new();
    loop {
        let page = store.read_log(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.position;
        pages.push(page.iter().map(|event| event.position.get()).collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec![1, 2], vec![3, 4], vec![5]]);
}

pub async fn reading_beyond_the_end_gives_nothing(store: &dyn EventStore) {
    append(store, counted("Counter-a", 0, 1)).await;
    for beyond in [1, 2, u64::MAX] {
        assert_eq!(store.read_log(Position::new(beyond), 10).await.unwrap(), []);
        let tenant = TenantId::default();
        let page = store.read_stream(&tenant, &stream("Counter-a"), Revision::new(beyond), 10).await.unwrap();
        assert_eq!(page, StreamPage::default());
    }
    assert_eq!(store.read_log(Position::ZERO, 0).await.unwrap(), []);
}

pub async fn a_page_over_the_limit_is_refused(store: &dyn EventStore) {
    let error = store.read_log(Position::ZERO, LONGEST_PAGE + 1).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid(reason) if reason.contains("10000")), "{error}");
    let error = store.read_stream(&TenantId::default(), &stream("Counter-a"), Revision::ZERO, u32::MAX).await;
    assert!(matches!(error, Err(Error::Invalid(_))), "{error:?}");
    assert!(store.read_log(Position::ZERO, LONGEST_PAGE).await.is_ok());
}

pub async fn the_database_answers(store: &dyn EventStore) {
    store.ping().await.unwrap();
}
