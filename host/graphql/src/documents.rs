//! Documents that have been found sound, kept so that the next request with the same one need not parse and check it.
//!
//! What is kept belongs to one deployment, as the schema does that it was held against, and goes when that goes. There are
//! bounds to how many are kept and to the memory that they take; the one that was not asked for the longest time makes
//! room. A document that takes more than its share of that memory is not kept, and neither is one that was refused.
//!
//! What a document is worth depends on variables in two places, which are looked for once: if it has them, that part of
//! the checking is done for each request.

mod survey;

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::parser::types::ExecutableDocument;
use lru::LruCache;

use crate::Limits;
use crate::api::Api;
use survey::Survey;

/// One document may take this part of the memory for all.
const SHARE: usize = 16;

/// A document, and how much of what was found of it holds for every request.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) document: ExecutableDocument,
    /// Whether it weighs the same whatever its variables are.
    pub(crate) weighs_the_same: bool,
    /// Whether validation finds the same whatever its variables are, and has nothing to answer.
    pub(crate) stays_valid: bool,
    text: String,
    operation_name: Option<String>,
    bytes: usize,
}

impl Prepared {
    /// Looks through a document that has been parsed, by the deployment that it is asked of.
    pub(crate) fn new(api: &Api, document: ExecutableDocument, text: String, operation_name: Option<String>) -> Self {
        let survey = Survey::of(api, &document);
        let bytes = survey.bytes + size_of::<Self>() + text.len() + operation_name.as_ref().map_or(0, String::len);
        let (weighs_the_same, stays_valid) = (!survey.variable_weight, !survey.variable_checks);
        Self { document, weighs_the_same, stays_valid, text, operation_name, bytes }
    }

    /// Which of its operations is to run.
    pub(crate) fn operation_name(&self) -> Option<&str> {
        self.operation_name.as_deref()
    }

    /// The text that it was made of.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn is(&self, text: &str, operation_name: Option<&str>) -> bool {
        self.text == text && self.operation_name() == operation_name
    }
}

/// The documents of one deployment.
#[derive(Debug)]
pub(crate) struct Documents {
    kept: Mutex<Kept>,
    /// Nobody outside can know which texts get the same number; those that do take each other's place.
    numbers: RandomState,
    entries_most: usize,
    bytes_most: usize,
}

#[derive(Debug)]
struct Kept {
    documents: LruCache<u64, Arc<Prepared>>,
    bytes: usize,
}

impl Documents {
    pub(crate) fn new(limits: &Limits) -> Self {
        let kept = Kept { documents: LruCache::unbounded(), bytes: 0 };
        Self {
            kept: Mutex::new(kept),
            numbers: RandomState::new(),
            entries_most: limits.documents_kept,
            bytes_most: limits.documents_kept_bytes,
        }
    }

    /// The document with this text, if it is kept for this operation.
    pub(crate) fn find(&self, text: &str, operation_name: Option<&str>) -> Option<Arc<Prepared>> {
        if !self.takes(text.len()) {
            return None;
        }
        let number = self.number(text, operation_name);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.documents.get(&number).filter(|found| found.is(text, operation_name)).cloned()
    }

    /// Keeps a document that has passed every check.
    pub(crate) fn keep(&self, prepared: &Arc<Prepared>) {
        if !self.takes(prepared.bytes) {
            return;
        }
        let number = self.number(&prepared.text, prepared.operation_name());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += prepared.bytes;
        if let Some(before) = kept.documents.put(number, prepared.clone()) {
            kept.bytes -= before.bytes;
        }
        while kept.documents.len() > self.entries_most || kept.bytes > self.bytes_most {
            match kept.documents.pop_lru() {
                Some((_, oldest)) => kept.bytes -= oldest.bytes,
                None => return,
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.kept.lock().unwrap().documents.len()
    }

    const fn takes(&self, bytes: usize) -> bool {
        self.entries_most > 0 && bytes <= self.bytes_most / SHARE
    }

    fn number(&self, text: &str, operation_name: Option<&str>) -> u64 {
        self.numbers.hash_one((text, operation_name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    fn prepared(text: &str, operation_name: Option<&str>) -> Arc<Prepared> {
        let document = document::parse(text, &Limits::default()).unwrap();
        Arc::new(Prepared::new(&Api::default(), document, text.to_owned(), operation_name.map(str::to_owned)))
    }

    fn documents(entries: usize, bytes: usize) -> Documents {
        Documents::new(&Limits { documents_kept: entries, documents_kept_bytes: bytes, ..Limits::default() })
    }

    fn bytes(documents: &Documents) -> usize {
        let kept = documents.kept.lock().unwrap();
        assert_eq!(kept.bytes, kept.documents.iter().map(|(_, kept)| kept.bytes).sum::<usize>());
        kept.bytes
    }

    #[test]
    fn a_thousand_different_documents_stay_within_the_bounds_and_leave_the_one_in_use() {
        let documents = documents(10, 1024 * 1024);
        let hot = prepared("{ hot }", None);
        documents.keep(&hot);
        for at in 0..1_000 {
            documents.keep(&prepared(&format!("{{ cold{at} }}"), None));
            assert!(documents.find("{ hot }", None).is_some(), "after {at}");
        }
        assert_eq!(documents.len(), 10);
        assert!(documents.find("{ cold999 }", None).is_some());
        assert!(documents.find("{ cold900 }", None).is_none());
        bytes(&documents);
    }

    #[test]
    fn memory_has_a_bound_of_its_own() {
        let one = prepared("{ cold10 }", None).bytes;
        let documents = documents(1_000, one * 20);
        for at in 10..99 {
            documents.keep(&prepared(&format!("{{ cold{at} }}"), None));
        }
        assert_eq!(bytes(&documents), one * 20);
        documents.keep(&prepared("{ cold98 }", None));
        assert_eq!(bytes(&documents), one * 20);
    }

    #[test]
    fn a_document_that_takes_more_than_its_share_is_not_kept() {
        let documents = documents(1_000, 64 * 1024);
        let long = format!("{{ {} }}", "a ".repeat(200));
        documents.keep(&prepared(&long, None));
        assert!(documents.find(&long, None).is_none());
        assert_eq!(bytes(&documents), 0);
    }

    #[test]
    fn nothing_is_kept_where_nothing_may_be() {
        for documents in [documents(0, 1024 * 1024), documents(10, 0)] {
            documents.keep(&prepared("{ a }", None));
            assert!(documents.find("{ a }", None).is_none());
        }
    }

    #[test]
    fn a_document_is_kept_for_each_of_its_operations() {
        let documents = documents(10, 1024 * 1024);
        let text = "query A { a } query B { b }";
        documents.keep(&prepared(text, Some("A")));
        assert!(documents.find(text, Some("A")).is_some());
        assert!(documents.find(text, Some("B")).is_none());
        assert!(documents.find(text, None).is_none());
    }

    #[test]
    fn what_is_charged_is_at_least_what_the_parts_take() {
        let fields = prepared(&format!("{{ {} }}", "a ".repeat(1_000)), None);
        assert!(fields.bytes > 1_000 * size_of::<async_graphql::parser::types::Field>());
        let values = prepared(&format!("{{ a(b: [{}]) }}", "1 ".repeat(1_000)), None);
        assert!(values.bytes > 1_000 * size_of::<async_graphql_value::Value>());
    }
}
