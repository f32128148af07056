//! What those see who trace.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::figures::Handles;

/// The fields of each span, in the order in which spans began.
#[derive(Clone, Default)]
struct Traced(Arc<Mutex<Vec<BTreeMap<&'static str, String>>>>);

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Traced {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut all = self.0.lock().unwrap();
        let mut fields = BTreeMap::from([("span", span.metadata().name().to_owned())]);
        span.record(&mut Fields(&mut fields));
        all.push(fields);
        Id::from_u64(all.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut all = self.0.lock().unwrap();
        let at = usize::try_from(span.into_u64()).unwrap() - 1;
        values.record(&mut Fields(&mut all[at]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Refuses everything.
struct Nobody;

impl Guard for Nobody {
    fn allow(&self, _: &Asked<'_>) -> Result<(), Denial> {
        Err(Denial::Unauthenticated)
    }
}

/// What is traced of one thing that is asked, done at once and waited for, which must be the same.
fn traced(what: What<'_>, guard: Arc<dyn Guard>, answer: &Result<u64>) -> Vec<(&'static str, String)> {
    let layers = Layers::new(Hooks { guard, observers: Vec::new() }, Handles::register());
    let (tenant, actor) = (TenantId::default(), Actor::parse("ada").unwrap());
    let asked =
        Asked { what, roles: &[], tenant: &tenant, actor: Some(&actor), correlation_id: Some(Uuid::from_u128(7)) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let collected = Traced::default();
    tracing::subscriber::with_default(collected.clone(), || {
        let _ = layers.at_once(&asked, || answer.clone());
        runtime.block_on(async {
            let began = Instant::now();
            let _ = layers.around(&asked, began, Until::after(60_000), async { answer.clone() }).await;
        });
    });
    let all = collected.0.lock().unwrap();
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[0], all[1]);
    all[0].clone().into_iter().collect()
}

fn expected(kind: &str, name: Option<&str>, outcome: &str) -> Vec<(&'static str, String)> {
    let name = name.map(|name| ("name", name.to_owned()));
    let fields = [("correlation_id", Uuid::from_u128(7).to_string()), ("kind", kind.to_owned())];
    let rest = [("outcome", outcome.to_owned()), ("span", "asked".to_owned()), ("tenant", "default".to_owned())];
    fields.into_iter().chain(name).chain(rest).collect()
}

/// What is asked for is named, and what it was asked with is not: neither arguments nor who asks.
#[test]
fn a_span_says_what_was_asked_for_and_what_became_of_it_and_nothing_else() {
    let name = Name::parse("Ticket").unwrap();
    for (what, kind) in [
        (What::Command(&name), "command"),
        (What::Model(&name), "model"),
        (What::Query(&name), "query"),
        (What::Changes(&name), "changes"),
    ] {
        assert_eq!(traced(what, Arc::new(Everyone), &Ok(1)), expected(kind, Some("Ticket"), "ok"));
    }
    assert_eq!(traced(What::Events, Arc::new(Everyone), &Ok(1)), expected("events", None, "ok"));
}

#[test]
fn what_was_refused_or_failed_is_traced_as_well() {
    let name = Name::parse("Ticket").unwrap();
    let refused = traced(What::Changes(&name), Arc::new(Nobody), &Ok(1));
    assert_eq!(refused, expected("changes", Some("Ticket"), "UNAUTHENTICATED"));
    let failed = Err(Error::SchemaChanged { model: "Ticket".into() });
    let failed = traced(What::Changes(&name), Arc::new(Everyone), &failed);
    assert_eq!(failed, expected("changes", Some("Ticket"), "SCHEMA_CHANGED"));
}
