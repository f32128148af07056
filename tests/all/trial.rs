//! Code is tried on the log before it goes live: on events of all kinds, those of today among them.

use std::sync::Arc;

use serde_json::{Value, json};
use yado_engine::{Engine, Parts, Refusal};
use yado_model::{CommandId, CommandMeta, EntityId, Name, NewEvent, Revision, StreamId, TenantId, Timestamp};
use yado_runtime::Runtime;
use yado_store::{Append, Appended, Draft, EventStore, PluginVersion, open_events, open_reads};

use crate::support::{component, patient, patient_options, variant};

/// An engine over a log that tests write to as they like.
struct House {
    engine: Engine,
    log: Arc<dyn EventStore>,
    _folder: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
        let log = open_events(&url("log.db"), &patient_options()).await.unwrap();
        let reads = open_reads(&url("reads.db"), &patient_options()).await.unwrap();
        let runtime = Runtime::new(yado_runtime::Settings::default()).unwrap();
        let parts = Parts { events: log.clone(), reads, runtime };
        Self { engine: Engine::start(parts, patient()).await.unwrap(), log, _folder: folder }
    }

    /// Records events of one account, from a revision on.
    async fn record(&self, account: &str, after: u64, events: &[(&str, Value)]) {
        let drafts =
            events.iter().zip(after..).map(|((name, payload), expected)| draft(account, expected, name, payload));
        let outcomes = self.log.append(&drafts.collect::<Vec<_>>()).await.unwrap();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Appended::Recorded { .. })), "{outcomes:?}");
    }

    /// What is said against a plugin.
    async fn refused(&self, plugin: Vec<u8>) -> String {
        match self.engine.deploy(plugin).await {
            Err(Refusal::History(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }
}

fn draft(account: &str, expected: u64, name: &str, payload: &Value) -> Append {
    let command_id = CommandId::generate();
    let draft = Draft {
        tenant: TenantId::default(),
        stream: StreamId::new(&Name::parse("Account").unwrap(), &EntityId::parse(account).unwrap()),
        expected: Revision::new(expected),
        events: vec![NewEvent { name: name.into(), version: 1, payload: payload.to_string(), tags: Vec::new() }],
        claims: Vec::new(),
        recorded_at: Timestamp::from_micros(1_769_851_800_000_000),
        command: CommandMeta { command_id, correlation_id: command_id.0, causation_id: None, actor: None },
        plugin: PluginVersion(1),
        idempotency: None,
    };
    draft.check().unwrap()
}

fn opened() -> (&'static str, Value) {
    ("Opened", json!({ "owner": "somebody" }))
}

fn deposited() -> (&'static str, Value) {
    ("Deposited", json!({ "amount": 1, "reference": "" }))
}

/// What code has recorded whose events had other fields under the same version.
fn of_other_shape() -> (&'static str, Value) {
    ("Deposited", json!({ "cents": 1 }))
}

#[tokio::test(flavor = "multi_thread")]
async fn code_whose_event_has_other_fields_than_the_log_under_the_same_version_is_refused() {
    let house = House::new().await;
    house.record("a", 0, &[opened(), of_other_shape()]).await;
    let told = house.refused(component("bank")).await;
    for part in
        ["Deposited version 1 at position 2", "Account-a", "count the event's version up", "how version 1 is read"]
    {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    house.engine.shutdown().await;
}

/// More events of the kind come first than are looked at one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_at_the_end_of_the_log_is_tried_as_well_as_the_first_ones() {
    let house = House::new().await;
    house.record("long", 0, &[opened()]).await;
    for page in 0..6 {
        house.record("long", 1 + page * 500, &vec![deposited(); 500]).await;
    }
    house.record("last", 0, &[opened(), of_other_shape()]).await;
    let told = house.refused(component("bank")).await;
    assert!(told.contains("Deposited version 1 at position 3003"), "{told}");
    house.engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_code_that_runs_can_not_read_either_does_not_keep_new_code_from_going_live() {
    let house = House::new().await;
    let bank = component("bank");
    house.record("a", 0, &[opened()]).await;
    house.engine.deploy(bank.clone()).await.unwrap();
    house.record("a", 1, &[of_other_shape()]).await;
    house.engine.deploy(variant(&bank, 1)).await.unwrap();
    house.engine.shutdown().await;
}
